package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// by is a change at that minute, asked for with a secret.
func by(minute int, secret store.SecretHash) store.Change {
	change := made(minute)
	change.Credential = &store.Credential{SecretHash: secret, Permission: "management"}
	return change
}

// changes calls each method that takes a Change on the subproject of a world.
func changes(s store.Store, w world, change store.Change) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"CreateProject": func(ctx context.Context) error { return s.CreateProject(ctx, newProject(w.parent.ID), nil, change) },
		"RenameProject": func(ctx context.Context) error {
			_, err := s.RenameProject(ctx, w.child.ID, "renamed", change)
			return err
		},
		"CreateToken": func(ctx context.Context) error { return s.CreateToken(ctx, newToken(w.child.ID), change) },
		"UpdateToken": func(ctx context.Context) error {
			_, err := s.UpdateToken(ctx, w.child.ID, w.childToken.ID, store.TokenUpdate{Name: new("updated")}, change)
			return err
		},
		"empty UpdateToken": func(ctx context.Context) error {
			_, err := s.UpdateToken(ctx, w.child.ID, w.childToken.ID, store.TokenUpdate{}, change)
			return err
		},
		"RotateToken": func(ctx context.Context) error {
			_, err := s.RotateToken(ctx, w.child.ID, w.childToken.ID, newRotation(9), change)
			return err
		},
		"DeleteToken": func(ctx context.Context) error { return s.DeleteToken(ctx, w.child.ID, w.childToken.ID, change) },
	}
}

// testCredentialRevoked takes the credential of a caller away, in each way that there is, before the change that it has asked for.
func testCredentialRevoked(t *testing.T, s store.Store) {
	for what, revoke := range map[string]func(w world) error{
		"deleted": func(w world) error { return s.DeleteToken(t.Context(), w.parent.ID, w.parentToken.ID, made(3)) },
		"narrowed": func(w world) error {
			return update(t, s, w, store.TokenUpdate{Permissions: &[]string{"fax"}})
		},
		"expired": func(w world) error { return update(t, s, w, store.TokenUpdate{ExpiresAt: new(at(4))}) },
		"rotated": func(w world) error {
			_, err := s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, newRotation(3), made(3))
			return err
		},
		"rotated, after the grace": func(w world) error {
			_, err := s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, newRotation(4), made(3))
			return err
		},
	} {
		w := newWorld(t, s)
		must(t, revoke(w))
		before := everything(t, s, w)
		for method, call := range changes(s, w, by(4, w.parentToken.SecretHash)) {
			wantErr(t, method+" by a token that was "+what, call(t.Context()), store.ErrRevoked)
		}
		if diff := cmp.Diff(before, everything(t, s, w)); diff != "" {
			t.Errorf("what a token has changed that was %s (-before +after):\n%s", what, diff)
		}
	}
}

// testCredentialRevokedMeanwhile revokes a credential while it is used: the audit trail says that nothing was done with it afterwards.
func testCredentialRevokedMeanwhile(t *testing.T, s store.Store) {
	for what, revoke := range map[store.Action]func(w world) error{
		store.TokenDeleted: func(w world) error {
			return s.DeleteToken(context.Background(), w.parent.ID, w.parentToken.ID, made(3))
		},
		store.TokenUpdated: func(w world) error {
			_, err := s.UpdateToken(context.Background(), w.parent.ID, w.parentToken.ID, store.TokenUpdate{Permissions: &[]string{"fax"}}, made(3))
			return err
		},
		store.TokenRotated: func(w world) error {
			_, err := s.RotateToken(context.Background(), w.parent.ID, w.parentToken.ID, newRotation(3), made(3))
			return err
		},
	} {
		for range 5 {
			w := newWorld(t, s)
			use := by(3, w.parentToken.SecretHash)
			use.Actor.TokenID = w.parentToken.ID
			concurrently(t, 24, store.ErrRevoked, func(i int) error {
				if i == 12 {
					return revoke(w)
				}
				return s.CreateToken(context.Background(), newToken(w.child.ID), use)
			})
			used := false
			for _, event := range events(t, s, store.AuditQuery{Account: w.parent.ID, Page: store.Page{Limit: 100}}) { // the newest first
				used = used || event.Actor.TokenID == w.parentToken.ID
				if event.Action == what && used {
					t.Errorf("a token has made a change after its %s", what)
				}
			}
		}
	}
}

func update(t *testing.T, s store.Store, w world, change store.TokenUpdate) error {
	t.Helper()
	_, err := s.UpdateToken(t.Context(), w.parent.ID, w.parentToken.ID, change, made(3))
	return err
}

// testCredentialGood: the current secret, and a retired one within its grace period.
func testCredentialGood(t *testing.T, s store.Store) {
	for _, rotated := range []bool{false, true} {
		w := newWorld(t, s)
		if rotated {
			_, err := s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, newRotation(5), made(3))
			must(t, err)
		}
		calls := changes(s, w, by(4, w.parentToken.SecretHash))
		for _, method := range []string{
			"CreateProject", "RenameProject", "CreateToken", "UpdateToken", "empty UpdateToken", "RotateToken", "DeleteToken",
		} {
			must(t, calls[method](t.Context()))
		}
	}
}

// testRepetition: who has replaced its own secret may ask again with the old one, for the same answer and nothing else.
func testRepetition(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	project, token := w.parent.ID, w.parentToken
	rotate := keyed(project, "key", "rotate", "answer")
	rotate.At, rotate.Actor.TokenID = at(3), token.ID
	rotate.Credential = &store.Credential{SecretHash: token.SecretHash, Permission: "management"}
	rotation := newRotation(3)
	_, err := s.RotateToken(t.Context(), project, token.ID, rotation, rotate)
	must(t, err)

	find := func(id uuid.UUID, hash store.SecretHash, project uuid.UUID, key string, now time.Time) error {
		got, err := s.TokenByRepetition(t.Context(), id, hash, project, key, now)
		if err == nil && (got.ID != token.ID || got.SecretHash != hash) {
			t.Errorf("TokenByRepetition returned %+v", got)
		}
		return err
	}
	must(t, find(token.ID, token.SecretHash, project, "key", at(29)))
	for what, err := range map[string]error{
		"another token":   find(w.childToken.ID, token.SecretHash, project, "key", at(4)),
		"another secret":  find(token.ID, w.childToken.SecretHash, project, "key", at(4)),
		"the new secret":  find(token.ID, rotation.SecretHash, project, "key", at(4)),
		"another project": find(token.ID, token.SecretHash, w.child.ID, "key", at(4)),
		"another key":     find(token.ID, token.SecretHash, project, "other", at(4)),
		"too late":        find(token.ID, token.SecretHash, project, "key", at(30)),
	} {
		wantErr(t, what, err, store.ErrNotFound)
	}
	again := keyed(project, "key", "rotate", "again")
	again.Idempotency.OnlyReplay = true
	_, err = s.RotateToken(t.Context(), project, token.ID, newRotation(9), again)
	wantReplay(t, err, "answer")
	fresh := keyed(project, "fresh", "rotate", "fresh")
	fresh.Idempotency.OnlyReplay = true
	_, err = s.RotateToken(t.Context(), project, token.ID, newRotation(9), fresh)
	wantErr(t, "a change that may only be a repetition", err, store.ErrRevoked)
	wantLogin(t, s, "the secret of the one rotation", rotation.SecretHash, 5, token.ID)

	must(t, s.DeleteToken(t.Context(), project, token.ID, made(6)))
	wantErr(t, "a deleted token", find(token.ID, token.SecretHash, project, "key", at(7)), store.ErrNotFound)
}

// testAuditOrder: a change that began earlier and was made later has no earlier time.
func testAuditOrder(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for _, minute := range []int{9, 5, 7, 11, 3} {
		must(t, s.CreateToken(t.Context(), newToken(w.child.ID), made(minute)))
	}
	list := events(t, s, store.AuditQuery{Account: w.parent.ID})
	var minutes []int
	for _, event := range list {
		minutes = append(minutes, event.At.Minute())
	}
	if diff := cmp.Diff([]int{11, 11, 9, 9, 9, 1, 1, 1, 1}, minutes); diff != "" {
		t.Errorf("the times of events, newest first (-want +got):\n%s", diff)
	}
}
