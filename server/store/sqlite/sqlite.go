// Package sqlite keeps tokenwire's projects and tokens in one SQLite file.
//
// The driver is modernc.org/sqlite, which needs no C compiler. The file is in WAL mode with synchronous=FULL: a
// change that was acknowledged survives a power cut, and readers never wait for the writer. There is one connection
// that writes, for all changes that wait at the same time in one transaction (writer.go), and a pool that reads. Several
// processes may have the file open.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/tokenwire/tokenwire/server/store"
)

// DB is a store in an SQLite file.
type DB struct {
	write  *sql.DB // one connection: SQLite has one writer, and waiting here is cheaper than being busy there
	writer *writer
	read   *sql.DB
	reads  *statements // of read
}

var _ store.Store = (*DB)(nil)

// Open opens the database at path, creates it with mode 0600 if it does not exist or is empty, and brings its schema
// up to date. It refuses, and leaves as it is, a file that is no tokenwire database or that a newer version has
// written; the error is one line that says what to do.
func Open(ctx context.Context, path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("resolve the path of the database: %w", err)
	}
	if err := prepareFile(ctx, path); err != nil {
		return nil, err
	}
	db := &DB{}
	if db.write, err = sql.Open("sqlite", dsn(path, "rw", "journal_mode(WAL)")); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.write.SetMaxOpenConns(1)
	if err := migrate(ctx, db.write); err != nil {
		_ = db.write.Close()
		return nil, fmt.Errorf("bring the schema of %s up to date: %w", path, explain(ctx, err))
	}
	if db.read, err = sql.Open("sqlite", dsn(path, "rw", "query_only(1)")); err != nil {
		_ = db.write.Close()
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	db.reads = newStatements(db.read)
	if db.writer, err = newWriter(ctx, db.write); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s for writing: %w", path, err), db.read.Close(), db.write.Close())
	}
	return db, nil
}

// dsn has the pragmas in it, so that every pooled connection has them. The busy timeout comes first: the others may
// have to wait for another process already.
func dsn(path, mode string, pragmas ...string) string {
	query := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	query["_pragma"] = append([]string{"busy_timeout(5000)", "foreign_keys(1)", "synchronous(FULL)"}, pragmas...)
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// prepareFile makes sure that path is a database that this version may open, or an empty file of mode 0600.
func prepareFile(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return createFile(path)
	case err != nil:
		return fmt.Errorf("cannot use the database %s: %w; choose another path with --db", path, err)
	case info.IsDir():
		return fmt.Errorf("the database %s is a directory; give the path of a file with --db", path)
	case info.Size() == 0:
		return nil
	}
	return inspect(ctx, path)
}

// createFile creates the file before SQLite does, so that it is never readable for others.
func createFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if os.IsExist(err) {
		return nil // another process was faster
	}
	if err != nil {
		return fmt.Errorf("cannot create the database: %w; make the directory writable or choose another path with --db", err)
	}
	return file.Close()
}

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return explain(ctx, db.reads.QueryRowContext(ctx, `SELECT 1 FROM (SELECT count(*) FROM settings)`).Scan(&one))
}

// Close waits for running calls and closes the file.
func (db *DB) Close() error {
	db.writer.close()
	db.reads.close()
	readErr := db.read.Close()
	if err := db.write.Close(); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	if readErr != nil {
		return fmt.Errorf("close the database's readers: %w", readErr)
	}
	return nil
}

// transact runs f in a transaction that is durable when transact returns nil.
func (db *DB) transact(ctx context.Context, f func(context.Context, *statements) error) error {
	return explain(ctx, db.writer.transact(ctx, f))
}
