package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	file    os.FileInfo // of the database that was opened
	queue   *batch.Queue[change]
	stopped chan error
}

// newWriter opens the connection that writes.
func newWriter(path string) (*writer, error) {
	w := &writer{path: path, queue: batch.New[change](maxBatch, maxWaiting), stopped: make(chan error, 1)}
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

// open opens a connection with a cache that holds what a batch touches, and with fewer, longer checkpoints than SQLite's. A log
// that has grown while somebody was reading, such as a backup, is cut to twice what it is otherwise when it begins anew.
func (w *writer) open() (conn, error) {
	return open(w.path, "cache_size = -16000", "wal_autocheckpoint = 4000", "journal_size_limit = 33554432")
}

// transact runs change in a transaction that is durable when transact returns nil.
func (w *writer) transact(ctx context.Context, change change) error { return w.queue.Do(ctx, change) }

// close refuses what waits, and waits for the running batch.
func (w *writer) close() error {
	w.queue.Close()
	return <-w.stopped
}

// run writes until the writer is closed.
func (w *writer) run(c conn) error {
	for jobs := w.queue.Next(); jobs != nil; jobs = w.queue.Next() {
		w.write(c, jobs)
	}
	return c.Close()
}

// write makes the changes of a batch, and answers when they are durable.
func (w *writer) write(c conn, jobs []*batch.Job[change]) {
	began := time.Now()
	results, err := w.transaction(c, jobs)
	w.queue.Observe(store.Batch{Changes: len(jobs), Took: time.Since(began), Failed: err != nil})
	for i, j := range jobs {
		if err != nil {
			results[i] = err // what it has seen may never have been: also a refusal is not true
		}
		j.Finish(results[i])
	}
}

// transaction makes changes, each with its own result. The error is one that no change survives.
func (w *writer) transaction(c conn, jobs []*batch.Job[change]) ([]error, error) {
	results := make([]error, len(jobs))
	if err := w.checkFile(); err != nil {
		return results, err
	}
	if err := c.exec(`BEGIN IMMEDIATE`); err != nil {
		c.rollback()
		return results, lost("begin", err)
	}
	t := newTx(c)
	made := 0
	for i, j := range jobs {
		if !j.Take() {
			continue // its caller has gone
		}
		if results[i] = j.Err(); results[i] != nil {
			continue
		}
		var fatal error
		if results[i], fatal = t.savepoint(j); fatal != nil {
			c.rollback()
			return results, lost("make a change", fatal)
		}
		if results[i] == nil {
			made++
		}
	}
	if made == 0 {
		c.rollback()
		return results, nil
	}
	if err := c.exec(`COMMIT`); err != nil {
		c.rollback()
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
