package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

// slot is one turn of one contender: it runs for warmUp and measured together, and what is answered in the second of them counts.
type slot struct {
	connections      int
	warmUp, measured time.Duration
}

// result is what was measured in a slot.
type result struct {
	rate      float64 // answers per second
	answers   int64
	latencies *hdrhistogram.Histogram // in microseconds
}

// A latency is kept with three digits; nothing takes longer than answerTimeout.
const (
	answerTimeout = 10 * time.Second
	digits        = 3
)

func newLatencies() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, answerTimeout.Microseconds(), digits)
}

// target is a server with a kind of call.
type target struct {
	address string
	status  int // of every answer: another one fails the run
	// prepare writes the n-th call into a request that is used again and again. It returns false when there are no more.
	prepare func(n uint64, request *fasthttp.Request) bool
	sent    atomic.Uint64
}

// errNoAnswer says that a slot was too short.
var errNoAnswer = errors.New("no answer came")

// window is the time of a slot in which answers count.
type window struct{ from, until time.Time }

// measure keeps as many connections busy as the slot says, each with one call at a time.
func (t *target) measure(ctx context.Context, s slot) (result, error) {
	// A client for each slot: between two of them a server may have closed an idle connection.
	client := &fasthttp.HostClient{
		Addr: t.address, MaxConns: s.connections, MaxIdemponentCallAttempts: 1,
		ReadTimeout: answerTimeout, WriteTimeout: answerTimeout,
		NoDefaultUserAgentHeader: true, DisableHeaderNamesNormalizing: true, DisablePathNormalizing: true,
	}
	defer client.CloseIdleConnections()
	parts := make([]part, s.connections)
	for i := range parts {
		parts[i].latencies = newLatencies() // before the clock starts: it is not small
	}
	group, ctx := errgroup.WithContext(ctx)
	from := time.Now().Add(s.warmUp)
	counted := window{from, from.Add(s.measured)}
	for i := range parts {
		group.Go(func() error { return t.drive(ctx, client, counted, &parts[i]) })
	}
	if err := group.Wait(); err != nil {
		return result{}, err
	}
	return sum(parts, counted)
}

// part is what one connection has measured.
type part struct {
	latencies *hdrhistogram.Histogram
	last      time.Time // of the answers
	ranOut    bool      // there was nothing left to send
}

// drive sends one call after the other over one connection until the window ends.
func (t *target) drive(ctx context.Context, client *fasthttp.HostClient, counted window, into *part) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.Header.SetHost(t.address)
	for begin := time.Now(); begin.Before(counted.until); {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !t.prepare(t.sent.Add(1)-1, request) {
			into.ranOut = true
			return nil
		}
		if err := client.Do(request, response); err != nil {
			return fmt.Errorf("%s %s: %w", request.Header.Method(), request.RequestURI(), err)
		}
		if response.StatusCode() != t.status {
			return fmt.Errorf("%s %s at %s was answered %d, not %d: %.300s", request.Header.Method(), request.RequestURI(), t.address,
				response.StatusCode(), t.status, response.Body())
		}
		end := time.Now()
		if err := into.count(counted, begin, end); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// count notes an answer if it came within the window.
func (p *part) count(counted window, begin, end time.Time) error {
	if end.Before(counted.from) || end.After(counted.until) {
		return nil
	}
	p.last = end
	return p.latencies.RecordValue(max(1, end.Sub(begin).Microseconds()))
}

// sum adds the connections up. Where the calls ran out, the window ended with the last answer.
func sum(parts []part, counted window) (result, error) {
	all := newLatencies()
	var last time.Time
	ranOut := false
	for _, p := range parts {
		all.Merge(p.latencies)
		ranOut = ranOut || p.ranOut
		if p.last.After(last) {
			last = p.last
		}
	}
	if all.TotalCount() == 0 {
		return result{}, fmt.Errorf("%w within %s", errNoAnswer, counted.until.Sub(counted.from))
	}
	end := counted.until
	if ranOut {
		end = last
	}
	return result{float64(all.TotalCount()) / end.Sub(counted.from).Seconds(), all.TotalCount(), all}, nil
}

// together returns the latencies of all results.
func together(results []result) *hdrhistogram.Histogram {
	all := newLatencies()
	for _, r := range results {
		all.Merge(r.latencies)
	}
	return all
}

// queue hands out each of a list once.
type queue[T any] struct {
	mu   sync.Mutex
	rest []T
}

func (q *queue[T]) add(items []T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rest = append(q.rest, items...)
}

func (q *queue[T]) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.rest)
}

func (q *queue[T]) next() (T, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.rest) == 0 {
		var none T
		return none, false
	}
	item := q.rest[0]
	q.rest = q.rest[1:]
	return item, true
}
