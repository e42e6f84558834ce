package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
