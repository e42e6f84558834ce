//go:build unix

package sqlite

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
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

// look reports whether a path leads to a file, and what it is like. It is asked several times in each transaction, and leaves less for
// the collector than os.Stat.
func look(path string, file os.FileInfo) (sight, bool) {
	was, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return sight{}, false
	}
	var now unix.Stat_t
	err := unix.Stat(path, &now)
	for errors.Is(err, unix.EINTR) {
		err = unix.Stat(path, &now)
	}
	return sight{now.Size, now.Mtim.Nano()}, err == nil && now.Dev == was.Dev && now.Ino == was.Ino
}
