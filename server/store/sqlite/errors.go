package sqlite

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/tokenwire/tokenwire/server/store"
)

// explain turns what SQLite says into the errors of package store or of the context, and keeps it wrapped.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		// SQLite says "interrupted"; the reason is this one.
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	code := sqlite.ErrCode(err)
	switch {
	case errors.Is(err, errNoRow), code == sqlite.ResultConstraintForeignKey:
		return fmt.Errorf("%w: %w", store.ErrNotFound, err)
	case code == sqlite.ResultConstraintUnique, code == sqlite.ResultConstraintPrimaryKey:
		return fmt.Errorf("%w: %w", store.ErrConflict, err)
	case isUnavailable(code):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

// isUnavailable knows the failures that a retry may overcome: locks, one that was lost in a race for the log (SQLITE_PROTOCOL), and
// a full or failing disk.
func isUnavailable(code sqlite.ResultCode) bool {
	switch code.ToPrimary() { //nolint:exhaustive // all others are slips of ours
	case sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultCantOpen,
		sqlite.ResultReadOnly, sqlite.ResultNoMem, sqlite.ResultInterrupt, sqlite.ResultProtocol:
		return true
	}
	return false
}

// isDamage knows what SQLite says of a file that is not sound.
func isDamage(err error) bool {
	code := sqlite.ErrCode(err).ToPrimary()
	return err != nil && (code == sqlite.ResultCorrupt || code == sqlite.ResultNotADB)
}
