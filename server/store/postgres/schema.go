package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// versionTable is not goose's usual one: another program may have that.
	versionTable = "tokenwire_schema"
	// migrationLock is held while the schema is changed, and bootstrapLock while the first project is made.
	migrationLock = 1953200498
	bootstrapLock = 1953200499
	// sealLock is shared by transactions that keep sealed values, and held alone by who changes which key seals.
	sealLock = 1953200500
	// copyLock is held by who copies another database into this one.
	copyLock = 1953200501
	// minServer is the oldest PostgreSQL that is not refused; the tests run the one that the machine has.
	minServer = 140000

	// inspectTimeout bounds the look at a database before anything is changed, which is all there is to do at most starts.
	inspectTimeout = time.Minute
	// maxMigration is how long one process waits for another that changes the schema. An index over a big table takes minutes.
	maxMigration = time.Hour
)

// prepare looks whether a database may be used, and brings its schema up to date.
func prepare(ctx context.Context, config *pgx.ConnConfig) error {
	inspecting, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	return migrate(ctx, inspecting, config, maxMigration)
}

// migrate looks at a database until inspecting ends, and changes it, if there is something to change, for as long as that takes. Who
// has to wait until another process has changed it waits no longer than patience.
func migrate(ctx, inspecting context.Context, config *pgx.ConnConfig, patience time.Duration) error {
	config = config.Copy()
	config.RuntimeParams["statement_timeout"], config.RuntimeParams["lock_timeout"] = "0", "0"
	db := stdlib.OpenDB(*config)
	defer func() { _ = db.Close() }()
	if err := inspect(inspecting, db); err != nil {
		return err
	}
	provider, err := newProvider(db, patience)
	if err != nil {
		return err
	}
	if _, err = provider.Up(ctx); err != nil {
		return fmt.Errorf("bring its schema up to date: %w", err)
	}
	return nil
}

func newProvider(db *sql.DB, patience time.Duration) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, uint64(patience/time.Second))) //nolint:gosec // it is positive
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(database.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithTableName(versionTable), goose.WithSessionLocker(migrationLocker{locker, patience}))
}

// migrationLocker says who has the lock when it cannot be had.
type migrationLocker struct {
	lock.SessionLocker
	patience time.Duration
}

// SessionLock waits for the lock.
func (l migrationLocker) SessionLock(ctx context.Context, c *sql.Conn) error {
	err := l.SessionLocker.SessionLock(ctx, c)
	if err == nil || ctx.Err() != nil {
		return err
	}
	var pid int
	var from string
	var since time.Time
	if c.QueryRowContext(ctx, `SELECT pid, coalesce(host(client_addr), 'its own machine'), backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)
		WHERE locktype = 'advisory' AND classid = 0 AND objid = $1 AND granted AND datname = current_database()`,
		migrationLock).Scan(&pid, &from, &since) != nil {
		return err
	}
	return fmt.Errorf("another process has been changing it for more than %v: PostgreSQL's process %d, connected from %s since %s; wait for it, or end it with SELECT pg_terminate_backend(%d)",
		l.patience, pid, from, since.UTC().Format(time.RFC3339), pid)
}

// inspect refuses what is not ours to use. It changes nothing.
func inspect(ctx context.Context, db *sql.DB) error {
	var version int
	var encoding string
	var readOnly, noSchema, ours, foreign bool
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
		current_setting('transaction_read_only')::bool, current_schema() IS NULL,
		coalesce(to_regclass('projects'), to_regclass('tokens'), to_regclass('settings'), to_regclass('audit_events')) IS NOT NULL,
		to_regclass($1) IS NOT NULL`, // last, because another process may be making the tables, and makes that one first
		versionTable).Scan(&version, &encoding, &readOnly, &noSchema, &foreign, &ours)
	switch {
	case err != nil:
		return err
	case version < minServer:
		return refusal(fmt.Sprintf("the server is PostgreSQL %d; use %d or newer", version/10000, minServer/10000))
	case encoding != "UTF8":
		return refusal(fmt.Sprintf("its encoding is %s; create a database with ENCODING 'UTF8' and TEMPLATE template0", encoding))
	case readOnly:
		return refusal("it takes no changes: name the primary, or all hosts, in its URL")
	case noSchema:
		return refusal("its search_path names no schema that exists, or that its user may use: correct it in the URL or for the user, or make the schema by CREATE SCHEMA")
	case foreign && !ours:
		return refusal("it has tables of another program; create a database for tokenwire alone")
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
