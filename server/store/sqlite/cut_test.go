package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/store"
)

// TestCutFiles: once a file of the database was cut while it was open, nothing more is acknowledged, and nothing more is written
// into the database, also when it is closed: what is left of it is not made worse.
func TestCutFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		suffix string
		size   int64
		advice string
	}{
		"log, to nothing":           {"-wal", 0, "restore a backup"},
		"log, within a page":        {"-wal", 20_000, "restore a backup"},
		"log, behind its header":    {"-wal", 32, "restore a backup"},
		"log, by its last page":     {"-wal", -4120, "restore a backup"},
		"index, to nothing":         {"-shm", 0, "start the server again"},
		"index, behind its header":  {"-shm", 4000, "start the server again"},
		"database, to nothing":      {"", 0, "restore a backup"},
		"database, to two pages":    {"", 8192, "restore a backup"},
		"database, by its last":     {"", -4096, "restore a backup"},
		"database, within a page":   {"", 10_000, "restore a backup"},
		"database, within a header": {"", 20, "restore a backup"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := openAt(t, filepath.Join(t.TempDir(), "tokenwire.db"))
			size := tt.size
			if size < 0 {
				info, err := os.Stat(o.path + tt.suffix)
				if err != nil {
					t.Fatal(err)
				}
				size += info.Size()
			}
			if err := os.Truncate(o.path+tt.suffix, size); err != nil {
				t.Fatal(err)
			}
			database := content(t, o.path)
			for range 3 {
				if o.make(t) {
					t.Error("a change was acknowledged that may not be found again")
				}
				if err := o.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), tt.advice) {
					t.Errorf("Ping says %v, want %v and %q", err, store.ErrUnavailable, tt.advice)
				}
				if _, err := o.Projects(t.Context(), store.ProjectQuery{Page: store.Page{Limit: 1000}}); err != nil && !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("a read says %v, want %v, if it fails", err, store.ErrUnavailable)
				}
			}
			if err := o.Close(); err == nil || !strings.Contains(err.Error(), tt.advice) {
				t.Errorf("Close says %v, want %q", err, tt.advice)
			}
			if !bytes.Equal(content(t, o.path), database) {
				t.Error("the database was written after it was damaged")
			}
			if tt.suffix == "-shm" {
				o.want(t, o.crash(t))
			}
		})
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestMain is also the other program that has the database open: a process has its own locks.
func TestMain(m *testing.M) {
	path, statements := os.Getenv("TOKENWIRE_TEST_DB"), os.Getenv("TOKENWIRE_TEST_SQL")
	if path == "" {
		os.Exit(m.Run())
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err == nil {
		_, err = db.ExecContext(context.Background(), "PRAGMA busy_timeout = 5000; "+statements)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// It ends without closing the database, as sqlite3 does whom somebody kills.
}

func otherProgram(t *testing.T, path, statements string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TOKENWIRE_TEST_DB="+path, "TOKENWIRE_TEST_SQL="+statements)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", statements, err, output)
	}
}

// TestPackedFiles: who packs the database or empties its log, as SQLite's own means do, has not cut a file.
func TestPackedFiles(t *testing.T) {
	t.Parallel()
	for _, statements := range []string{
		"VACUUM; PRAGMA wal_checkpoint(FULL)",
		"VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
		"PRAGMA wal_checkpoint(TRUNCATE)",
		"PRAGMA wal_checkpoint(RESTART)",
	} {
		t.Run(statements, func(t *testing.T) {
			t.Parallel()
			o := openAt(t, filepath.Join(t.TempDir(), "tokenwire.db"))
			otherProgram(t, o.path, "CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(1000000)); PRAGMA wal_checkpoint(FULL); DROP TABLE ballast")
			if !o.make(t) {
				t.Error("a change was refused after another program had written")
			}
			otherProgram(t, o.path, statements)
			for range 3 {
				if !o.make(t) {
					t.Error("a change was refused after another program had packed the database")
				}
				if err := o.Ping(t.Context()); err != nil {
					t.Error(err)
				}
				o.want(t, o.crash(t))
			}
			o.wantAfterClose(t)
		})
	}
}

// TestOtherWriter: when the log was removed and another program has written into the database meanwhile, the pages of the removed log
// are not put over what that has written.
func TestOtherWriter(t *testing.T) {
	t.Parallel()
	o := openAt(t, filepath.Join(t.TempDir(), "tokenwire.db"))
	if err := errors.Join(os.Remove(o.path+"-wal"), os.Remove(o.path+"-shm")); err != nil {
		t.Fatal(err)
	}
	otherProgram(t, o.path, "CREATE TABLE other (x); INSERT INTO other VALUES (1); PRAGMA wal_checkpoint(TRUNCATE)")
	database := content(t, o.path)
	const advice = "another program has written into the database"
	for range 3 {
		if o.make(t) {
			t.Error("a change was acknowledged that nobody would find again")
		}
	}
	if err := o.Close(); err == nil || !strings.Contains(err.Error(), advice) {
		t.Errorf("Close says %v, want %q", err, advice)
	}
	if !bytes.Equal(content(t, o.path), database) {
		t.Error("the pages of a log without a name were put over what another program has written")
	}
}
