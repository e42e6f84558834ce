package rekey_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/rekey"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/memory"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// filled is a store with that many tokens and answers, all sealed by the first of two keys; the second one seals now.
func filled(t *testing.T, tokens int) (*memory.DB, *secret.Editor) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset")
	db := memory.New()
	_, err := secret.KeysetFor(t.Context(), db, path)
	check(t, err)
	e, err := secret.EditKeyset(path)
	check(t, err)
	t.Cleanup(func() { _ = e.Close() })
	project := store.Project{ID: uuid.New(), Name: "Project"}
	check(t, db.CreateProject(t.Context(), project, nil, store.Change{At: time.Now()}))
	for i := range tokens {
		change := store.Change{At: time.Now(), Idempotency: &store.Idempotency{
			ProjectID: project.ID, Key: strconv.Itoa(i), ExpiresAt: time.Now().Add(time.Hour),
			Answer: func(store.Token) ([]byte, error) {
				return e.Encrypt(secret.AnswerPurpose(project.ID), []byte("answer "+strconv.Itoa(i)))
			},
		}}
		check(t, db.CreateToken(t.Context(), newToken(t, e.Keyset, project.ID), change))
	}
	added, err := e.AddKey()
	check(t, err)
	from, err := db.KeysetCheck(t.Context())
	check(t, err)
	to, err := e.CheckBy(added)
	check(t, err)
	kept, err := db.MoveKeysetCheck(t.Context(), from, to)
	check(t, err)
	check(t, e.Follow(kept))
	return db, e
}

func newToken(t *testing.T, keyset *secret.Keyset, project uuid.UUID) store.Token {
	t.Helper()
	id, plain := uuid.New(), secret.New()
	sealed, err := keyset.Seal(id, plain)
	check(t, err)
	return store.Token{ID: id, ProjectID: project, SecretHash: plain.Hash(), SealedSecret: sealed}
}

func wantUse(t *testing.T, found rekey.Found, key uint32, secrets, answers int) {
	t.Helper()
	if use := found.ByKey[key]; use.Secrets != secrets || use.Answers != answers || found.Broken != 0 {
		t.Errorf("key %d has sealed %+v, want %d and %d; %d are broken", key, use, secrets, answers, found.Broken)
	}
}

func TestReseal(t *testing.T) {
	t.Parallel()
	const tokens = 2345
	db, e := filled(t, tokens)
	old, sealing := e.Keys()[0], e.Sealing()
	last := 0
	found, err := rekey.Reseal(t.Context(), db, e.Keyset, func(done, total int) {
		if done < last || total != 2*tokens {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	})
	check(t, err)
	wantUse(t, found, old, tokens, tokens)
	if last != 2*tokens {
		t.Errorf("progress has ended at %d", last)
	}
	found, err = rekey.Look(t.Context(), db, e.Keyset, nil)
	check(t, err)
	wantUse(t, found, old, 0, 0)
	wantUse(t, found, sealing, tokens, tokens)
	check(t, e.KeepOnly(sealing))
	found, err = rekey.Look(t.Context(), db, e.Keyset, nil)
	check(t, err)
	wantUse(t, found, sealing, tokens, tokens)
}

// stopping is a store whose n-th batch does not come back.
type stopping struct {
	store.Store
	stop func()
	n    int
}

func (s *stopping) Reseal(ctx context.Context, secrets []store.ResealedSecret, answers []store.ResealedAnswer) (int, error) {
	if len(secrets)+len(answers) > 200 {
		return 0, fmt.Errorf("a batch has %d values", len(secrets)+len(answers))
	}
	if s.n--; s.n == 0 {
		s.stop()
	}
	return s.Store.Reseal(ctx, secrets, answers)
}

// TestResealGoesOn: what has been stopped at any batch is finished by the next run.
func TestResealGoesOn(t *testing.T) {
	t.Parallel()
	db, e := filled(t, 1300)
	for batch := range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := rekey.Reseal(ctx, &stopping{db, cancel, batch%2 + 1}, e.Keyset, nil)
		if err == nil {
			t.Fatal("it was not stopped")
		}
		found, err := rekey.Look(t.Context(), db, e.Keyset, nil)
		check(t, err)
		check(t, found.Err())
	}
	_, err := rekey.Reseal(t.Context(), db, e.Keyset, nil)
	check(t, err)
	found, err := rekey.Look(t.Context(), db, e.Keyset, nil)
	check(t, err)
	wantUse(t, found, e.Sealing(), 1300, 1300)
}

// busy is a store that is not available for a while.
type busy struct {
	store.Store
	refusals int
}

func (b *busy) Reseal(ctx context.Context, secrets []store.ResealedSecret, answers []store.ResealedAnswer) (int, error) {
	if b.refusals > 0 {
		b.refusals--
		return 0, store.ErrUnavailable
	}
	return b.Store.Reseal(ctx, secrets, answers)
}

func TestResealWaitsForABusyStore(t *testing.T) {
	t.Parallel()
	db, e := filled(t, 5)
	_, err := rekey.Reseal(t.Context(), &busy{db, 3}, e.Keyset, nil)
	check(t, err)
	found, err := rekey.Look(t.Context(), db, e.Keyset, nil)
	check(t, err)
	wantUse(t, found, e.Sealing(), 5, 5)
}

// slow is a store that takes a second for each batch.
type slow struct{ store.Store }

func (s slow) Reseal(ctx context.Context, secrets []store.ResealedSecret, answers []store.ResealedAnswer) (int, error) {
	<-time.After(time.Second)
	return s.Store.Reseal(ctx, secrets, answers)
}

// TestResealLeavesTimeToOthers: after each batch the store is left alone for as long as that took.
func TestResealLeavesTimeToOthers(t *testing.T) {
	t.Parallel()
	db, e := filled(t, 5)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := rekey.Reseal(t.Context(), slow{db}, e.Keyset, nil)
		check(t, err)
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("two batches of a second have taken %v, want as much again for others", took)
		}
	})
}

// TestBrokenValues: what does not open is told, stays as it is, and keeps nothing else from being sealed again.
func TestBrokenValues(t *testing.T) {
	t.Parallel()
	db, e := filled(t, 5)
	secrets, err := db.SealedSecrets(t.Context(), uuid.Nil, 2)
	check(t, err)
	stranger, err := secret.NewKeyset()
	check(t, err)
	broken, err := stranger.Seal(secrets[0].TokenID, secret.New())
	check(t, err)
	swapped, err := e.Seal(secrets[1].TokenID, secret.New())
	check(t, err)
	copy(broken, swapped[:store.KeyPrefix])
	replaced, err := db.Reseal(t.Context(), []store.ResealedSecret{
		{TokenID: secrets[0].TokenID, Before: secrets[0].Sealed, After: broken}, // the key's name, and nothing that it has sealed
		{TokenID: secrets[1].TokenID, Before: secrets[1].Sealed, After: swapped},
	}, nil)
	check(t, err)
	if replaced != 2 {
		t.Fatalf("%d were replaced", replaced)
	}
	found, err := rekey.Reseal(t.Context(), db, e.Keyset, nil)
	check(t, err)
	if found.Broken != 2 || len(found.Errors) != 2 || found.Err() == nil {
		t.Errorf("%d are broken, want 2: %v", found.Broken, found.Errors)
	}
	if found, err = rekey.Look(t.Context(), db, e.Keyset, nil); err != nil || found.Others(e.Sealing()) != 0 {
		t.Errorf("the others were not sealed again: %+v, %v", found.ByKey, err)
	}
}
