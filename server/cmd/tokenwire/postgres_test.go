//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// TestPostgres: the commands that take a database take one of PostgreSQL, and none of them says its password.
func TestPostgres(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, &postgrestest.Options{Settings: map[string]string{"fsync": "on", "full_page_writes": "on"}})
	dsn, dir := cluster.NewDatabase(t), t.TempDir()
	env := []string{"TOKENWIRE_DB=" + dsn}
	var said strings.Builder
	run := func(code int, args ...string) result {
		t.Helper()
		r := execute(t, dir, env, args...).want(t, code)
		said.WriteString(r.stdout + r.stderr)
		return r
	}
	if r := run(1, "doctor"); !strings.Contains(r.stdout, "it is empty") {
		t.Errorf("doctor says of an empty database:\n%s", r.stdout)
	}
	run(0, "project", "create", "--name", "First")
	if _, err := os.Stat(filepath.Join(dir, "tokenwire.keyset")); err != nil {
		t.Errorf("the keyset is not where it should be: %v", err)
	}
	if r := run(0, "project", "list"); !strings.Contains(r.stdout, "First") {
		t.Errorf("project list prints\n%s", r.stdout)
	}
	if r := run(0, "doctor"); strings.Count(r.stdout, "ok ") != 7 {
		t.Errorf("doctor prints\n%s", r.stdout)
	}
	for _, refused := range []struct {
		want string
		args []string
	}{
		{"pg_dump", []string{"backup", "x"}},
		{"pg_restore", []string{"restore", "x"}},
		{"keyset elsewhere of this database is missing", []string{"serve", "--addr", "127.0.0.1:0", "--keyset", "elsewhere"}},
		{"--db names no database", []string{"serve", "--db", "postgres://u:" + postgrestest.Password + "@127.0.0.1"}},
	} {
		if r := run(1, refused.args...); !strings.Contains(r.stderr, refused.want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%v: %q, want one line with %q", refused.args, r.stderr, refused.want)
		}
	}
	s := serve(t, dir, "--db", dsn)
	if status := get(t, s.url+"/readyz"); status != 200 {
		t.Errorf("/readyz is %d", status)
	}
	check(t, cluster.Stop())
	if status := get(t, s.url+"/readyz"); status != 503 {
		t.Errorf("/readyz without a database is %d", status)
	}
	check(t, cluster.Start(t.Context()))
	if status := get(t, s.url+"/readyz"); status != 200 {
		t.Errorf("/readyz with the database again is %d", status)
	}
	for len(s.log) > 0 {
		said.WriteString(<-s.log)
	}
	s.stop(t)
	if strings.Contains(said.String(), postgrestest.Password) {
		t.Errorf("the password is in what was said:\n%s", said.String())
	}
}

// TestPostgresKeyset: the keyset is rotated while two servers use one database.
func TestPostgresKeyset(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, &postgrestest.Options{Settings: map[string]string{"fsync": "on", "full_page_writes": "on"}})
	rotateUnderLoad(t, "--db", cluster.NewDatabase(t))
}
