//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// query runs a statement that returns one value.
func query[T any](t *testing.T, c *pgx.Conn, text string, args ...any) T {
	t.Helper()
	var value T
	check(t, c.QueryRow(t.Context(), text, args...).Scan(&value))
	return value
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	check(t, err)
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	return c
}

// durable is a server that is as careful as doctor wants it.
func durable(t *testing.T) *postgrestest.Cluster {
	t.Helper()
	return postgrestest.Start(t, &postgrestest.Options{Settings: map[string]string{"fsync": "on", "full_page_writes": "on"}})
}

// TestPostgresCopy: what worked on SQLite works on a copy: secrets, retired ones, and answers that are kept.
func TestPostgresCopy(t *testing.T) {
	t.Parallel()
	dsn, dir := durable(t).NewDatabase(t), t.TempDir()
	s := serve(t, dir, "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
	c, err := client.New(firstProject, firstToken, client.WithBaseURL(s.url))
	check(t, err)
	ctx := t.Context()
	params := client.CreateTokenParams{Name: "Zürich 😀", Permissions: []client.Permission{client.PermissionManagement}}
	keyed := params
	keyed.IdempotencyKey = "the-same-key"
	kept, err := c.CreateToken(ctx, keyed)
	check(t, err)
	old, err := c.CreateToken(ctx, params)
	check(t, err)
	rotated, err := c.RotateToken(ctx, old.ID, client.RotateTokenParams{Grace: time.Hour})
	check(t, err)
	execute(t, dir, nil, "project", "create", "--name", "Branch", "--parent", firstProject).want(t, 0)
	events := auditTrail(t, s.url)
	s.stop(t)
	statements(`INSERT INTO idempotent_answers (project_id, key, fingerprint, answer, expires_at) SELECT id, 'expired', randomblob(32), x'00', 1 FROM projects LIMIT 1`)(t, dir)

	env := []string{"TOKENWIRE_TO=" + dsn}
	copied := execute(t, dir, env, "copy", "--from", "tokenwire.db").want(t, 0)
	if strings.Count(copied.stdout, "ok ") != 7 || strings.Contains(copied.stdout+copied.stderr, postgrestest.Password) {
		t.Errorf("copy prints\n%s%s", copied.stdout, copied.stderr)
	}
	if query[int](t, connect(t, dsn), `SELECT count(*) FROM idempotent_answers WHERE key = 'expired'`) != 0 {
		t.Error("an answer that has expired was copied")
	}
	keyset := []string{"--db", dsn, "--keyset", "tokenwire.db.keyset"}
	if r := execute(t, dir, nil, append([]string{"doctor"}, keyset...)...).want(t, 0); strings.Count(r.stdout, "ok ") != 7 {
		t.Errorf("doctor prints\n%s", r.stdout)
	}
	s = serve(t, dir, keyset...)
	for name, secret := range map[string]string{"first": firstToken, "kept": kept.Secret.Reveal(), "retired": old.Secret.Reveal(), "rotated": rotated.Secret.Reveal()} {
		as, err := client.New(firstProject, secret, client.WithBaseURL(s.url))
		check(t, err)
		if _, err := as.UpdateToken(ctx, kept.ID, client.UpdateTokenParams{}); err != nil {
			t.Errorf("the %s secret does not work: %v", name, err)
		}
	}
	c, err = client.New(firstProject, firstToken, client.WithBaseURL(s.url))
	check(t, err)
	again, err := c.CreateToken(ctx, keyed)
	check(t, err)
	if again.ID != kept.ID || again.Secret.Reveal() != kept.Secret.Reveal() {
		t.Errorf("the repetition has made token %s, want the answer with %s", again.ID, kept.ID)
	}
	if now := auditTrail(t, s.url); len(now) < 5 || !slices.Equal(now, events) {
		t.Errorf("the audit trail was\n%s\nand is\n%s", strings.Join(events, "\n"), strings.Join(now, "\n"))
	}
	s.stop(t)
	if r := execute(t, dir, env, "copy", "--from", "tokenwire.db").want(t, 1); !strings.Contains(r.stderr, "it is not empty") {
		t.Errorf("a second copy: %s", r.stderr)
	}
}

// auditTrail is what the command prints of it.
func auditTrail(t *testing.T, url string) []string {
	t.Helper()
	env := []string{"SIGNALWIRE_PROJECT_ID=" + firstProject, "SIGNALWIRE_API_TOKEN=" + firstToken, "TOKENWIRE_BASE_URL=" + url}
	return strings.Split(execute(t, t.TempDir(), env, "audit", "list").want(t, 0).stdout, "\n")
}

// manyTokens is a database with 20000 tokens more, whose secrets nobody knows. Three of them are gates, at which a test can stop a copy.
func manyTokens(t *testing.T) string {
	t.Helper()
	dir := closedDatabase(t)
	statements(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
		INSERT INTO tokens (id, project_id, root_id, name, permissions, secret_hash, sealed_secret, created_at, updated_at)
		SELECT unhex(printf('ff%030x', i)), p.id, p.root_id, iif(i % 6000 = 0, 'gate', 'token ' || i), 'fax', randomblob(32), randomblob(60), i, i
		FROM n, (SELECT id, root_id FROM projects LIMIT 1) AS p`)(t, dir)
	return dir
}

// gates make a copy wait at each row that is called gate, while the test holds the lock.
const (
	gateLock = 7
	gates    = `CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN new; END $$;
		CREATE TRIGGER gate BEFORE INSERT ON tokens FOR EACH ROW WHEN (new.name = 'gate') EXECUTE FUNCTION gate()`
	waiters = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted`
)

// killCopy starts a copy, kills it when it waits at its next gate, with what the server does for it or without,
// and returns how many tokens have arrived.
func killCopy(t *testing.T, c *pgx.Conn, dir, dsn string, both bool) int {
	t.Helper()
	_ = query[string](t, c, `SELECT pg_advisory_lock($1)::text`, gateLock)
	cmd := command(t, dir, []string{"TOKENWIRE_TO=" + dsn}, "copy", "--from", "tokenwire.db")
	check(t, cmd.Start())
	for query[int](t, c, waiters) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("the copy has not come to the gate")
		}
	}
	check(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		t.Fatal("the copy has ended before it was killed")
	}
	if both {
		_ = query[bool](t, c, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted`)
	}
	_ = query[bool](t, c, `SELECT pg_advisory_unlock($1)`, gateLock)
	for query[int](t, c, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tokenwire'`) > 0 {
		if t.Context().Err() != nil {
			t.Fatal("the server has not noticed that the copy is gone")
		}
	}
	return query[int](t, c, `SELECT count(*) FROM tokens`)
}

// halfCopy is a database of many tokens, and a copy of it that was killed in the middle of a page.
func halfCopy(t *testing.T) (string, string, *pgx.Conn) {
	t.Helper()
	dsn, dir := durable(t).NewDatabase(t), manyTokens(t)
	db, err := postgres.Open(t.Context(), dsn) // makes the schema, for the gates
	check(t, err)
	check(t, db.Close())
	c := connect(t, dsn)
	_, err = c.Exec(t.Context(), gates)
	check(t, err)
	if there := killCopy(t, c, dir, dsn, true); there != 5000 {
		t.Errorf("%d tokens have arrived when the second page was cut off, want 5000", there)
	}
	return dir, dsn, c
}

// TestPostgresCopyKilled: a copy that is killed goes on, and nobody but a copy of the same source can use what it has left.
func TestPostgresCopyKilled(t *testing.T) {
	t.Parallel()
	dir, dsn, c := halfCopy(t)
	for _, args := range [][]string{
		{"serve", "--addr", "127.0.0.1:0", "--keyset", "tokenwire.db.keyset"}, {"keyset", "show", "--keyset", "tokenwire.db.keyset"}, {"project", "list"},
	} {
		r := execute(t, dir, nil, append(args, "--db", dsn)...).want(t, 1)
		if !strings.Contains(r.stderr, "it is an unfinished copy: run the same tokenwire copy again") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%v on half a copy: %s", args, r.stderr)
		}
	}
	if r := execute(t, dir, nil, "doctor", "--db", dsn).want(t, 1); !strings.Contains(r.stdout, "unfinished copy") {
		t.Errorf("doctor on half a copy:\n%s", r.stdout)
	}
	if r := execute(t, closedDatabase(t), nil, "copy", "--from", "tokenwire.db", "--to", dsn).want(t, 1); !strings.Contains(r.stderr, "unfinished copy of another database") {
		t.Errorf("a copy of another database onto half a copy: %s", r.stderr)
	}
	// Only the copy is killed now. Its server may have the whole page already, and keeps it then.
	there := killCopy(t, c, dir, dsn, false)
	if there != 5000 && there != 10000 {
		t.Errorf("%d tokens after the second kill, want whole pages", there)
	}
	r := execute(t, dir, nil, "copy", "--from", "tokenwire.db", "--to", dsn).want(t, 0)
	if strings.Contains(r.stdout, "FAILED") || !strings.Contains(r.stdout, "rows: 20002, SHA-256: ") || !strings.Contains(r.stdout, fmt.Sprintf("copied %d rows", 20009-3-there)) {
		t.Errorf("the last copy prints\n%s", r.stdout)
	}
	execute(t, dir, nil, "project", "list", "--db", dsn).want(t, 0)
	// Those tokens are older than the audit trail of the source, which is no fault of the copy.
	if r := execute(t, dir, nil, "doctor", "--db", dsn, "--keyset", "tokenwire.db.keyset"); !strings.Contains(r.stdout, "ok      records") {
		t.Errorf("doctor prints\n%s", r.stdout)
	}
}

// TestPostgresCopyTampered: a row that is not what it was is noticed, and the copy stays unfinished.
func TestPostgresCopyTampered(t *testing.T) {
	t.Parallel()
	dir, dsn, c := halfCopy(t)
	id := query[string](t, c, `SELECT id::text FROM tokens WHERE name = 'token 3'`)
	for what, tamper := range map[string][2]string{
		"a permission": {`UPDATE tokens SET permissions = 'fax,management' WHERE id = $1`, `UPDATE tokens SET permissions = 'fax' WHERE id = $1`},
		"an expiry":    {`UPDATE tokens SET expires_at = 0 WHERE id = $1`, `UPDATE tokens SET expires_at = NULL WHERE id = $1`},
		"one more": {`INSERT INTO tokens SELECT gen_random_uuid(), project_id, root_id, name, permissions, sha256('x'), sealed_secret, created_at, updated_at FROM tokens WHERE id = $1`,
			`DELETE FROM tokens WHERE secret_hash = sha256('x') AND id <> $1`},
	} {
		_, err := c.Exec(t.Context(), tamper[0], id)
		check(t, err)
		r := execute(t, dir, nil, "copy", "--from", "tokenwire.db", "--to", dsn).want(t, 1)
		if strings.Count(r.stdout, "FAILED") != 1 || !strings.Contains(r.stdout, "FAILED  tokens") || !strings.Contains(r.stderr, "not the same as the source") {
			t.Errorf("%s: copy prints\n%s%s", what, r.stdout, r.stderr)
		}
		execute(t, dir, nil, "project", "list", "--db", dsn).want(t, 1)
		_, err = c.Exec(t.Context(), tamper[1], id)
		check(t, err)
	}
	execute(t, dir, nil, "copy", "--from", "tokenwire.db", "--to", dsn).want(t, 0)
}

// TestPostgresCopyRefusals: what cannot be copied is refused in one line, and nothing is written.
func TestPostgresCopyRefusals(t *testing.T) {
	t.Parallel()
	cluster, dir := durable(t), closedDatabase(t)
	empty, served := cluster.NewDatabase(t), cluster.NewDatabase(t)
	execute(t, dir, nil, "project", "create", "--name", "Other", "--db", served, "--keyset", "other.keyset").want(t, 0)
	execute(t, dir, nil, "project", "create", "--create-database", "--name", "Third", "--db", "third.db").want(t, 0)
	check(t, os.WriteFile(filepath.Join(dir, "text"), []byte(strings.Repeat("x", 200)), 0o600))
	for name, c := range map[string]struct {
		from, to, keyset, want string
	}{
		"another keyset":          {"tokenwire.db", empty, "third.db.keyset", "third.db.keyset is not the keyset of this database"},
		"no keyset":               {"tokenwire.db", empty, "none", "there is no keyset none"},
		"a database in use":       {"tokenwire.db", served, "", "it is not empty"},
		"from PostgreSQL":         {served, empty, "", "--from is a PostgreSQL database"},
		"to SQLite":               {"tokenwire.db", "new.db", "", "--to is no postgres:// URL"},
		"of nothing":              {"none.db", empty, "", "there is no database"},
		"of a text":               {"text", empty, "", "is not an SQLite database"},
		"to a URL without a name": {"tokenwire.db", "postgres://u:" + postgrestest.Password + "@127.0.0.1", "", "--to names no database"},
		"to nobody":               {"tokenwire.db", "postgres://u:" + postgrestest.Password + "@127.0.0.1:1/x", "", "cannot use the database 127.0.0.1:1/x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"copy", "--from", c.from, "--to", c.to}
			if c.keyset != "" {
				args = append(args, "--keyset", c.keyset)
			}
			r := execute(t, dir, nil, args...).want(t, 1)
			if !strings.Contains(r.stderr, c.want) || strings.Count(r.stderr, "\n") != 1 || strings.Contains(r.stderr, postgrestest.Password) {
				t.Errorf("stderr %q, want one line with %q", r.stderr, c.want)
			}
			if c.to == empty && query[int](t, connect(t, empty), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`) != 0 {
				t.Error("it has made tables")
			}
		})
	}
}
