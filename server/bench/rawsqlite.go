package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
)

// rawSQLite updates one row in one transaction after the other, within this process: what a durable change costs by itself, written
// by hand as well as it can be. The engine is tokenwire's, the table too, and so are the settings (WAL, synchronous=FULL, the size of
// the cache and of the log); the one statement is prepared once, and is its own transaction. There is no HTTP, no credential and no
// audit trail.
type rawSQLite struct {
	db     *zombiezen.Conn
	update *zombiezen.Stmt
	filled *database
	done   uint64
}

func newRawSQLite(ctx context.Context, filled *database) (*rawSQLite, error) {
	// As the writer of package sqlite has them.
	db, err := filled.connect(ctx, "cache_size = -16000", "wal_autocheckpoint = 4000", "journal_size_limit = 33554432")
	if err != nil {
		return nil, err
	}
	update, err := db.Prepare(`UPDATE tokens SET name = ?, updated_at = ? WHERE id = ?`)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &rawSQLite{db: db, update: update, filled: filled}, nil
}

func (r *rawSQLite) close() error { return r.db.Close() } // which finalizes what it has prepared

// measure is one writer: SQLite has no second one.
func (r *rawSQLite) measure(_ context.Context, s slot) (result, error) {
	from := time.Now().Add(s.warmUp)
	counted := window{from, from.Add(s.measured)}
	into := part{latencies: newLatencies()}
	for begin := time.Now(); begin.Before(counted.until); {
		if err := r.rename(begin); err != nil {
			return result{}, err
		}
		end := time.Now()
		if err := into.count(counted, begin, end); err != nil {
			return result{}, err
		}
		begin = end
	}
	return sum([]part{into}, counted)
}

// rename is durable when it returns.
func (r *rawSQLite) rename(now time.Time) error {
	id := pick(r.filled.tokens, r.done)
	r.update.BindText(1, "Bench "+strconv.FormatUint(r.done, 10))
	r.update.BindInt64(2, now.UnixMicro())
	r.update.BindBytes(3, id[:])
	r.done++
	_, err := r.update.Step()
	return errors.Join(err, r.update.Reset())
}
