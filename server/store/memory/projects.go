package memory

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// Bootstrap adds the first project.
func (db *DB) Bootstrap(ctx context.Context, project store.Project, first store.Token, change store.Change) (bool, error) {
	created := false
	err := db.write(ctx, "create the first project", func() error {
		if len(db.worlds) > 0 {
			return nil
		}
		prepared, err := db.planProject(project, &first, change)
		if err == nil {
			prepared.apply()
			created = true
		}
		return err
	})
	return created, err
}

// CreateProject adds a project.
func (db *DB) CreateProject(ctx context.Context, project store.Project, first *store.Token, change store.Change) error {
	return db.write(ctx, "create project", func() error {
		return db.once(change, func() (plan, error) { return db.planProject(project, first, change) })
	})
}

func (db *DB) planProject(project store.Project, first *store.Token, change store.Change) (plan, error) {
	home := &world{root: project.ID, answers: make(map[answerKey]keptAnswer)}
	if project.IsSubproject() {
		parent, ok := db.worlds[project.ParentID] // which only a top-level project is
		if !ok {
			return plan{}, store.ErrNotFound
		}
		home = parent
	}
	if _, taken := db.roots[project.ID]; taken {
		return plan{}, store.ErrConflict
	}
	if first != nil {
		if err := db.checkToken(*first); err != nil {
			return plan{}, err
		}
		if first.ProjectID != project.ID {
			if _, known := db.roots[first.ProjectID]; !known {
				return plan{}, store.ErrNotFound
			}
		}
	}
	return plan{apply: func() {
		project.CreatedAt, project.UpdatedAt = store.Kept(project.CreatedAt), store.Kept(project.UpdatedAt)
		db.worlds[home.root] = home
		db.roots[project.ID] = home.root
		i, _ := find(home.projects, project.ID, projectID)
		home.projects = slices.Insert(home.projects, i, project)
		home.note(change, store.ProjectCreated, project.ID, uuid.Nil, store.Changes{Name: &store.Values[string]{New: &project.Name}})
		if first != nil {
			db.addToken(*first, change)
		}
	}}, nil
}

// Project returns one project.
func (db *DB) Project(ctx context.Context, id uuid.UUID) (store.Project, error) {
	var project store.Project
	err := db.read(ctx, "project "+id.String(), func() error {
		home, ok := db.worlds[db.roots[id]]
		if !ok {
			return store.ErrNotFound
		}
		project = *home.project(id)
		return nil
	})
	return project, err
}

// Projects returns a page of projects.
func (db *DB) Projects(ctx context.Context, query store.ProjectQuery) ([]store.Project, error) {
	var projects []store.Project
	err := db.read(ctx, "list projects", func() error {
		list, err := db.candidates(query.Account)
		if err != nil {
			return err
		}
		projects = readPage(list, query.Page, false, projectID, func(p store.Project) bool {
			return (query.Account == uuid.Nil || query.Account == p.ID || query.Account == p.ParentID) &&
				(query.Name == "" || query.Name == p.Name)
		})
		return nil
	})
	return projects, err
}

// candidates returns the projects of an account's world, or all that there are.
func (db *DB) candidates(account uuid.UUID) ([]store.Project, error) {
	if account != uuid.Nil {
		home, ok := db.worlds[db.roots[account]]
		if !ok {
			return nil, store.ErrNotFound
		}
		return home.projects, nil
	}
	var all []store.Project
	for _, w := range db.worlds {
		all = append(all, w.projects...)
	}
	slices.SortFunc(all, func(a, b store.Project) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all, nil
}

// RenameProject changes a project's name.
func (db *DB) RenameProject(ctx context.Context, account uuid.UUID, name string, change store.Change) (store.Project, error) {
	var renamed store.Project
	err := db.write(ctx, "rename project "+account.String(), func() error {
		if err := db.checkCredential(change); err != nil {
			return err
		}
		home, ok := db.worlds[db.roots[account]]
		if !ok {
			return store.ErrNotFound
		}
		project := home.project(account)
		before := project.Name
		project.Name = name
		project.UpdatedAt = store.Later(project.UpdatedAt, change.At)
		home.note(change, store.ProjectRenamed, account, uuid.Nil, store.NameDifference(before, name))
		renamed = *project
		return nil
	})
	return renamed, err
}
