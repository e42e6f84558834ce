package storetest

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// wantExpiry checks when a secret that works at that minute stops to; the zero time means never.
func wantExpiry(t *testing.T, s store.Store, what string, hash store.SecretHash, minute int, want time.Time) {
	t.Helper()
	token, err := s.TokenBySecret(t.Context(), hash, at(minute))
	must(t, err)
	if !token.ExpiresAt.Equal(kept(want)) {
		t.Errorf("%s stops to authenticate at %v, want %v", what, token.ExpiresAt, want)
	}
}

// newRotation is to a new secret; the old ones retire at that minute.
func newRotation(retireAt int) store.Rotation {
	id := newID()
	return store.Rotation{SecretHash: sha256.Sum256(id[:]), SealedSecret: append([]byte("sealed"), id[:]...), RetireAt: at(retireAt)}
}

// wantLogin checks whose secret it is at that minute; uuid.Nil means nobody's.
func wantLogin(t *testing.T, s store.Store, what string, hash store.SecretHash, minute int, want uuid.UUID) {
	t.Helper()
	token, err := s.TokenBySecret(t.Context(), hash, at(minute))
	if want == uuid.Nil {
		wantErr(t, what, err, store.ErrNotFound)
		return
	}
	must(t, err)
	if token.ID != want || token.SecretHash != hash {
		t.Errorf("%s: got token %v with another hash or id, want %v", what, token.ID, want)
	}
}

func testExpiredTokens(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	token := newToken(w.parent.ID)
	token.ExpiresAt = at(10)
	must(t, s.CreateToken(t.Context(), token, made(2)))
	wantLogin(t, s, "before its expiry", token.SecretHash, 9, token.ID)
	wantExpiry(t, s, "the secret of a token with an expiry", token.SecretHash, 9, at(10))
	wantLogin(t, s, "at its expiry", token.SecretHash, 10, uuid.Nil)
	wantLogin(t, s, "after its expiry", token.SecretHash, 11, uuid.Nil)
	got, err := s.Token(t.Context(), w.parent.ID, token.ID)
	must(t, err)
	diffToken(t, got, token)
}

func testUpdateExpiry(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	later, never, name := at(20), time.Time{}, "renamed"
	want := w.parentToken
	for _, c := range []struct {
		update store.TokenUpdate
		want   time.Time
	}{
		{store.TokenUpdate{ExpiresAt: &later}, later}, {store.TokenUpdate{Name: &name}, later}, {store.TokenUpdate{ExpiresAt: &never}, never},
	} {
		got, err := s.UpdateToken(t.Context(), w.parent.ID, want.ID, c.update, made(3))
		must(t, err)
		if !got.ExpiresAt.Equal(kept(c.want)) {
			t.Errorf("after %+v the expiry is %v, want %v", c.update, got.ExpiresAt, c.want)
		}
	}
}

func testRotate(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	rotation := newRotation(3)
	got, err := s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, rotation, made(3))
	must(t, err)
	want := w.parentToken
	want.SecretHash, want.SealedSecret, want.UpdatedAt = rotation.SecretHash, rotation.SealedSecret, at(3)
	diffToken(t, got, want)
	wantLogin(t, s, "new secret", rotation.SecretHash, 3, want.ID)
	wantLogin(t, s, "old secret", w.parentToken.SecretHash, 3, uuid.Nil)
}

func testRotateWithGrace(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	first, second := newRotation(10), newRotation(20)
	_, err := s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, first, made(3))
	must(t, err)
	_, err = s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, second, made(4))
	must(t, err)
	wantLogin(t, s, "the first secret, in its grace", w.parentToken.SecretHash, 9, w.parentToken.ID)
	wantLogin(t, s, "the first secret, at the end of its grace", w.parentToken.SecretHash, 10, uuid.Nil)
	wantLogin(t, s, "the second secret, in its grace", first.SecretHash, 19, w.parentToken.ID)
	wantLogin(t, s, "the second secret, after its grace", first.SecretHash, 20, uuid.Nil)
	wantLogin(t, s, "the current secret", second.SecretHash, 59, w.parentToken.ID)
	wantExpiry(t, s, "the second secret", first.SecretHash, 19, at(20))
	wantExpiry(t, s, "the current secret", second.SecretHash, 19, time.Time{})
	soon, end, late := at(15), at(20), at(30)
	for _, expiry := range []*time.Time{&soon, &late} {
		_, err := s.UpdateToken(t.Context(), w.parent.ID, w.parentToken.ID, store.TokenUpdate{ExpiresAt: expiry}, made(4))
		must(t, err)
		wantExpiry(t, s, "the current secret of a token with an expiry", second.SecretHash, 14, *expiry)
		if expiry.After(at(20)) {
			expiry = &end
		}
		wantExpiry(t, s, "the second secret of a token with an expiry", first.SecretHash, 14, *expiry)
	}
	must(t, s.DeleteToken(t.Context(), w.parent.ID, w.parentToken.ID, made(5)))
	for _, hash := range []store.SecretHash{w.parentToken.SecretHash, first.SecretHash, second.SecretHash} {
		wantLogin(t, s, "a secret of a deleted token", hash, 5, uuid.Nil)
	}
}

func testGraceEndsWithTheToken(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	expiry, never := at(10), time.Time{}
	_, err := s.UpdateToken(t.Context(), w.parent.ID, w.parentToken.ID, store.TokenUpdate{ExpiresAt: &expiry}, made(3))
	must(t, err)
	_, err = s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, newRotation(20), made(4))
	must(t, err)
	wantLogin(t, s, "before the expiry", w.parentToken.SecretHash, 9, w.parentToken.ID)
	wantLogin(t, s, "at the expiry", w.parentToken.SecretHash, 10, uuid.Nil)
	_, err = s.UpdateToken(t.Context(), w.parent.ID, w.parentToken.ID, store.TokenUpdate{ExpiresAt: &never}, made(5))
	must(t, err)
	wantLogin(t, s, "after the expiry that the rotation knew", w.parentToken.SecretHash, 11, uuid.Nil)
}

func testRotateEndsAll(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	first, second := newRotation(50), newRotation(4)
	_, err := s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, first, made(3))
	must(t, err)
	_, err = s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, second, made(4))
	must(t, err)
	wantLogin(t, s, "the first secret", w.parentToken.SecretHash, 4, uuid.Nil)
	wantLogin(t, s, "the second secret", first.SecretHash, 4, uuid.Nil)
	wantLogin(t, s, "the current secret", second.SecretHash, 4, w.parentToken.ID)
}

func testRotateRefusals(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for _, r := range reach(w) {
		if r.allowed {
			continue
		}
		_, err := s.RotateToken(t.Context(), r.account, r.token.ID, newRotation(3), made(3))
		wantErr(t, r.what, err, store.ErrNotFound)
		wantToken(t, s, r.token)
	}
	taken := newRotation(3)
	taken.SecretHash = w.strangerToken.SecretHash
	_, err := s.RotateToken(t.Context(), w.parent.ID, w.parentToken.ID, taken, made(3))
	wantErr(t, "taken secret", err, store.ErrConflict)
	wantToken(t, s, w.parentToken)
}

func testRecordUse(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	want := w.parentToken
	want.LastUsedAt = at(9)
	for _, minute := range []int{5, 9, 7} {
		must(t, s.RecordUse(t.Context(), map[uuid.UUID]time.Time{want.ID: at(minute), newID(): at(minute)}))
	}
	wantToken(t, s, want)
	wantToken(t, s, w.childToken)
}
