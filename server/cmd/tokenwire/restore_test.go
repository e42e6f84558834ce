package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRestoreAsRoot: what root restores belongs to whom the folder belongs to, so that the service can open it.
func TestRestoreAsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("LEFT OUT: only root can restore for another user")
	}
	from, dir := closedDatabase(t), t.TempDir()
	keyset := filepath.Join(dir, "tokenwire.db.keyset")
	content, err := os.ReadFile(filepath.Join(from, "tokenwire.db.keyset"))
	check(t, err)
	check(t, os.WriteFile(keyset, content, 0o600))
	service := asNobody(t, command(t, dir, nil, "keyset", "show"), dir)
	check(t, os.Chown(dir, 65534, 65533))
	execute(t, dir, nil, "restore", filepath.Join(from, "tokenwire.db")).want(t, 0)
	info, err := os.Stat(filepath.Join(dir, "tokenwire.db"))
	check(t, err)
	if is := info.Sys().(*syscall.Stat_t); is.Uid != 65534 || is.Gid != 65533 || info.Mode().Perm() != 0o600 {
		t.Errorf("it belongs to %d:%d with mode %v, want the owner and the group of its folder, and 0600", is.Uid, is.Gid, info.Mode())
	}
	finish(t, service).want(t, 0)
}
