package storetest

import (
	"bytes"
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// allProjects is a query for more projects than any case has.
var allProjects = store.ProjectQuery{Page: store.Page{Limit: 1000}}

func testBootstrapOnlyTheFirst(t *testing.T, s store.Store) {
	first, second := newProject(uuid.Nil), newProject(uuid.Nil)
	token := newToken(first.ID, "management")
	created, err := s.Bootstrap(t.Context(), first, token, made(1))
	must(t, err)
	if !created {
		t.Error("Bootstrap of an empty store reports that it did nothing")
	}
	created, err = s.Bootstrap(t.Context(), second, newToken(second.ID), made(1))
	must(t, err)
	if created {
		t.Error("Bootstrap of a store with a project reports that it did something")
	}
	wantToken(t, s, token)
	_, err = s.Project(t.Context(), second.ID)
	wantErr(t, "project of the second bootstrap", err, store.ErrNotFound)
}

func testBootstrapConcurrently(t *testing.T, s store.Store) {
	winners := make(chan bool, 8)
	concurrently(t, 8, nil, func(int) error {
		project := newProject(uuid.Nil)
		created, err := s.Bootstrap(context.Background(), project, newToken(project.ID), made(1))
		winners <- created
		return err
	})
	close(winners)
	count := 0
	for created := range winners {
		if created {
			count++
		}
	}
	projects, err := s.Projects(t.Context(), allProjects)
	must(t, err)
	if count != 1 || len(projects) != 1 {
		t.Errorf("%d calls report that they made the first project, and there are %d; want one", count, len(projects))
	}
}

func testProjectIsFoundAndListed(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	var want []store.Project
	for _, project := range []store.Project{w.parent, w.child, w.stranger} {
		project.CreatedAt, project.UpdatedAt = kept(project.CreatedAt), kept(project.UpdatedAt)
		want = append(want, project)
		got, err := s.Project(t.Context(), project.ID)
		must(t, err)
		if diff := cmp.Diff(project, got); diff != "" {
			t.Errorf("project (-want +got):\n%s", diff)
		}
	}
	listed, err := s.Projects(t.Context(), allProjects)
	must(t, err)
	byID := cmpopts.SortSlices(func(a, b store.Project) bool { return bytes.Compare(a.ID[:], b.ID[:]) < 0 })
	if diff := cmp.Diff(want, listed, byID); diff != "" {
		t.Errorf("projects (-want +got):\n%s", diff)
	}
	_, err = s.Project(t.Context(), newID())
	wantErr(t, "a project that does not exist", err, store.ErrNotFound)
}

func testProjectConflicts(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	sameID := newProject(uuid.Nil)
	sameID.ID = w.parent.ID
	wantErr(t, "taken project id", s.CreateProject(t.Context(), sameID, new(newToken(sameID.ID)), made(1)), store.ErrConflict)

	project := newProject(uuid.Nil)
	sameSecret := newToken(project.ID)
	sameSecret.SecretHash = w.strangerToken.SecretHash
	wantErr(t, "taken secret", s.CreateProject(t.Context(), project, new(sameSecret), made(1)), store.ErrConflict)
	_, err := s.Project(t.Context(), project.ID)
	wantErr(t, "the project whose token was refused", err, store.ErrNotFound)
}

func testProjectParents(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	orphan := newProject(newID())
	wantErr(t, "a parent that does not exist", s.CreateProject(t.Context(), orphan, new(newToken(orphan.ID)), made(1)), store.ErrNotFound)
	nested := newProject(w.child.ID)
	wantErr(t, "a parent that is a subproject", s.CreateProject(t.Context(), nested, new(newToken(nested.ID)), made(1)), store.ErrNotFound)
}

func testProjectWithoutToken(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	child := newProject(w.parent.ID)
	must(t, s.CreateProject(t.Context(), child, nil, made(1)))
	tokens, err := s.Tokens(t.Context(), store.TokenQuery{Account: child.ID, Page: store.Page{Limit: 10}})
	must(t, err)
	if len(tokens) != 0 {
		t.Errorf("the project has %d tokens, want none", len(tokens))
	}
}

func testProjectQueries(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	named := newProject(w.parent.ID)
	named.Name = "Named"
	must(t, s.CreateProject(t.Context(), named, nil, made(1)))
	for _, c := range []struct {
		what    string
		account uuid.UUID
		name    string
		want    []store.Project
	}{
		{"everything", uuid.Nil, "", []store.Project{w.parent, w.child, w.stranger, named}},
		{"a parent and its subprojects", w.parent.ID, "", []store.Project{w.parent, w.child, named}},
		{"a subproject", w.child.ID, "", []store.Project{w.child}},
		{"a name", w.parent.ID, "Named", []store.Project{named}},
		{"a name in another case", w.parent.ID, "named", nil},
		{"the beginning of a name", w.parent.ID, "Name", nil},
		{"a stranger's name", w.stranger.ID, "Named", nil},
	} {
		got, err := s.Projects(t.Context(), store.ProjectQuery{Account: c.account, Name: c.name, Page: store.Page{Limit: 10}})
		must(t, err)
		if diff := cmp.Diff(sorted(projectIDs(c.want)), projectIDs(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
	_, err := s.Projects(t.Context(), store.ProjectQuery{Account: newID(), Page: store.Page{Limit: 10}})
	wantErr(t, "projects of an account that does not exist", err, store.ErrNotFound)
}

func projectIDs(projects []store.Project) []uuid.UUID {
	ids := []uuid.UUID{}
	for _, project := range projects {
		ids = append(ids, project.ID)
	}
	return ids
}

func testProjectPages(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	ids := []uuid.UUID{w.parent.ID, w.child.ID}
	for range 5 {
		project := newProject(w.parent.ID)
		must(t, s.CreateProject(t.Context(), project, nil, made(1)))
		ids = append(ids, project.ID)
	}
	testPages(t, sorted(ids), func(page store.Page) ([]uuid.UUID, error) {
		projects, err := s.Projects(t.Context(), store.ProjectQuery{Account: w.parent.ID, Page: page})
		return projectIDs(projects), err
	})
}

func testRenameProject(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	want := w.child
	want.Name, want.CreatedAt = "Renamed", kept(want.CreatedAt)
	for _, minute := range []int{5, 3} {
		got, err := s.RenameProject(t.Context(), w.child.ID, "Renamed", made(minute))
		must(t, err)
		want.UpdatedAt = kept(at(5)) // it never goes back
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("project (-want +got):\n%s", diff)
		}
	}
	found, err := s.Project(t.Context(), w.child.ID)
	must(t, err)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("project as it is found (-want +got):\n%s", diff)
	}
	_, err = s.RenameProject(t.Context(), newID(), "Renamed", made(3))
	wantErr(t, "a project that does not exist", err, store.ErrNotFound)
}
