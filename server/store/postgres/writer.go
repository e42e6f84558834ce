package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/batch"
)

type job = batch.Job[*change]

// batchTimeout bounds all attempts at a batch together.
const batchTimeout = 10 * time.Second

// write makes the changes that wait until the store is closed.
func (db *DB) write() {
	for jobs := db.queue.Next(); jobs != nil; jobs = db.queue.Next() {
		db.carryOut(slices.DeleteFunc(jobs, func(j *job) bool { return !j.Take() }))
	}
}

// carryOut makes changes and answers them when they are durable. What has certainly not been committed is tried again, when the
// reason may pass and for as long as those wait who have asked for it; what may have been committed is not.
func (db *DB) carryOut(jobs []*job) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	began := time.Now()
	observe := func(changes int, outcome store.Outcome) {
		db.queue.Observe(store.Batch{Changes: changes, Took: time.Since(began), Outcome: outcome})
	}
	var err error // for which the last attempt has come to nothing
	for try := 1; ; try++ {
		if jobs = sift(jobs, err, observe); len(jobs) == 0 {
			return
		}
		l := db.link.Load()
		within, settle := l.within(ctx)
		jobs, err = db.attempt(within, l.writing, jobs, observe)
		err = settle(err)
		switch {
		case len(jobs) == 0:
			return
		case err == nil && try < attempts: // these have to lock more
		case isState(err, uniqueViolation) || isState(err, foreignKeyViolation):
			db.blame(jobs, err, observe)
			return
		case errors.Is(err, errInDoubt), !db.mayTryAgain(ctx, l, err, began, try):
			observe(len(jobs), store.Failed)
			for _, j := range jobs {
				j.Finish(lost(err))
			}
			return
		}
	}
}

// sift returns those that are to be made, and finishes those whose callers have gone, or that have met a panic. failed is for what
// they were not made before.
func sift(jobs []*job, failed error, observe func(int, store.Outcome)) []*job {
	var wanted, ended []*job
	for _, j := range jobs {
		if j.Err() != nil || j.Panicked() {
			ended = append(ended, j)
		} else {
			wanted = append(wanted, j)
		}
	}
	if len(wanted) == 0 && failed != nil {
		observe(len(ended), store.Failed)
	}
	for _, j := range ended {
		j.Finish(cmp.Or(j.Err(), store.ErrUnavailable))
	}
	return wanted
}

// blame finds whose change violates a constraint, because of what another tree has got meanwhile: it makes each on its own.
func (db *DB) blame(jobs []*job, err error, observe func(int, store.Outcome)) {
	if len(jobs) == 1 {
		observe(1, store.Unchanged)
		jobs[0].Finish(explain(context.Background(), err))
		return
	}
	for _, j := range jobs {
		db.carryOut([]*job{j})
	}
}

// lost is the error of a transaction. It does not wrap its cause: that may be one caller's, and no other must take it for theirs.
func lost(cause error) error {
	if cause == nil {
		cause = errors.New("the project that it belongs to could not be locked")
	}
	if errors.Is(cause, store.ErrUnavailable) {
		return cause
	}
	return fmt.Errorf("%w: %v", store.ErrUnavailable, inOneLine(cause)) //nolint:errorlint // it must not be unwrapped
}

// attempt makes changes in one transaction, each with its own result, and finishes those that have one. It returns the others, and
// the error for which none of them was made.
func (db *DB) attempt(ctx context.Context, writing *pgxpool.Pool, jobs []*job, observe func(int, store.Outcome)) ([]*job, error) {
	c, err := writing.Acquire(ctx)
	if err != nil {
		return jobs, err
	}
	defer c.Release() // which closes a connection that is in a transaction still
	s, err := load(ctx, c, loadingFor(jobs))
	if err != nil {
		rollback(ctx, c)
		return jobs, err
	}
	results := make(map[*job]error, len(jobs))
	again := jobs[:0:0]
	for _, j := range jobs {
		failed := j.Call(func() error { return j.Change.make(s) })
		if missing, ok := errors.AsType[*needsLock](failed); ok {
			j.Change.needs.projects = append(j.Change.needs.projects, missing.project)
			again = append(again, j)
			continue
		}
		results[j] = failed
	}
	outcome := store.Unchanged
	if s.dirty.any() {
		outcome, err = store.Committed, s.save(ctx, c)
	}
	if err != nil { // what they have seen may never have been: also a refusal is not true
		rollback(ctx, c)
		return jobs, err
	}
	if len(results) > 0 {
		observe(len(results), outcome)
	}
	finish(results)
	if outcome == store.Unchanged {
		rollback(ctx, c)
	}
	if len(s.dirty.answers) > 0 {
		db.purge(ctx, c, s.dirty.events.at[len(s.dirty.events.at)-1])
	}
	return again, nil
}

func finish(results map[*job]error) {
	for j, result := range results {
		j.Finish(result)
	}
}

// rollback ends a transaction that is not committed. When it fails the connection is given up.
func rollback(ctx context.Context, c *pgxpool.Conn) {
	if status := c.Conn().PgConn().TxStatus(); !c.Conn().IsClosed() && (status == 'T' || status == 'E') {
		_, _ = c.Exec(ctx, `ROLLBACK`)
	}
}
