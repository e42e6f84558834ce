package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"
	"zombiezen.com/go/sqlite"
)

// copyStep is how many pages are copied between two looks at the context.
const copyStep = 256

// Copy copies the database at from, which other processes may be using, to a new file at to with mode 0600: as it is at one
// moment, by SQLite's online backup. Nobody waits for it. The copy is sound and durable when Copy returns; when it fails there is no
// file at to. The error wraps fs.ErrExist when there was one already, and is a [*FileError] where one of the two cannot be used.
// progress, unless it is nil, hears how many pages of how many are done.
func Copy(ctx context.Context, from, to string, progress func(done, total int)) error {
	from, fromErr := filepath.Abs(from)
	to, toErr := filepath.Abs(to)
	if err := errors.Join(fromErr, toErr); err != nil {
		return err
	}
	if slices.ContainsFunc(append(filesOf(behindLinks(from)), filesOf(from)...), func(name string) bool { return isSamePlace(name, to) }) {
		return &FileError{to, fmt.Errorf("%s is where SQLite keeps what belongs to %s", to, from), ""}
	}
	if err := mustNotExist(to); err != nil {
		return err
	}
	temporary := to + "." + uuid.NewString()
	defer removeDatabase(temporary) // what it has become has another name
	if err := createFile(temporary); err != nil {
		return cannotCreate(to, err)
	}
	if err := mustBeOurs(ctx, from); err != nil {
		return err
	}
	if err := copyPages(ctx, from, temporary, progress); err != nil {
		return fmt.Errorf("copy %s: %w", from, explainFile(ctx, from, err))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := publish(os.Link, temporary, to); errors.Is(err, fs.ErrExist) {
		return inTheWay(to)
	} else if err != nil {
		return cannotCreate(to, err)
	}
	return syncDirectory(filepath.Dir(to))
}

// isSamePlace reports whether two paths are names of one place, where there need not be anything. Folders may have several names.
func isSamePlace(a, b string) bool {
	if filepath.Base(a) != filepath.Base(b) {
		return false
	}
	folder, err := os.Stat(filepath.Dir(a))
	other, otherErr := os.Stat(filepath.Dir(b))
	return err == nil && otherErr == nil && os.SameFile(folder, other)
}

// publish gives a file another name, and overwrites nothing, as a rename would. Where there are no hard links, an empty file takes
// the name first, and nothing but that is replaced.
func publish(link func(from, to string) error, from, to string) error {
	if err := link(from, to); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	if err = errors.Join(file.Close(), os.Rename(from, to)); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// mustNotExist refuses to put a database where there is one, or where there is what is left of one: SQLite would take a log that
// lies beside a database for its own.
func mustNotExist(path string) error {
	for _, name := range filesOf(path) {
		switch _, err := os.Lstat(name); {
		case err == nil:
			return inTheWay(name)
		case !errors.Is(err, fs.ErrNotExist):
			return cannotCreate(path, err)
		}
	}
	return nil
}

func inTheWay(name string) error {
	return fmt.Errorf("%s: %w; move it away first, or choose another name", name, fs.ErrExist)
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

// copyPages copies a database and checks the copy.
func copyPages(ctx context.Context, from, to string, progress func(done, total int)) error {
	target, err := open(to)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	if err := copyInto(ctx, target, from, progress); err != nil {
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

// copyInto copies what one read transaction sees: without it, each change by another process would begin the copy again. It ends
// with the copy, because the log of who writes grows as long as it lasts.
func copyInto(ctx context.Context, target conn, from string, progress func(done, total int)) error {
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
	return step(ctx, source, target, progress)
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
