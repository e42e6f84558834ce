//go:build !unix

package sqlite

import "os"

// lockedByOthers need not look: these systems do not let anybody remove a file that is open.
func lockedByOthers(*os.File) (bool, error) { return false, nil }

// look reports whether a path leads to a file, and what it is like.
func look(path string, file os.FileInfo) (sight, bool) {
	now, err := os.Stat(path)
	if err != nil {
		return sight{}, false
	}
	return sight{now.Size(), now.ModTime().UnixNano()}, os.SameFile(now, file)
}
