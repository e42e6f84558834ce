package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// runCmd measures everything in one go.
type runCmd struct {
	Tokenwire string `default:"bin/tokenwire" help:"The program to measure. Its databases come next to it, because /tmp may be in memory."`
	Contract  string `default:"openapi.yaml" help:"The contract, for Prism."`
	Prism     string `default:"server/bench" help:"The folder with Prism's package.json."`
	Out       string `env:"BENCH_OUT" help:"The folder for RESULTS.md and the plot. By default server/bench, where they are committed, and with --quick one beside the program to measure."`
	Quick     bool   `env:"BENCH_QUICK" help:"Very short rounds, to see that everything works. The numbers mean nothing."`
	Large     bool   `env:"BENCH_LARGE" help:"10 million tokens as well, and half an hour in place of five minutes."`
}

// Run leaves nothing behind but the results.
func (cmd runCmd) Run(ctx context.Context) (err error) {
	p := newPlan(cmd.Quick, cmd.Large)
	ctx, cancel := context.WithTimeoutCause(ctx, p.limit, fmt.Errorf("the run takes longer than %s", p.limit))
	defer cancel()
	program, err := filepath.Abs(cmd.Tokenwire)
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp(filepath.Dir(program), "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	machine, err := machineFacts(ctx, directory)
	if err != nil {
		return err
	}
	highestLoad, began := watchLoad(ctx, loadInterval, loadNow), time.Now()
	results, err := cmd.measure(ctx, p, directory)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	highest, err := highestLoad()
	if err != nil {
		return err
	}
	results.machine = append(machine, loadFact(highest), fact{"Time for this run", time.Since(began).Round(time.Second).String()})
	return cmd.report(results)
}

// results is what a run comes to.
type results struct {
	machine             []fact
	lines               []line
	growth, connections []point
	withoutPrism        error // why
}

// folder is where the results go. Numbers that mean nothing do not take the place of those that are committed.
func (cmd runCmd) folder() string {
	switch {
	case cmd.Out != "":
		return cmd.Out
	case cmd.Quick:
		return filepath.Join(filepath.Dir(cmd.Tokenwire), "bench-results")
	}
	return filepath.Join("server", "bench")
}

func (cmd runCmd) measure(ctx context.Context, p plan, directory string) (results, error) {
	all, err := cmd.measureRows(ctx, p, directory)
	if err != nil {
		return all, err
	}
	lines, growth, err := runGrowth(ctx, p, cmd.Tokenwire, directory)
	if err != nil {
		return all, err
	}
	onPostgres, err := runPostgres(ctx, p, cmd.Tokenwire, directory)
	if err != nil {
		return all, err
	}
	binary, err := binaryLine(cmd.Tokenwire)
	all.lines, all.growth = append(slices.Concat(all.lines, lines, onPostgres), binary), growth
	return all, err
}

// measureRows starts everybody, measures the rows, and stops everybody.
func (cmd runCmd) measureRows(ctx context.Context, p plan, directory string) (_ results, err error) {
	var all results
	program, err := os.Executable()
	if err != nil {
		return all, err
	}
	var closers []func() error
	defer func() {
		for _, c := range closers {
			err = errors.Join(err, c())
		}
	}()
	f := &field{plan: p}
	mine, err := grow(ctx, p, cmd.Tokenwire, directory, p.tokens)
	if err != nil {
		return all, err
	}
	f.db, f.tokenwire = mine.db, mine.server
	closers = append(closers, f.tokenwire.stop)
	for name, into := range map[string]**server{"bare": &f.bare, "stock": &f.stock} {
		started, err := startServer(ctx, program, func(address string) []string { return []string{name, "--addr", address} })
		if err != nil {
			return all, err
		}
		*into, closers = started, append(closers, started.stop)
		if _, err := started.await(ctx, "/nothing", "", "", http.StatusNotFound); err != nil {
			return all, err
		}
	}
	switch started, err := cmd.prism(ctx); {
	case errors.Is(err, errNoPrism):
		all.withoutPrism = err
		fmt.Fprintln(os.Stderr, "Prism is", err)
	case err != nil:
		return all, err
	default:
		f.prism, closers = started, append(closers, started.stop)
	}
	separate, err := newDatabase(ctx, directory, p.tokens)
	if err != nil {
		return all, err
	}
	if f.raw, err = newRawSQLite(ctx, separate); err != nil {
		return all, err
	}
	closers = append(closers, f.raw.close)
	all.lines, all.connections, err = f.runAll(ctx)
	all.lines = append(all.lines, memoryLines("", mine.idle, f.tokenwire.peak.Load())...)
	return all, err
}

func (cmd runCmd) prism(ctx context.Context) (*server, error) {
	started, err := startPrism(ctx, cmd.Prism, cmd.Contract)
	if err != nil {
		return nil, err
	}
	if _, err := started.await(ctx, "/healthz", "", "", http.StatusOK); err != nil {
		return nil, errors.Join(err, started.stop())
	}
	return started, nil
}
