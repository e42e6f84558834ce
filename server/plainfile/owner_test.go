//go:build unix

package plainfile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tokenwire/tokenwire/server/plainfile"
)

// TestGiveToFolder: a file gets the owner of its folder, and what only looks like it keeps its own.
func TestGiveToFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("LEFT OUT: only root can give files away")
	}
	dir, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	owner := func(path string) uint32 {
		info, err := os.Stat(path)
		check(err)
		return info.Sys().(*syscall.Stat_t).Uid
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	check(os.WriteFile(at("file"), nil, 0o600))
	check(os.WriteFile(secret, nil, 0o600))
	check(os.Symlink(secret, at("link")))
	check(os.WriteFile(at("linked"), nil, 0o600))
	check(os.Link(at("linked"), at("hard link")))
	check(syscall.Mkfifo(at("pipe"), 0o600))
	check(os.Chown(dir, 65534, 65533))
	check(plainfile.GiveToFolder(at("file")))
	if got := owner(at("file")); got != 65534 {
		t.Errorf("the file belongs to %d", got)
	}
	for _, name := range []string{"link", "hard link", "pipe", "nothing"} {
		if err := plainfile.GiveToFolder(at(name)); err == nil {
			t.Errorf("%s is taken for a new file", name)
		}
	}
	for _, path := range []string{secret, at("linked"), at("pipe")} {
		if got := owner(path); got != 0 {
			t.Errorf("%s was given to %d", path, got)
		}
	}
}
