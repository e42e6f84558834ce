package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/secret"
)

// TestTraversal proves the paging promise: following the links visits every item that existed throughout exactly once, while
// others are created and deleted.
func TestTraversal(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	accounts, tokens := seed(t, a, 10_000)
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

// seed adds so many subprojects with a token each, in one transaction of its own, and returns the ids of all accounts and all
// tokens. The ids are random, so that what is added later comes anywhere in the order.
func seed(t *testing.T, a *api, n int) (map[string]bool, map[string]bool) {
	t.Helper()
	db, err := sql.Open("sqlite", a.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	owner := uuid.MustParse(a.ProjectID)
	accounts, tokens := map[string]bool{a.ProjectID: true}, map[string]bool{a.TokenID: true}
	insert := func(statement string, args ...any) {
		if _, err := tx.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		project, token, plain := uuid.New(), uuid.New(), secret.New()
		sealed, err := a.Keyset().Seal(token, plain)
		if err != nil {
			t.Fatal(err)
		}
		hash := plain.Hash()
		insert(`INSERT INTO projects (id, parent_id, root_id, name, created_at, updated_at) VALUES (?, ?, ?, 'Steady', 1, 1)`,
			project[:], owner[:], owner[:])
		insert(`INSERT INTO tokens (id, project_id, root_id, name, permissions, secret_hash, sealed_secret, created_at, updated_at)
			VALUES (?, ?, ?, 'Steady', 'fax', ?, ?, 1, 1)`, token[:], project[:], owner[:], hash[:], sealed)
		accounts[project.String()], tokens[token.String()] = true, true
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return accounts, tokens
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
