package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
)

// Pragma reads a pragma on a connection of the named pool.
func (db *DB) Pragma(ctx context.Context, pool, name string) (string, error) {
	var from querier = db.read
	if pool == "write" {
		from = db.writer.conn
	}
	var value string
	err := from.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	return value, err
}

// MigrateTo makes a database with the schema that an earlier version had.
func MigrateTo(ctx context.Context, path string, version int64) error {
	if err := createFile(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, "rw", "journal_mode(WAL)"))
	if err != nil {
		return err
	}
	provider, err := newProvider(db)
	if err == nil {
		_, err = provider.UpTo(ctx, version)
	}
	return errors.Join(err, db.Close())
}

// Waiting returns when so many changes wait for the writer, besides the one that it is busy with.
func (db *DB) Waiting(n int64) {
	for db.writer.waiting.Load() < n+1 {
		runtime.Gosched()
	}
}
