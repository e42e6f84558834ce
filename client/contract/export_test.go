package contract

import (
	"context"
	"time"
)

// RunStep runs a function as a case.
func RunStep(ctx context.Context, config Config, step func()) Result {
	s, err := newSuite(config)
	if err != nil {
		panic(err)
	}
	result, _ := s.runCase(ctx, Case{ID: "test.step", run: func(*trial) { step() }})
	return result
}

// RunWithPatience runs the cases with another bound for all waits together, and returns how long that took.
func RunWithPatience(ctx context.Context, config Config, patience time.Duration) (time.Duration, Report, error) {
	report, err := run(ctx, config, patience)
	return report.Duration, report, err
}
