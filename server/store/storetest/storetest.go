// Package storetest is the suite that every adapter of package store passes. Each obligation that stands on the
// interface has its case here; an adapter's test calls Run with a function that opens a fresh store.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// Open returns a fresh, empty store. The suite closes it.
type Open func(t *testing.T) store.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	cases := []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"Bootstrap/only the first", testBootstrapOnlyTheFirst},
		{"Bootstrap/concurrent calls", testBootstrapConcurrently},
		{"CreateProject/is found and listed", testProjectIsFoundAndListed},
		{"CreateProject/taken ids and secrets", testProjectConflicts},
		{"CreateProject/parents", testProjectParents},
		{"CreateToken/is found by its secret", testTokenIsFound},
		{"CreateToken/keeps every text", testTokenKeepsTexts},
		{"CreateToken/refusals", testTokenRefusals},
		{"UpdateToken/keeps what is absent", testUpdateKeepsWhatIsAbsent},
		{"UpdateToken/empty update changes nothing", testUpdateEmpty},
		{"UpdateToken/permissions are a set", testUpdatePermissionSet},
		{"UpdateToken/time never goes back", testUpdateTime},
		{"UpdateToken/accounts", testUpdateAccounts},
		{"UpdateToken/concurrent fields survive", testUpdateConcurrently},
		{"DeleteToken/is gone", testDelete},
		{"DeleteToken/accounts", testDeleteAccounts},
		{"DeleteToken/exactly one succeeds", testDeleteConcurrently},
		{"UpdateToken/while it is deleted", testUpdateWhileDeleted},
		{"KeysetCheck/keeps the first", testKeysetCheck},
		{"ended contexts change nothing", testEndedContexts},
		{"Close/later calls", testClose},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() { _ = s.Close() })
			c.run(t, s)
		})
	}
}

// at is a time with more digits than a store keeps, in a zone that it does not keep.
func at(minute int) time.Time {
	return time.Date(2026, time.March, 29, 2, minute, 7, 123456789, time.FixedZone("east", 3600))
}

// kept is how a store returns t.
func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func newProject(parent uuid.UUID) store.Project {
	return store.Project{ID: newID(), ParentID: parent, Name: "Project", CreatedAt: at(1), UpdatedAt: at(1)}
}

func newToken(project uuid.UUID, permissions ...string) store.Token {
	id := newID()
	return store.Token{
		ID: id, ProjectID: project, Name: "Token", Permissions: store.PermissionSet(permissions),
		SecretHash: sha256.Sum256(id[:]), SealedSecret: append([]byte("sealed"), id[:]...),
		CreatedAt: at(2), UpdatedAt: at(2),
	}
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// world is a project with a subproject, a stranger, and a token of each.
type world struct {
	parent, child, stranger                store.Project
	parentToken, childToken, strangerToken store.Token
}

func newWorld(t *testing.T, s store.Store) world {
	t.Helper()
	w := world{parent: newProject(uuid.Nil), stranger: newProject(uuid.Nil)}
	w.child = newProject(w.parent.ID)
	w.parentToken = newToken(w.parent.ID, "management")
	w.childToken = newToken(w.child.ID, "management")
	w.strangerToken = newToken(w.stranger.ID, "management")
	must(t, s.CreateProject(t.Context(), w.parent, w.parentToken))
	must(t, s.CreateProject(t.Context(), w.child, w.childToken))
	must(t, s.CreateProject(t.Context(), w.stranger, w.strangerToken))
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// wantToken compares what the store has with want.
func wantToken(t *testing.T, s store.Store, want store.Token) {
	t.Helper()
	got, err := s.TokenBySecret(t.Context(), want.SecretHash)
	must(t, err)
	diffToken(t, got, want)
}

func diffToken(t *testing.T, got, want store.Token) {
	t.Helper()
	want.CreatedAt, want.UpdatedAt = kept(want.CreatedAt), kept(want.UpdatedAt)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("token (-want +got):\n%s", diff)
	}
}

// concurrently runs f n times at once and returns how often it returned nil; every other error must be want.
func concurrently(t *testing.T, n int, want error, f func(i int) error) int {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { <-start; errs[i] = f(i) })
	}
	close(start)
	wg.Wait()
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
		} else if !errors.Is(err, want) {
			t.Errorf("concurrent call: got error %v, want nil or %v", err, want)
		}
	}
	return succeeded
}

func testBootstrapOnlyTheFirst(t *testing.T, s store.Store) {
	first, second := newProject(uuid.Nil), newProject(uuid.Nil)
	token := newToken(first.ID, "management")
	created, err := s.Bootstrap(t.Context(), first, token)
	must(t, err)
	if !created {
		t.Error("Bootstrap of an empty store reports that it did nothing")
	}
	created, err = s.Bootstrap(t.Context(), second, newToken(second.ID))
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
		created, err := s.Bootstrap(context.Background(), project, newToken(project.ID))
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
	projects, err := s.Projects(t.Context())
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
	listed, err := s.Projects(t.Context())
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
	wantErr(t, "taken project id", s.CreateProject(t.Context(), sameID, newToken(sameID.ID)), store.ErrConflict)

	project := newProject(uuid.Nil)
	sameSecret := newToken(project.ID)
	sameSecret.SecretHash = w.strangerToken.SecretHash
	wantErr(t, "taken secret", s.CreateProject(t.Context(), project, sameSecret), store.ErrConflict)
	_, err := s.Project(t.Context(), project.ID)
	wantErr(t, "the project whose token was refused", err, store.ErrNotFound)
}

func testProjectParents(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	orphan := newProject(newID())
	wantErr(t, "a parent that does not exist", s.CreateProject(t.Context(), orphan, newToken(orphan.ID)), store.ErrNotFound)
	nested := newProject(w.child.ID)
	wantErr(t, "a parent that is a subproject", s.CreateProject(t.Context(), nested, newToken(nested.ID)), store.ErrNotFound)
}

func testKeysetCheck(t *testing.T, s store.Store) {
	_, err := s.KeysetCheck(t.Context())
	wantErr(t, "before it was set", err, store.ErrNotFound)
	for _, value := range []string{"first", "second"} {
		got, err := s.InitKeysetCheck(t.Context(), []byte(value))
		must(t, err)
		if string(got) != "first" {
			t.Errorf("InitKeysetCheck(%s) = %s, want first", value, got)
		}
	}
	got, err := s.KeysetCheck(t.Context())
	must(t, err)
	if string(got) != "first" {
		t.Errorf("KeysetCheck = %s, want first", got)
	}
}

// everyMethod calls each method once, with arguments that would succeed.
func everyMethod(s store.Store, w world) map[string]func(context.Context) error {
	name := "renamed"
	project := newProject(uuid.Nil)
	return map[string]func(context.Context) error{
		"Bootstrap": func(ctx context.Context) error {
			_, err := s.Bootstrap(ctx, project, newToken(project.ID))
			return err
		},
		"CreateProject": func(ctx context.Context) error { return s.CreateProject(ctx, project, newToken(project.ID)) },
		"Project":       func(ctx context.Context) error { _, err := s.Project(ctx, w.parent.ID); return err },
		"Projects":      func(ctx context.Context) error { _, err := s.Projects(ctx); return err },
		"CreateToken":   func(ctx context.Context) error { return s.CreateToken(ctx, newToken(w.parent.ID)) },
		"UpdateToken": func(ctx context.Context) error {
			_, err := s.UpdateToken(ctx, w.parent.ID, w.parentToken.ID, store.TokenUpdate{Name: &name, At: at(3)})
			return err
		},
		"DeleteToken":     func(ctx context.Context) error { return s.DeleteToken(ctx, w.parent.ID, w.parentToken.ID) },
		"TokenBySecret":   func(ctx context.Context) error { _, err := s.TokenBySecret(ctx, w.parentToken.SecretHash); return err },
		"KeysetCheck":     func(ctx context.Context) error { _, err := s.KeysetCheck(ctx); return err },
		"InitKeysetCheck": func(ctx context.Context) error { _, err := s.InitKeysetCheck(ctx, []byte("other")); return err },
		"Ping":            s.Ping,
	}
}

func testEndedContexts(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range everyMethod(s, w) {
		wantErr(t, name, call(cancelled), context.Canceled)
	}
	wantToken(t, s, w.parentToken)
	projects, err := s.Projects(t.Context())
	must(t, err)
	if len(projects) != 3 {
		t.Errorf("there are %d projects, want the 3 from before", len(projects))
	}
}

func testClose(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	must(t, s.Close())
	for name, call := range everyMethod(s, w) {
		wantErr(t, name, call(t.Context()), store.ErrUnavailable)
	}
}
