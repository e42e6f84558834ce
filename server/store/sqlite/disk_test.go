package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
	"github.com/tokenwire/tokenwire/server/store/sqlite/diskfault"
)

// TestNoMoreFiles: who cannot open the database to read is told to come again, and can when files are opened again.
func TestNoMoreFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokenwire.db")
	disk := diskfault.Under(t, filepath.Dir(path))
	db := open(t, path) // connections that read are opened when they are needed
	disk.Break(diskfault.OpenError)
	for range 20 { // more than there are connections
		if _, err := db.Project(t.Context(), uuid.New()); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("reading without a connection: %v, want %v", err, store.ErrUnavailable)
		}
	}
	if _, err := sqlite.Open(t.Context(), path); err == nil {
		t.Error("the database was opened")
	}
	disk.Mend()
	if _, err := db.Project(t.Context(), uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("reading when files are opened again: %v, want %v", err, store.ErrNotFound)
	}
}

// TestRemovedLogOnBrokenDisk: what a removed log has is saved when the disk works again, and nothing is acknowledged before.
func TestRemovedLogOnBrokenDisk(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]diskfault.Fault{
		"full": diskfault.Full, "read-only": diskfault.ReadOnly, "write error": diskfault.WriteError, "sync error": diskfault.SyncError,
		"no more files": diskfault.OpenError,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "tokenwire.db")
			disk := diskfault.Under(t, filepath.Dir(path))
			o := openAt(t, path)
			disk.Break(fault)
			if err := os.Remove(path + "-wal"); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if o.make(t) {
					t.Error("a change was acknowledged on a broken disk")
				}
			}
			disk.Mend()
			if !o.make(t) {
				t.Error("a change was refused though the disk works again")
			}
			o.want(t, o.DB)
			o.want(t, o.crash(t))
		})
	}
}
