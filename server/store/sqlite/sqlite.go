// Package sqlite keeps tokenwire's projects and tokens in one SQLite file.
//
// SQLite is modernc.org/sqlite, which needs no C compiler, behind zombiezen.com/go/sqlite, which is a connection and its
// statements and nothing between: package database/sql costs as much as an update itself. The file is in WAL mode with
// synchronous=FULL: a change that was acknowledged survives a power cut, and readers never wait for the writer. There is one
// connection that writes, for all changes that wait at the same time in one transaction (writer.go), and a pool that reads.
// Several processes may have the file open.
package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/tokenwire/tokenwire/server/store"
)

// DB is a store in an SQLite file.
type DB struct {
	writer  *writer
	readers *readers
	close   func() error
}

var (
	_ store.Store    = (*DB)(nil)
	_ store.Measured = (*DB)(nil)
)

// Open opens the database at path, creates it with mode 0600 if it does not exist or is empty, and brings its schema
// up to date. It refuses, and leaves as it is, a file that is no tokenwire database or that a newer version has
// written; the error is one line that says what to do, of type [*FileError] when another file might do.
func Open(ctx context.Context, path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("resolve the path of the database: %w", err)
	}
	if err := mustHaveFiles(path); err != nil {
		return nil, err
	}
	if err := prepareFile(ctx, path); err != nil {
		return nil, err
	}
	if err := migrate(ctx, path); err != nil {
		return nil, fmt.Errorf("bring the schema of %s up to date: %w", path, explainFile(ctx, path, err))
	}
	readers := &readers{}
	writer, err := newWriter(path, readers)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explainFile(ctx, path, err))
	}
	return &DB{writer, readers, sync.OnceValue(writer.close)}, nil
}

// prepareFile makes sure that path is a database that this version may open, or an empty file of mode 0600.
func prepareFile(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		if err := createFile(path); err != nil && !os.IsExist(err) { // another process may have been faster
			return cannotCreate(path, err)
		}
		return nil
	case err != nil:
		return &FileError{path, fmt.Errorf("cannot use the database: %w", err), ""}
	case info.Size() == 0 && info.Mode().IsRegular():
		return nil
	}
	_, err = inspect(ctx, path)
	return err
}

// createFile creates the file before SQLite does, so that it is never readable for others.
func createFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return file.Close()
}

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.writer.files.Load().look(); err != nil {
		return err
	}
	return db.read(ctx, func(c conn) error { return c.exec(`SELECT count(*) FROM settings`) })
}

// ObserveBatches has observe called for each transaction of the writer.
func (db *DB) ObserveBatches(observe func(store.Batch)) { db.writer.queue.ObserveBatches(observe) }

// WaitingChanges returns how many changes wait for the writer.
func (db *DB) WaitingChanges() int { return db.writer.queue.Waiting() }

// Close waits for running calls and closes the files.
func (db *DB) Close() error {
	if err := db.close(); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	return nil
}
