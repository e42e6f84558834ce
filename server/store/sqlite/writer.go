package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	// maxBatch bounds how many changes share a transaction, and so how long the first of them waits for the last.
	maxBatch = 128
	// maxWaiting bounds how many changes wait: what comes then is refused, because it would wait too long.
	maxWaiting = 4096
)

// writer is the one that writes. Changes that wait at the same time share a transaction, and with it the one sync that makes
// them durable; a change that comes alone waits for nobody.
type writer struct {
	path string
	file os.FileInfo // of the database that was opened

	mu     sync.Mutex
	queue  []*job
	closed bool

	wake    chan struct{} // there is something in the queue, or the writer is closed
	stopped chan error

	observe atomic.Pointer[func(store.Batch)] // nil: nobody wants to know
}

// job is a change that waits for the writer, and then for its result.
type job struct {
	ctx    context.Context //nolint:containedctx // it belongs to the one call that waits
	change func(*tx) error
	taken  atomic.Bool // by the writer, or by a caller who does not wait any more
	result chan error
	panic  error
}

// newWriter opens the connection that writes.
func newWriter(path string) (*writer, error) {
	w := &writer{path: path, wake: make(chan struct{}, 1), stopped: make(chan error, 1)}
	c, err := w.open()
	if err != nil {
		return nil, err
	}
	if w.file, err = os.Stat(path); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	go func() { w.stopped <- w.run(c) }()
	return w, nil
}

// open opens a connection with a cache that holds what a batch touches, and with fewer, longer checkpoints than SQLite's.
func (w *writer) open() (conn, error) {
	return open(w.path, "cache_size = -16000", "wal_autocheckpoint = 4000")
}

// transact runs change in a transaction that is durable when transact returns nil. A change whose context ends before it is
// begun is not made; one that is begun is not interrupted, because that would take back what others have done in the same
// transaction.
func (w *writer) transact(ctx context.Context, change func(*tx) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	j := &job{ctx: ctx, change: change, result: make(chan error, 1)}
	if err := w.enqueue(j); err != nil {
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

func (w *writer) enqueue(j *job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return store.ErrUnavailable
	case len(w.queue) >= maxWaiting:
		return fmt.Errorf("%w: %d changes wait already", store.ErrUnavailable, len(w.queue))
	}
	w.queue = append(w.queue, j)
	w.signal()
	return nil
}

// waiting returns how many changes nobody has begun with.
func (w *writer) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

// signal wakes the writer, unless it has been told already.
func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// done passes a panic on to the goroutine that it belongs to.
func (j *job) done(err error) error {
	if j.panic != nil {
		panic(j.panic)
	}
	return err
}

// close refuses what waits, and waits for the running batch.
func (w *writer) close() error {
	w.mu.Lock()
	waiting := w.queue
	w.queue, w.closed = nil, true
	w.mu.Unlock()
	for _, j := range waiting {
		if j.taken.CompareAndSwap(false, true) {
			j.result <- store.ErrUnavailable
		}
	}
	w.signal()
	return <-w.stopped
}

// run writes until the writer is closed. A connection that cannot be used any more is replaced.
func (w *writer) run(c conn) error {
	for range w.wake {
		for {
			runtime.Gosched() // lets those come along who are about to ask for a change; it takes no time when nobody is
			batch, closed := w.next()
			if len(batch) == 0 && closed {
				if c.Conn == nil {
					return nil
				}
				return c.Close()
			}
			if len(batch) == 0 {
				break
			}
			c = w.write(c, batch)
		}
	}
	return nil
}

// next takes what waits at this moment, and reports whether nothing more will.
func (w *writer) next() ([]*job, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), maxBatch)
	batch := w.queue[:n:n]
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil // so that the batches that are done with can be freed
	}
	return batch, w.closed
}

// write makes the changes of a batch, answers when they are durable, and returns the connection for the next.
func (w *writer) write(c conn, batch []*job) conn {
	began := time.Now()
	results, err := w.transaction(&c, batch)
	if observe := w.observe.Load(); observe != nil {
		(*observe)(store.Batch{Changes: len(batch), Took: time.Since(began), Failed: err != nil})
	}
	for i, j := range batch {
		if err != nil {
			results[i] = err // what it has seen may never have been: also a refusal is not true
		}
		j.result <- results[i]
	}
	return c
}

// transaction makes changes, each with its own result. The error is one that no change survives.
func (w *writer) transaction(c *conn, batch []*job) ([]error, error) {
	results := make([]error, len(batch))
	if c.Conn == nil {
		opened, err := w.open()
		if err != nil {
			return results, lost("open the database again", err)
		}
		*c = opened
	}
	if err := w.checkFile(); err != nil {
		return results, err
	}
	if err := c.exec(`BEGIN IMMEDIATE`); err != nil {
		w.rollback(c)
		return results, lost("begin", err)
	}
	t := newTx(*c)
	made := 0
	for i, j := range batch {
		if !j.taken.CompareAndSwap(false, true) {
			continue // its caller has gone
		}
		if results[i] = j.ctx.Err(); results[i] != nil {
			continue
		}
		var fatal error
		if results[i], fatal = t.savepoint(j); fatal != nil {
			w.rollback(c)
			return results, lost("make a change", fatal)
		}
		if results[i] == nil {
			made++
		}
	}
	if made == 0 {
		w.rollback(c)
		return results, nil
	}
	if err := c.exec(`COMMIT`); err != nil {
		w.rollback(c)
		return results, lost("commit", err)
	}
	return results, nil
}

// checkFile makes sure that the database is still where it was opened: what is written into a file without a name is lost.
func (w *writer) checkFile() error {
	file, err := os.Stat(w.path)
	if err != nil || !os.SameFile(file, w.file) {
		return fmt.Errorf("%w: the database %s was removed or replaced; put it back, or start the server again", store.ErrUnavailable, w.path)
	}
	return nil
}

// lost is the error of a transaction. It does not wrap its cause: that may be one caller's, and no other must take it for theirs.
func lost(doing string, cause error) error {
	return fmt.Errorf("%w: %s: %v", store.ErrUnavailable, doing, cause) //nolint:errorlint // it must not be unwrapped
}

// rollback ends a transaction that is not committed, or gives its connection up.
func (w *writer) rollback(c *conn) {
	if c.AutocommitEnabled() {
		return
	}
	if err := c.exec(`ROLLBACK`); err != nil && !c.AutocommitEnabled() {
		_ = c.Close()
		c.Conn = nil
	}
}

// savepoint makes one change, or nothing. The second error says that the transaction is lost: SQLite itself takes it back when the
// disk fails.
func (t *tx) savepoint(j *job) (failed, fatal error) { //nolint:nonamedreturns // they tell the two errors apart
	if err := t.exec(`SAVEPOINT change`); err != nil {
		return err, err
	}
	if failed = t.call(j); failed != nil {
		t.forget()
		fatal = t.exec(`ROLLBACK TO change`)
	}
	if fatal == nil {
		fatal = t.exec(`RELEASE change`)
	}
	return failed, fatal
}

// call keeps a panic, with the place that it comes from, for the goroutine that has asked for the change.
func (t *tx) call(j *job) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			j.panic = fmt.Errorf("%v\n%s", cause, debug.Stack())
			err = j.panic
		}
	}()
	return j.change(t)
}
