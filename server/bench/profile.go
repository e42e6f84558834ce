package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
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
	tokens     int
	postgres   bool
}

func profiledCalls() []profiledCall {
	const few = 10_000
	with := func(status int, to func(calls, string, int) *target) func(calls, string) *target {
		return func(c calls, address string) *target { return to(c, address, status) }
	}
	return []profiledCall{
		{name: "update", mine: calls.update, bare: calls.update, tokens: few},
		{name: "refused", mine: with(http.StatusUnprocessableEntity, calls.refused), bare: calls.update, tokens: few},
		{name: "authentication", mine: with(http.StatusUnauthorized, calls.list), bare: with(http.StatusOK, calls.list), tokens: few},
		{name: "verify", mine: calls.verify, bare: calls.verify, tokens: few},
		{name: "get", mine: calls.get, bare: calls.get, tokens: few},
		{name: "create", mine: calls.create, bare: calls.create, tokens: few},
		{name: "update-1M", mine: calls.update, bare: calls.update, tokens: manyTokens},
		{name: "update-postgres", mine: calls.update, bare: calls.update, tokens: few, postgres: true},
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
	for _, call := range chosen {
		if len(cmd.Calls) > 0 && !slices.Contains(cmd.Calls, call.name) {
			continue
		}
		if err := postgresIsHere(); err != nil && call.postgres {
			fmt.Fprintln(os.Stderr, "LEFT OUT: the profile over PostgreSQL:", err)
			continue
		}
		if err := cmd.profile(ctx, call); err != nil {
			return fmt.Errorf("profile %s: %w", call.name, err)
		}
	}
	return nil
}

// profile fills a database, measures both servers under a profiler, and says what it has seen.
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
	mine, err := cmd.measure(ctx, call.mine(newCalls(db), ""), call.name, meters, func(address, profile string) []string {
		return []string{"profiled", "--profile", profile, "--db", db.path, "--keyset", db.keysetFile, "--addr", address}
	})
	if err != nil {
		return err
	}
	bare, err := cmd.measure(ctx, call.bare(newCalls(db), ""), call.name+"-bare", meters[:1], func(address, profile string) []string {
		return []string{"bare", "--profile", profile, "--addr", address}
	})
	if err != nil {
		return err
	}
	if err := cmd.say(os.Stdout, call, mine, bare); err != nil || !call.postgres {
		return err
	}
	return cmd.sayPgbench(ctx, os.Stdout, f, mine)
}

// database makes what the call is about, on the field where that is PostgreSQL.
func (c profiledCall) database(ctx context.Context, directory string, f *postgresField) (*database, error) {
	if !c.postgres {
		return newDatabase(ctx, directory, c.tokens)
	}
	err := f.prepare(ctx, directory, c.tokens)
	return f.db, err
}

// cost is what a call has cost: the time of the processors for one of them.
type cost struct {
	profile string
	rate    float64         // calls a second
	server  time.Duration   // that of the server
	others  []time.Duration // those of the meters
}

// measure starts a server under the profiler, and stops it.
func (cmd profileCmd) measure(
	ctx context.Context, t *target, name string, meters []meter, arguments func(address, profile string) []string,
) (_ cost, err error) {
	program, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	c := cost{profile: filepath.Join(cmd.Out, name+".prof")}
	started, err := startServer(ctx, program, func(address string) []string { return arguments(address, c.profile) })
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

// say compares the two, and says where their time has gone, for a page.
func (cmd profileCmd) say(to io.Writer, call profiledCall, mine, bare cost) error {
	ours, err := sharesOf(mine.profile)
	if err != nil {
		return err
	}
	theirs, err := sharesOf(bare.profile)
	if err != nil {
		return err
	}
	var page strings.Builder
	fmt.Fprintf(&page, `
## %s

%s requests/s, bare Echo %s. A request costs %.1f µs of the processors' time, in bare Echo %.1f µs, and in the load
generator %.1f µs and %.1f µs. (%s)

| | share | µs | bare Echo, µs |
|---|---:|---:|---:|
`, call.name, humanize.Comma(int64(mine.rate)), humanize.Comma(int64(bare.rate)), micros(mine.server), micros(bare.server),
		micros(mine.others[0]), micros(bare.others[0]), mine.profile)
	names := slices.SortedFunc(maps.Keys(ours), func(a, b string) int { return cmp.Compare(ours[b], ours[a]) })
	for _, name := range names {
		if ours[name] < cmd.Smallest {
			continue
		}
		beside := "–"
		if theirs[name] > 0 {
			beside = fmt.Sprintf("%.1f", theirs[name]*micros(bare.server))
		}
		fmt.Fprintf(&page, "| %s | %.0f %% | %.1f | %s |\n", name, 100*ours[name], ours[name]*micros(mine.server), beside)
	}
	_, err = io.WriteString(to, page.String())
	return err
}

// sayPgbench says what the same cluster spends on an update by pgbench: what is there, no profile of tokenwire can show.
func (cmd profileCmd) sayPgbench(ctx context.Context, to io.Writer, f *postgresField, mine cost) error {
	if err := f.writeScript(); err != nil {
		return err
	}
	theirs, costs, err := metered(ctx, f.pgbench, slot{connections: rowConnections, measured: cmd.For}, meterOfChildren, f.processorTime)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(to, `
PostgreSQL spends %.1f µs on each of tokenwire's updates besides. Of pgbench's, %s a second, each costs %.1f µs in PostgreSQL and
%.1f µs in pgbench.
`, micros(mine.others[1]), humanize.Comma(int64(theirs.rate)), micros(costs[1]), micros(costs[0]))
	return err
}
