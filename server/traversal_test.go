package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// TestTraversal proves the paging promise: following the links visits every item that existed throughout exactly once, while
// others are created and deleted.
func TestTraversal(t *testing.T) {
	t.Parallel()
	const steady = 10_000
	var base store.Store
	a := start(t, &servertest.Options{WrapStore: func(s store.Store) store.Store { base = s; return s }})
	owner := uuid.MustParse(a.ProjectID)
	accounts, tokens := map[string]bool{a.ProjectID: true}, map[string]bool{a.TokenID: true}
	for range steady / 2 {
		project := store.Project{ID: uuid.Must(uuid.NewV7()), ParentID: owner, Name: "Steady"}
		token := newStoreToken(t, a, project.ID)
		if err := base.CreateProject(t.Context(), project, &token, store.Change{}); err != nil {
			t.Fatal(err)
		}
		accounts[project.ID.String()], tokens[token.ID.String()] = true, true
	}
	stop, changing := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { churn(stop, t, a) })
	}
	var walks sync.WaitGroup
	walks.Go(func() { traverse(t, a, list{compat, "accounts", "sid"}, accounts) })
	walks.Go(func() { traverse(t, a, list{tokensPath(a.ProjectID), "tokens", "id"}, tokens) })
	walks.Wait()
	changing()
	wg.Wait()
}

// newStoreToken is a token whose id may be anywhere in the order: v4 ids are random.
func newStoreToken(t *testing.T, a *api, project uuid.UUID) store.Token {
	t.Helper()
	id, plain := uuid.New(), secret.New()
	sealed, err := a.Keyset().Seal(id, plain)
	if err != nil {
		t.Fatal(err)
	}
	return store.Token{ID: id, ProjectID: project, Name: "Steady", SecretHash: plain.Hash(), SealedSecret: sealed}
}

// churn creates tokens and subprojects, and deletes tokens again, until ctx ends.
func churn(ctx context.Context, t *testing.T, a *api) {
	t.Helper()
	expect := func(c call, status int) answer {
		got := a.do(t, c.as(a.Project))
		if got.status != status {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.body)
		}
		return got
	}
	for ctx.Err() == nil && !t.Failed() {
		var token struct{ ID string }
		created := expect(jsonCall("POST", tokensPath(a.ProjectID), `{"name":"Fleeting","permissions":["fax"]}`), http.StatusOK)
		if err := json.Unmarshal([]byte(created.body), &token); err != nil {
			t.Errorf("%s: %v", created.body, err)
		}
		expect(formCall("POST", compat, "FriendlyName=Fleeting"), http.StatusCreated)
		expect(call{method: "DELETE", path: tokenPath(a.ProjectID, token.ID)}, http.StatusNoContent)
	}
}

func traverse(t *testing.T, a *api, l list, steady map[string]bool) {
	t.Helper()
	seen := map[string]int{}
	for path := l.path + "?PageSize=97"; path != ""; {
		p := a.page(t, l, path)
		for _, id := range p.ids {
			seen[id]++
		}
		path = p.next
	}
	for id := range steady {
		if seen[id] == 0 {
			t.Errorf("%s: %s was there throughout and was not visited", l.path, id)
			return
		}
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s: %s was visited %d times", l.path, id, times)
			return
		}
	}
	if len(seen) < len(steady) {
		t.Errorf("%s: %d items were visited, want at least %d", l.path, len(seen), len(steady))
	}
}
