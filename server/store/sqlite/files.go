package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/tokenwire/tokenwire/server/plainfile"
	"github.com/tokenwire/tokenwire/server/store"
)

// files are the files of a database as they were when it was opened. What is written into a file that has lost its name is there
// for those who have it open, and for nobody after them: so each transaction looks before it writes and before it is acknowledged.
// SQLite itself removes the log and its index only when the last who has the database open closes it, which is not while we have.
type files struct {
	path string // of the database, as the operator has named it
	base string // the same behind links: what lies beside it is named after it

	main  file
	log   file // the write-ahead log, -wal
	index file // its index in shared memory, -shm

	seen atomic.Pointer[sight] // the database when everything was last as it should be

	mu   sync.Mutex
	read indexHeaders // the last that was read
}

// file is one of them.
type file struct {
	path   string
	info   os.FileInfo // nil where the file system allows no such file
	opened *os.File    // to read from it; nil for the log, whose size says enough
}

// sight is what the file system says of a file.
type sight struct {
	size    int64
	written int64 // when, in nanoseconds
}

var (
	// errMisplaced says that a file is not the one that was opened.
	errMisplaced = errors.New("removed or replaced")
	// errSpoilt says that the log and the database do not belong to each other any more: one must not be moved into the other.
	errSpoilt = errors.New("spoilt")
)

// findFiles remembers the files of a database. The caller has read from it, so that they are there and stay.
func findFiles(path string) (*files, error) {
	base, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	f := &files{path: path, base: base, main: file{path: path}, log: file{path: base + "-wal"}, index: file{path: base + "-shm"}}
	if f.main.opened, err = os.Open(path); err != nil { //nolint:gosec // the operator names the file
		return nil, err
	}
	if f.main.info, err = os.Stat(path); err != nil {
		return nil, errors.Join(err, f.close())
	}
	f.remember()
	f.log.info, _ = os.Stat(f.log.path)
	if f.index.opened, err = os.Open(f.index.path); err == nil {
		f.index.info, _ = os.Stat(f.index.path)
	}
	return f, nil
}

// close closes what is open here, once. It comes after SQLite has closed its own: with the first that is closed, a process loses all
// its locks on a file.
func (f *files) close() error {
	err := f.main.opened.Close()
	if f.index.opened != nil {
		err = errors.Join(err, f.index.opened.Close())
	}
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// remember takes the database as it is for as it should be.
func (f *files) remember() {
	main, _ := f.main.look()
	f.seen.Store(&main)
}

// look reports what is not as it was. The error is one of package store.
func (f *files) look() error {
	main, ok := f.main.look()
	if !ok {
		return fmt.Errorf("%w: the database %s was removed or replaced; put it back, or start the server again", store.ErrUnavailable, f.path)
	}
	if err := f.mainMustBeWhole(main); err != nil { // first: who opens what is empty removes its log
		return err
	}
	log, ok := f.log.look()
	if !ok {
		return replaced("log", f.log.path)
	}
	index, ok := f.index.look()
	if !ok {
		return replaced("index", f.index.path)
	}
	if err := f.logMustBeWhole(log, index); err != nil {
		return err
	}
	if main != *f.seen.Load() {
		seen := main // so that it is allocated here only
		f.seen.Store(&seen)
	}
	return nil
}

// replaced says what became of the log or of its index. One can be made anew, but not where something lies that is no file: who opens a
// pipe may wait for ever.
func replaced(what, path string) error {
	if err := mustBeFile(path); err != nil {
		return fmt.Errorf("%w: the %s was replaced while the database was open: %w; move it away: then the server goes on, and nothing is lost",
			store.ErrUnavailable, what, err)
	}
	return fmt.Errorf("%w: the %s %s was %w while the database was open", store.ErrUnavailable, what, path, errMisplaced)
}

// mustBeFile refuses what is there and no file.
func mustBeFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil //nolint:nilerr // then it will be made, or SQLite says what it means
	}
	return plainfile.Check(path, info)
}

// mustHaveFiles refuses a database beside which something lies under the name of one of its files that is none.
func mustHaveFiles(path string) error {
	for _, name := range filesOf(behindLinks(path))[1:] {
		if err := mustBeFile(name); err != nil {
			return &FileError{path, fmt.Errorf("cannot open the database %s: %w", path, err), "move it away"}
		}
	}
	return nil
}

// hasLog reports whether the log is the one that was opened.
func (f *files) hasLog() bool {
	_, ok := f.log.look()
	return ok
}

// otherLog reports whether somebody else has written into a new log. An empty one is there as soon as somebody looks.
func (f *files) otherLog() bool {
	info, err := os.Stat(f.log.path)
	return err == nil && !os.SameFile(info, f.log.info) && info.Size() > 0
}

// otherWrote reports whether the database was written since everything was as it should be. The caller has not done so.
func (f *files) otherWrote() bool {
	main, ok := f.main.look()
	return ok && main != *f.seen.Load()
}

// look reports whether a file is the one that was opened, and what it is like.
func (f *file) look() (sight, bool) {
	if f.info == nil {
		return sight{}, true
	}
	return look(f.path, f.info)
}
