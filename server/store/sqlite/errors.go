package sqlite

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/tokenwire/tokenwire/server/plainfile"
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
	code := sqlite.ErrCode(err)
	if driver, ok := errors.AsType[interface { // of package database/sql
		error
		Code() int
	}](err); ok {
		code = sqlite.ResultCode(driver.Code()) //nolint:gosec // SQLite's codes are small
	}
	return err != nil && (code.ToPrimary() == sqlite.ResultCorrupt || code.ToPrimary() == sqlite.ResultNotADB)
}

// FileError says that a file cannot be used as a database, or for one. Who has named it knows how to name another, and adds that.
type FileError struct {
	Path    string // absolute
	Problem error  // names the file
	Advice  string // what can be done besides naming another file, or ""
}

// Error returns the problem and the advice.
func (e *FileError) Error() string {
	if e.Advice == "" {
		return e.Problem.Error()
	}
	return e.Problem.Error() + "; " + e.Advice
}

// Unwrap returns the problem.
func (e *FileError) Unwrap() error { return e.Problem }

// cannotCreate says why there is no new file at path, which may have been created under another name first.
func cannotCreate(path string, err error) error {
	advice, err := plainfile.NotCreated(err)
	return &FileError{path, fmt.Errorf("cannot create the database %s: %w", path, err), advice}
}

// explainFile is explain, and tells a file that is damaged.
func explainFile(ctx context.Context, path string, err error) error {
	if isDamage(err) {
		return &FileError{path, fmt.Errorf("%s is damaged: %w", path, err), "restore a sound backup"}
	}
	return explain(ctx, err)
}
