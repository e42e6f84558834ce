package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"zombiezen.com/go/sqlite"

	"github.com/tokenwire/tokenwire/server/store"
)

// conn is a connection, for one goroutine at a time. It prepares each text once, so texts are constant, or of few kinds.
type conn struct{ *sqlite.Conn }

// errNoRow is what a statement for one row returns when there is none.
var errNoRow = errors.New("no such row")

// open opens a connection to a database that exists, with the pragmas that every connection has. The busy timeout comes first:
// the others may have to wait for another process already.
func open(path string, pragmas ...string) (conn, error) {
	return openWith(sqlite.OpenReadWrite, path, pragmas...)
}

// openToLook opens a connection that leaves the files as they are. SQLite moves the log into the database when the last who may
// write closes it, so where there is a log this one may not; where there is none, who may not write would leave an empty one.
func openToLook(path string) (conn, error) {
	if hasLog(path) {
		return openWith(sqlite.OpenReadOnly, path)
	}
	return open(path, "query_only = 1")
}

// hasLog reports whether there is something in the log of a database. It lies beside the file, also where path is a link.
func hasLog(path string) bool {
	log, err := os.Stat(behindLinks(path) + "-wal")
	return err == nil && log.Size() > 0
}

// behindLinks is the file that a path leads to, after which SQLite names what lies beside it; the path itself where there is none.
func behindLinks(path string) string {
	if base, err := filepath.EvalSymlinks(path); err == nil {
		return base
	}
	return path
}

func openWith(flags sqlite.OpenFlags, path string, pragmas ...string) (conn, error) {
	c, err := sqlite.OpenConn(path, flags)
	if err != nil {
		return conn{}, err
	}
	if err := prepare(conn{c}, pragmas...); err != nil {
		return conn{}, errors.Join(err, c.Close())
	}
	return conn{c}, nil
}

func prepare(c conn, pragmas ...string) error {
	for _, pragma := range append([]string{"busy_timeout = 5000", "foreign_keys = 1", "synchronous = FULL"}, pragmas...) {
		if err := c.exec("PRAGMA " + pragma); err != nil {
			return fmt.Errorf("pragma %s: %w", pragma, err)
		}
	}
	return nil
}

// exec runs a statement and does not look at its rows.
func (c conn) exec(text string, args ...any) error {
	return c.each(text, args, func(row) error { return nil })
}

// each runs a statement and calls read for each of its rows.
func (c conn) each(text string, args []any, read func(row) error) error {
	stmt, err := c.Prepare(text)
	if err != nil {
		return err
	}
	if err := bind(stmt, args); err != nil {
		return err
	}
	defer func() { _ = stmt.Reset() }() // says again what Step has said
	for {
		more, err := stmt.Step()
		if err != nil || !more {
			return err
		}
		if err := read(row{stmt}); err != nil {
			return err
		}
	}
}

// one runs a statement for one row, and returns errNoRow when there is none.
func one[T any](c conn, read func(row) (T, error), text string, args ...any) (T, error) {
	var found T
	none := true
	err := c.each(text, args, func(r row) error {
		var err error
		none = false
		found, err = read(r)
		return err
	})
	if err == nil && none {
		return found, errNoRow
	}
	return found, err
}

// is runs a statement whose one row is a truth value.
func (c conn) is(text string, args ...any) (bool, error) {
	return one(c, func(r row) (bool, error) { return r.stmt.ColumnBool(0), nil }, text, args...)
}

// bind gives a statement its arguments. nil is NULL.
func bind(stmt *sqlite.Stmt, args []any) error {
	for i, arg := range args {
		switch value := arg.(type) {
		case nil:
			stmt.BindNull(i + 1)
		case []byte:
			stmt.BindBytes(i+1, value)
		case string:
			stmt.BindText(i+1, value)
		case int64:
			stmt.BindInt64(i+1, value)
		case int:
			stmt.BindInt64(i+1, int64(value))
		case bool:
			stmt.BindBool(i+1, value)
		default:
			return fmt.Errorf("argument %d is a %T", i+1, arg)
		}
	}
	return nil
}

// row is the row at which a statement stands. Its methods read the column with this number, from 0.
type row struct{ stmt *sqlite.Stmt }

// id reads NULL as uuid.Nil.
func (r row) id(column int) uuid.UUID {
	var id uuid.UUID
	r.stmt.ColumnBytes(column, id[:])
	return id
}

func (r row) hash(column int) store.SecretHash {
	var hash store.SecretHash
	r.stmt.ColumnBytes(column, hash[:])
	return hash
}

func (r row) text(column int) string { return r.stmt.ColumnText(column) }

func (r row) bytes(column int) []byte {
	value := make([]byte, r.stmt.ColumnLen(column))
	r.stmt.ColumnBytes(column, value)
	return value
}

// time reads NULL as the zero time.
func (r row) time(column int) time.Time {
	if r.stmt.ColumnIsNull(column) {
		return time.Time{}
	}
	return fromMicro(r.stmt.ColumnInt64(column))
}

// read runs f on a connection that reads, until ctx ends.
func (db *DB) read(ctx context.Context, f func(conn) error) error {
	err := explain(ctx, db.readers.use(ctx, f))
	if err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil { // it may be that the files are not what they were
		if spoilt := db.writer.files.Load().look(); spoilt != nil {
			return fmt.Errorf("%w: %w", spoilt, err)
		}
	}
	return err
}

// readOne reads one row on a connection that reads.
func readOne[T any](ctx context.Context, db *DB, scan func(row) (T, error), text string, args ...any) (T, error) {
	var found T
	err := db.read(ctx, func(c conn) error {
		var err error
		found, err = one(c, scan, text, args...)
		return err
	})
	return found, err
}
