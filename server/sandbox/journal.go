package sandbox

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// What a journal keeps: the last calls, and not more bytes of them than this.
const (
	maxCalls        = 1000
	maxJournalBytes = 8 << 20
)

// Call is a request and its answer, without secrets.
type Call struct {
	// Number counts the calls of a world from 1.
	Number int64
	// At is when the request came, by the world's clock.
	At   time.Time
	Took time.Duration
	// Operation is the operationId that the request matched, or empty.
	Operation string

	Method        string
	URI           string // path and query
	RequestHeader http.Header
	RequestBody   string

	// Status is 0 when a fault kept the answer back.
	Status       int
	AnswerHeader http.Header
	AnswerBody   string

	// Why says in plain words why the call failed. It is empty when it did not.
	Why string
	// Fault is the fault that was used, or uuid.Nil.
	Fault uuid.UUID
}

// size is about how many bytes a call takes.
func (c Call) size() int {
	size := len(c.URI) + len(c.RequestBody) + len(c.AnswerBody) + len(c.Why)
	for _, header := range []http.Header{c.RequestHeader, c.AnswerHeader} {
		for name, values := range header {
			for _, value := range values {
				size += len(name) + len(value)
			}
		}
	}
	return size
}

// Journal has the calls of a world, in the order in which they were finished.
type Journal struct {
	mu      sync.Mutex
	calls   []Call
	bytes   int
	last    int64
	dropped int64
	changed chan struct{} // closed, and replaced, when there is another call
}

func newJournal() *Journal { return &Journal{changed: make(chan struct{})} }

// Add numbers a call and puts it at the end. The oldest calls make room.
func (j *Journal) Add(call Call) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	call.Number = j.last
	j.calls = append(j.calls, call)
	j.bytes += call.size()
	for len(j.calls) > maxCalls || j.bytes > maxJournalBytes && len(j.calls) > 1 {
		j.bytes -= j.calls[0].size()
		j.calls = slices.Delete(j.calls, 0, 1)
		j.dropped++
	}
	close(j.changed)
	j.changed = make(chan struct{})
}

// Clear forgets the calls. Their numbers are not used again.
func (j *Journal) Clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls, j.bytes, j.dropped = nil, 0, 0
}

// Query selects calls.
type Query struct {
	// Operation, unless it is empty, selects the calls of one operation.
	Operation string
	// After selects the calls with a greater number.
	After int64
}

// Calls returns the calls that a query selects, and how many calls were dropped because there were too many.
func (j *Journal) Calls(query Query) ([]Call, int64) {
	calls, dropped, _ := j.look(query)
	return calls, dropped
}

// Wait waits until a query selects at least so many calls, and returns them. When the context ends earlier it reports false,
// and returns those that there are.
func (j *Journal) Wait(ctx context.Context, query Query, atLeast int) ([]Call, int64, bool) {
	for {
		calls, dropped, changed := j.look(query)
		if len(calls) >= atLeast {
			return calls, dropped, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return calls, dropped, false
		}
	}
}

func (j *Journal) look(query Query) ([]Call, int64, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	calls := []Call{}
	for _, call := range j.calls {
		if call.Number > query.After && (query.Operation == "" || call.Operation == query.Operation) {
			calls = append(calls, call)
		}
	}
	return calls, j.dropped, j.changed
}
