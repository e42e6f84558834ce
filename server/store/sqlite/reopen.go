package sqlite

import (
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/tokenwire/tokenwire/server/store"
)

// open opens the connections, and remembers what they have opened. On an error nothing is open.
func (w *writer) open() error {
	if err := w.openAll(); err != nil {
		return errors.Join(err, w.closeAll(), w.closeFiles())
	}
	return nil
}

// openAll opens the connection that writes with a cache that holds what a batch touches, and with fewer, longer checkpoints than
// SQLite's. A log that has grown while somebody was reading, such as a backup, is cut to twice what it is otherwise when it begins anew.
func (w *writer) openAll() error {
	err := mustHaveFiles(w.path)
	if err != nil {
		return err
	}
	w.conn, err = open(w.path, "cache_size = -16000", "wal_autocheckpoint = 4000", "journal_size_limit = 33554432")
	if err != nil {
		return err
	}
	if err := w.conn.exec(`SELECT count(*) FROM sqlite_schema`); err != nil { // from here on the database and its log are open
		return err
	}
	found, err := findFiles(w.path)
	if err != nil {
		return err
	}
	w.files.Store(found)
	return w.readers.open(w.path)
}

// closeAll closes what is open, the connection that writes last.
func (w *writer) closeAll() error {
	err := w.readers.close()
	if w.conn.Conn != nil {
		err = errors.Join(err, w.conn.Close())
		w.conn = conn{}
	}
	return err
}

// closeFiles is called when everything else is closed.
func (w *writer) closeFiles() error {
	if f := w.files.Load(); f != nil {
		return f.close()
	}
	return nil
}

// prepare makes sure that what is written from now on is not lost.
func (w *writer) prepare() error {
	if w.conn.Conn != nil && w.files.Load().look() == nil {
		return nil
	}
	w.readers.mu.Lock()
	defer w.readers.mu.Unlock()
	return w.ready()
}

// ready opens the database anew if its log or the index of that was removed. What was acknowledged is in the log that is open still,
// and goes into the database first. The caller keeps everybody from reading.
func (w *writer) ready() error {
	if w.conn.Conn == nil {
		return explainOpen(w.open())
	}
	misplaced := w.files.Load().look()
	if misplaced == nil || !errors.Is(misplaced, errMisplaced) {
		return misplaced
	}
	if err := w.mustBeAlone(misplaced); err != nil {
		return err
	}
	if err := w.save(); err != nil {
		return fmt.Errorf("%w, and what it has cannot be saved yet: %v", misplaced, err) //nolint:errorlint // it is one of a transaction
	}
	if err := w.open(); err != nil {
		return explainOpen(err)
	}
	w.rescues.Add(1)
	return nil
}

// explainOpen is what it means that the database cannot be opened anew.
func explainOpen(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: open the database again: %v", store.ErrUnavailable, err) //nolint:errorlint // it is one of a transaction
}

// mustBeAlone refuses to go on where another process may have its part of the truth: one that has the same log open still, which is
// nowhere else, or one that has written into a new log, or from such a log into the database.
func (w *writer) mustBeAlone(misplaced error) error {
	f := w.files.Load()
	if !f.hasLog() && f.otherWrote() {
		return fmt.Errorf("%w, and another program has written into the database since; what the log has is %w: stop the server, and look with tokenwire doctor what the database has", misplaced, errSpoilt)
	}
	if f.otherLog() {
		return fmt.Errorf("%w, and another program has written a new one: stop that program and move %s-wal away; then the server goes on with what it has acknowledged itself, and what that program has changed is lost", misplaced, f.base)
	}
	others, err := lockedByOthers(f.main.opened)
	if err != nil {
		return fmt.Errorf("%w; look who has the database open: %v", misplaced, err) //nolint:errorlint // it is one of a transaction
	}
	if others {
		return fmt.Errorf("%w, and another program has the database open: stop that program; then the server goes on, and nothing is lost", misplaced)
	}
	return nil
}

// save moves what is in a log without a name into the database, and closes everything. A log that has its name still, and lacks its
// index only, is left to those who open it: somebody who has come meanwhile may have written into it behind what we know of it.
func (w *writer) save() error {
	if !w.files.Load().hasLog() {
		err := w.checkpoint()
		w.files.Load().remember()
		if err != nil {
			return err
		}
	}
	// The last who closes a database moves the log into it as far as they know it, and removes it. Who may not write does not.
	last, err := openWith(sqlite.OpenReadOnly, w.path)
	if err != nil {
		return err
	}
	if err := last.exec(`SELECT count(*) FROM sqlite_schema`); err != nil {
		return errors.Join(err, last.Close())
	}
	return errors.Join(w.closeAll(), last.Close(), w.closeFiles())
}

// checkpoint moves everything from the log into the database, durably.
func (w *writer) checkpoint() error {
	type result struct{ busy, log, done int64 }
	got, err := one(w.conn, func(r row) (result, error) {
		return result{r.stmt.ColumnInt64(0), r.stmt.ColumnInt64(1), r.stmt.ColumnInt64(2)}, nil
	}, `PRAGMA wal_checkpoint(FULL)`)
	if err == nil && (got.busy != 0 || got.log != got.done) {
		err = fmt.Errorf("%d of %d pages were saved", got.done, got.log)
	}
	return err
}
