package sqlite

import (
	"context"
	"errors"
	"runtime"
)

// MaxBatch is how many changes may share a transaction.
const MaxBatch = maxBatch

// MaxWaiting is how many changes may wait.
const MaxWaiting = maxWaiting

// Pragma reads a pragma on a connection that writes or reads.
func (db *DB) Pragma(ctx context.Context, pool, name string) (string, error) {
	var value string
	read := func(c conn) error {
		var err error
		value, err = one(c, func(r row) (string, error) { return r.text(0), nil }, "PRAGMA "+name)
		return err
	}
	if pool == "write" {
		return value, db.transact(ctx, func(t *tx) error { return read(t.conn) })
	}
	return value, db.read(ctx, read)
}

// MigrationPragma reads a pragma on a connection that migrates.
func MigrationPragma(ctx context.Context, path, name string) (string, error) {
	db, err := openToMigrate(path)
	if err != nil {
		return "", err
	}
	var value string
	err = db.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	return value, errors.Join(err, db.Close())
}

// Rollback is a change after which SQLite has taken the whole transaction back, as it does when the disk fails.
func (db *DB) Rollback(ctx context.Context) error {
	return db.transact(ctx, func(t *tx) error { return t.exec(`ROLLBACK`) })
}

// MigrateTo makes a database with the schema that an earlier version had.
func MigrateTo(ctx context.Context, path string, version int64) error {
	if err := createFile(path); err != nil {
		return err
	}
	db, err := openToMigrate(path)
	if err != nil {
		return err
	}
	provider, err := newProvider(db)
	if err == nil {
		_, err = provider.UpTo(ctx, version)
	}
	return errors.Join(err, db.Close())
}

// Waiting returns when so many changes wait for the writer, besides those that it is busy with.
func (db *DB) Waiting(n int) {
	for db.writer.queue.Waiting() < n {
		runtime.Gosched()
	}
}

// Explain turns what SQLite says into the errors of package store.
func Explain(ctx context.Context, err error) error { return explain(ctx, err) }

// Lost is the error of a transaction that no change survives.
func Lost(cause error) error { return lost("commit", cause) }

// Publish gives a file another name.
func Publish(link func(from, to string) error, from, to string) error { return publish(link, from, to) }
