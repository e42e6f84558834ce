//go:build unix

package secret

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/tokenwire/tokenwire/server/plainfile"
)

// lockDirectory locks the folder of a keyset until it is closed or the process ends. The file itself cannot be locked: it is replaced.
func lockDirectory(path string) (*os.File, error) {
	directory, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("lock the keyset: %w", err)
	}
	err = syscall.Flock(int(directory.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrBusy
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the keyset: %w", err), directory.Close())
	}
	return directory, nil
}

// adopt gives a new file the owner and the mode of the one that it will replace.
func adopt(file *os.File, from os.FileInfo) error {
	if err := plainfile.ChangeOwner(file, from); err != nil {
		return err
	}
	return file.Chmod(from.Mode().Perm())
}
