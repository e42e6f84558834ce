//go:build unix

package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// Where SQLite locks a database for reading, and for as long as it is open in WAL mode: its file format says so.
const sharedFirst, sharedSize = 0x40000002, 510

// lockedByOthers reports whether another process has the database open. The locks of this one are not seen. The caller keeps the
// file open until SQLite has closed its own: with the first that is closed, a process loses all its locks on a file.
func lockedByOthers(file *os.File) (bool, error) {
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: sharedFirst, Len: sharedSize}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err != nil {
		return false, err
	}
	return lock.Type != syscall.F_UNLCK, nil
}

// isSame reports whether a path leads to a file. It is asked several times in each transaction, and leaves less for the collector
// than os.Stat.
func isSame(path string, file os.FileInfo) bool {
	was, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	var now syscall.Stat_t
	err := syscall.Stat(path, &now)
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Stat(path, &now)
	}
	return err == nil && now.Dev == was.Dev && now.Ino == was.Ino
}
