package main

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"
)

// rawSQLite updates one row in one transaction after the other, within this process: what a durable change costs by itself. The
// table is tokenwire's, the settings too (WAL, synchronous=FULL); there is no HTTP and no audit trail.
type rawSQLite struct {
	db     *sql.DB
	update *sql.Stmt
	filled *database
	done   uint64
}

func newRawSQLite(ctx context.Context, filled *database) (*rawSQLite, error) {
	db, err := filled.connect(ctx)
	if err != nil {
		return nil, err
	}
	update, err := db.PrepareContext(ctx, `UPDATE tokens SET name = ?, updated_at = ? WHERE id = ?`)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &rawSQLite{db: db, update: update, filled: filled}, nil
}

func (r *rawSQLite) close() error { return errors.Join(r.update.Close(), r.db.Close()) }

// measure is one writer: SQLite has no second one.
func (r *rawSQLite) measure(ctx context.Context, s slot) (result, error) {
	from := time.Now().Add(s.warmUp)
	counted := window{from, from.Add(s.measured)}
	into := part{latencies: newLatencies()}
	for begin := time.Now(); begin.Before(counted.until); {
		id := pick(r.filled.tokens, r.done)
		if _, err := r.update.ExecContext(ctx, "Bench "+strconv.FormatUint(r.done, 10), begin.UnixMicro(), id[:]); err != nil {
			return result{}, err
		}
		r.done++
		end := time.Now()
		if err := into.count(counted, begin, end); err != nil {
			return result{}, err
		}
		begin = end
	}
	return sum([]part{into}, counted)
}
