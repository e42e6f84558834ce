package server_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// slowStore is a store that has come to a standstill: what it is asked, and would answer, waits until it is released.
type slowStore struct {
	store.Store
	stands         atomic.Bool
	reached        chan struct{}
	logins, others chan struct{} // closed to release them
}

func (s *slowStore) wait(ctx context.Context, release <-chan struct{}) error {
	if !s.stands.Load() {
		return nil
	}
	s.reached <- struct{}{}
	select {
	case <-release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Tokens is a read.
func (s *slowStore) Tokens(ctx context.Context, query store.TokenQuery) ([]store.Token, error) {
	if err := s.wait(ctx, s.others); err != nil {
		return nil, err
	}
	return s.Store.Tokens(ctx, query)
}

// UpdateToken is a change.
func (s *slowStore) UpdateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change) (store.Token, error) {
	if err := s.wait(ctx, s.others); err != nil {
		return store.Token{}, err
	}
	return s.Store.UpdateToken(ctx, account, id, update, change)
}

// TokenBySecret is a log-in.
func (s *slowStore) TokenBySecret(ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
	token, err := s.Store.TokenBySecret(ctx, hash, now)
	if err == nil {
		err = s.wait(ctx, s.logins)
	}
	return token, err
}

// TokenByRepetition is the log-in of who asks for an answer again.
func (s *slowStore) TokenByRepetition(ctx context.Context, id uuid.UUID, hash store.SecretHash, project uuid.UUID, key string, now time.Time) (store.Token, error) {
	if err := s.wait(ctx, s.logins); err != nil {
		return store.Token{}, err
	}
	return s.Store.TokenByRepetition(ctx, id, hash, project, key, now)
}

// TestOneTooMany: as many requests wait for the store as may, and as many log-ins of callers that nobody remembers. The next are answered
// 503 at once, while those before them wait still, and those are answered in the end.
func TestOneTooMany(t *testing.T) {
	t.Parallel()
	slow := &slowStore{reached: make(chan struct{}, 16), logins: make(chan struct{}), others: make(chan struct{})}
	// The clock stands still: callers are remembered.
	a := start(t, &servertest.Options{FixedClock: true, MaxRequests: 2, WrapStore: func(s store.Store) store.Store { slow.Store = s; return slow }})
	list := call{method: http.MethodGet, path: tokensPath(a.ProjectID)}
	rotated, unknown := a.create(t, a.Project, "management"), a.create(t, a.Project, "management")
	repetition := withKey(call{method: http.MethodPost, path: tokenPath(a.ProjectID, rotated.TokenID) + "/rotate"}, "key").as(rotated)
	a.do(t, repetition).want(t, 200)
	waiting := []call{
		repetition, list.as(unknown),
		list.as(a.Project), jsonCall(http.MethodPatch, tokenPath(a.ProjectID, a.TokenID), `{"name":"Slow"}`).as(a.Project),
	}
	answered := make([]chan answer, len(waiting))
	slow.stands.Store(true)
	for i, c := range waiting {
		answered[i] = make(chan answer, 1)
		go func() { answered[i] <- a.do(t, c) }()
		select {
		case <-slow.reached:
		case got := <-answered[i]:
			t.Fatalf("%s %s is not let in: %d %s", c.method, c.path, got.status, got.body)
		}
	}
	for range 3 {
		for _, c := range append(waiting, call{method: http.MethodGet, path: "/api/tokens/verify"}.as(a.Project)) {
			if a.wantUnavailable(t, c); len(slow.reached) > 0 {
				t.Fatalf("%s %s is let in, and is one too many", c.method, c.path)
			}
		}
	}
	slow.stands.Store(false)
	close(slow.others)
	(<-answered[2]).want(t, 200)
	(<-answered[3]).want(t, 200)
	close(slow.logins) // and when they are known, they take their turn
	(<-answered[0]).want(t, 200)
	(<-answered[1]).want(t, 200)
	for range 3 { // each turn has come to its end
		for _, c := range waiting {
			a.do(t, c).want(t, 200)
		}
	}
}
