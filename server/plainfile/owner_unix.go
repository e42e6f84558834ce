//go:build unix

package plainfile

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ChangeOwner gives a file the owner and the group of another, or of a folder.
func ChangeOwner(file *os.File, like os.FileInfo) error {
	owner, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return file.Chown(int(owner.Uid), int(owner.Gid))
}

// GiveToFolder gives a new file that root has made the owner of its folder: who works there could not open it. It does nothing for any
// other user.
func GiveToFolder(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	// The owner of the folder may have put something else there by now, such as a link to a file of root's.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := Check(path, info); err != nil {
		return err
	}
	if is, ok := info.Sys().(*syscall.Stat_t); !ok || is.Nlink != 1 {
		return fmt.Errorf("%s has another name besides", path)
	}
	return ChangeOwner(file, folder)
}
