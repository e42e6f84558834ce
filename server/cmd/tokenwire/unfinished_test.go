package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// TestDoctorAfterAFirstStart: what a first start leaves that was cut off is not wrong; doctor says what is there, changes nothing, and
// the next start completes it, as it says.
func TestDoctorAfterAFirstStart(t *testing.T) {
	t.Parallel()
	raw := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			check(t, os.WriteFile(path, nil, 0o600))
			db, err := sql.Open("sqlite", path)
			check(t, err)
			db.SetMaxOpenConns(1)
			for _, statement := range append([]string{"PRAGMA journal_mode = WAL"}, statements...) {
				_, err := db.ExecContext(t.Context(), statement)
				check(t, err)
			}
			check(t, db.Close())
		}
	}
	opened := func(t *testing.T, path string) *sqlite.DB {
		t.Helper()
		db, err := sqlite.Open(t.Context(), path)
		check(t, err)
		return db
	}
	for name, c := range map[string]struct {
		leave func(t *testing.T, path string)
		code  int
		want  []string
	}{
		"a name":   {func(t *testing.T, path string) { t.Helper(); check(t, os.WriteFile(path, nil, 0o600)) }, 1, []string{"UNFINISHED  database", "the next one does"}},
		"a header": {raw(), 1, []string{"UNFINISHED  database", "the next one does"}},
		"no table of ours": {raw(`CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`,
			`INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`), 1, []string{"UNFINISHED  database", "the next one does"}},
		"no keyset": {func(t *testing.T, path string) { t.Helper(); check(t, opened(t, path).Close()) }, 0, []string{"there is none yet; the next tokenwire serve makes it", "the next tokenwire serve creates the first"}},
		"a keyset that is not tied": {func(t *testing.T, path string) {
			t.Helper()
			check(t, opened(t, path).Close())
			_, err := secret.CreateKeyset(path + ".keyset")
			check(t, err)
		}, 0, []string{"becomes the one of this database with the next tokenwire serve", "the next tokenwire serve creates the first"}},
		"no project": {func(t *testing.T, path string) {
			t.Helper()
			db := opened(t, path)
			_, err := secret.KeysetFor(t.Context(), db, path+".keyset")
			check(t, err)
			check(t, db.Close())
		}, 0, []string{"is the one of this database", "the next tokenwire serve creates the first"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.leave(t, filepath.Join(dir, "tokenwire.db"))
			before := snapshot(t, dir)
			got := execute(t, dir, nil, "doctor").want(t, c.code)
			for _, want := range c.want {
				if !strings.Contains(got.stdout, want) {
					t.Errorf("want %q in\n%s", want, got.stdout)
				}
			}
			if strings.Contains(got.stdout+got.stderr, "FAILED") {
				t.Errorf("something has failed:\n%s%s", got.stdout, got.stderr)
			}
			if after := snapshot(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Error("it has changed or left files")
			}
			s := serve(t, dir)
			call(t, s.output(t))
			s.stop(t)
			if got := execute(t, dir, nil, "doctor").want(t, 0); strings.Contains(got.stdout, "next tokenwire serve") {
				t.Errorf("the start has not completed it:\n%s", got.stdout)
			}
		})
	}
}
