package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

func events(t *testing.T, s store.Store, query store.AuditQuery) []store.AuditEvent {
	t.Helper()
	if query.Limit == 0 {
		query.Limit = 100
	}
	got, err := s.AuditEvents(t.Context(), query)
	must(t, err)
	return got
}

func testAuditTrail(t *testing.T, s store.Store) {
	project := newProject(uuid.Nil)
	token := newToken(project.ID, "management")
	token.ExpiresAt = at(40)
	_, err := s.Bootstrap(t.Context(), project, token, made(1))
	must(t, err)
	_, err = s.RenameProject(t.Context(), project.ID, "Renamed", made(2))
	must(t, err)
	name, permissions, expiry := "New name", []string{"fax"}, at(50)
	_, err = s.UpdateToken(t.Context(), project.ID, token.ID, store.TokenUpdate{Name: &name, Permissions: &permissions, ExpiresAt: &expiry}, made(3))
	must(t, err)
	_, err = s.RotateToken(t.Context(), project.ID, token.ID, newRotation(4), made(4))
	must(t, err)
	must(t, s.DeleteToken(t.Context(), project.ID, token.ID, made(5)))

	expiry, firstExpiry := kept(expiry), kept(token.ExpiresAt)
	event := func(minute int, action store.Action, tokenID uuid.UUID, changes store.Changes) store.AuditEvent {
		return store.AuditEvent{At: kept(at(minute)), Action: action, ProjectID: project.ID, TokenID: tokenID, Actor: made(minute).Actor, Changes: changes}
	}
	want := []store.AuditEvent{ // newest first
		event(5, store.TokenDeleted, token.ID, store.Changes{}),
		event(4, store.TokenRotated, token.ID, store.Changes{}),
		event(3, store.TokenUpdated, token.ID, store.Changes{
			Name:        &store.Values[string]{Old: &token.Name, New: &name},
			Permissions: &store.Values[[]string]{Old: &token.Permissions, New: &permissions},
			ExpiresAt:   &store.Values[time.Time]{Old: &firstExpiry, New: &expiry},
		}),
		event(2, store.ProjectRenamed, uuid.Nil, store.Changes{Name: &store.Values[string]{Old: &project.Name, New: new("Renamed")}}),
		event(1, store.TokenCreated, token.ID, store.Changes{
			Name: &store.Values[string]{New: &token.Name}, Permissions: &store.Values[[]string]{New: &token.Permissions},
			ExpiresAt: &store.Values[time.Time]{New: &firstExpiry},
		}),
		event(1, store.ProjectCreated, uuid.Nil, store.Changes{Name: &store.Values[string]{New: &project.Name}}),
	}
	got := events(t, s, store.AuditQuery{Account: project.ID})
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.AuditEvent{}, "ID")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func testAuditNothing(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	before := events(t, s, store.AuditQuery{Account: w.parent.ID})
	_, err := s.UpdateToken(t.Context(), w.parent.ID, w.parentToken.ID, store.TokenUpdate{}, made(3))
	must(t, err)
	wantErr(t, "refused deletion", s.DeleteToken(t.Context(), w.parent.ID, w.strangerToken.ID, made(3)), store.ErrNotFound)
	taken := newToken(w.parent.ID)
	taken.ID = w.parentToken.ID
	wantErr(t, "refused creation", s.CreateToken(t.Context(), taken, made(3)), store.ErrConflict)
	must(t, s.RecordUse(t.Context(), map[uuid.UUID]time.Time{w.parentToken.ID: at(3)}))
	if diff := cmp.Diff(before, events(t, s, store.AuditQuery{Account: w.parent.ID})); diff != "" {
		t.Errorf("events before and after nothing was changed:\n%s", diff)
	}
}

func testAuditAccounts(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for _, c := range []struct {
		what    string
		account uuid.UUID
		want    int
	}{{"a parent, with its subproject", w.parent.ID, 4}, {"a subproject", w.child.ID, 2}, {"a stranger", w.stranger.ID, 2}} {
		if got := events(t, s, store.AuditQuery{Account: c.account}); len(got) != c.want {
			t.Errorf("%s has %d events, want %d", c.what, len(got), c.want)
		}
	}
	_, err := s.AuditEvents(t.Context(), store.AuditQuery{Account: newID(), Page: store.Page{Limit: 1}})
	wantErr(t, "events of an account that does not exist", err, store.ErrNotFound)
}

func testAuditFilters(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	must(t, s.DeleteToken(t.Context(), w.parent.ID, w.parentToken.ID, made(5)))
	for _, c := range []struct {
		what  string
		query store.AuditQuery
		want  int
	}{
		{"an action", store.AuditQuery{Action: store.TokenCreated}, 2},
		{"a token", store.AuditQuery{TokenID: w.parentToken.ID}, 2},
		{"an action on a token", store.AuditQuery{Action: store.TokenDeleted, TokenID: w.parentToken.ID}, 1},
		{"a token that does not exist", store.AuditQuery{TokenID: newID()}, 0},
		{"from a time on", store.AuditQuery{From: at(5)}, 1},
		{"before a time", store.AuditQuery{Until: at(5)}, 4},
		{"between times", store.AuditQuery{From: at(2), Until: at(5)}, 0},
	} {
		c.query.Account = w.parent.ID
		if got := events(t, s, c.query); len(got) != c.want {
			t.Errorf("%s: %d events, want %d", c.what, len(got), c.want)
		}
	}
}

func testAuditPages(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for range 3 {
		must(t, s.CreateToken(t.Context(), newToken(w.child.ID), made(3)))
	}
	ids := func(events []store.AuditEvent) []uuid.UUID {
		list := []uuid.UUID{}
		for _, event := range events {
			list = append(list, event.ID)
		}
		return list
	}
	all := ids(events(t, s, store.AuditQuery{Account: w.parent.ID}))
	testPages(t, all, func(page store.Page) ([]uuid.UUID, error) {
		events, err := s.AuditEvents(t.Context(), store.AuditQuery{Account: w.parent.ID, Page: page})
		return ids(events), err
	})
}
