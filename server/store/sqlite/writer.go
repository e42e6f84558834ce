package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/batch"
)

const (
	// maxBatch bounds how many changes share a transaction, and so how long the first of them waits for the last.
	maxBatch = 128
	// maxWaiting bounds how many changes wait: what comes then is refused, because it would wait too long.
	maxWaiting = 4096
)

// change is what a change does in its transaction.
type change = func(*tx) error

// writer is the one that writes. Changes that wait at the same time share a transaction, and with it the one sync that makes
// them durable (package batch).
type writer struct {
	path    string
	conn    conn // of the goroutine that writes; it may have to be opened anew (reopen.go)
	readers *readers
	files   atomic.Pointer[files]
	rescues atomic.Uint64
	queue   *batch.Queue[change]
	stopped chan struct{}
}

// newWriter opens the connection that writes, and those that read.
func newWriter(path string, readers *readers) (*writer, error) {
	w := &writer{path: path, readers: readers, queue: batch.New[change](maxBatch, maxWaiting), stopped: make(chan struct{})}
	if err := w.open(); err != nil {
		return nil, err
	}
	go w.run()
	return w, nil
}

// transact runs change in a transaction that is durable when transact returns nil.
func (w *writer) transact(ctx context.Context, change change) error { return w.queue.Do(ctx, change) }

// close refuses what waits, waits for the running batch and for who reads, and closes everything. The connection that writes is the
// last: when it is, SQLite moves the log into the database, and others may have opened another log than that one. It stays open until
// the process ends where the log must not be moved.
func (w *writer) close() error {
	w.queue.Close()
	<-w.stopped
	w.readers.mu.Lock()
	defer w.readers.mu.Unlock()
	if w.conn.Conn != nil {
		// If the log was removed, this is the last occasion to save what it has. What else cannot be done was said before.
		if err := w.ready(); errors.Is(err, errSpoilt) {
			return errors.Join(err, w.readers.close())
		}
	}
	return errors.Join(w.closeAll(), w.closeFiles())
}

// run writes until the writer is closed.
func (w *writer) run() {
	defer close(w.stopped)
	for jobs := w.queue.Next(); jobs != nil; jobs = w.queue.Next() {
		w.write(jobs)
	}
}

// made is a change that is taken, and its result. Whose caller has gone is not.
type made struct {
	job    *batch.Job[change]
	result error
}

// write makes the changes of a batch, and answers when they are durable.
func (w *writer) write(jobs []*batch.Job[change]) {
	began := time.Now()
	changes, outcome, err := w.transaction(jobs)
	if err != nil {
		for _, j := range jobs {
			if j.Take() { // it was not its turn yet
				changes = append(changes, made{job: j})
			}
		}
		for i := range changes {
			changes[i].result = err // what it has seen may never have been: also a refusal is not true
		}
	}
	if len(changes) > 0 {
		w.queue.Observe(store.Batch{Changes: len(changes), Took: time.Since(began), Outcome: outcome})
	}
	for _, c := range changes {
		c.job.Finish(c.result)
	}
}

// transaction makes changes, each with its own result. The error is one that no change survives.
func (w *writer) transaction(jobs []*batch.Job[change]) ([]made, store.Outcome, error) {
	if err := w.prepare(); err != nil {
		return nil, store.Failed, err
	}
	c := w.conn
	if err := c.exec(`BEGIN IMMEDIATE`); err != nil {
		c.rollback()
		return nil, store.Failed, lost("begin", err)
	}
	t, outcome := newTx(c), store.Unchanged
	changes := make([]made, 0, len(jobs))
	for _, j := range jobs {
		if !j.Take() {
			continue // its caller has gone
		}
		if err := j.Err(); err != nil {
			j.Finish(err) // its caller is about to go
			continue
		}
		failed, fatal := t.savepoint(j)
		changes = append(changes, made{j, failed})
		if fatal != nil {
			c.rollback()
			return changes, store.Failed, lost("make a change", fatal)
		}
		if failed == nil {
			outcome = store.Committed
		}
	}
	if outcome == store.Unchanged {
		c.rollback()
		return changes, outcome, nil
	}
	if err := c.exec(`COMMIT`); err != nil {
		c.rollback()
		return changes, store.Failed, lost("commit", err)
	}
	if err := w.files.Load().look(); err != nil { // then it may or may not have been made
		return changes, store.Failed, lost("commit", err)
	}
	return changes, outcome, nil
}

// lost is the error of a transaction. It does not wrap its cause: that may be one caller's, and no other must take it for theirs.
func lost(doing string, cause error) error {
	return fmt.Errorf("%w: %s: %v", store.ErrUnavailable, doing, cause) //nolint:errorlint // it must not be unwrapped
}

// rollback ends a transaction that is not committed, unless SQLite has done so. It needs nothing of the disk; a transaction that
// were open nevertheless would let the next fail at its beginning, and come here again.
func (c conn) rollback() {
	if !c.AutocommitEnabled() {
		_ = c.exec(`ROLLBACK`)
	}
}

// savepoint makes one change, or nothing. The second error says that the transaction is lost: SQLite itself takes it back when the
// disk fails.
func (t *tx) savepoint(j *batch.Job[change]) (failed, fatal error) { //nolint:nonamedreturns // they tell the two errors apart
	if err := t.exec(`SAVEPOINT change`); err != nil {
		return err, err
	}
	if failed = j.Call(func() error { return j.Change(t) }); failed != nil {
		t.forget()
		fatal = t.exec(`ROLLBACK TO change`)
	}
	if fatal == nil {
		fatal = t.exec(`RELEASE change`)
	}
	return failed, fatal
}
