package sqlite_test

import (
	"crypto/sha256"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
	"github.com/tokenwire/tokenwire/server/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "tokenwire.db"))
	})
}

func open(t *testing.T, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestReopenKeepsEverything(t *testing.T) {
	t.Parallel()
	// The name has characters that mean something in a URI.
	path := filepath.Join(t.TempDir(), "a b?c#d%41&mode=ro.db")
	project := store.Project{ID: uuid.New(), Name: "Default"}
	token := store.Token{ID: uuid.New(), ProjectID: project.ID, Name: "T", SealedSecret: []byte{1}, SecretHash: sha256.Sum256([]byte("s"))}
	db := open(t, path)
	if err := db.CreateProject(t.Context(), project, &token, store.Change{}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the database is not where it was asked for: %v", err)
	}
	got, err := open(t, path).TokenBySecret(t.Context(), token.SecretHash, time.Now())
	if err != nil || got.ID != token.ID {
		t.Fatalf("after reopening: token %v, error %v", got.ID, err)
	}
}

func TestTwoProcessesShareAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokenwire.db")
	one, two := open(t, path), open(t, path)
	project := store.Project{ID: uuid.New(), Name: "Default"}
	token := store.Token{ID: uuid.New(), ProjectID: project.ID, Name: "T", SealedSecret: []byte{1}}
	if err := one.CreateProject(t.Context(), project, &token, store.Change{}); err != nil {
		t.Fatal(err)
	}
	if err := two.DeleteToken(t.Context(), project.ID, token.ID, store.Change{}); err != nil {
		t.Fatalf("the second handle does not see what the first wrote: %v", err)
	}
}

// TestConcurrentFirstOpens: processes that start together on no database all get it.
func TestConcurrentFirstOpens(t *testing.T) {
	t.Parallel()
	for range 5 {
		path := filepath.Join(t.TempDir(), "tokenwire.db")
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				db, err := sqlite.Open(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokenwire.db")
	open(t, path)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", info.Name(), info.Mode())
		}
	}
}

// TestPragmas pins what durability and integrity rest on, on each connection of both pools.
func TestPragmas(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "tokenwire.db"))
	for pool, want := range map[string]map[string]int{
		"write": {"synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000, "query_only": 0},
		"read":  {"synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000, "query_only": 1},
	} {
		for pragma, value := range want {
			got, err := db.Pragma(t.Context(), pool, pragma)
			if err != nil || got != strconv.Itoa(value) {
				t.Errorf("%s: %s is %v (%v), want %d", pool, pragma, got, err, value)
			}
		}
		if got, err := db.Pragma(t.Context(), pool, "journal_mode"); err != nil || got != "wal" {
			t.Errorf("%s: journal_mode is %v (%v), want wal", pool, got, err)
		}
	}
}

// TestPragmasOfMigrations pins the same for the connection that migrates.
func TestPragmasOfMigrations(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokenwire.db")
	open(t, path)
	for pragma, want := range map[string]string{"synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "journal_mode": "wal"} {
		if got, err := sqlite.MigrationPragma(t.Context(), path, pragma); err != nil || got != want {
			t.Errorf("%s is %v (%v), want %s", pragma, got, err, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		path string
		want string
	}{
		"a text file":          {writeFile(t, dir, "text", strings.Repeat("no database\n", 100)), "is not an SQLite database"},
		"a short file":         {writeFile(t, dir, "short", "x"), "is not an SQLite database"},
		"another program's":    {foreignDatabase(t, dir), "another program"},
		"one that says whose":  {claimedDatabase(t, dir), "another program"},
		"a newer version's":    {newerDatabase(t, dir), "newer tokenwire"},
		"a directory":          {dir, "is a directory"},
		"no such directory":    {filepath.Join(dir, "none", "x.db"), "cannot create the database"},
		"a file for directory": {filepath.Join(writeFile(t, dir, "file", "x"), "x.db"), "cannot use the database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := contents(t, c.path)
			db, err := sqlite.Open(t.Context(), c.path)
			if err == nil {
				_ = db.Close()
				t.Fatal("Open succeeded")
			}
			if message := err.Error(); !strings.Contains(message, c.want) || strings.Contains(message, "\n") || !strings.Contains(message, c.path) {
				t.Errorf("error %q, want one line with %q and the path", message, c.want)
			}
			if contents(t, c.path) != before {
				t.Error("Open changed the file")
			}
		})
	}
}

// TestOpenAfterACutOffStart opens what a start leaves that ended before its first migration.
func TestOpenAfterACutOffStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, writeFile(t, dir, "empty.db", ""))
	path := filepath.Join(dir, "cut.db")
	execute(t, path, `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`,
		`INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`)
	open(t, path)
	open(t, hotDatabase(t, dir))
}

// hotDatabase is what is left of a first start that was cut off while it wrote: pages of a transaction that has not ended, and
// the journal that takes them back.
func hotDatabase(t *testing.T, dir string) string {
	t.Helper()
	path, left := filepath.Join(dir, "writing.db"), filepath.Join(dir, "hot.db")
	execute(t, path, `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`,
		`INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	writing, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writing.Close() }()
	for _, statement := range []string{
		`PRAGMA cache_size = 1`, `BEGIN`, `CREATE TABLE projects (text TEXT)`, `CREATE TABLE tokens (text TEXT)`,
		`INSERT INTO projects SELECT hex(randomblob(1000)) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 100) SELECT i FROM n)`,
	} {
		if _, err := writing.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{"", "-journal"} {
		text := contents(t, path+suffix)
		if text == "" {
			t.Fatalf("there is no %s", path+suffix)
		}
		writeFile(t, dir, "hot.db"+suffix, text)
	}
	return left
}

func foreignDatabase(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "foreign.db")
	execute(t, path, `CREATE TABLE tokens (id TEXT)`)
	return path
}

func claimedDatabase(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "claimed.db")
	execute(t, path, `PRAGMA application_id = 42`, `CREATE TABLE goose_db_version (id TEXT)`)
	return path
}

func newerDatabase(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "newer.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	return path
}

func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// contents is the text of a file, or nothing when path is none.
func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}
