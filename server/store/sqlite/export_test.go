package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// Pragma reads a pragma on a connection of the named pool.
func (db *DB) Pragma(ctx context.Context, pool, name string) (string, error) {
	from := db.read
	if pool == "write" {
		from = db.write
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
