//go:build unix

package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// TestPostgresReplicas: a server that remembers a credential, and whose clock stands still, so that it would remember it for ever,
// hears that another server has revoked it; and when its second is over while the database is away, it believes nobody.
func TestPostgresReplicas(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	dsn := cluster.NewDatabase(t)
	keyset, err := secret.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	replica := func() *api {
		db, err := postgres.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		return start(t, &servertest.Options{Store: db, Keyset: keyset, FixedClock: true})
	}
	here, there := replica(), replica()
	waitForListeners(t, dsn, 2)
	token := there.create(t, there.Project, "management")
	refused := jsonCall("POST", tokensPath(there.ProjectID), `{`) // for its body, once it has been let in; the database is not asked
	here.do(t, refused.as(token)).want(t, 400)
	there.do(t, call{method: "DELETE", path: tokenPath(there.ProjectID, token.TokenID)}.as(there.Project)).want(t, 204)
	for deadline := time.Now().Add(20 * time.Second); here.do(t, refused.as(token)).status != 401; {
		if time.Now().After(deadline) {
			t.Fatal("a token that another server has deleted is accepted")
		}
	}

	here.do(t, refused.as(here.Project)).want(t, 400)
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	here.Advance(time.Second)
	here.do(t, refused.as(here.Project)).want(t, 503)
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	here.do(t, refused.as(here.Project)).want(t, 400)
}

// waitForListeners returns when so many connections listen.
func waitForListeners(t *testing.T, dsn string, n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(t.Context())) }()
	for found := 0; found < n; {
		if err := c.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`).Scan(&found); err != nil {
			t.Fatal(err)
		}
	}
}
