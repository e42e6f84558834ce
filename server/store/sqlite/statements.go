package sqlite

import (
	"context"
	"database/sql"
	"sync"
)

// database is a pool or a connection.
type database interface {
	PrepareContext(ctx context.Context, text string) (*sql.Stmt, error)
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
}

// statements runs statements that it prepares once: to prepare one takes longer than to run it. It is for texts that are
// constant; it keeps them all.
type statements struct {
	database
	mu       sync.RWMutex
	prepared map[string]*sql.Stmt
}

func newStatements(on database) *statements {
	return &statements{database: on, prepared: make(map[string]*sql.Stmt)}
}

// ExecContext runs a statement without a result.
func (s *statements) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	statement, err := s.prepare(ctx, text) //nolint:sqlclosecheck // close does
	if err != nil {
		return nil, err
	}
	return statement.ExecContext(ctx, args...)
}

// QueryRowContext runs a statement with one row.
func (s *statements) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	statement, err := s.prepare(ctx, text) //nolint:sqlclosecheck // close does
	if err != nil {
		return s.database.QueryRowContext(ctx, text, args...) // which says what is wrong with it
	}
	return statement.QueryRowContext(ctx, args...)
}

func (s *statements) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	s.mu.RLock()
	statement, ok := s.prepared[text]
	s.mu.RUnlock()
	if ok {
		return statement, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if statement, ok = s.prepared[text]; ok {
		return statement, nil
	}
	statement, err := s.PrepareContext(ctx, text) //nolint:sqlclosecheck // close does
	if err == nil {
		s.prepared[text] = statement
	}
	return statement, err
}

// close closes all statements. SQLite does not tidy up a database that has some open.
func (s *statements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text, statement := range s.prepared {
		_ = statement.Close()
		delete(s.prepared, text)
	}
}
