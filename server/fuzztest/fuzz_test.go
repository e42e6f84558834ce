package fuzztest_test

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shortRun is how many requests a run has that nobody has asked for.
const shortRun = 5000

// manyRequests get every documented answer, whatever the seed.
const manyRequests = 20_000

// maxFailures ends a run: more of them would say the same.
const maxFailures = 5

// run is which sequences are run, and where.
type run struct {
	seed        uint64
	first, last int // the sequences, the last one excluded
	operations  []*operation
	places      []*place
}

// TestFuzz: no request that can be drawn from the contract gets a 5xx or an answer that the contract does not have, and each
// that is known to be valid or broken gets the status that the contract gives it.
func TestFuzz(t *testing.T) {
	t.Parallel()
	requests, asked := number(t, "FUZZ_REQUESTS", shortRun)
	seed, given := number(t, "FUZZ_SEED", 1)
	if asked && !given {
		seed = int(time.Now().UnixNano() % 1_000_000_000)
	}
	r := newRun(t, func(h http.Handler) http.Handler { return h })
	r.seed, r.last = uint64(seed), (requests+sequenceLength-1)/sequenceLength
	only, one := number(t, "FUZZ_SEQUENCE", 0)
	if one {
		r.first, r.last = only, only+1
	}
	start := time.Now()
	got := r.run(t)
	took := time.Since(start)
	for _, f := range got.failures {
		t.Errorf("%s is wrong about a request that is %q: %s\nrepeat with FUZZ_SEED=%d FUZZ_SEQUENCE=%d, request %d of it:\n  %s\nanswer:\n  %s\nbefore:\n  %s",
			f.operation, f.how, f.difference, r.seed, f.sequence, f.request, f.curl, f.answer, f.before)
	}
	t.Logf("%d requests with seed %d in %s, %.0f/s\n%s", got.requests, r.seed, took.Round(time.Millisecond), float64(got.requests)/took.Seconds(), got.table())
	if len(got.failures) > 0 || one || asked && requests < manyRequests {
		return
	}
	for _, missing := range got.unreached(r.operations) {
		t.Errorf("no request got this documented answer: %s", missing)
	}
}

// number reads a number from the environment, and reports whether there is one.
func number(t *testing.T, name string, otherwise int) (int, bool) {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s is %q, want a number", name, text)
	}
	return n, true
}

func newRun(t *testing.T, wrap func(http.Handler) http.Handler) *run {
	t.Helper()
	operations, err := loadOperations()
	if err != nil {
		t.Fatal(err)
	}
	return &run{operations: operations, places: places(t, wrap)}
}

// run runs the sequences, several at a time.
func (r *run) run(t *testing.T) *report {
	t.Helper()
	total := &report{counts: make(counts)}
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		next    atomic.Int64
	)
	next.Store(int64(r.first))
	shown := time.Now()
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for n := int(next.Add(1)) - 1; n < r.last; n = int(next.Add(1)) - 1 {
				s, err := newSequence(r.operations, r.seed, n, placeOf(r.places, n))
				if err != nil {
					t.Error(err)
					return
				}
				s.run(t)
				mu.Lock()
				total.add(s)
				enough := len(total.failures) >= maxFailures
				if time.Since(shown) > 10*time.Second {
					shown = time.Now()
					fmt.Printf("%d requests, %d of %d sequences\n", total.requests, n+1-r.first, r.last-r.first)
				}
				mu.Unlock()
				if enough {
					return
				}
			}
		})
	}
	workers.Wait()
	return total
}

func (r *report) add(s *sequence) {
	r.requests += s.sent
	r.counts.merge(s.counts)
	if s.failure != nil {
		r.failures = append(r.failures, s.failure)
	}
}
