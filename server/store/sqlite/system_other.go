//go:build !unix

package sqlite

import "os"

// lockedByOthers need not look: these systems do not let anybody remove a file that is open.
func lockedByOthers(*os.File) (bool, error) { return false, nil }

// isSame reports whether a path leads to a file.
func isSame(path string, file os.FileInfo) bool {
	now, err := os.Stat(path)
	return err == nil && os.SameFile(now, file)
}
