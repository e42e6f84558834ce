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

// TestCompare: what is looked for is what the migrations make, and what is dropped, void or does not work is told.
func TestCompare(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t, nil).NewDatabase(t)
	open(t, dsn)
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(t.Context(), postgres.SelectSchema, postgres.VersionTable)
	if err != nil {
		t.Fatal(err)
	}
	made, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err := errors.Join(err, c.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	slices.Sort(made)
	if want := postgres.MadeSchema(); !slices.Equal(made, want) {
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
	postgrestest.Exec(t, dsn, `CREATE INDEX ON tokens (root_id, id)`)
	missing()
	const final = "CREATE TRIGGER audit_events_are_final BEFORE DELETE OR UPDATE OR TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_events_are_final(): " +
		"BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END"
	for _, c := range []struct{ spoil, mend, want string }{
		{`ALTER TABLE idempotent_answers DROP COLUMN token_id`, `ALTER TABLE idempotent_answers ADD COLUMN token_id uuid`, "token_id uuid in idempotent_answers"},
		{`ALTER TABLE tokens ALTER COLUMN name DROP NOT NULL`, `ALTER TABLE tokens ALTER COLUMN name SET NOT NULL`, `name text COLLATE "C" NOT NULL in tokens`},
		{`ALTER TABLE tokens ALTER COLUMN name TYPE text COLLATE "default"`, `ALTER TABLE tokens ALTER COLUMN name TYPE text COLLATE "C"`, `name text COLLATE "C" NOT NULL in tokens`},
		{`ALTER TABLE projects DROP CONSTRAINT projects_check`, `ALTER TABLE projects ADD CHECK (root_id = coalesce(parent_id, id))`, "CHECK ((root_id = COALESCE(parent_id, id))) in projects"},
		{`ALTER TABLE tokens DROP CONSTRAINT tokens_project_id_fkey`, `ALTER TABLE tokens ADD FOREIGN KEY (project_id) REFERENCES projects (id)`, "FOREIGN KEY (project_id) REFERENCES projects(id) in tokens"},
		{`ALTER TABLE audit_events DISABLE TRIGGER audit_events_are_final`, `ALTER TABLE audit_events ENABLE TRIGGER audit_events_are_final`, final},
		{
			`CREATE OR REPLACE FUNCTION audit_events_are_final() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
			`CREATE OR REPLACE FUNCTION audit_events_are_final() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''the audit trail is append-only''; END'`, final,
		},
	} {
		postgrestest.Exec(t, dsn, c.spoil)
		missing(c.want)
		postgrestest.Exec(t, dsn, c.mend)
		missing()
	}
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
