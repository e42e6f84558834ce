package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/tokenwire/tokenwire/server/store"
)

// The states of PostgreSQL that mean something to this package.
const (
	uniqueViolation     = "23505"
	foreignKeyViolation = "23503"
	readOnlyTransaction = "25006"
	idleInTransaction   = "25P03"
	lockNotAvailable    = "55P03"
	queryCanceled       = "57014"
	undefinedTable      = "42P01"
	undefinedColumn     = "42703"
	undefinedSchema     = "3F000"
	insufficientRights  = "42501"
)

var errPoolClosed = puddle.ErrClosedPool

// explain turns what PostgreSQL says into the errors of package store or of the context, and keeps it wrapped.
func explain(ctx context.Context, err error) error {
	switch {
	case err == nil, isOurs(err):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case errors.Is(err, pgx.ErrNoRows), isState(err, foreignKeyViolation):
		return fmt.Errorf("%w: %w", store.ErrNotFound, err)
	case isState(err, uniqueViolation):
		return fmt.Errorf("%w: %w", store.ErrConflict, err)
	case isTransient(err), isState(err, queryCanceled), isState(err, lockNotAvailable), isTakenAway(err):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, inOneLine(err))
	}
	return err
}

// inOneLine lets an error that came of several attempts to connect say each cause once: a host that has no TLS is asked twice.
func inOneLine(err error) error {
	lines := strings.Split(err.Error(), "\n\t")
	if !errors.As(err, new(*pgconn.ConnectError)) || len(lines) == 1 {
		return err
	}
	var causes []string
	for _, line := range lines[1:] {
		if !slices.Contains(causes, line) {
			causes = append(causes, line)
		}
	}
	return &reworded{lines[0] + " " + strings.Join(causes, "; "), err}
}

// reworded is an error with another text.
type reworded struct {
	text string
	error
}

func (e *reworded) Error() string { return e.text }
func (e *reworded) Unwrap() error { return e.error }

// isOurs knows the errors that have their meaning already.
func isOurs(err error) bool {
	for _, known := range []error{store.ErrNotFound, store.ErrConflict, store.ErrKeyReused, store.ErrRevoked, store.ErrUnavailable} {
		if errors.Is(err, known) {
			return true
		}
	}
	return errors.As(err, new(*store.Replay)) || errors.As(err, new(refusal))
}

// refusal says why a database that answers is not used. Nothing is wrong with its server.
type refusal string

// Error says what to do.
func (r refusal) Error() string { return string(r) }

// isTakenAway knows what the server says when somebody has dropped tables since the start, put other ones in their place, or withdrawn
// the right to use them. They may come back, from a backup for instance.
func isTakenAway(err error) bool {
	return isState(err, undefinedTable) || isState(err, undefinedColumn) || isState(err, undefinedSchema) || isState(err, insufficientRights)
}

func isState(err error, state string) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == state
}

// isTransient knows the failures that another attempt may overcome, or another server: what is no answer of the server at all comes
// from the connection.
func isTransient(err error) bool {
	if errors.As(err, new(*pgconn.ConnectError)) || isConnectionLost(err) {
		return true
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch pgErr.Code[:min(2, len(pgErr.Code))] {
	case "40", "53", "58": // rolled back because of others, out of resources, and failures of the machine
		return true
	}
	return false
}

// isConnectionLost knows the failures after which a connection is of no use, because it is broken, or leads to a server that goes away
// or takes no changes.
func isConnectionLost(err error) bool {
	pgErr, answered := errors.AsType[*pgconn.PgError](err)
	if answered {
		return strings.HasPrefix(pgErr.Code, "08") || strings.HasPrefix(pgErr.Code, "57P") ||
			pgErr.Code == readOnlyTransaction || pgErr.Code == idleInTransaction
	}
	return !errors.Is(err, pgx.ErrNoRows) && !errors.As(err, new(pgx.ScanArgError)) && !isOurs(err)
}
