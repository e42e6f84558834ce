package fuzztest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// sequenceLength is how many requests are drawn for one project.
const sequenceLength = 500

// sequence is some hundred requests in a project of its own.
type sequence struct {
	*generator
	number  int
	place   *place
	counts  counts
	sent    int
	history []string // the latest requests
	failure *failure
}

func newSequence(operations []*operation, seed uint64, number int, at *place) (*sequence, error) {
	own, err := at.newProject(fmt.Sprintf("Sequence %d", number))
	if err != nil {
		return nil, err
	}
	drawn := slices.DeleteFunc(slices.Clone(operations), func(op *operation) bool { return op.sandbox && !at.memory })
	return &sequence{
		generator: &generator{
			rng: rand.New(rand.NewPCG(seed, uint64(number))), operations: drawn, all: operations,
			pool: newPool(own, at.stranger), options: schemaOptions(),
		},
		number: number, place: at, counts: make(counts),
	}, nil
}

// run sends the requests, up to the first that fails.
func (s *sequence) run(t *testing.T) {
	t.Helper()
	for _, id := range []string{"create_subprojects", "create_token", "create_project_token", "create_sandbox_project"} {
		if op := findOperation(s.all, id); s.place.memory || !op.sandbox {
			s.step(t, op)
		}
	}
	for s.sent < sequenceLength && s.failure == nil {
		s.step(t, s.chooseOperation())
	}
	s.forget(t)
}

// chooseOperation keeps the number of things that there are within bounds.
func (s *sequence) chooseOperation() *operation {
	switch {
	case len(s.pool.tokens) > 30 && s.chance(2):
		return findOperation(s.all, pick(s.generator, []string{"delete_token", "delete_project_token"}))
	case len(s.pool.worlds) > 10 && s.chance(4):
		return findOperation(s.all, "delete_sandbox_project")
	}
	op := pick(s.generator, s.operations)
	if !op.secured && !op.sandbox && !s.chance(8) { // there is little to say about a probe
		return s.chooseOperation()
	}
	return op
}

// step draws a request, sends it and checks the answer.
func (s *sequence) step(t *testing.T, op *operation) {
	t.Helper()
	d, drawn := s.draw(op)
	if !drawn {
		return
	}
	s.writeBody(d)
	if got, ok := s.exchange(t, d); ok && d.stable() && got.status == http.StatusOK && s.chance(4) {
		again, _ := s.exchange(t, d)
		if difference := differs(got, again); difference != "" && s.failure == nil {
			s.fail(d, again, difference)
		}
	}
}

// draw draws a request for an operation: about half of them are valid.
func (s *sequence) draw(op *operation) (*draft, bool) {
	switch {
	case s.chance(40):
		return s.follow()
	case s.chance(40):
		return s.again()
	}
	d, drawn := s.valid(op)
	if !drawn {
		return nil, false
	}
	switch s.rng.IntN(20) {
	case 0, 1:
		s.garble(d)
	case 2, 3, 4, 5, 6, 7, 8:
		s.breakOnce(d)
	default:
		s.vary(d)
	}
	d.chunked = d.hasBody && s.chance(6)
	return d, true
}

// exchange sends a request, and fails the sequence when the answer is wrong.
func (s *sequence) exchange(t *testing.T, d *draft) (answer, bool) {
	t.Helper()
	got, err := s.place.send(t, d)
	if errors.Is(err, errNotSendable) {
		return got, false
	}
	s.sent++
	if err != nil {
		s.fail(d, got, err.Error())
		return got, false
	}
	s.counts.add(d.op.id, got.status)
	if difference := check(d, got); difference != "" {
		s.fail(d, got, difference)
		return got, false
	}
	s.pool.absorb(d, got.status, got.body)
	s.history = append(s.history, fmt.Sprintf("%d %s", got.status, cut(d.curl(s.base()), 600)))
	s.history = s.history[max(0, len(s.history)-5):]
	return got, true
}

func (s *sequence) base() string {
	if s.place.client != nil {
		return s.place.url
	}
	return "http://" + local
}

func (s *sequence) fail(d *draft, got answer, difference string) {
	s.failure = &failure{
		sequence: s.number, request: s.sent, operation: d.op.id, how: d.how, difference: cut(difference, 4000), curl: cut(d.curl(s.base()), 8000),
		answer: fmt.Sprintf("%d %s", got.status, cut(got.body, 4000)), before: strings.Join(s.history, "\n  "),
	}
}

// forget takes what a sequence has used out of the server's memory.
func (s *sequence) forget(t *testing.T) {
	t.Helper()
	if !s.place.sandbox {
		return
	}
	id := "clear_sandbox_journal"
	if s.place.memory {
		id = "delete_sandbox_project"
	}
	op := findOperation(s.all, id)
	for _, project := range append(s.pool.worlds, s.pool.main()) {
		d := &draft{op: op, method: op.method, segments: map[string]string{"project_id": project}, header: make(http.Header)}
		if got, err := s.place.send(t, d); s.failure == nil && (err != nil || got.status != http.StatusNoContent) {
			s.fail(d, got, fmt.Sprintf("status %d, want 204: %v", got.status, err))
		}
	}
}
