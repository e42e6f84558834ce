package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/tokenwire/tokenwire/server/plainfile"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID is what the first migration writes into the header of a tokenwire database.
const applicationID = 1953200498

// migrate runs the migrations one after the other, each in a transaction of its own; goose, which works on package
// database/sql, records them in goose_db_version. Two processes that start together get in each other's way: one finds that a
// table exists, which the other has just made. It has changed nothing then, and looks again.
func migrate(ctx context.Context, path string) error {
	db, err := openToMigrate(path)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // who holds the lock for longer will not let go
	defer cancel()
	for {
		provider, err := newProvider(db)
		if err != nil {
			return err
		}
		if _, err = provider.Up(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func openToMigrate(path string) (*sql.DB, error) {
	return sql.Open("sqlite", dsn(path, "rw", "journal_mode(WAL)"))
}

// dsn names a database for package database/sql. The pragmas are in it, so that every pooled connection has them.
func dsn(path, mode string, pragmas ...string) string {
	query := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	query["_pragma"] = append([]string{"busy_timeout(5000)", "foreign_keys(1)", "synchronous(FULL)"}, pragmas...)
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
}

// inspect looks at a file that exists, without changing what is in it, and refuses what is not ours to open. It reports whether the file is
// a tokenwire database already: it may be empty, or what a first start has left that was cut off.
func inspect(ctx context.Context, path string) (bool, error) {
	if err := inspectHeader(path); err != nil {
		return false, err
	}
	mode := "ro"
	if _, err := os.Stat(path + "-journal"); err == nil {
		mode = "rw" // the first start was cut off in a transaction: SQLite takes it back before anything can be read
	} else if !hasLog(path) {
		mode = "rw" // who may not write would leave an empty log (openToLook)
	}
	db, err := sql.Open("sqlite", dsn(path, mode))
	if err != nil {
		return false, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = db.Close() }()

	var owner, strangers int64
	err = db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('goose_db_version', 'sqlite_sequence'))`).
		Scan(&owner, &strangers)
	switch {
	case isDamage(err):
		return false, explainFile(ctx, path, err)
	case err != nil:
		return false, &FileError{path, fmt.Errorf("cannot read the database %s: %w", path, err), "check the permissions of the file and of its directory"}
	case owner == applicationID:
		return true, refuseNewer(ctx, db, path)
	case strangers > 0:
		return false, foreign(path)
	}
	return false, nil
}

// ErrUnfinished says that there is a database which has nothing in it yet, such as a first start leaves that was cut off.
var ErrUnfinished = errors.New("no start of tokenwire serve has completed it; the next one does")

// mustBeOurs refuses what is no tokenwire database, or not yet.
func mustBeOurs(ctx context.Context, path string) error {
	ours, err := false, mustHaveFiles(path)
	if err == nil && !isUntouched(path) {
		ours, err = inspect(ctx, path)
	}
	if err == nil && !ours {
		return fmt.Errorf("%s is an empty database: %w", path, ErrUnfinished)
	}
	return err
}

// isUntouched reports whether a file is there, and SQLite has not written anything yet.
func isUntouched(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 0 {
		return false
	}
	return !hasLog(path)
}

// inspectHeader is stricter than SQLite, which takes a file shorter than its header for an empty database. It looks at the bytes,
// because SQLite cannot read a database before it has tidied up what a crash has left beside it.
func inspectHeader(path string) error {
	const (
		magic  = "SQLite format 3\x00"
		owner  = 68 // where the application id is
		length = 100
	)
	file, err := plainfile.Open(path)
	if err != nil {
		advice := ""
		if errors.Is(err, fs.ErrPermission) {
			advice = "check the permissions of the file"
		}
		return &FileError{path, fmt.Errorf("cannot read the database: %w", err), advice}
	}
	defer func() { _ = file.Close() }()
	header := make([]byte, length)
	if _, err := io.ReadFull(file, header); err != nil || !bytes.HasPrefix(header, []byte(magic)) {
		return &FileError{path, fmt.Errorf("%s is not an SQLite database", path), ""}
	}
	if id := binary.BigEndian.Uint32(header[owner:]); id != 0 && id != applicationID {
		return foreign(path)
	}
	return nil
}

func foreign(path string) error {
	return &FileError{path, fmt.Errorf("%s is an SQLite database of another program", path), ""}
}

func refuseNewer(ctx context.Context, db *sql.DB, path string) error {
	var version int64
	err := db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	if err != nil {
		return fmt.Errorf("read the schema version of %s: %w", path, err)
	}
	latest, err := latestVersion()
	if err != nil {
		return err
	}
	if version > latest {
		return fmt.Errorf("%s was written by a newer tokenwire (schema %d, this one knows %d); install the newer version or restore a backup",
			path, version, latest)
	}
	return nil
}

// latestVersion is that of the last migration.
func latestVersion() (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql") // in the order of their names, which begin with their versions
	if err != nil || len(files) == 0 {
		return 0, errors.New("the program has no migrations in it")
	}
	return goose.NumericComponent(files[len(files)-1])
}
