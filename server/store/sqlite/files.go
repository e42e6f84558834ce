package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
}

// file is one of them.
type file struct {
	path string
	info os.FileInfo // nil where the file system allows no such file
}

// errMisplaced says that a file is not the one that was opened.
var errMisplaced = errors.New("removed or replaced")

// findFiles remembers the files of a database. The caller has read from it, so that they are there and stay.
func findFiles(path string) (*files, error) {
	base, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	f := &files{path: path, base: base, main: file{path: path}, log: file{path: base + "-wal"}, index: file{path: base + "-shm"}}
	if f.main.info, err = os.Stat(path); err != nil {
		return nil, err
	}
	f.log.info, _ = os.Stat(f.log.path)
	f.index.info, _ = os.Stat(f.index.path)
	return f, nil
}

// look reports what is not where it was. The error is one of package store.
func (f *files) look() error {
	switch {
	case !f.main.isThere():
		return fmt.Errorf("%w: the database %s was removed or replaced; put it back, or start the server again", store.ErrUnavailable, f.path)
	case !f.log.isThere():
		return fmt.Errorf("%w: the log %s was %w while the database was open", store.ErrUnavailable, f.log.path, errMisplaced)
	case !f.index.isThere():
		return fmt.Errorf("%w: the index %s was %w while the database was open", store.ErrUnavailable, f.index.path, errMisplaced)
	}
	return nil
}

// hasLog reports whether the log is the one that was opened.
func (f *files) hasLog() bool { return f.log.isThere() }

// otherLog reports whether somebody else has written into a new log. An empty one is there as soon as somebody looks.
func (f *files) otherLog() bool {
	info, err := os.Stat(f.log.path)
	return err == nil && !os.SameFile(info, f.log.info) && info.Size() > 0
}

func (f file) isThere() bool {
	return f.info == nil || isSame(f.path, f.info)
}
