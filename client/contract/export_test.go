package contract

import "context"

// RunStep runs a function as a case.
func RunStep(ctx context.Context, config Config, step func()) Result {
	s, err := newSuite(config)
	if err != nil {
		panic(err)
	}
	result, _ := s.runCase(ctx, Case{ID: "test.step", run: func(*trial) { step() }})
	return result
}
