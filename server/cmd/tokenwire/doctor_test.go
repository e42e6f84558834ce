package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/client"
)

// row returns a row of what doctor has printed.
func row(t *testing.T, printed result, check string) string {
	t.Helper()
	for line := range strings.Lines(printed.stdout) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == check {
			return line
		}
	}
	t.Fatalf("there is no row %s in\n%s", check, printed.stdout)
	return ""
}

// TestDoctorMissesAKey: a keyset that lacks a key is not sound, and a rotation would not help.
func TestDoctorMissesAKey(t *testing.T) {
	t.Parallel()
	dir := closedDatabase(t)
	check(t, os.WriteFile(filepath.Join(dir, "old.db"), []byte(snapshot(t, dir)["tokenwire.db"]), 0o600))
	execute(t, dir, nil, "keyset", "rotate").want(t, 0)
	execute(t, dir, nil, "keyset", "prune", "--save-as", "old.keyset").want(t, 0)
	statements(`ATTACH 'file:`+filepath.Join(dir, "old.db")+`' AS old`,
		`UPDATE tokens SET sealed_secret = (SELECT sealed_secret FROM old.tokens AS o WHERE o.id = tokens.id)
			WHERE id = (SELECT min(id) FROM tokens)`)(t, dir)
	got := execute(t, dir, nil, "doctor").want(t, 1)
	if keys := row(t, got, "keys"); !strings.HasPrefix(keys, "FAILED") || !strings.Contains(keys, "(missing): 1 secret, 0 answers") ||
		!strings.Contains(keys, "find the keyset that has the missing key, and name it with --keyset") || strings.Contains(keys, "rotate") {
		t.Errorf("the row is %s", keys)
	}
	got = execute(t, dir, nil, "doctor", "--keyset", "old.keyset").want(t, 0)
	if keys := row(t, got, "keys"); !strings.HasPrefix(keys, "ok") || !strings.Contains(keys, "tokenwire keyset rotate seals the rest") {
		t.Errorf("with the keyset that has it, the row is %s", keys)
	}
}

// TestDoctorOfNoDatabase: who may read a file that is no database is no question, and least of all its mode to be changed.
func TestDoctorOfNoDatabase(t *testing.T) {
	t.Parallel()
	dir := withDamage(t, snapshot(t, closedDatabase(t)))
	for name, mode := range map[string]os.FileMode{"text": 0o644, "damaged.db": 0o644, "folder": 0o755, "pipe": 0o644} {
		switch name {
		case "folder":
			makeFolder(t, filepath.Join(dir, name))
		case "pipe":
			makePipe(t, filepath.Join(dir, name))
		}
		check(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	for name, want := range map[string]string{
		"text":       "text is not an SQLite database; choose another path with --db",
		"folder":     "folder is a directory, and no ordinary file; choose another path with --db",
		"pipe":       "pipe is a pipe, and no ordinary file; choose another path with --db",
		"damaged.db": "damaged.db is damaged: database disk image is malformed (11); restore a sound backup, or choose another path with --db",
	} {
		got := executeSoon(t, dir, "doctor", "--db", name).want(t, 1)
		if found := row(t, got, "database"); !strings.HasPrefix(found, "FAILED") || !strings.Contains(found, want) || strings.Contains(got.stdout, "chmod") {
			t.Errorf("%s: want %q in\n%s", name, want, got.stdout)
		}
	}
}

// TestDoctorCounts: one of a kind is counted as one.
func TestDoctorCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
	c, err := client.New(firstProject, firstToken, client.WithBaseURL(s.url))
	check(t, err)
	want := func(secrets, keys string) {
		t.Helper()
		got := execute(t, dir, nil, "doctor").want(t, 0)
		if !strings.Contains(row(t, got, "secrets"), secrets+"\n") || !strings.Contains(row(t, got, "keys"), keys+"\n") {
			t.Errorf("want %q and %q in\n%s", secrets, keys, got.stdout)
		}
	}
	want("  1 opens, and is the one that its token is found by", ": 1 secret, 0 answers")
	create := func(key string) {
		t.Helper()
		_, err := c.CreateToken(t.Context(), client.CreateTokenParams{
			Name: "T", Permissions: []client.Permission{client.PermissionFax}, IdempotencyKey: key,
		})
		check(t, err)
	}
	create("a")
	want("  2 open, and are those that the tokens are found by; so does 1 answer that is kept for an idempotency key", ": 2 secrets, 1 answer")
	create("b")
	want("  3 open, and are those that the tokens are found by; so do 2 answers that are kept for idempotency keys", ": 3 secrets, 2 answers")
}

// TestDoctorOfALostDatabase: that a database has no project is nothing to wait for the next start with, if it has had one.
func TestDoctorOfALostDatabase(t *testing.T) {
	t.Parallel()
	dir := closedDatabase(t)
	statements(`DELETE FROM idempotent_answers`, `DELETE FROM tokens`, `DELETE FROM projects`)(t, dir)
	if got := execute(t, dir, nil, "doctor").want(t, 1); strings.Contains(got.stdout, "there is none yet") {
		t.Errorf("doctor prints\n%s", got.stdout)
	}
}

// TestDoctorSchema: a schema that is not what the migrations make is found, whatever it lacks; one that says the same in other words is
// the same.
func TestDoctorSchema(t *testing.T) {
	t.Parallel()
	const stay = "missing: CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END; "
	rebuilt := func(table, definition string) func(*testing.T, string) {
		return statements(`PRAGMA foreign_keys = 0`, `PRAGMA legacy_alter_table = 1`, `CREATE TABLE other `+definition,
			`INSERT INTO other SELECT * FROM `+table, `DROP TABLE `+table, `ALTER TABLE other RENAME TO `+table)
	}
	for name, c := range map[string]struct {
		spoil func(*testing.T, string)
		want  string // "" for nothing
	}{
		"a dropped index":  {statements(`DROP INDEX tokens_root`), "missing: INDEX ON tokens (root_id, id); create"},
		"no partial index": {statements(`DROP INDEX audit_events_subproject`), "missing: INDEX ON audit_events (project_id, id) WHERE project_id <> root_id; create"},
		"an index that finds nothing": {
			statements(`DROP INDEX tokens_root`, `CREATE INDEX tokens_root ON tokens (root_id COLLATE NOCASE, id)`), "missing: INDEX ON tokens (root_id, id); create",
		},
		"an index with another name": {statements(`DROP INDEX tokens_root`, `CREATE INDEX "another" ON "tokens" (root_id, id)`), ""},
		"an index of somebody's":     {statements(`CREATE INDEX theirs ON tokens (name)`), ""},
		"names that must be unique": {
			statements(`CREATE UNIQUE INDEX theirs ON tokens (project_id, name)`), "not tokenwire's: UNIQUE INDEX ON tokens (project_id, name); drop what is not tokenwire's",
		},
		"secrets that may be there twice": {
			statements(`PRAGMA foreign_keys = 0`, `CREATE TABLE plain AS SELECT * FROM tokens`, `DROP TABLE tokens`, `ALTER TABLE plain RENAME TO tokens`),
			"; UNIQUE INDEX ON tokens (secret_hash); ",
		},
		"a dropped column":        {statements(`ALTER TABLE idempotent_answers DROP COLUMN token_id`), "missing: token_id BLOB in idempotent_answers; create"},
		"a column that came back": {statements(`ALTER TABLE tokens DROP COLUMN expires_at`, `ALTER TABLE tokens ADD COLUMN expires_at INTEGER`), ""},
		"a column of another type": {
			statements(`ALTER TABLE tokens DROP COLUMN expires_at`, `ALTER TABLE tokens ADD COLUMN expires_at TEXT`), "not tokenwire's: expires_at TEXT in tokens; ",
		},
		"a column of somebody's": {statements(`ALTER TABLE tokens ADD COLUMN theirs TEXT NOT NULL DEFAULT ''`), "not tokenwire's: theirs TEXT NOT NULL DEFAULT '' in tokens; "},
		"a dropped table":        {statements(`DROP TABLE retired_secrets`), "missing: CREATE TABLE retired_secrets; "},
		"a table of somebody's":  {statements(`CREATE TABLE theirs (a UNIQUE)`, `ANALYZE`, `CREATE VIEW seen AS SELECT 1`), ""},
		"a table without constraints": {
			rebuilt("settings", `(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID`), "missing: STRICT in settings; name TEXT NOT NULL PRIMARY KEY in settings; ",
		},
		"a table without foreign keys": {
			rebuilt("retired_secrets", `(secret_hash BLOB NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32), token_id BLOB NOT NULL, valid_until INTEGER NOT NULL) STRICT, WITHOUT ROWID`),
			"token_id BLOB NOT NULL REFERENCES tokens (id) ON DELETE CASCADE in retired_secrets",
		},
		"a table that was rebuilt": {
			rebuilt("settings", "(\n\tname TEXT NOT NULL PRIMARY KEY, value  BLOB NOT NULL\r\n) STRICT,WITHOUT ROWID"), "",
		},
		"an open trail": {statements(`DROP TRIGGER audit_events_stay`), stay},
		"a trail that is open in effect": {
			statements(`DROP TRIGGER audit_events_stay`, `CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events BEGIN SELECT 1; END`), stay,
		},
		"a trail that is kept never": {
			statements(`DROP TRIGGER audit_events_stay`, `CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events WHEN 0
				BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END`), stay,
		},
		"a trail that is kept elsewhere": {
			statements(`DROP TRIGGER audit_events_stay`, `CREATE TRIGGER audit_events_stay BEFORE DELETE ON settings
				BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END`), stay,
		},
		"a trail that is kept in a comment": {
			statements(`DROP TRIGGER audit_events_stay`, `CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events
				BEGIN SELECT 1 /* SELECT raise(ABORT, 'the audit trail is append-only') */; END`), stay,
		},
		"a trail whose times are kept": {
			statements(`DROP TRIGGER audit_events_are_final`, `CREATE TRIGGER audit_events_are_final BEFORE UPDATE OF at ON audit_events
				BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END`),
			"missing: CREATE TRIGGER audit_events_are_final BEFORE UPDATE ON audit_events BEGIN",
		},
		"a trail that is kept again": {
			statements(`DROP TRIGGER audit_events_stay`, `CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events
				BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END`), "",
		},
		"a trigger of somebody's": {
			statements(`CREATE TRIGGER theirs AFTER INSERT ON tokens BEGIN DELETE FROM tokens; END`),
			"not tokenwire's: CREATE TRIGGER theirs AFTER INSERT ON tokens BEGIN DELETE FROM tokens; END; drop what is not tokenwire's",
		},
		"no trigger for old versions": {statements(`DROP TRIGGER tokens_have_roots`), "missing: CREATE TRIGGER tokens_have_roots AFTER INSERT"},
		"one that does nothing": {
			statements(`DROP TRIGGER tokens_have_roots`, `CREATE TRIGGER tokens_have_roots AFTER INSERT ON tokens WHEN new.root_id IS NULL BEGIN SELECT 1; END`),
			"missing: CREATE TRIGGER tokens_have_roots AFTER INSERT",
		},
		"a version that is not recorded": {
			statements(`DELETE FROM goose_db_version WHERE version_id = 2`),
			"missing: version 2 in goose_db_version (INSERT INTO goose_db_version (version_id, is_applied) VALUES (2, 1)); create",
		},
		"one that is recorded again": {
			statements(`DELETE FROM goose_db_version WHERE version_id = 2`, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (2, 1)`), "",
		},
		"the last versions are not recorded": { // the next start would make everything of them again
			statements(`DELETE FROM goose_db_version WHERE version_id > 2`), "not tokenwire's: CREATE TRIGGER projects_have_roots",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.want == "" {
				doctorFinds(t, c.spoil, "", "ok      schema")
				return
			}
			doctorFinds(t, c.spoil, "schema", c.want)
		})
	}
}
