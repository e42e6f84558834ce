// Package plainfile opens files that have to be ordinary ones. A named pipe makes who opens it wait for somebody at its other end,
// a device may do anything, and a server that was given one by mistake would hang without a word.
package plainfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Open opens an ordinary file for reading. Whatever else there is, it refuses at once, and the error says what it is.
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path) // first: to open a device may do something already
	if err != nil {
		return nil, err
	}
	if err := Check(path, info); err != nil {
		return nil, err
	}
	// There may be something else by now.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err == nil {
		err = Check(path, info)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// Read returns what is in an ordinary file.
func Read(path string) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(file)
}

// Check refuses what is no ordinary file.
func Check(path string, info fs.FileInfo) error {
	var kind string
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	default:
		kind = "something else"
	}
	return fmt.Errorf("%s is %s, and no ordinary file", path, kind)
}

// NotCreated says why there is no new file, without the name under which it was tried, which may be a temporary one; and what to do about
// it, or "".
func NotCreated(err error) (advice string, cause error) { //nolint:nonamedreturns // they tell the two apart
	switch {
	case errors.Is(err, fs.ErrNotExist):
		advice = "create the directory"
	case errors.Is(err, fs.ErrPermission):
		advice = "make the directory writable"
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return advice, at.Err
	}
	if at, ok := errors.AsType[*os.LinkError](err); ok {
		return advice, at.Err
	}
	return advice, err
}
