package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const columnsOfProject = `id, parent_id, name, created_at, updated_at`

// Bootstrap adds the first project.
func (db *DB) Bootstrap(ctx context.Context, project store.Project, first store.Token) (bool, error) {
	created := false
	err := db.change(ctx, func(tx *sql.Tx) error {
		var taken bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM projects)`).Scan(&taken); err != nil || taken {
			return err
		}
		created = true
		return insertProject(ctx, tx, project, first)
	})
	if err != nil {
		return false, fmt.Errorf("create the first project: %w", err)
	}
	return created, nil
}

// CreateProject adds a project with its first token.
func (db *DB) CreateProject(ctx context.Context, project store.Project, first store.Token) error {
	err := db.change(ctx, func(tx *sql.Tx) error { return insertProject(ctx, tx, project, first) })
	if err != nil {
		return fmt.Errorf("create project: %w", err)
	}
	return nil
}

func insertProject(ctx context.Context, tx *sql.Tx, project store.Project, first store.Token) error {
	var parent any
	if project.IsSubproject() {
		parent = project.ParentID[:]
		var nested bool
		err := tx.QueryRowContext(ctx, `SELECT parent_id IS NOT NULL FROM projects WHERE id = ?`, parent).Scan(&nested)
		if err != nil {
			return err
		}
		if nested {
			return fmt.Errorf("%w: the parent is a subproject", store.ErrNotFound)
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO projects (`+columnsOfProject+`) VALUES (?, ?, ?, ?, ?)`,
		project.ID[:], parent, project.Name, project.CreatedAt.UnixMicro(), project.UpdatedAt.UnixMicro())
	if err != nil {
		return err
	}
	return insertToken(ctx, tx, first)
}

// Project returns one project.
func (db *DB) Project(ctx context.Context, id uuid.UUID) (store.Project, error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+columnsOfProject+` FROM projects WHERE id = ?`, id[:])
	project, err := scanProject(row)
	if err != nil {
		return store.Project{}, fmt.Errorf("project %s: %w", id, explain(ctx, err))
	}
	return project, nil
}

// Projects returns all projects.
func (db *DB) Projects(ctx context.Context) ([]store.Project, error) {
	projects, err := db.listProjects(ctx)
	if err != nil {
		return nil, fmt.Errorf("list projects: %w", explain(ctx, err))
	}
	return projects, nil
}

func (db *DB) listProjects(ctx context.Context) ([]store.Project, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+columnsOfProject+` FROM projects ORDER BY created_at, id`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var projects []store.Project
	for rows.Next() {
		project, err := scanProject(rows)
		if err != nil {
			return nil, err
		}
		projects = append(projects, project)
	}
	return projects, rows.Err()
}

// scanner is a row, or rows at one of them.
type scanner interface{ Scan(dest ...any) error }

func scanProject(row scanner) (store.Project, error) {
	var project store.Project
	var created, updated int64
	// A NULL parent_id leaves uuid.Nil.
	err := row.Scan(&project.ID, &project.ParentID, &project.Name, &created, &updated)
	project.CreatedAt, project.UpdatedAt = fromMicro(created), fromMicro(updated)
	return project, err
}

func fromMicro(t int64) time.Time { return time.UnixMicro(t).UTC() }

// KeysetCheck returns the value that InitKeysetCheck has kept.
func (db *DB) KeysetCheck(ctx context.Context) ([]byte, error) {
	var value []byte
	err := db.read.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = 'keyset_check'`).Scan(&value)
	if err != nil {
		return nil, fmt.Errorf("read the keyset check: %w", explain(ctx, err))
	}
	return value, nil
}

// InitKeysetCheck keeps the first value that it is given.
func (db *DB) InitKeysetCheck(ctx context.Context, value []byte) ([]byte, error) {
	if kept, err := db.KeysetCheck(ctx); !errors.Is(err, store.ErrNotFound) {
		return kept, err
	}
	err := db.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO settings (name, value) VALUES ('keyset_check', ?) ON CONFLICT DO NOTHING`, value)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("keep the keyset check: %w", err)
	}
	return db.KeysetCheck(ctx)
}
