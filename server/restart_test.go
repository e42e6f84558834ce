package server_test

import (
	"path/filepath"
	"testing"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// TestRestart: everything that was answered before is there after, with another process on the same files.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := persistent(t, dir)
	token := first.create(t, first.Project, "fax", "management")
	deleted := first.create(t, first.Project, "management")
	first.do(t, call{method: "DELETE", path: tokenPath(first.ProjectID, deleted.TokenID)}.as(first.Project)).want(t, 204)
	first.do(t, jsonCall("PATCH", tokenPath(first.ProjectID, token.TokenID), `{"name":"Kept"}`).as(first.Project)).want(t, 200)
	before := first.read(t, first.Project, token.TokenID)
	events := first.events(t, first.Project, "")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := persistent(t, dir)
	if after := second.read(t, first.Project, token.TokenID); !equal(before, after) {
		t.Errorf("after the restart the token is %v, want %v", after, before)
	}
	second.do(t, call{method: "GET", path: tokensPath(first.ProjectID)}.as(token)).want(t, 200)
	second.do(t, call{method: "GET", path: tokensPath(first.ProjectID)}.as(deleted)).want(t, 401)
	if after := second.events(t, first.Project, ""); !equal(events, after) {
		t.Errorf("after the restart there are the events %v, want %v", after, events)
	}
}

// persistent is a server on a database and a keyset that outlive it.
func persistent(t *testing.T, dir string) *api {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "tokenwire.db"))
	if err != nil {
		t.Fatal(err)
	}
	keyset, err := secret.KeysetFor(t.Context(), db, filepath.Join(dir, "keyset"))
	if err != nil {
		t.Fatal(err)
	}
	return start(t, &servertest.Options{Keyset: keyset, WrapStore: func(fresh store.Store) store.Store {
		_ = fresh.Close()
		return db
	}})
}
