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
