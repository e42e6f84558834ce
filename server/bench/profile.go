package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// profileCmd measures one kind of call in one go, without rounds: where its time goes does not depend on who else is busy.
type profileCmd struct {
	Calls    []string      `arg:"" optional:"" help:"Of which calls: ${profiles}. Without any: all."`
	For      time.Duration `default:"5s" help:"How long each is measured."`
	Out      string        `default:"bin/profiles" help:"The folder for the profiles. Their databases come next to it."`
	Smallest float64       `default:"0.01" help:"Shares below this one are not shown."`
}

// profiledCall is a kind of call with what it is sent to.
type profiledCall struct {
	name string
	// mine makes the calls to tokenwire, and bare those to the bare handler, to compare.
	mine, bare func(c calls, address string) *target
	atLeast    float64 // the target beside the bare handler, where there is one
	tokens     int
	raw        bool // beside raw SQLite, too
	postgres   bool
}

func profiledCalls() []profiledCall {
	with := func(status int, to func(calls, string, int) *target) func(calls, string) *target {
		return func(c calls, address string) *target { return to(c, address, status) }
	}
	return []profiledCall{
		{name: "update", mine: calls.update, bare: calls.update, atLeast: patchAtLeast, tokens: rowTokens, raw: true},
		{name: "refused", mine: with(http.StatusUnprocessableEntity, calls.refused), bare: calls.update, atLeast: refusedAtLeast, tokens: rowTokens},
		{
			name: "authentication", mine: with(http.StatusUnauthorized, calls.list), bare: with(http.StatusOK, calls.list),
			atLeast: authenticationAtLeast, tokens: rowTokens,
		},
		{name: "verify", mine: calls.verify, bare: calls.verify, atLeast: verifyAtLeast, tokens: rowTokens},
		{name: "get", mine: calls.get, bare: calls.get, tokens: rowTokens},
		{name: "create", mine: calls.create, bare: calls.create, tokens: rowTokens},
		{name: "delete", mine: calls.removeEach, bare: calls.removeAny, tokens: 10 * rowTokens}, // enough for some seconds
		{name: "update-1M", mine: calls.update, bare: calls.update, tokens: manyTokens},
		{name: "update-postgres", mine: calls.update, bare: calls.update, tokens: rowTokens, postgres: true},
	}
}

func profileNames() string {
	var names []string
	for _, c := range profiledCalls() {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// Run profiles the calls one after the other.
func (cmd profileCmd) Run(ctx context.Context) error {
	chosen := profiledCalls()
	for _, name := range cmd.Calls {
		if !slices.ContainsFunc(chosen, func(c profiledCall) bool { return c.name == name }) {
			return fmt.Errorf("there is no profile of %q, but of %s", name, profileNames())
		}
	}
	if err := os.MkdirAll(cmd.Out, 0o755); err != nil { //nolint:gosec // results are for everybody
		return err
	}
	machine, err := machineFacts(ctx, cmd.Out)
	if err != nil {
		return err
	}
	highestLoad := watchLoad(ctx, loadInterval, loadNow)
	for _, call := range chosen {
		if len(cmd.Calls) > 0 && !slices.Contains(cmd.Calls, call.name) {
			continue
		}
		if call.postgres {
			if err := postgresIsHere(); err != nil {
				fmt.Fprintln(os.Stderr, "LEFT OUT: the profile over PostgreSQL:", err)
				continue
			}
		}
		if err := cmd.profile(ctx, call); err != nil {
			return fmt.Errorf("profile %s: %w", call.name, err)
		}
	}
	highest, err := highestLoad()
	if err != nil {
		return err
	}
	return writeFacts(os.Stdout, append(machine, loadFact(highest)))
}

// profile fills a database, measures everybody, tokenwire and the bare handler under a profiler, and says what it has seen.
func (cmd profileCmd) profile(ctx context.Context, call profiledCall) (err error) {
	directory, err := os.MkdirTemp(cmd.Out, "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	f := &postgresField{} // empty unless it is about PostgreSQL
	defer func() { err = errors.Join(err, f.close()) }()
	db, err := call.database(ctx, directory, f)
	if err != nil {
		return err
	}
	meters := []meter{meterOfThis}
	if call.postgres {
		meters = append(meters, f.processorTime)
	}
	seen := profile{call: call}
	seen.mine, err = cmd.measure(ctx, call.mine(newCalls(db), ""), call.name, meters, func(address, profile string) []string {
		return []string{"profiled", "--profile", profile, "--db", db.path, "--keyset", db.keysetFile, "--addr", address}
	})
	if err != nil {
		return err
	}
	seen.bare, err = cmd.measure(ctx, call.bare(newCalls(db), ""), call.name+"-bare", meters[:1], func(address, profile string) []string {
		return []string{"bare", "--profile", profile, "--addr", address}
	})
	if err != nil {
		return err
	}
	if err := seen.read(db); err != nil {
		return err
	}
	if err := seen.write(os.Stdout, cmd.Smallest); err != nil {
		return err
	}
	switch {
	case call.raw:
		return cmd.sayRaw(ctx, os.Stdout, directory, call.tokens)
	case call.postgres:
		return cmd.sayPgbench(ctx, os.Stdout, f, seen.mine)
	}
	return nil
}

// database makes what the call is about, on the field where that is PostgreSQL.
func (c profiledCall) database(ctx context.Context, directory string, f *postgresField) (*database, error) {
	if !c.postgres {
		return newDatabase(ctx, directory, c.tokens)
	}
	err := f.prepare(ctx, directory, c.tokens)
	return f.db, err
}

// measure starts a server under the profiler, and stops it.
func (cmd profileCmd) measure(
	ctx context.Context, t *target, name string, meters []meter, arguments func(address, profile string) []string,
) (_ cost, err error) {
	program, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	c := cost{path: filepath.Join(cmd.Out, name+".prof")}
	started, err := startServer(ctx, program, func(address string) []string { return arguments(address, c.path) })
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, started.stop()) }() // which writes the profile
	if _, err := started.await(ctx, "/nothing", "", "", http.StatusNotFound); err != nil {
		return c, err
	}
	t.address = started.address
	all := append([]meter{meterOf(started.info)}, meters...)
	got, costs, err := metered(ctx, t.measure, slot{connections: rowConnections, measured: cmd.For}, all...)
	if err != nil {
		return c, err
	}
	c.rate, c.server, c.others = got.rate, costs[0], costs[1:]
	return c, nil
}
