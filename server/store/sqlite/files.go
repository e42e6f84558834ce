package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tokenwire/tokenwire/server/store"
)

// files are the files of a database as they were when it was opened. What is written into a file that has lost its name is there
// for those who have it open, and for nobody after them: so each transaction looks before it writes and before it is acknowledged.
// SQLite itself removes the log and its index only when the last who has the database open closes it, which is not while we have.
type files struct {
	path  string // of the database, as the operator has named it
	base  string // the same behind links: what lies beside it is named after it
	main  os.FileInfo
	log   os.FileInfo // the write-ahead log, -wal; nil where the file system allows none
	index os.FileInfo // its index in shared memory, -shm; nil likewise

	folder os.FileInfo // as it was when all files were there (glance); nil when that says nothing
}

// errMisplaced says that a file is not the one that was opened.
var errMisplaced = errors.New("removed or replaced")

// findFiles remembers the files of a database. The caller has read from it, so that they are there and stay.
func findFiles(path string) (*files, error) {
	base, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	f := &files{path: path, base: base}
	if f.main, err = os.Stat(path); err != nil {
		return nil, err
	}
	f.log, _ = os.Stat(base + "-wal")
	f.index, _ = os.Stat(base + "-shm")
	return f, nil
}

// look reports what is not where it was. The error is one of package store.
func (f *files) look() error {
	switch {
	case !isStill(f.path, f.main):
		return fmt.Errorf("%w: the database %s was removed or replaced; put it back, or start the server again", store.ErrUnavailable, f.path)
	case !isStill(f.base+"-wal", f.log):
		return fmt.Errorf("%w: the log %s-wal was %w while the database was open", store.ErrUnavailable, f.base, errMisplaced)
	case !isStill(f.base+"-shm", f.index):
		return fmt.Errorf("%w: the index %s-shm was %w while the database was open", store.ErrUnavailable, f.base, errMisplaced)
	}
	return nil
}

// glance is look for who looks before and after each transaction: one question to the system in place of three. As long as the folder
// has not changed, no file in it was removed or replaced. Only the goroutine that writes may call it.
func (f *files) glance() error {
	if f.path != f.base { // then there is more than one folder
		return f.look()
	}
	folder, err := os.Stat(filepath.Dir(f.base))
	if err == nil && f.folder != nil && os.SameFile(folder, f.folder) && folder.ModTime().Equal(f.folder.ModTime()) {
		return nil
	}
	if err := f.look(); err != nil {
		return err
	}
	f.folder = nil
	if err == nil && time.Since(folder.ModTime()) > clock(folder) {
		f.folder = folder
	}
	return nil
}

// clock is how coarse the time of change of a file is at most: within it, two changes may have one time. Linux takes it from its own
// clock, which ticks a hundred times a second at least; old file systems keep no more than every other second of it.
func clock(info os.FileInfo) time.Duration {
	if info.ModTime().Nanosecond() == 0 {
		return 3 * time.Second
	}
	return 100 * time.Millisecond
}

// hasLog reports whether the log is the one that was opened.
func (f *files) hasLog() bool { return isStill(f.base+"-wal", f.log) }

// otherLog reports whether somebody else has written into a new log. An empty one is there as soon as somebody looks.
func (f *files) otherLog() bool {
	info, err := os.Stat(f.base + "-wal")
	return err == nil && !os.SameFile(info, f.log) && info.Size() > 0
}

func isStill(path string, file os.FileInfo) bool {
	if file == nil {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && os.SameFile(info, file)
}
