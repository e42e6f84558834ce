package sqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	columnsOfProject = `id, parent_id, name, created_at, updated_at`
	selectProject    = `SELECT ` + columnsOfProject + ` FROM projects WHERE id = ?`
)

// Bootstrap adds the first project.
func (db *DB) Bootstrap(ctx context.Context, project store.Project, first store.Token, change store.Change) (bool, error) {
	created := false
	err := db.change(ctx, change, func(t *tx) error {
		taken, err := t.is(`SELECT EXISTS (SELECT 1 FROM projects)`)
		if err != nil || taken {
			return err
		}
		created = true
		return t.insertProject(project, &first, change)
	})
	if err != nil {
		return false, fmt.Errorf("create the first project: %w", err)
	}
	return created, nil
}

// CreateProject adds a project.
func (db *DB) CreateProject(ctx context.Context, project store.Project, first *store.Token, change store.Change) error {
	err := db.once(ctx, change, func(t *tx) (store.Token, error) {
		return store.Token{}, t.insertProject(project, first, change)
	})
	if err != nil {
		return fmt.Errorf("create project: %w", err)
	}
	return nil
}

func (t *tx) insertProject(project store.Project, first *store.Token, change store.Change) error {
	if err := t.checkParent(project); err != nil {
		return err
	}
	root := project.Root()
	err := t.exec(`INSERT INTO projects (`+columnsOfProject+`, root_id) VALUES (?, ?, ?, ?, ?, ?)`,
		project.ID[:], optionalID(project.ParentID), project.Name, micro(project.CreatedAt), micro(project.UpdatedAt), root[:])
	if err != nil {
		return err
	}
	event := store.NewAuditEvent(change, store.ProjectCreated, project.ID, uuid.Nil,
		store.Changes{Name: &store.Values[string]{New: &project.Name}})
	if err := t.note(event); err != nil || first == nil {
		return err
	}
	return t.insertToken(*first, change)
}

// checkParent keeps the nesting at one level.
func (t *tx) checkParent(project store.Project) error {
	if !project.IsSubproject() {
		return nil
	}
	nested, err := t.is(`SELECT parent_id IS NOT NULL FROM projects WHERE id = ?`, project.ParentID[:])
	if err == nil && nested {
		return fmt.Errorf("%w: the parent is a subproject", store.ErrNotFound)
	}
	return err
}

// Project returns one project.
func (db *DB) Project(ctx context.Context, id uuid.UUID) (store.Project, error) {
	project, err := readOne(ctx, db, scanProject, selectProject, id[:])
	if err != nil {
		return store.Project{}, fmt.Errorf("project %s: %w", id, err)
	}
	return project, nil
}

// Projects returns a page of projects.
func (db *DB) Projects(ctx context.Context, query store.ProjectQuery) ([]store.Project, error) {
	l := &list{columns: columnsOfProject, from: `projects`}
	if query.Name != "" {
		l.where(`name = ?`, query.Name)
	}
	projects, err := readPage(ctx, db, l, query.Account, `id`, query.Page, scanProject)
	if err != nil {
		return nil, fmt.Errorf("list projects: %w", err)
	}
	return projects, nil
}

// RenameProject changes a project's name.
func (db *DB) RenameProject(ctx context.Context, account uuid.UUID, name string, change store.Change) (store.Project, error) {
	var project store.Project
	err := db.change(ctx, change, func(t *tx) error {
		before, err := one(t.conn, scanProject, selectProject, account[:])
		if err != nil {
			return err
		}
		project = before
		project.Name, project.UpdatedAt = name, store.Later(before.UpdatedAt, change.At)
		err = t.exec(`UPDATE projects SET name = ?, updated_at = ? WHERE id = ?`, name, micro(project.UpdatedAt), account[:])
		if err != nil {
			return err
		}
		return t.note(store.NewAuditEvent(change, store.ProjectRenamed, account, uuid.Nil,
			store.NameDifference(before.Name, name)))
	})
	if err != nil {
		return store.Project{}, fmt.Errorf("rename project %s: %w", account, err)
	}
	return project, nil
}

func scanProject(r row) (store.Project, error) {
	return store.Project{ID: r.id(0), ParentID: r.id(1), Name: r.text(2), CreatedAt: r.time(3), UpdatedAt: r.time(4)}, nil
}
