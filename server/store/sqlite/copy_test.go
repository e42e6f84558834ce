package sqlite_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// TestPublish: a copy gets its name and overwrites nothing, also where there are no hard links.
func TestPublish(t *testing.T) {
	t.Parallel()
	for name, link := range map[string]func(from, to string) error{
		"hard links": os.Link,
		"none":       func(from, to string) error { return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			from, to, taken := filepath.Join(dir, "from"), filepath.Join(dir, "to"), filepath.Join(dir, "taken")
			for path, content := range map[string]string{from: "copy", taken: "other"} {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := sqlite.Publish(link, from, taken); !errors.Is(err, fs.ErrExist) {
				t.Errorf("a name that is taken: %v, want %v", err, fs.ErrExist)
			}
			if err := sqlite.Publish(link, from, to); err != nil {
				t.Error(err)
			}
			for path, want := range map[string]string{to: "copy", taken: "other"} {
				if content, err := os.ReadFile(path); string(content) != want {
					t.Errorf("%s has %q (%v), want %q", filepath.Base(path), content, err, want)
				}
			}
			if err := sqlite.Publish(link, filepath.Join(dir, "none"), filepath.Join(dir, "of nothing")); err == nil {
				t.Error("a file that is not there was given a name")
			}
			if _, err := os.Lstat(filepath.Join(dir, "of nothing")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something was left: %v", err)
			}
		})
	}
}

// large returns the path of a database that takes several steps to copy, and nobody has open.
func large(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokenwire.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, `CREATE TABLE ballast (name TEXT UNIQUE, text BLOB)`, `CREATE TABLE news (text TEXT)`,
		`WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 2999) INSERT INTO ballast SELECT 'ballast-' || i, randomblob(1500) FROM n`)
	return path
}

// TestCopyIsOfOneMoment: what is changed while a copy is made is not in it, and does not begin it again.
func TestCopyIsOfOneMoment(t *testing.T) {
	t.Parallel()
	path := large(t)
	to, steps, most := path+".copy", 0, 0
	change := sync.OnceFunc(func() {
		execute(t, path, `INSERT INTO news VALUES ('new')`, `UPDATE ballast SET text = randomblob(1500)`)
	})
	err := sqlite.Copy(t.Context(), path, to, func(done, total int) {
		if steps++; done <= most {
			t.Errorf("step %d has %d pages of %d, and %d were there before", steps, done, total, most)
		}
		most = done
		change()
	})
	if err != nil || steps < 2 {
		t.Fatalf("a copy in %d steps: %v", steps, err)
	}
	header, err := os.ReadFile(to)
	if err != nil || header[18] != 1 || header[19] != 1 {
		t.Errorf("the copy is one that needs a log: version %d, %d (%v)", header[18], header[19], err)
	}
	execute(t, to, `INSERT INTO ballast (name) SELECT 'ballast-1000' FROM news`) // which is a name twice, if there is news
}

// TestCopyOfDamage: a copy that is not sound is none.
func TestCopyOfDamage(t *testing.T) {
	t.Parallel()
	path := large(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := bytes.LastIndex(content, []byte("ballast-2000")) // in the table or its index, and not in both
	copy(content[last:], "ballast-2OOO")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	to := path + ".copy"
	if err := sqlite.Copy(t.Context(), path, to, nil); err == nil || !strings.Contains(err.Error(), "not sound") {
		t.Errorf("a copy of a damaged database: %v", err)
	}
	if left, err := filepath.Glob(to + "*"); err != nil || len(left) > 0 {
		t.Errorf("%q is left of it (%v)", left, err)
	}
}
