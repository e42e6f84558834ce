package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"zombiezen.com/go/sqlite"
)

// copyStep is how many pages are copied between two looks at the context.
const copyStep = 256

// Copy copies the database at from, which other processes may be using, to a new file at to with mode 0600: as it is at one
// moment, by SQLite's online backup. Nobody waits for it. The copy is sound and durable when Copy returns; when it fails there is no
// file at to. The error wraps fs.ErrExist when there was one already. progress, unless it is nil, hears how many pages of how many
// are done.
func Copy(ctx context.Context, from, to string, progress func(done, total int)) error {
	from, fromErr := filepath.Abs(from)
	to, toErr := filepath.Abs(to)
	if err := errors.Join(fromErr, toErr); err != nil {
		return err
	}
	if err := mustNotExist(to); err != nil {
		return err
	}
	temporary := to + "." + uuid.NewString()
	defer removeDatabase(temporary) // its other name stays
	if err := createFile(temporary); err != nil {
		return err
	}
	if err := mustBeOurs(ctx, from); err != nil {
		return err
	}
	if err := copyPages(ctx, from, temporary, progress); err != nil {
		return fmt.Errorf("copy %s: %w", from, explain(ctx, err))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := os.Link(temporary, to); err != nil { // which overwrites nothing, where a rename would
		return err
	}
	return syncDirectory(filepath.Dir(to))
}

// mustNotExist refuses to put a database where there is one, or where there is what is left of one: SQLite would take a log that
// lies beside a database for its own.
func mustNotExist(path string) error {
	for _, name := range filesOf(path) {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w; move it away first, or choose another name", name, fs.ErrExist)
		}
	}
	return nil
}

// filesOf are the files that a database may have.
func filesOf(path string) []string {
	return []string{path, path + "-wal", path + "-shm", path + "-journal"}
}

func removeDatabase(path string) {
	for _, name := range filesOf(path) {
		_ = os.Remove(name)
	}
}

// copyPages copies what one read transaction sees: without it, each change by another process would begin the copy again.
func copyPages(ctx context.Context, from, to string, progress func(done, total int)) error {
	source, err := openToLook(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	if err := source.exec(`BEGIN`); err != nil {
		return err
	}
	if err := source.exec(`SELECT count(*) FROM sqlite_schema`); err != nil { // the transaction begins here
		return err
	}
	target, err := open(to)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	if err := step(ctx, source, target, progress); err != nil {
		return err
	}
	target.SetInterrupt(ctx.Done())
	problems, err := integrity(target)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return fmt.Errorf("the copy is not sound: %v", problems)
	}
	return target.exec(`PRAGMA journal_mode = DELETE`) // so that the copy is one file, also while somebody reads it
}

func step(ctx context.Context, source, target conn, progress func(done, total int)) error {
	backup, err := sqlite.NewBackup(target.Conn, "main", source.Conn, "main")
	if err != nil {
		return err
	}
	defer func() { _ = backup.Close() }()
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		more, err := backup.Step(copyStep)
		if err != nil {
			return err
		}
		if progress != nil {
			progress(backup.PageCount()-backup.Remaining(), backup.PageCount())
		}
		if !more {
			return nil
		}
	}
}

// syncDirectory makes the name of a new file survive a power cut. Where directories cannot be synced, nothing is lost by trying.
func syncDirectory(path string) error {
	directory, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	_ = directory.Sync()
	return directory.Close()
}
