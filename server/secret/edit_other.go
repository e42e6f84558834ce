//go:build !unix

package secret

import (
	"errors"
	"os"
)

// lockDirectory refuses where two commands cannot be kept from changing the keyset at once.
func lockDirectory(string) (*os.File, error) {
	return nil, errors.New("the keys of a keyset cannot be changed on this system; do it on Linux, and copy the file")
}

func adopt(*os.File, os.FileInfo) error { return nil }
