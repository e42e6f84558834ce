//go:build unix

package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// TestMissingIndexes: what is looked for is what the migrations make, and what is dropped, or does not work, is told.
func TestMissingIndexes(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t, nil).NewDatabase(t)
	open(t, dsn)
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(t.Context(), postgres.SelectIndexes, postgres.VersionTable)
	if err != nil {
		t.Fatal(err)
	}
	made, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err := errors.Join(err, c.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	slices.Sort(made)
	if want := postgres.Indexes(); !slices.Equal(made, want) {
		t.Errorf("the migrations make\n%q\nand doctor looks for\n%q", made, want)
	}
	e, err := postgres.Examine(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	missing := func(want ...string) {
		t.Helper()
		if got, _, err := e.Compare(t.Context()); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("missing: %q, %v; want %q", got, err, want)
		}
	}
	missing()
	postgrestest.Exec(t, dsn, `DROP INDEX tokens_root`)
	missing("INDEX ON tokens USING btree (root_id, id)")
	postgrestest.Exec(t, dsn, `CREATE INDEX another_name ON tokens (root_id, id)`, `ALTER TABLE tokens DROP CONSTRAINT tokens_secret_hash_key`,
		`CREATE INDEX ON tokens (secret_hash)`)
	missing("UNIQUE INDEX ON tokens USING btree (secret_hash)")
	postgrestest.Exec(t, dsn, `ALTER TABLE tokens ADD UNIQUE (secret_hash)`, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'another_name'::regclass`)
	missing("INDEX ON tokens USING btree (root_id, id)")
}

// TestInvariants: an event of what is not there, and that cannot be read, is found.
func TestInvariants(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t, nil).NewDatabase(t)
	open(t, dsn)
	e, err := postgres.Examine(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	found := func(want ...string) {
		t.Helper()
		got, err := e.Invariants(t.Context())
		if err != nil || len(got) != len(want) {
			t.Fatalf("found %q (%v), want %q", got, err, want)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("found %q, want %q", got[i], want[i])
			}
		}
	}
	found()
	postgrestest.Exec(t, dsn, `INSERT INTO audit_events (id, at, action, root_id, project_id, token_id, address, request_id, changes)
		SELECT gen_random_uuid(), 1, action, p, p, t, '', '', changes FROM gen_random_uuid() AS p, gen_random_uuid() AS t,
		(VALUES ('token.created', '{}'), ('token.updated', '[]')) AS event (action, changes)`)
	found("1 tokens of which the audit trail has no deletion", "1 projects of which the audit trail has events", "1 events that cannot be read (decode ")
}
