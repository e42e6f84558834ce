package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// keyed is a change at minute 2 under an idempotency key that lives until minute 30.
func keyed(project uuid.UUID, key, request, answer string) store.Change {
	change := made(2)
	change.Idempotency = &store.Idempotency{ProjectID: project, Key: key, ExpiresAt: at(30)}
	change.Idempotency.Answer = func(store.Token) ([]byte, error) { return []byte(answer), nil }
	copy(change.Idempotency.Fingerprint[:], request)
	return change
}

// wantReplay checks that err is a Replay with that answer.
func wantReplay(t *testing.T, err error, answer string) {
	t.Helper()
	if replay, ok := errors.AsType[*store.Replay](err); !ok || string(replay.Answer) != answer {
		t.Errorf("got error %v, want a replay of %q", err, answer)
	}
}

func testIdempotencyReplay(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	first, second := newToken(w.parent.ID), newToken(w.parent.ID)
	must(t, s.CreateToken(t.Context(), first, keyed(w.parent.ID, "key", "request", "first")))
	wantReplay(t, s.CreateToken(t.Context(), second, keyed(w.parent.ID, "key", "request", "second")), "first")
	wantToken(t, s, first)
	wantLogin(t, s, "the token of the repetition", second.SecretHash, 2, uuid.Nil)

	project := newProject(w.parent.ID)
	must(t, s.CreateProject(t.Context(), project, nil, keyed(w.parent.ID, "project", "request", "project")))
	wantReplay(t, s.CreateProject(t.Context(), newProject(w.parent.ID), nil, keyed(w.parent.ID, "project", "request", "other")), "project")

	rotation := newRotation(3)
	_, err := s.RotateToken(t.Context(), w.parent.ID, first.ID, rotation, keyed(w.parent.ID, "rotate", "request", "rotated"))
	must(t, err)
	_, err = s.RotateToken(t.Context(), w.parent.ID, first.ID, newRotation(3), keyed(w.parent.ID, "rotate", "request", "again"))
	wantReplay(t, err, "rotated")
	wantLogin(t, s, "the secret of the first rotation", rotation.SecretHash, 4, first.ID)
}

func testIdempotencyMismatch(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	must(t, s.CreateToken(t.Context(), newToken(w.parent.ID), keyed(w.parent.ID, "key", "request", "first")))
	other := newToken(w.parent.ID)
	wantErr(t, "another request", s.CreateToken(t.Context(), other, keyed(w.parent.ID, "key", "another", "x")), store.ErrKeyReused)
	wantLogin(t, s, "the token of the other request", other.SecretHash, 2, uuid.Nil)
}

func testIdempotencyScope(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	must(t, s.CreateToken(t.Context(), newToken(w.parent.ID), keyed(w.parent.ID, "key", "request", "first")))
	must(t, s.CreateToken(t.Context(), newToken(w.stranger.ID), keyed(w.stranger.ID, "key", "other", "stranger")))
	must(t, s.CreateToken(t.Context(), newToken(w.parent.ID), keyed(w.parent.ID, "KEY", "other", "another key")))
	late := keyed(w.parent.ID, "key", "other", "late")
	late.At, late.Idempotency.ExpiresAt = at(30), at(50)
	must(t, s.CreateToken(t.Context(), newToken(w.parent.ID), late))
	wantReplay(t, s.CreateToken(t.Context(), newToken(w.parent.ID), late), "late")
}

func testIdempotencyFailure(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	taken := newToken(w.parent.ID)
	taken.ID = w.parentToken.ID
	change := keyed(w.parent.ID, "key", "request", "answer")
	wantErr(t, "a change that fails", s.CreateToken(t.Context(), taken, change), store.ErrConflict)
	broken := keyed(w.parent.ID, "key", "request", "")
	broken.Idempotency.Answer = func(store.Token) ([]byte, error) { return nil, errAnswer }
	unanswered := newToken(w.parent.ID)
	wantErr(t, "an answer that cannot be made", s.CreateToken(t.Context(), unanswered, broken), errAnswer)
	wantLogin(t, s, "the token without an answer", unanswered.SecretHash, 2, uuid.Nil)
	must(t, s.CreateToken(t.Context(), newToken(w.parent.ID), change))
}

var errAnswer = errors.New("no answer")

func testIdempotencyConcurrently(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	var replayed atomic.Int32
	made := concurrently(t, 8, nil, func(int) error {
		err := s.CreateToken(context.Background(), newToken(w.child.ID), keyed(w.parent.ID, "key", "request", "answer"))
		if _, ok := errors.AsType[*store.Replay](err); ok {
			replayed.Add(1)
			return nil
		}
		return err
	})
	tokens, err := s.Tokens(t.Context(), store.TokenQuery{Account: w.child.ID, Page: store.Page{Limit: 10}})
	must(t, err)
	if made != 8 || replayed.Load() != 7 || len(tokens) != 2 {
		t.Errorf("%d calls succeeded, %d of them as replays, and there are %d tokens; want 8, 7, and 2", made, replayed.Load(), len(tokens))
	}
}
