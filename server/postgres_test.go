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

// TestPostgresMetrics: a change whose connection is lost before anything was written is made on another one, and counts as one
// commit; one whose commit was on its way counts as one failure.
func TestPostgresMetrics(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t, nil).NewDatabase(t)
	db, err := postgres.Open(t.Context(), dsn+"&lock_timeout=0&statement_timeout=0")
	if err != nil {
		t.Fatal(err)
	}
	m := startMeasured(t, servertest.Options{Store: db, FixedClock: true})
	rename := jsonCall("PATCH", tokenPath(m.ProjectID, m.TokenID), `{"name":"Lost"}`).as(m.Project)
	m.do(t, rename).want(t, 200)
	m.WaitForUsage()
	for _, c := range []struct {
		lock   string
		status int
		growth map[string]float64
	}{
		{`SELECT 1 FROM projects FOR UPDATE`, 200, map[string]float64{
			"tokenwire_store_batches_failed_total{}": 0, "tokenwire_store_unavailable_total{}": 0,
			"tokenwire_store_batch_changes{}": 1, "tokenwire_store_commit_duration_seconds{}": 1,
		}},
		{`SELECT 1 FROM tokens FOR UPDATE`, 503, failedBatch},
	} {
		before := m.scrape(t)
		holder, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		exec := func(text string) int64 {
			tag, err := holder.Exec(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			return tag.RowsAffected()
		}
		exec(`SET idle_in_transaction_session_timeout = 0`)
		exec(`BEGIN`)
		exec(c.lock)
		answers := make(chan answer)
		go func() { answers <- m.do(t, rename) }()
		for exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`) == 0 {
			exec(`SELECT pg_stat_clear_snapshot()`)
		}
		exec(`ROLLBACK`)
		got := <-answers
		got.want(t, c.status)
		m.want(t, before, c.growth)
		if err := holder.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
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
