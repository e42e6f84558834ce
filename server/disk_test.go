package server_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
	"github.com/tokenwire/tokenwire/server/store/sqlite/diskfault"
)

// onDisk is a server whose database is on a disk that can fail.
func onDisk(t *testing.T) (*api, diskfault.Disk, string) {
	t.Helper()
	options, disk, path := diskOptions(t)
	return start(t, options), disk, path
}

func diskOptions(t *testing.T) (*servertest.Options, diskfault.Disk, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokenwire.db")
	disk := diskfault.Under(t, filepath.Dir(path))
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	keyset, err := secret.KeysetFor(t.Context(), db, filepath.Join(t.TempDir(), "keyset"))
	if err != nil {
		t.Fatal(err)
	}
	return &servertest.Options{Keyset: keyset, WrapStore: func(fresh store.Store) store.Store {
		_ = fresh.Close()
		return db
	}}, disk, path
}

// TestFailingDisk: what cannot be made durable is refused with 503 and leaves nothing behind, and when the disk works again the
// server does.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]diskfault.Fault{
		"full": diskfault.Full, "read-only": diskfault.ReadOnly, "write error": diskfault.WriteError, "sync error": diskfault.SyncError,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, disk, path := onDisk(t)
			token := a.create(t, a.Project, "fax", "management")
			before, events := a.read(t, a.Project, token.TokenID), a.events(t, a.Project, "")
			tokens := tokensPath(a.ProjectID)
			changes := []call{
				jsonCall("PATCH", tokenPath(a.ProjectID, token.TokenID), `{"name":"Lost","permissions":["chat"]}`),
				jsonCall("POST", tokens, `{"name":"Lost","permissions":["fax"]}`),
				jsonCall("POST", compat, `{"FriendlyName":"Lost"}`),
				jsonCall("POST", tokenPath(a.ProjectID, token.TokenID)+"/rotate", `{}`),
				{method: "DELETE", path: tokenPath(a.ProjectID, token.TokenID)},
			}
			disk.Break(fault)
			for range 2 {
				for _, change := range changes {
					a.wantUnavailable(t, change.as(a.Project))
				}
				a.do(t, call{method: "GET", path: tokens}.as(a.Project)).want(t, 200) // reading goes on
			}
			disk.Mend()
			if after := a.read(t, a.Project, token.TokenID); !equal(before, after) {
				t.Errorf("the token is %v after the failures, want %v", after, before)
			}
			if after := a.events(t, a.Project, ""); !equal(events, after) {
				t.Errorf("the failures have left events: %v", after)
			}
			for i, change := range changes {
				if got := a.do(t, change.as(a.Project)); got.status >= 300 {
					t.Errorf("change %d when the disk works again: %d %s", i, got.status, got.body)
				}
			}
			wantIntegrity(t, path)
		})
	}
}

// wantUnavailable makes a call that is answered 503, and told when to come again.
func (a *api) wantUnavailable(t *testing.T, c call) {
	t.Helper()
	got := a.do(t, c)
	if got.want(t, 503); got.header.Get("Retry-After") != "1" {
		t.Errorf("%s %s: Retry-After is %q, want 1", c.method, c.path, got.header.Get("Retry-After"))
	}
}

// TestUnreadableDisk: what cannot be read is answered 503, and not with something else.
func TestUnreadableDisk(t *testing.T) {
	t.Parallel()
	a, disk, path := onDisk(t)
	cold := a.create(t, a.Project, "management")
	for i := range 200 { // more than the connections have read already
		a.do(t, jsonCall("POST", tokensPath(a.ProjectID), fmt.Sprintf(`{"name":"Token %d","permissions":["fax"]}`, i)).as(a.Project)).want(t, 200)
	}
	calls := []call{
		call{method: "GET", path: tokensPath(a.ProjectID) + "?PageSize=1000"}.as(a.Project),
		call{method: "GET", path: tokensPath(a.ProjectID) + "?PageSize=1"}.as(cold),
		jsonCall("PATCH", tokenPath(a.ProjectID, cold.TokenID), `{"name":"Read"}`).as(a.Project),
	}
	a.WaitForUsage() // which reads too
	disk.Break(diskfault.ReadError)
	for _, c := range calls {
		a.wantUnavailable(t, c)
	}
	disk.Mend()
	if got := a.read(t, a.Project, cold.TokenID); got["name"] == "Read" {
		t.Error("a change was made that was answered 503")
	}
	for _, c := range calls {
		a.do(t, c).want(t, 200)
	}
	wantIntegrity(t, path)
}

// TestLockedDatabase: another process that does not let go of the database costs the requests their time, and nothing else.
func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	a, _, path := onDisk(t)
	token := a.create(t, a.Project, "fax")
	db := openFile(t, path)
	lock, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	rename := jsonCall("PATCH", tokenPath(a.ProjectID, token.TokenID), `{"name":"Late"}`).as(a.Project)
	a.wantUnavailable(t, rename)
	a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}.as(a.Project)).want(t, 200) // reading does not wait
	if _, err := lock.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if got := a.read(t, a.Project, token.TokenID); got["name"] == "Late" {
		t.Error("a change was made that was answered 503")
	}
	a.do(t, rename).want(t, 200)
}

// TestRemovedDatabase: nothing is answered as done that is written into a file which has no name any more.
func TestRemovedDatabase(t *testing.T) {
	t.Parallel()
	a, _, path := onDisk(t)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	create := jsonCall("POST", tokensPath(a.ProjectID), `{"name":"Lost","permissions":["fax"]}`).as(a.Project)
	a.wantUnavailable(t, create)
	a.wantUnavailable(t, call{method: "GET", path: "/readyz"})
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	a.do(t, create).want(t, 200)
	a.do(t, call{method: "GET", path: "/readyz"}).want(t, 200)
}

// TestReplacedLog: nothing is answered as done that is written into a log which nobody will find again, and what is in it is saved as
// soon as nobody else's is in the way.
func TestReplacedLog(t *testing.T) {
	t.Parallel()
	a, _, path := onDisk(t)
	token := a.create(t, a.Project, "fax")
	if err := os.Rename(path+"-wal", path+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"-wal", []byte("another program's"), 0o600); err != nil {
		t.Fatal(err)
	}
	create := jsonCall("POST", tokensPath(a.ProjectID), `{"name":"Kept","permissions":["fax"]}`).as(a.Project)
	a.wantUnavailable(t, create)
	a.wantUnavailable(t, call{method: "GET", path: "/readyz"})
	a.read(t, a.Project, token.TokenID) // reading goes on
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	a.do(t, create).want(t, 200)
	a.do(t, call{method: "GET", path: "/readyz"}).want(t, 200)
	a.read(t, a.Project, token.TokenID)
	wantIntegrity(t, path)
}

func openFile(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// wantIntegrity asks SQLite whether the file is sound.
func wantIntegrity(t *testing.T, path string) {
	t.Helper()
	var verdict string
	if err := openFile(t, path).QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check says %q (%v)", verdict, err)
	}
}
