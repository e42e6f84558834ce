package crashtest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// copyTo copies the files of a site that does not run, as a crash has left them, to a folder of their own. The index of the
// write-ahead log (-shm) stays behind: SQLite makes it anew.
func (s site) copyTo(t *testing.T, dir string) site {
	t.Helper()
	for _, suffix := range []string{"", "-journal", "-wal", ".keyset"} {
		content, err := os.ReadFile(s.database() + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(s.database()))+suffix, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return site{program: s.program, dir: dir}
}

// open opens the database behind the server's back.
func (s site) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", s.database())
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// damage copies the files of a site that was killed, and returns what SQLite has to say against the copy.
func (s site) damage(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "copy")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db := s.copyTo(t, dir).open(t)
	defer func() { _ = db.Close() }()
	problems := ask(t.Context(), db, `SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`)
	return append(problems, ask(t.Context(), db,
		`SELECT 'row without its parent in ' || "table" || ', which refers to ' || parent FROM pragma_foreign_key_check`)...)
}

// examine returns what doctor finds wrong with the files of a site that was killed in its first start. It may say that it is not
// finished.
func (s site) examine(t *testing.T) []string {
	t.Helper()
	doctor := exec.CommandContext(t.Context(), s.program, "doctor", "--db", s.database(), "--keyset", s.keyset())
	output, err := doctor.CombinedOutput()
	if text := string(output); strings.Contains(text, "FAILED") || err != nil && !strings.Contains(text, "UNFINISHED") {
		return []string{"doctor after a first start that was cut off: " + text}
	}
	return nil
}

// ask returns the texts that a query finds, or its error.
func ask(ctx context.Context, db *sql.DB, query string) []string {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return []string{fmt.Sprintf("the file cannot be read: %v", err)}
	}
	defer func() { _ = rows.Close() }()
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return append(found, err.Error())
		}
		found = append(found, "damaged file: "+text)
	}
	if err := rows.Err(); err != nil {
		found = append(found, fmt.Sprintf("the file cannot be read: %v", err))
	}
	return found
}
