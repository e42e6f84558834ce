package sandbox

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// What a journal keeps: the last calls, and not more bytes of them than this; and the journals of a sandbox together.
const (
	maxCalls           = 1000
	maxJournalBytes    = 8 << 20
	maxAllJournalBytes = 256 << 20
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
	const call, line = 512, 128 // what each costs besides its text
	size := call + len(c.Method) + len(c.URI) + len(c.RequestBody) + len(c.AnswerBody) + len(c.Why)
	for _, header := range []http.Header{c.RequestHeader, c.AnswerHeader} {
		for name, values := range header {
			for _, value := range values {
				size += line + len(name) + len(value)
			}
		}
	}
	return size
}

// Journal has the calls of a world, in the order in which they were finished. The sandbox's mutex guards it.
type Journal struct {
	sandbox *Sandbox
	closed  bool
	calls   []Call
	bytes   int
	last    int64
	dropped int64
	changed chan struct{} // closed, and replaced, when there is another call
}

func newJournal(s *Sandbox) *Journal { return &Journal{sandbox: s, changed: make(chan struct{})} }

// Add numbers a call and puts it at the end. The oldest calls make room: those of this journal when it is too large, and when all
// of them together are, those of the largest. The call itself stays. The journal of a world that was removed keeps nothing.
func (j *Journal) Add(call Call) {
	s := j.sandbox
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.closed {
		return
	}
	j.last++
	call.Number = j.last
	j.calls = append(j.calls, call)
	j.grow(call.size())
	for len(j.calls) > maxCalls || j.bytes > maxJournalBytes && len(j.calls) > 1 {
		j.drop()
	}
	for s.bytes > maxAllJournalBytes {
		s.largestJournal(j).drop()
	}
	close(j.changed)
	j.changed = make(chan struct{})
}

// largestJournal returns the journal that has the most bytes, or the most but for that of which one call must stay.
func (s *Sandbox) largestJournal(busy *Journal) *Journal {
	var largest *Journal
	for _, world := range s.worlds {
		if j := world.Journal; (j != busy || len(j.calls) > 1) && (largest == nil || j.bytes > largest.bytes) {
			largest = j
		}
	}
	return largest // a call takes much less than all may: there is another
}

func (j *Journal) grow(bytes int) {
	j.bytes += bytes
	j.sandbox.bytes += bytes
}

// drop forgets the oldest call.
func (j *Journal) drop() {
	j.grow(-j.calls[0].size())
	j.calls[0] = Call{} // append copies the rest away from it, some time
	j.calls = j.calls[1:]
	j.dropped++
}

// Clear forgets the calls. Their numbers are not used again.
func (j *Journal) Clear() {
	j.sandbox.mu.Lock()
	defer j.sandbox.mu.Unlock()
	j.clear()
}

func (j *Journal) clear() {
	j.grow(-j.bytes)
	j.calls, j.dropped = nil, 0
}

// close ends the journal of a world that is removed.
func (j *Journal) close() {
	j.clear()
	j.closed = true
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
	j.sandbox.mu.Lock()
	defer j.sandbox.mu.Unlock()
	calls := []Call{}
	for _, call := range j.calls {
		if call.Number > query.After && (query.Operation == "" || call.Operation == query.Operation) {
			calls = append(calls, call)
		}
	}
	return calls, j.dropped, j.changed
}
