package sqlite_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// TestWaitingChangesShareATransaction: as many as may share one do, and the others come next.
func TestWaitingChangesShareATransaction(t *testing.T) {
	t.Parallel()
	for changes, want := range map[int]int{sqlite.MaxBatch: 1, sqlite.MaxBatch + 1: 2, 2*sqlite.MaxBatch + 44: 3} {
		t.Run(strconv.Itoa(changes), func(t *testing.T) {
			t.Parallel()
			h := hold(t)
			before := h.commits(t) + 1 // the one that is held
			var wg sync.WaitGroup
			for i := range changes {
				wg.Go(func() { h.rename(t, strconv.Itoa(i)) })
			}
			h.Waiting(changes)
			h.release()
			wg.Wait()
			if commits := h.commits(t) - before; commits != want {
				t.Errorf("%d changes that waited together were %d transactions, want %d", changes, commits, want)
			}
			query := store.AuditQuery{Account: h.project.ID, Action: store.ProjectRenamed, Page: store.Page{Limit: 1000}}
			if events, err := h.AuditEvents(t.Context(), query); err != nil || len(events) != changes {
				t.Errorf("there are %d events (%v), want one for each change", len(events), err)
			}
		})
	}
}

// TestLoneChange: a change that comes alone is a transaction of its own.
func TestLoneChange(t *testing.T) {
	t.Parallel()
	h := hold(t)
	h.release()
	for i := range 10 {
		before := h.commits(t)
		h.rename(t, strconv.Itoa(i))
		if commits := h.commits(t) - before; commits != 1 {
			t.Errorf("a lone change was %d transactions when it was answered, want 1", commits)
		}
	}
}

// TestReadsDoNotWaitForTheWriter: while a transaction is open, everything can be read as it was before.
func TestReadsDoNotWaitForTheWriter(t *testing.T) {
	t.Parallel()
	h := hold(t)
	defer h.release()
	if project, err := h.Project(t.Context(), h.project.ID); err != nil || project.Name != h.project.Name {
		t.Errorf("the project is %+v (%v)", project, err)
	}
	if _, err := h.TokenBySecret(t.Context(), h.token("hold").SecretHash, time.Now()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("looking for a token that is being made: %v, want %v", err, store.ErrNotFound)
	}
}

// TestOneChangeDoesNotPoisonOthers: each change of a batch has its own result.
func TestOneChangeDoesNotPoisonOthers(t *testing.T) {
	t.Parallel()
	h := hold(t)
	create := func(ctx context.Context, secret string, change store.Change) error {
		return h.CreateToken(ctx, h.token(secret), change)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- create(cancelled, "cancelled", store.Change{}) }()
	h.Waiting(1)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) { // although the writer is busy
		t.Errorf("a change whose context ended while it waited: %v", err)
	}
	errNone := errors.New("no answer")
	failing := answering(h.project.ID, "failing", func() {})
	failing.Idempotency.Answer = func(store.Token) ([]byte, error) { return nil, errNone }
	results := make(map[string]error)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, change := range map[string]store.Change{
		"good": {}, "hold": {}, "failing": failing, "also good": {}, "panicking": answering(h.project.ID, "panicking", func() { panic("a slip") }),
	} {
		wg.Go(func() {
			defer func() {
				if panicked := recover(); (panicked != nil) != (name == "panicking") {
					t.Errorf("%s: panicked with %v", name, panicked)
				}
			}()
			err := create(t.Context(), name, change)
			mu.Lock()
			defer mu.Unlock()
			results[name] = err
		})
	}
	h.Waiting(5)
	h.release()
	wg.Wait()
	for name, want := range map[string]error{"good": nil, "also good": nil, "hold": store.ErrConflict, "failing": errNone} {
		if !errors.Is(results[name], want) {
			t.Errorf("%s: %v, want %v", name, results[name], want)
		}
	}
	for name, want := range map[string]bool{"good": true, "also good": true, "failing": false, "panicking": false, "cancelled": false} {
		_, err := h.TokenBySecret(t.Context(), h.token(name).SecretHash, time.Now())
		if (err == nil) != want {
			t.Errorf("the token of %s: %v, want it there: %v", name, err, want)
		}
	}
}

// TestCloseRefusesWhoWaits: what was not begun is refused, and what runs is finished.
func TestCloseRefusesWhoWaits(t *testing.T) {
	t.Parallel()
	h := hold(t)
	waiting := make(chan error, 1)
	go func() { waiting <- h.CreateToken(t.Context(), h.token("waiting"), store.Change{}) }()
	h.Waiting(1)
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	if err := <-waiting; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a change that waited when the store was closed: %v", err)
	}
	h.release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestLostTransaction: when a transaction cannot be kept, nobody is told anything that was true in it only.
func TestLostTransaction(t *testing.T) {
	t.Parallel()
	h := hold(t)
	var failed atomic.Int32
	h.ObserveBatches(func(b store.Batch) {
		if b.Outcome == store.Failed {
			failed.Add(int32(b.Changes))
		}
	})
	token, keyed := h.token("deleted"), answering(h.project.ID, "key", func() {})
	results := make(map[string]chan error)
	begin := func(name string, change func() error) {
		results[name] = make(chan error, 1)
		go func() { results[name] <- change() }()
		h.Waiting(len(results)) // so that they come in this order
	}
	create := func(secret string, change store.Change) func() error {
		return func() error { return h.CreateToken(t.Context(), h.token(secret), change) }
	}
	remove := func() error { return h.DeleteToken(t.Context(), h.project.ID, token.ID, store.Change{At: time.Now()}) }
	begin("creation", func() error { return h.CreateToken(t.Context(), token, store.Change{}) })
	begin("deletion", remove)
	begin("deletion again", remove)
	begin("creation with a key", create("keyed", keyed))
	begin("the same again", create("keyed again", keyed))
	begin("a failing disk", func() error { return h.Rollback(t.Context()) })
	begin("later", create("later", store.Change{}))
	h.release()
	for name, result := range results {
		err := <-result
		if _, replayed := errors.AsType[*store.Replay](err); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) || replayed {
			t.Errorf("%s: %v, want nothing but %v", name, err, store.ErrUnavailable)
		}
	}
	if got := int(failed.Load()); got != len(results) {
		t.Errorf("%d changes were observed to fail, want %d", got, len(results))
	}
	for _, secret := range []string{"deleted", "keyed", "keyed again", "later"} {
		if _, err := h.TokenBySecret(t.Context(), h.token(secret).SecretHash, time.Now()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the token of %q: %v, want none", secret, err)
		}
	}
	if err := create("afterwards", keyed)(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestTooManyWait: what would wait too long is refused at once.
func TestTooManyWait(t *testing.T) {
	t.Parallel()
	h := hold(t)
	ctx, giveUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range sqlite.MaxWaiting {
		wg.Go(func() { _, _ = h.RenameProject(ctx, h.project.ID, "late", store.Change{At: time.Now()}) })
	}
	h.Waiting(sqlite.MaxWaiting)
	_, err := h.RenameProject(t.Context(), h.project.ID, "too late", store.Change{At: time.Now()})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("one more than may wait: %v", err)
	}
	giveUp()
	wg.Wait()
	h.release()
}

// TestRevokedInABatch: who is revoked by a change is so for those that share its transaction.
func TestRevokedInABatch(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]func(h held, token store.Token) error{
		"deleted": func(h held, token store.Token) error {
			return h.DeleteToken(t.Context(), h.project.ID, token.ID, store.Change{At: time.Now()})
		},
		"narrowed": func(h held, token store.Token) error {
			_, err := h.UpdateToken(t.Context(), h.project.ID, token.ID, store.TokenUpdate{Permissions: &[]string{}}, store.Change{At: time.Now()})
			return err
		},
		"rotated": func(h held, token store.Token) error {
			rotation := store.Rotation{SecretHash: h.token("new").SecretHash, SealedSecret: []byte{1}}
			_, err := h.RotateToken(t.Context(), h.project.ID, token.ID, rotation, store.Change{At: time.Now()})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hold(t)
			h.release()
			token := h.token("caller")
			token.Permissions = []string{"management"}
			if err := h.CreateToken(t.Context(), token, store.Change{At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			reached, free := make(chan struct{}), make(chan struct{})
			results := make([]chan error, 4)
			rename := func() error {
				change := store.Change{At: time.Now(), Credential: &store.Credential{SecretHash: token.SecretHash, Permission: "management"}}
				_, err := h.RenameProject(t.Context(), h.project.ID, "by the caller", change)
				return err
			}
			for i, change := range []func() error{
				func() error {
					return h.CreateToken(t.Context(), h.token("busy"), answering(h.project.ID, "busy", func() { close(reached); <-free }))
				},
				rename, // so that the caller is known in the transaction
				func() error { return revoke(h, token) },
				rename,
			} {
				results[i] = make(chan error, 1)
				go func() { results[i] <- change() }()
				if i == 0 {
					<-reached
				} else {
					h.Waiting(i)
				}
			}
			close(free)
			for i, want := range []error{nil, nil, nil, store.ErrRevoked} {
				if err := <-results[i]; !errors.Is(err, want) {
					t.Errorf("change %d: %v, want %v", i, err, want)
				}
			}
		})
	}
}

// TestExpiredInABatch: who has been found in a transaction is not believed in it any more when the token has expired.
func TestExpiredInABatch(t *testing.T) {
	t.Parallel()
	h := hold(t)
	now, token := time.Now(), h.token("caller")
	token.Permissions, token.ExpiresAt = []string{"management"}, now.Add(time.Hour)
	rename := func(at time.Time) func() error {
		change := store.Change{At: at, Credential: &store.Credential{SecretHash: token.SecretHash, Permission: "management"}}
		return func() error {
			_, err := h.RenameProject(t.Context(), h.project.ID, "by the caller", change)
			return err
		}
	}
	changes := []func() error{
		func() error { return h.CreateToken(t.Context(), token, store.Change{At: now}) },
		rename(now), rename(token.ExpiresAt.Add(-time.Second)), rename(token.ExpiresAt),
	}
	results := make([]chan error, len(changes))
	for i, change := range changes {
		results[i] = make(chan error, 1)
		go func() { results[i] <- change() }()
		h.Waiting(i + 1) // so that they come in this order
	}
	h.release()
	for i, want := range []error{nil, nil, nil, store.ErrRevoked} {
		if err := <-results[i]; !errors.Is(err, want) {
			t.Errorf("change %d: %v, want %v", i, err, want)
		}
	}
}

// TestTakenBackInABatch: what a change has learned that is taken back is not true for the next of the same transaction.
func TestTakenBackInABatch(t *testing.T) {
	t.Parallel()
	h := hold(t)
	now := time.Now()
	failing, errNone := answering(h.project.ID, "failing", func() {}), errors.New("no answer")
	failing.At, failing.Idempotency.Answer = now.Add(30*time.Minute), func(store.Token) ([]byte, error) { return nil, errNone }
	results := make([]chan error, 2)
	for i, change := range []store.Change{failing, {At: now.Add(10 * time.Minute)}} {
		results[i] = make(chan error, 1)
		go func() { results[i] <- h.CreateToken(t.Context(), h.token(strconv.Itoa(i)), change) }()
		h.Waiting(i + 1)
	}
	h.release()
	for i, want := range []error{errNone, nil} {
		if err := <-results[i]; !errors.Is(err, want) {
			t.Errorf("change %d: %v, want %v", i, err, want)
		}
	}
	events, err := h.AuditEvents(t.Context(), store.AuditQuery{Account: h.project.ID, Page: store.Page{Limit: 1}})
	if err != nil || len(events) != 1 || events[0].At.After(now.Add(11*time.Minute)) {
		t.Errorf("the latest event is %+v (%v), want it at the time of its change", events, err)
	}
}
