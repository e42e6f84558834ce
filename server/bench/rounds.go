package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// plan says how long everything takes.
type plan struct {
	rounds           int
	warmUp, measured time.Duration // of a slot
	starts           int           // of a server with each number of tokens
	tokens           int           // in the database of the rows
	sizes            []int         // numbers of tokens, the fewest first
	connections      []int         // besides those of the rows
	limit            time.Duration // of the whole run
}

// The rows, and their targets, are about so many connections, and tokens in the database.
const (
	rowConnections = 64
	rowTokens      = 10_000
)

func newPlan(quick, large bool) plan {
	p := plan{
		rounds: 5, warmUp: 150 * time.Millisecond, measured: 600 * time.Millisecond, starts: 5,
		tokens: rowTokens, sizes: []int{rowTokens, 100_000, 1_000_000}, connections: []int{1, 8, 256}, limit: 5 * time.Minute,
	}
	if quick {
		p.rounds, p.warmUp, p.measured, p.starts = 2, 50*time.Millisecond, 200*time.Millisecond, 2
		p.sizes = []int{rowTokens, 50_000}
	}
	if large {
		p.sizes, p.limit = append(p.sizes, 10_000_000), 30*time.Minute
	}
	return p
}

// contender takes part in a row.
type contender struct {
	name    string
	measure func(context.Context, slot) (result, error)
	before  func(context.Context, slot) error // not timed; may be nil
}

// race lets everybody have a turn in each round: forwards in one, backwards in the next, so that nobody always follows the same
// one. It returns the results of each, in the order of the rounds.
func race(ctx context.Context, p plan, what string, connections int, contenders []contender) (map[string][]result, error) {
	bar := newBar(p.rounds*len(contenders), what)
	results := make(map[string][]result)
	order := slices.Clone(contenders)
	s := slot{connections: connections, warmUp: p.warmUp, measured: p.measured}
	for _, c := range order { // once without counting: caches, pools and compilers are cold
		if _, err := c.turn(ctx, slot{connections: connections, measured: 2 * p.warmUp}); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", what, c.name, err)
		}
	}
	for range p.rounds {
		for _, c := range order {
			got, err := c.turn(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", what, c.name, err)
			}
			results[c.name] = append(results[c.name], got)
			if err := bar.Add(1); err != nil {
				return nil, err
			}
		}
		slices.Reverse(order)
	}
	return results, nil
}

// turn gives who is slow, or unlucky on a busy machine, more time for the first answer.
func (c contender) turn(ctx context.Context, s slot) (result, error) {
	for {
		if c.before != nil {
			if err := c.before(ctx, s); err != nil {
				return result{}, err
			}
		}
		got, err := c.measure(ctx, s)
		if !errors.Is(err, errNoAnswer) || s.measured > answerTimeout {
			return got, err
		}
		s.measured *= 2
	}
}
