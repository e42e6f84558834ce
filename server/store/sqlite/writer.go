package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tokenwire/tokenwire/server/store"
)

// maxBatch bounds how many changes share a transaction, and so how long the first of them waits for the last.
const maxBatch = 128

// writer is the one that writes. Changes that wait at the same time share a transaction, and with it the one sync that makes
// them durable; a change that comes alone waits for nobody.
type writer struct {
	conn    *sql.Conn
	on      *statements  // of conn
	jobs    chan *job    // unbuffered: who is in a batch is being served
	waiting atomic.Int64 // calls that wait, or are being served
	closing chan struct{}
	closed  sync.Once
	stopped chan struct{}
}

// job is a change that waits for the writer, and then for its result.
type job struct {
	ctx    context.Context //nolint:containedctx // it belongs to the one call that waits
	change func(context.Context, *statements) error
	taken  atomic.Bool // by the writer, or by a caller who does not wait any more
	result chan error
	panic  any
}

// newWriter takes the one connection of a pool.
func newWriter(ctx context.Context, pool *sql.DB) (*writer, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, on: newStatements(conn), jobs: make(chan *job), closing: make(chan struct{}), stopped: make(chan struct{})}
	go w.run()
	return w, nil
}

// transact runs change in a transaction that is durable when transact returns nil. A change whose context ends before it is
// begun is not made; one that is begun is not interrupted, because that would take back what others have done in the same
// transaction.
func (w *writer) transact(ctx context.Context, change func(context.Context, *statements) error) error {
	j := &job{ctx: ctx, change: change, result: make(chan error, 1)}
	w.waiting.Add(1)
	defer w.waiting.Add(-1)
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return store.ErrUnavailable
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

// done passes a panic on to the goroutine that it belongs to.
func (j *job) done(err error) error {
	if j.panic != nil {
		panic(j.panic)
	}
	return err
}

// close waits for the running batch. What comes later is refused.
func (w *writer) close() {
	w.closed.Do(func() {
		close(w.closing)
		<-w.stopped
		w.on.close()
		_ = w.conn.Close() // which gives it back to the pool; that is closed next
	})
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case first := <-w.jobs:
			w.write(w.gather(first))
		case <-w.closing:
			return
		}
	}
}

// gather adds to a change those that wait at this moment.
func (w *writer) gather(first *job) []*job {
	batch := []*job{first}
	for len(batch) < maxBatch {
		select {
		case next := <-w.jobs:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// write makes the changes of a batch, each with its own result, and answers when they are durable.
func (w *writer) write(batch []*job) {
	results := make([]error, len(batch))
	_, err := w.on.ExecContext(context.Background(), `BEGIN IMMEDIATE`)
	if err == nil {
		err = w.makeChanges(batch, results)
	}
	for i, j := range batch {
		if err != nil && results[i] == nil {
			results[i] = err
		}
		j.result <- results[i]
	}
}

// makeChanges makes each change behind a savepoint, so that one that fails takes only itself back. Its error is one that no
// change survives.
func (w *writer) makeChanges(batch []*job, results []error) error {
	made := 0
	for i, j := range batch {
		if !j.taken.CompareAndSwap(false, true) {
			continue // its caller has gone
		}
		if results[i] = j.ctx.Err(); results[i] != nil {
			continue
		}
		var fatal error
		if results[i], fatal = j.make(w.on); fatal != nil {
			w.rollback()
			return fatal
		}
		if results[i] == nil {
			made++
		}
	}
	if made == 0 {
		w.rollback()
		return nil
	}
	_, err := w.on.ExecContext(context.Background(), `COMMIT`)
	if err != nil {
		w.rollback()
	}
	return err
}

// rollback ends a transaction that is not committed. SQLite may have done so itself, because of a failing disk.
func (w *writer) rollback() { _, _ = w.on.ExecContext(context.Background(), `ROLLBACK`) }

// make makes one change. The second error says that the transaction is lost.
func (j *job) make(tx *statements) (failed, fatal error) { //nolint:nonamedreturns // they tell the two errors apart
	ctx := context.WithoutCancel(j.ctx)
	if _, err := tx.ExecContext(ctx, `SAVEPOINT change`); err != nil {
		return nil, fmt.Errorf("begin a change: %w", err)
	}
	failed = j.call(ctx, tx)
	if failed != nil {
		_, fatal = tx.ExecContext(ctx, `ROLLBACK TO change`)
	}
	if fatal == nil {
		_, fatal = tx.ExecContext(ctx, `RELEASE change`)
	}
	if fatal != nil {
		return failed, errors.Join(failed, fmt.Errorf("end a change: %w", fatal))
	}
	return failed, nil
}

// call keeps a panic for the goroutine that has asked for the change.
func (j *job) call(ctx context.Context, tx *statements) (err error) {
	defer func() {
		if j.panic = recover(); j.panic != nil {
			err = errors.New("the change has panicked")
		}
	}()
	return j.change(ctx, tx)
}
