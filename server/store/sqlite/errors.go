package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/tokenwire/tokenwire/server/store"
)

// explain turns what the driver says into the errors of package store or of the context, and keeps it wrapped.
func explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		// The driver says "interrupted" or "transaction is done"; the reason is this one.
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case errors.Is(err, sql.ErrNoRows), hasCode(err, sqlitelib.SQLITE_CONSTRAINT_FOREIGNKEY):
		return fmt.Errorf("%w: %w", store.ErrNotFound, err)
	case hasCode(err, sqlitelib.SQLITE_CONSTRAINT_UNIQUE), hasCode(err, sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY):
		return fmt.Errorf("%w: %w", store.ErrConflict, err)
	case isUnavailable(err):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

// isUnavailable knows the failures that a retry may overcome: locks, a full or failing disk, and a closed database.
// SQLite has rolled back when it reports one of them.
func isUnavailable(err error) bool {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) || isClosed(err) {
		return true
	}
	for _, code := range []int{
		sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED, sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR,
		sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_READONLY, sqlitelib.SQLITE_NOMEM, sqlitelib.SQLITE_INTERRUPT,
	} {
		if hasCode(err, code) {
			return true
		}
	}
	return false
}

// isClosed recognises the errors of database/sql that have no names.
func isClosed(err error) bool {
	return err.Error() == "sql: database is closed" || err.Error() == "sql: statement is closed"
}

// hasCode compares the extended code, or, when code is a primary one, the primary code.
func hasCode(err error, code int) bool {
	var driverErr *sqlite.Error
	if !errors.As(err, &driverErr) {
		return false
	}
	return driverErr.Code() == code || driverErr.Code()&0xff == code
}
