package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// grown is a server on a database of some size.
type grown struct {
	db                   *database
	server               *server
	ready, authenticated []time.Duration // after each start
	idle                 []uint64        // bytes of memory, likewise
}

// The targets for a server, and how large a database they are about.
const (
	manyTokens      = 1_000_000
	growthAtLeast   = 0.85
	idleAtMost      = 40.0 // MB
	underLoadAtMost = 150.0
	startAtMost     = 100.0 // ms
	binaryAtMost    = 35.0  // MB
)

// startTokenwire starts the real binary, as an operator would, with a log of warnings.
func startTokenwire(ctx context.Context, binary string, db *database) (*server, error) {
	return startServer(ctx, binary, func(address string) []string {
		return []string{"serve", "--addr", address, "--db", db.path, "--keyset", db.keysetFile, "--log-level", "warn", "--drain-delay", "0s"}
	})
}

// grow fills a database, starts the server on it as often as the plan says, and leaves the last one running.
func grow(ctx context.Context, p plan, binary, directory string, tokens int) (*grown, error) {
	db, err := newDatabase(ctx, directory, tokens)
	if err != nil {
		return nil, err
	}
	g := &grown{db: db}
	for range p.starts {
		if g.server != nil {
			if err := g.server.stop(); err != nil {
				return nil, err
			}
		}
		if err := g.start(ctx, binary); err != nil {
			return nil, fmt.Errorf("start with %s tokens: %w", count(tokens), err)
		}
	}
	return g, nil
}

// start times the first answer of the probe, and then the first that needs a credential and a row.
func (g *grown) start(ctx context.Context, binary string) error {
	started, err := startTokenwire(ctx, binary, g.db)
	if err != nil {
		return err
	}
	g.server = started
	ready, err := started.await(ctx, "/readyz", "", "", http.StatusOK)
	if err != nil {
		return errors.Join(err, started.stop())
	}
	path := newCalls(g.db).path + "/" + g.db.tokens[0].String()
	authenticated, err := started.await(ctx, path, g.db.project.String(), g.db.management.Reveal(), http.StatusOK)
	if err != nil {
		return errors.Join(err, started.stop())
	}
	idle, err := started.idleMemory(ctx)
	if err != nil {
		return errors.Join(err, started.stop())
	}
	g.ready, g.authenticated, g.idle = append(g.ready, ready), append(g.authenticated, authenticated), append(g.idle, idle)
	return nil
}

// runGrowth measures what the number of tokens costs: all servers run at once and take turns.
func runGrowth(ctx context.Context, p plan, binary, directory string) (_ []line, _ []point, err error) {
	servers := make([]*grown, 0, len(p.sizes))
	defer func() {
		for _, g := range servers {
			err = errors.Join(err, g.server.stop())
		}
	}()
	var contenders []contender
	for _, tokens := range p.sizes {
		g, err := grow(ctx, p, binary, directory, tokens)
		if err != nil {
			return nil, nil, err
		}
		servers = append(servers, g)
		contenders = append(contenders, contender{name: count(tokens), measure: newCalls(g.db).update(g.server.address).measure})
	}
	results, err := race(ctx, p, "PATCH by number of tokens", rowConnections, contenders)
	if err != nil {
		return nil, nil, err
	}
	lines, points := growthLines(p, results)
	for i, g := range servers {
		lines = append(lines, g.lines(p.sizes[i])...)
	}
	return lines, points, nil
}

// growthLines compares each size with the smallest.
func growthLines(p plan, results map[string][]result) ([]line, []point) {
	var lines []line
	var points []point
	for _, tokens := range p.sizes {
		ratio := ratiosOf(results[count(tokens)], results[count(p.sizes[0])])
		l := speed(fmt.Sprintf("PATCH, %s tokens", count(tokens)), results[count(tokens)])
		points = append(points, point{float64(tokens), ratio})
		if tokens != p.sizes[0] {
			l.ratios[fewTokens] = ratio.String()
		}
		if tokens == manyTokens {
			l.targets = []string{atLeast(ratio, growthAtLeast)}
		}
		lines = append(lines, l)
	}
	return lines, points
}

// lines are the start and the memory of one size. The targets are about the largest that they name.
func (g *grown) lines(tokens int) []line {
	ready, authenticated := durationsOf(g.ready), durationsOf(g.authenticated)
	lines := []line{
		{what: fmt.Sprintf("start to the first 200, %s tokens", count(tokens)), measured: milliseconds.show(ready)},
		{what: fmt.Sprintf("… of a call with a credential, %s tokens", count(tokens)), measured: milliseconds.show(authenticated)},
	}
	if tokens == manyTokens {
		lines[0].targets = []string{atMost(ready, startAtMost, milliseconds)}
		lines[1].targets = []string{atMost(authenticated, startAtMost, milliseconds)}
	}
	return append(lines, memoryLines(fmt.Sprintf(", %s tokens", count(tokens)), g.idle, g.server.peak.Load())...)
}

// memoryLines hold what a server has in memory against the targets.
func memoryLines(suffix string, idle []uint64, peak uint64) []line {
	return []line{
		sized("memory after the start"+suffix, bytesOf(idle), idleAtMost),
		sized("memory under load"+suffix, bytesOf([]uint64{peak}), underLoadAtMost),
	}
}

// binaryLine is about the program as the Makefile builds it: static and stripped.
func binaryLine(binary string) (line, error) {
	info, err := os.Stat(binary)
	if err != nil {
		return line{}, fmt.Errorf("look at the program: %w", err)
	}
	return sized("the program, stripped", bytesOf([]uint64{uint64(info.Size())}), binaryAtMost), nil //nolint:gosec // no size is negative
}

func sized(what string, got spread, limit float64) line {
	return line{what: what, measured: megabytes.show(got), targets: []string{atMost(got, limit, megabytes)}}
}
