package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	columnsOfProject = `id, parent_id, name, created_at, updated_at`
	selectProject    = `SELECT ` + columnsOfProject + ` FROM projects WHERE id = $1`
)

// Bootstrap adds the first project. Those who do so wait for each other, in every process.
func (db *DB) Bootstrap(ctx context.Context, project store.Project, first store.Token, change store.Change) (bool, error) {
	created := false
	n := needsOf(project, &first)
	n.bootstrap = true
	err := db.change(ctx, change, n, func(s *state) error {
		created = false
		if !s.empty {
			return nil
		}
		add, err := s.newProject(project, &first, change)
		if err != nil {
			return err
		}
		add()
		created = true
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("create the first project: %w", err)
	}
	return created, nil
}

func needsOf(project store.Project, first *store.Token) needs {
	n := needs{projects: []uuid.UUID{project.ID, project.Root()}}
	if first != nil {
		n.tokens, n.secrets, n.seals = []uuid.UUID{first.ID}, []store.SecretHash{first.SecretHash}, true
	}
	return n
}

// CreateProject adds a project.
func (db *DB) CreateProject(ctx context.Context, project store.Project, first *store.Token, change store.Change) error {
	err := db.once(ctx, change, needsOf(project, first), func(s *state) (effect, error) {
		add, err := s.newProject(project, first, change)
		return effect{make: add}, err
	})
	if err != nil {
		return fmt.Errorf("create project: %w", err)
	}
	return nil
}

// newProject returns what adds a project, unless something speaks against it.
func (s *state) newProject(project store.Project, first *store.Token, change store.Change) (func(), error) {
	if project.IsSubproject() {
		parent, ok := s.projects[project.ParentID]
		if !ok || parent.IsSubproject() { // the nesting has one level
			return nil, fmt.Errorf("%w: the parent is no top-level project", store.ErrNotFound)
		}
	}
	if _, taken := s.projects[project.ID]; taken {
		return nil, store.ErrConflict
	}
	event, err := write(store.NewAuditEvent(change, store.ProjectCreated, project.ID, uuid.Nil,
		store.Changes{Name: &store.Values[string]{New: &project.Name}}))
	addFirst := func() {}
	if err == nil && first != nil {
		addFirst, err = s.newToken(*first, project.Root(), change)
	}
	if err != nil {
		return nil, err
	}
	return func() {
		project.CreatedAt, project.UpdatedAt = store.Kept(project.CreatedAt), store.Kept(project.UpdatedAt)
		s.dirty.project(project.ID, true)
		s.projects[project.ID] = project
		s.locked[project.Root()] = true // nobody else knows of a new one
		s.empty = false
		s.note(event, project.Root())
		addFirst()
	}, nil
}

// Project returns one project.
func (db *DB) Project(ctx context.Context, project uuid.UUID) (store.Project, error) {
	found, err := readOne(ctx, db, scanProject, selectProject, id(project))
	if err != nil {
		return store.Project{}, fmt.Errorf("project %s: %w", project, err)
	}
	return found, nil
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
	var after store.Project
	err := db.change(ctx, change, needs{projects: []uuid.UUID{account}}, func(s *state) error {
		before, ok := s.projects[account]
		if !ok {
			return store.ErrNotFound
		}
		after = before
		after.Name, after.UpdatedAt = name, store.Later(before.UpdatedAt, change.At)
		event, err := write(store.NewAuditEvent(change, store.ProjectRenamed, account, uuid.Nil, store.NameDifference(before.Name, name)))
		if err != nil {
			return err
		}
		s.dirty.project(account, false)
		s.projects[account] = after
		s.note(event, after.Root())
		return nil
	})
	if err != nil {
		return store.Project{}, fmt.Errorf("rename project %s: %w", account, err)
	}
	return after, nil
}

func scanProject(row pgx.CollectableRow) (store.Project, error) {
	var project store.Project
	var projectID, parent pgtype.UUID
	var created, updated int64
	err := row.Scan(&projectID, &parent, &project.Name, &created, &updated)
	project.ID, project.ParentID = projectID.Bytes, parent.Bytes
	project.CreatedAt, project.UpdatedAt = fromMicro(created), fromMicro(updated)
	return project, err
}
