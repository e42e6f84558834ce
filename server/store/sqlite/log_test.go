package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite/diskfault"
)

// TestLogIsCut: a log that has grown because somebody was reading is as large as before soon after.
func TestLogIsCut(t *testing.T) {
	t.Parallel()
	diskfault.Under(t, t.TempDir()) // before a database is opened
	h := hold(t)
	h.release()
	disk := diskfault.Under(t, filepath.Dir(h.path))
	reader, err := sql.Open("sqlite", h.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	tx, err := reader.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var count int
	if err := tx.QueryRowContext(t.Context(), `SELECT count(*) FROM tokens`).Scan(&count); err != nil { // begins to read
		t.Fatal(err)
	}
	const limit = 32 << 20
	large := make([]byte, 1<<20)
	write := func(megabytes int) {
		for range megabytes {
			token := h.token(uuid.NewString())
			token.SealedSecret = large
			if err := h.CreateToken(t.Context(), token, store.Change{At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for h.walSize(t) <= limit+8<<20 {
		write(1)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	disk.Break(diskfault.TruncateError)
	for range 3 { // where it cannot be cut, that costs room on the disk and nothing else
		h.rename(t, "not cut")
	}
	if size := h.walSize(t); size <= limit {
		t.Errorf("the log was cut to %d bytes, although it cannot be", size)
	}
	disk.Mend()
	write(20)     // until it is moved into the database again
	for range 3 { // one moves the log into the database, the next begins it anew
		h.rename(t, "afterwards")
	}
	if size := h.walSize(t); size > limit {
		t.Errorf("the log has %d bytes still, want %d at most", size, limit)
	}
}

func (h held) walSize(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(h.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
