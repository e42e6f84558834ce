// Package batch collects changes that wait at the same time, so that they can share a transaction, and with it the one sync or the
// one round trip that makes them durable. A change that comes alone waits for nobody; a change whose context ends while it waits is
// not made; how many may wait is bounded; and each change has its own result.
//
// An adapter has a Queue and one or more goroutines that write:
//
//	for jobs := queue.Next(); jobs != nil; jobs = queue.Next() {
//		… // begin a transaction
//		for _, job := range jobs {
//			if job.Take() { … job.Call(func() error { return job.Change(tx) }) … }
//		}
//		… // commit, and then job.Finish(result) for each
//	}
package batch

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/tokenwire/tokenwire/server/store"
)

// Queue has the changes that wait. C is what an adapter has to know of a change to make it.
type Queue[C any] struct {
	maxBatch, maxWaiting int

	mu      sync.Mutex
	waiting []*Job[C]
	closed  bool

	wake chan struct{} // there is something in the queue, or it is closed

	observe atomic.Pointer[func(store.Batch)] // nil: nobody wants to know
}

// Job is a change that waits for a writer, and then for its result.
type Job[C any] struct {
	// Change is what was given to Do.
	Change C

	ctx    context.Context //nolint:containedctx // it belongs to the one call that waits
	taken  atomic.Bool     // by a writer, or by a caller who does not wait any more
	result chan error
	panic  error
}

// New returns a queue. maxBatch bounds how many changes share a transaction, and so how long the first of them waits for the last;
// maxWaiting bounds how many wait: what comes then is refused, because it would wait too long.
func New[C any](maxBatch, maxWaiting int) *Queue[C] {
	return &Queue[C]{maxBatch: maxBatch, maxWaiting: maxWaiting, wake: make(chan struct{}, 1)}
}

// Do hands a change to a writer and returns its result. A change whose context ends before it is begun is not made; one that is
// begun is not interrupted, because that would take back what others have done in the same transaction.
func (q *Queue[C]) Do(ctx context.Context, change C) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	j := &Job[C]{Change: change, ctx: ctx, result: make(chan error, 1)}
	if err := q.enqueue(j); err != nil {
		return err
	}
	select {
	case err := <-j.result:
		return j.done(err)
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		return j.done(<-j.result)
	}
}

func (q *Queue[C]) enqueue(j *Job[C]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return store.ErrUnavailable
	case len(q.waiting) >= q.maxWaiting:
		return fmt.Errorf("%w: %d changes wait already", store.ErrUnavailable, len(q.waiting))
	}
	q.waiting = append(q.waiting, j)
	q.signal()
	return nil
}

// signal wakes a writer, unless one has been told already.
func (q *Queue[C]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Waiting returns how many changes wait, besides those that the writers are busy with.
func (q *Queue[C]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// ObserveBatches has observe called for each batch that a writer reports with Observe.
func (q *Queue[C]) ObserveBatches(observe func(store.Batch)) { q.observe.Store(&observe) }

// Observe is called by a writer that is done with a batch, before it finishes its changes.
func (q *Queue[C]) Observe(done store.Batch) {
	if observe := q.observe.Load(); observe != nil {
		(*observe)(done)
	}
}

// Close refuses what waits, and what comes later. The writers end with the batches that they have.
func (q *Queue[C]) Close() {
	q.mu.Lock()
	waiting := q.waiting
	q.waiting, q.closed = nil, true
	q.mu.Unlock()
	for _, j := range waiting {
		if j.taken.CompareAndSwap(false, true) {
			j.result <- store.ErrUnavailable
		}
	}
	q.signal()
}

// Next waits until there are changes and takes them, or returns nil when the queue is closed. Each of them that is taken must be finished.
func (q *Queue[C]) Next() []*Job[C] {
	for {
		runtime.Gosched() // lets those come along who are about to ask for a change; it takes no time when nobody is
		jobs, closed := q.take()
		if len(jobs) > 0 {
			return jobs
		}
		if closed {
			q.signal() // for the other writers
			return nil
		}
		<-q.wake
	}
}

// take takes what waits at this moment, and reports whether nothing more will.
func (q *Queue[C]) take() ([]*Job[C], bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), q.maxBatch)
	jobs := q.waiting[:n:n]
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil // so that the batches that are done with can be freed
	} else {
		q.signal()
	}
	return jobs, q.closed
}

// Take reports whether the change is to be made: its caller waits for it, and will until it is finished. Asked again it says no.
func (j *Job[C]) Take() bool { return j.taken.CompareAndSwap(false, true) }

// Err says whether the context of the change has ended.
func (j *Job[C]) Err() error { return j.ctx.Err() }

// Finish gives the caller its result, once.
func (j *Job[C]) Finish(err error) { j.result <- err }

// Call runs f, which is a part of the change, and keeps a panic, with the place that it comes from, for the goroutine that has
// asked for the change.
func (j *Job[C]) Call(f func() error) error {
	var failed error
	func() {
		defer func() {
			if cause := recover(); cause != nil {
				j.panic = fmt.Errorf("%v\n%s", cause, debug.Stack())
				failed = j.panic
			}
		}()
		failed = f()
	}()
	return failed
}

// Panicked reports whether Call has met a panic: the change is not to be tried again.
func (j *Job[C]) Panicked() bool { return j.panic != nil }

// done passes a panic on to the goroutine that it belongs to.
func (j *Job[C]) done(err error) error {
	if j.panic != nil {
		panic(j.panic)
	}
	return err
}
