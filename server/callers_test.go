package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/memory"
)

// watchedStore counts how often it is asked for a token by its secret, and calls found before it says what it has found.
type watchedStore struct {
	store.Store
	asked atomic.Int32
	found func(store.Token)
}

func (s *watchedStore) TokenBySecret(ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
	s.asked.Add(1)
	token, err := s.Store.TokenBySecret(ctx, hash, now)
	if s.found != nil {
		s.found(token)
	}
	return token, err
}

func watched(t *testing.T, found func(store.Token)) (*api, *watchedStore) {
	t.Helper()
	watch := &watchedStore{found: found}
	a := start(t, &servertest.Options{WrapStore: func(s store.Store) store.Store {
		watch.Store = s
		return watch
	}, FixedClock: true})
	return a, watch
}

// TestCallersAreRemembered: who has authenticated is not looked up again until their second is over.
func TestCallersAreRemembered(t *testing.T) {
	t.Parallel()
	a, watch := watched(t, nil)
	probe := call{method: "GET", path: tokensPath(a.ProjectID)}
	for range 10 {
		a.do(t, probe.as(a.Project)).want(t, 200)
	}
	if asked := watch.asked.Load(); asked != 1 {
		t.Errorf("the store was asked %d times for 10 calls, want once", asked)
	}
	a.Advance(time.Second)
	a.do(t, probe.as(a.Project)).want(t, 200)
	if asked := watch.asked.Load(); asked != 2 {
		t.Errorf("the store was asked %d times, want twice: a second has passed", asked)
	}
}

// bareWatched is a watched server that is no sandbox: there nobody asks the store but a log-in. Its clock stands still until it is moved.
func bareWatched(t *testing.T) (*bare, *watchedStore, *atomic.Int64) {
	t.Helper()
	return bareWatchedWith(t, server.Config{AuthFailuresPerMinute: 10_000_000})
}

func bareWatchedWith(t *testing.T, config server.Config) (*bare, *watchedStore, *atomic.Int64) {
	t.Helper()
	watch, clock := &watchedStore{Store: memory.New()}, &atomic.Int64{}
	clock.Store(time.Now().UnixNano())
	config.Store, config.Now = watch, func() time.Time { return time.Unix(0, clock.Load()) }
	s := newBareWith(t, config)
	clock.Add(int64(time.Second)) // who has made it is not remembered any more
	watch.asked.Store(0)
	return s, watch, clock
}

// probe logs in to a list of tokens.
func (b *bare) probe(project, secret string) int {
	request := httptest.NewRequest(http.MethodGet, tokensPath(b.project), http.NoBody)
	request.Header = basic(project, secret)
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, request)
	return recorder.Code
}

// TestGuessesAreNotRemembered: wrong credentials are looked up each time, and drive nobody out.
func TestGuessesAreNotRemembered(t *testing.T) {
	t.Parallel()
	const guesses = 12_000 // more than are remembered
	s, watch, _ := bareWatched(t)
	if status := s.probe(s.project, s.secret); status != 200 {
		t.Fatalf("%d for a good credential", status)
	}
	for i := range guesses {
		project, secret := s.project, "PT"+strings.Repeat("0", 40)+uuid.New().String()[:8]
		if i%2 == 0 {
			project, secret = unknownID, s.secret // a good secret, for a project that it is not of
		}
		if status := s.probe(project, secret); status != 401 {
			t.Fatalf("%d for a guess", status)
		}
	}
	if asked := watch.asked.Load(); asked != guesses+1 {
		t.Errorf("the store was asked %d times about %d guesses and one good credential", asked, guesses)
	}
	if status := s.probe(s.project, s.secret); status != 200 || watch.asked.Load() != guesses+1 {
		t.Errorf("who is logged in has been driven out (%d)", status)
	}
}

// TestChangeDuringLogIn: what the store has said before a change is not believed after it, however late it arrives.
func TestChangeDuringLogIn(t *testing.T) {
	t.Parallel()
	for name, change := range revocations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var late atomic.Pointer[uuid.UUID]
			found, changed := make(chan struct{}), make(chan struct{})
			a, _ := watched(t, func(token store.Token) {
				if id := late.Load(); id != nil && token.ID == *id && late.CompareAndSwap(id, nil) {
					close(found)
					<-changed
				}
			})
			token := a.create(t, a.Project, "management")
			id := uuid.MustParse(token.TokenID)
			late.Store(&id)
			probe := call{method: "GET", path: tokensPath(a.ProjectID)}.as(token)
			answered := make(chan int, 1)
			go func() { answered <- a.do(t, probe).status }()
			<-found
			a.do(t, change(tokenPath(a.ProjectID, token.TokenID)).as(a.Project))
			close(changed)
			if status := <-answered; status != 200 && status != 401 {
				t.Errorf("the call that was under way got %d", status)
			}
			a.do(t, probe).want(t, 401)
		})
	}
}

// changingStore calls changing before it changes a token.
type changingStore struct {
	store.Store
	changing func()
}

func (s changingStore) UpdateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change) (store.Token, error) {
	s.changing()
	return s.Store.UpdateToken(ctx, account, id, update, change)
}

func (s changingStore) RotateToken(ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change) (store.Token, error) {
	s.changing()
	return s.Store.RotateToken(ctx, account, id, rotation, change)
}

func (s changingStore) DeleteToken(ctx context.Context, account, id uuid.UUID, change store.Change) error {
	s.changing()
	return s.Store.DeleteToken(ctx, account, id, change)
}

// TestLogInDuringChange: who is remembered while a change is under way is forgotten when it is answered.
func TestLogInDuringChange(t *testing.T) {
	t.Parallel()
	for name, change := range revocations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changing := func() {}
			a := start(t, &servertest.Options{FixedClock: true, WrapStore: func(s store.Store) store.Store {
				return changingStore{s, func() { changing() }}
			}})
			token := a.create(t, a.Project, "management")
			probe := call{method: "GET", path: tokensPath(a.ProjectID)}.as(token)
			changing = func() { a.do(t, probe).want(t, 200) }
			a.do(t, change(tokenPath(a.ProjectID, token.TokenID)).as(a.Project))
			a.do(t, probe).want(t, 401)
		})
	}
}

// notifyingStore is one that other processes use as well. It passes on what the test says that they have done.
type notifyingStore struct {
	*watchedStore
	heard chan notified
}

// notified is what a store tells who listens.
type notified struct {
	changed func([]uuid.UUID)
	missed  func()
}

// Notify passes changed and missed on to the test.
func (s notifyingStore) Notify(ctx context.Context, changed func([]uuid.UUID), missed func()) {
	s.heard <- notified{changed, missed}
	<-ctx.Done()
}

// TestForgottenWhenTold: what other processes change is looked up as soon as the store has heard of it, or may not have.
func TestForgottenWhenTold(t *testing.T) {
	t.Parallel()
	watch, heard := &watchedStore{}, make(chan notified, 1)
	a := start(t, &servertest.Options{FixedClock: true, WrapStore: func(s store.Store) store.Store {
		watch.Store = s
		return notifyingStore{watch, heard}
	}})
	told := <-heard
	probe := call{method: "GET", path: tokensPath(a.ProjectID)}.as(a.Project)
	for _, step := range []struct {
		what  string
		tell  func()
		asked int32
	}{
		{"nothing", func() {}, 1},
		{"another token's change", func() { told.changed([]uuid.UUID{uuid.MustParse(unknownID)}) }, 1},
		{"a change", func() { told.changed([]uuid.UUID{uuid.MustParse(unknownID), uuid.MustParse(a.TokenID)}) }, 2},
		{"that something was missed", told.missed, 3},
	} {
		step.tell()
		for range 2 {
			a.do(t, probe).want(t, 200)
		}
		if asked := watch.asked.Load(); asked != step.asked {
			t.Errorf("after it was told of %s, the store has been asked %d times, want %d", step.what, asked, step.asked)
		}
	}
}

// TestRememberedForTheirProject: a good secret for another project is looked up each time, as a wrong one is.
func TestRememberedForTheirProject(t *testing.T) {
	t.Parallel()
	s, watch, _ := bareWatched(t)
	for i, c := range []struct {
		project string
		status  int
		asked   int32
	}{{s.project, 200, 1}, {unknownID, 401, 2}, {unknownID, 401, 3}, {s.project, 200, 3}} {
		if status := s.probe(c.project, s.secret); status != c.status || watch.asked.Load() != c.asked {
			t.Errorf("call %d: %d, and the store was asked %d times, want %d and %d", i, status, watch.asked.Load(), c.status, c.asked)
		}
	}
}

// TestNotRememberedFromTheFuture: a clock that is set back makes nobody remembered for longer.
func TestNotRememberedFromTheFuture(t *testing.T) {
	t.Parallel()
	s, watch, clock := bareWatched(t)
	for i, back := range []time.Duration{0, time.Nanosecond, time.Hour} {
		clock.Add(-int64(back))
		if status := s.probe(s.project, s.secret); status != 200 || watch.asked.Load() != int32(i)+1 {
			t.Errorf("set back by %v: %d, and the store was asked %d times, want %d", back, status, watch.asked.Load(), i+1)
		}
	}
}

// TestRememberedUntilTheyExpire: neither an expiry nor the end of a grace period is overlooked.
func TestRememberedUntilTheyExpire(t *testing.T) {
	t.Parallel()
	a, _ := watched(t, nil)
	expiring, rotated := a.create(t, a.Project, "management"), a.create(t, a.Project, "management")
	end := a.Now().Add(1500 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, expiring.TokenID), `{"expires_at":"`+end+`"}`).as(a.Project)).want(t, 200)
	a.do(t, jsonCall("POST", tokenPath(a.ProjectID, rotated.TokenID)+"/rotate", `{"grace_period_seconds":1}`).as(a.Project)).want(t, 200)
	for _, c := range []struct {
		what  string
		token servertest.Project
		after time.Duration
	}{{"the end of a grace period", rotated, 999 * time.Millisecond}, {"an expiry", expiring, 499 * time.Millisecond}} {
		probe := call{method: "GET", path: tokensPath(a.ProjectID)}.as(c.token)
		a.Advance(c.after)
		a.do(t, probe).want(t, 200)
		a.Advance(time.Millisecond)
		if status := a.do(t, probe).status; status != 401 {
			t.Errorf("%d after %s", status, c.what)
		}
	}
}

// welcoming is a store that knows every secret.
type welcoming struct{ store.Store }

func (welcoming) TokenBySecret(context.Context, store.SecretHash, time.Time) (store.Token, error) {
	return store.Token{}, nil
}

// TestNoMoreCallersThanTheirBound: who comes then takes the place of another.
func TestNoMoreCallersThanTheirBound(t *testing.T) {
	t.Parallel()
	if remembered, err := server.RememberedCallers(t.Context(), welcoming{}, 20_000); err != nil || remembered != 10_000 {
		t.Errorf("of 20,000 callers %d are remembered (%v), want 10,000", remembered, err)
	}
}
