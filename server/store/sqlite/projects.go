package sqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const columnsOfProject = `id, parent_id, name, created_at, updated_at`

// Bootstrap adds the first project.
func (db *DB) Bootstrap(ctx context.Context, project store.Project, first store.Token, change store.Change) (bool, error) {
	created := false
	err := db.change(ctx, change, func(ctx context.Context, tx *statements) error {
		var taken bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM projects)`).Scan(&taken); err != nil || taken {
			return err
		}
		created = true
		return insertProject(ctx, tx, project, &first, change)
	})
	if err != nil {
		return false, fmt.Errorf("create the first project: %w", err)
	}
	return created, nil
}

// CreateProject adds a project.
func (db *DB) CreateProject(ctx context.Context, project store.Project, first *store.Token, change store.Change) error {
	err := db.once(ctx, change, func(ctx context.Context, tx *statements) (store.Token, error) {
		return store.Token{}, insertProject(ctx, tx, project, first, change)
	})
	if err != nil {
		return fmt.Errorf("create project: %w", err)
	}
	return nil
}

func insertProject(ctx context.Context, tx *statements, project store.Project, first *store.Token, change store.Change) error {
	if err := checkParent(ctx, tx, project); err != nil {
		return err
	}
	root := project.Root()
	_, err := tx.ExecContext(ctx, `INSERT INTO projects (`+columnsOfProject+`, root_id) VALUES (?, ?, ?, ?, ?, ?)`,
		project.ID[:], optionalID(project.ParentID), project.Name, micro(project.CreatedAt), micro(project.UpdatedAt), root[:])
	if err != nil {
		return err
	}
	event := store.NewAuditEvent(change, store.ProjectCreated, project.ID, uuid.Nil,
		store.Changes{Name: &store.Values[string]{New: &project.Name}})
	if err := insertEvent(ctx, tx, event); err != nil || first == nil {
		return err
	}
	return insertToken(ctx, tx, *first, change)
}

// checkParent keeps the nesting at one level.
func checkParent(ctx context.Context, tx *statements, project store.Project) error {
	if !project.IsSubproject() {
		return nil
	}
	var nested bool
	err := tx.QueryRowContext(ctx, `SELECT parent_id IS NOT NULL FROM projects WHERE id = ?`, project.ParentID[:]).Scan(&nested)
	if err == nil && nested {
		return fmt.Errorf("%w: the parent is a subproject", store.ErrNotFound)
	}
	return err
}

// Project returns one project.
func (db *DB) Project(ctx context.Context, id uuid.UUID) (store.Project, error) {
	row := db.reads.QueryRowContext(ctx, `SELECT `+columnsOfProject+` FROM projects WHERE id = ?`, id[:])
	project, err := scanProject(row)
	if err != nil {
		return store.Project{}, fmt.Errorf("project %s: %w", id, explain(ctx, err))
	}
	return project, nil
}

// Projects returns a page of projects.
func (db *DB) Projects(ctx context.Context, query store.ProjectQuery) ([]store.Project, error) {
	projects, err := db.listProjects(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list projects: %w", explain(ctx, err))
	}
	return projects, nil
}

func (db *DB) listProjects(ctx context.Context, query store.ProjectQuery) ([]store.Project, error) {
	l := &list{columns: columnsOfProject, from: `projects`}
	if query.Account != uuid.Nil {
		if err := l.account(ctx, db.read, query.Account, `id`); err != nil {
			return nil, err
		}
	}
	if query.Name != "" {
		l.where(`name = ?`, query.Name)
	}
	return readPage(ctx, db.read, l, query.Page, scanProject)
}

// RenameProject changes a project's name.
func (db *DB) RenameProject(ctx context.Context, account uuid.UUID, name string, change store.Change) (store.Project, error) {
	var project store.Project
	err := db.change(ctx, change, func(ctx context.Context, tx *statements) error {
		before, err := scanProject(tx.QueryRowContext(ctx, `SELECT `+columnsOfProject+` FROM projects WHERE id = ?`, account[:]))
		if err != nil {
			return err
		}
		project, err = scanProject(tx.QueryRowContext(ctx,
			`UPDATE projects SET name = ?, updated_at = max(updated_at, ?) WHERE id = ? RETURNING `+columnsOfProject,
			name, micro(change.At), account[:]))
		if err != nil {
			return err
		}
		return insertEvent(ctx, tx, store.NewAuditEvent(change, store.ProjectRenamed, account, uuid.Nil,
			store.NameDifference(before.Name, name)))
	})
	if err != nil {
		return store.Project{}, fmt.Errorf("rename project %s: %w", account, err)
	}
	return project, nil
}

func scanProject(row scanner) (store.Project, error) {
	var project store.Project
	var created, updated int64
	// A NULL parent_id leaves uuid.Nil.
	err := row.Scan(&project.ID, &project.ParentID, &project.Name, &created, &updated)
	project.CreatedAt, project.UpdatedAt = fromMicro(created), fromMicro(updated)
	return project, err
}
