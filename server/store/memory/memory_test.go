package memory_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/memory"
	"github.com/tokenwire/tokenwire/server/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
}

// world adds a project with one token, whose secret is its name.
func world(t *testing.T, db *memory.DB, secret string) (store.Project, store.Token) {
	t.Helper()
	project := store.Project{ID: uuid.New(), Name: "Project"}
	token := newToken(project.ID, secret)
	check(t, db.CreateProject(t.Context(), project, &token, store.Change{}))
	return project, token
}

func newToken(project uuid.UUID, secret string) store.Token {
	token := store.Token{ID: uuid.New(), ProjectID: project, Name: secret, Permissions: []string{"fax"}}
	copy(token.SecretHash[:], secret)
	return token
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// state is everything that can be seen of a world.
func state(t *testing.T, db *memory.DB, project uuid.UUID) []any {
	t.Helper()
	page := store.Page{Limit: 1000}
	projects, err := db.Projects(t.Context(), store.ProjectQuery{Account: project, Page: page})
	check(t, err)
	tokens, err := db.Tokens(t.Context(), store.TokenQuery{Account: project, Page: page})
	check(t, err)
	events, err := db.AuditEvents(t.Context(), store.AuditQuery{Account: project, Page: page})
	check(t, err)
	return []any{projects, tokens, events}
}

// works reports whether a secret authenticates.
func works(t *testing.T, db *memory.DB, secret string) bool {
	t.Helper()
	_, err := db.TokenBySecret(t.Context(), newToken(uuid.Nil, secret).SecretHash, time.Now())
	return err == nil
}

// mess changes whatever can be changed in a world.
func mess(t *testing.T, db *memory.DB, project store.Project, token store.Token) {
	t.Helper()
	change := store.Change{At: time.Now()}
	name := "messed up"
	_, err := db.RenameProject(t.Context(), project.ID, name, change)
	check(t, err)
	_, err = db.UpdateToken(t.Context(), project.ID, token.ID, store.TokenUpdate{Name: &name, Permissions: &[]string{}}, change)
	check(t, err)
	rotation := store.Rotation{SecretHash: newToken(uuid.Nil, "rotated").SecretHash, RetireAt: time.Now().Add(time.Hour)}
	_, err = db.RotateToken(t.Context(), project.ID, token.ID, rotation, change)
	check(t, err)
	check(t, db.RecordUse(t.Context(), map[uuid.UUID]time.Time{token.ID: time.Now()}))
	child := store.Project{ID: uuid.New(), ParentID: project.ID, Name: "Child"}
	first := newToken(child.ID, "child")
	check(t, db.CreateProject(t.Context(), child, &first, change))
	check(t, db.CreateToken(t.Context(), newToken(project.ID, "later"), change))
	check(t, db.DeleteToken(t.Context(), project.ID, token.ID, change))
}

func TestRestore(t *testing.T) {
	t.Parallel()
	db := memory.New()
	project, token := world(t, db, "first")
	other, otherToken := world(t, db, "other")
	want := state(t, db, project.ID)
	taken, err := db.Snapshot(t.Context(), project.ID)
	check(t, err)
	for range 2 { // a snapshot can be used again
		mess(t, db, project, token)
		if works(t, db, "first") || !works(t, db, "later") || !works(t, db, "child") || works(t, db, "rotated") {
			t.Fatal("the secrets before the world is restored are not what they should be")
		}
		_, err = db.UpdateToken(t.Context(), other.ID, otherToken.ID, store.TokenUpdate{Permissions: &[]string{"chat"}}, store.Change{})
		check(t, err)
		stranger := state(t, db, other.ID)
		check(t, db.Restore(t.Context(), taken))
		if diff := cmp.Diff(want, state(t, db, project.ID)); diff != "" {
			t.Errorf("the world that was restored (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(stranger, state(t, db, other.ID)); diff != "" {
			t.Errorf("another world (-want +got):\n%s", diff)
		}
		if !works(t, db, "first") || works(t, db, "later") || works(t, db, "child") || works(t, db, "rotated") || !works(t, db, "other") {
			t.Error("the secrets after the world was restored are not what they should be")
		}
	}
}

// keyed creates a token under an idempotency key.
func keyed(t *testing.T, db *memory.DB, project uuid.UUID, key string) error {
	t.Helper()
	change := store.Change{At: time.Now(), Idempotency: &store.Idempotency{
		ProjectID: project, Key: key, ExpiresAt: time.Now().Add(time.Hour),
		Answer: func(store.Token) ([]byte, error) { return []byte("answer to " + key), nil },
	}}
	return db.CreateToken(t.Context(), newToken(project, key), change)
}

// TestRestoreAnswersAndGraces: what was answered before a snapshot is replayed after it was restored, and what came later is new; a
// secret that was replaced works until its grace is over.
func TestRestoreAnswersAndGraces(t *testing.T) {
	t.Parallel()
	db := memory.New()
	project, token := world(t, db, "first")
	rotation := store.Rotation{SecretHash: newToken(uuid.Nil, "second").SecretHash, RetireAt: time.Now().Add(time.Hour)}
	_, err := db.RotateToken(t.Context(), project.ID, token.ID, rotation, store.Change{At: time.Now()})
	check(t, err)
	check(t, keyed(t, db, project.ID, "before"))
	taken, err := db.Snapshot(t.Context(), project.ID)
	check(t, err)
	for range 2 { // a snapshot can be used again
		check(t, keyed(t, db, project.ID, "after"))
		rotation = store.Rotation{SecretHash: newToken(uuid.Nil, "third").SecretHash, RetireAt: time.Now()}
		_, err = db.RotateToken(t.Context(), project.ID, token.ID, rotation, store.Change{At: time.Now()})
		check(t, err)
		if works(t, db, "first") || works(t, db, "second") || !works(t, db, "third") {
			t.Fatal("a rotation without grace did not retire the secrets")
		}
		check(t, db.Restore(t.Context(), taken))
		if !works(t, db, "first") || !works(t, db, "second") || works(t, db, "third") {
			t.Error("the secrets are not those of the snapshot")
		}
		late, err := db.TokenBySecret(t.Context(), newToken(uuid.Nil, "first").SecretHash, time.Now().Add(2*time.Hour))
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a secret whose grace is over works: %v", late.ID)
		}
		var replay *store.Replay
		if err := keyed(t, db, project.ID, "before"); !errors.As(err, &replay) || string(replay.Answer) != "answer to before" {
			t.Errorf("the answer from before the snapshot: %v", err)
		}
	}
	check(t, keyed(t, db, project.ID, "after")) // it never was
}

func TestRestoreAfterRemove(t *testing.T) {
	t.Parallel()
	db := memory.New()
	project, _ := world(t, db, "first")
	taken, err := db.Snapshot(t.Context(), project.ID)
	check(t, err)
	check(t, db.Remove(t.Context(), project.ID))
	if _, err := db.Project(t.Context(), project.ID); !errors.Is(err, store.ErrNotFound) || works(t, db, "first") {
		t.Errorf("a world that was removed is there: %v", err)
	}
	check(t, db.Restore(t.Context(), taken))
	if !works(t, db, "first") {
		t.Error("a world that was removed did not come back")
	}
	for what, err := range map[string]error{
		"Remove":   db.Remove(t.Context(), uuid.New()),
		"Snapshot": second(db.Snapshot(t.Context(), uuid.New())),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of a world that is not there: %v", what, err)
		}
	}
	if db.Restore(t.Context(), "a text") == nil {
		t.Error("something else than a snapshot was restored")
	}
}

func second[T any](_ T, err error) error { return err }

// TestRestoreConflict: what belongs to another world now stays there, and the current state stays too.
func TestRestoreConflict(t *testing.T) {
	t.Parallel()
	db := memory.New()
	project, token := world(t, db, "first")
	taken, err := db.Snapshot(t.Context(), project.ID)
	check(t, err)
	check(t, db.DeleteToken(t.Context(), project.ID, token.ID, store.Change{}))
	other, _ := world(t, db, "other")
	check(t, db.CreateToken(t.Context(), newToken(other.ID, "first"), store.Change{}))
	want := slices.Concat(state(t, db, project.ID), state(t, db, other.ID))
	if err := db.Restore(t.Context(), taken); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Restore with a secret that is taken: %v", err)
	}
	if diff := cmp.Diff(want, slices.Concat(state(t, db, project.ID), state(t, db, other.ID))); diff != "" {
		t.Errorf("after a refusal (-want +got):\n%s", diff)
	}
	if _, err := db.UpdateToken(t.Context(), project.ID, token.ID, store.TokenUpdate{Name: new("x")}, store.Change{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the deleted token is back: %v", err)
	}
}
