package server_test

import (
	"context"
	"net/http"
	"runtime"
	"testing"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// heldTrail is a store in which the trail of an account is not read before it is released.
type heldTrail struct {
	store.Store
	of               *uuid.UUID
	reached, release chan struct{}
}

// AuditEvents waits.
func (s heldTrail) AuditEvents(ctx context.Context, query store.AuditQuery) ([]store.AuditEvent, error) {
	if query.Account == *s.of {
		s.reached <- struct{}{}
		select {
		case <-s.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Store.AuditEvents(ctx, query)
}

// TestListsTakeTurns: who has long lists read takes at most half of the connections to the database, and no turn of others; what would
// have to wait for too many of the own lists is refused at once.
func TestListsTakeTurns(t *testing.T) {
	t.Parallel()
	const waiting, more = 64, 10
	atOnce := max(4, runtime.GOMAXPROCS(0)) / 2
	held := heldTrail{of: new(uuid.UUID), reached: make(chan struct{}, 1000), release: make(chan struct{})}
	a := start(t, &servertest.Options{WrapStore: func(s store.Store) store.Store { held.Store = s; return held }})
	other := a.stranger(t)
	*held.of = uuid.MustParse(a.ProjectID)
	trail := func(of servertest.Project) call {
		return call{method: http.MethodGet, path: compat + "/" + of.ProjectID + "/audit_events"}.as(of)
	}
	answers := make(chan answer, 1000)
	for range atOnce + waiting + more {
		go func() { answers <- a.do(t, trail(a.Project)) }()
	}
	for range more {
		if refused := (<-answers).want(t, 503); refused.header.Get("Retry-After") == "" {
			t.Error("the 503 has no Retry-After")
		}
	}
	for range atOnce {
		<-held.reached
	}
	a.do(t, trail(other)).want(t, 200)
	a.do(t, call{method: http.MethodGet, path: tokensPath(other.ProjectID)}.as(other)).want(t, 200)
	a.create(t, a.Project, "management") // which logs in
	if read := len(held.reached); read > 0 {
		t.Errorf("%d lists of a project are read at once besides the %d that may be", read, atOnce)
	}
	close(held.release)
	for range atOnce + waiting {
		(<-answers).want(t, 200)
	}
	a.do(t, trail(a.Project)).want(t, 200)
}
