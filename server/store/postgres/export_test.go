package postgres

import (
	"context"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
)

// Writers is how many batches are on their way at once.
const Writers = writers

// ConnectTimeout is how long connecting may take.
const ConnectTimeout = connectTimeout

// MaxWaiting is how many changes may wait.
const MaxWaiting = maxWaiting

// BootstrapLock is held while the first project is made.
const BootstrapLock = bootstrapLock

// After is the id of an event behind another.
var After = after

// MigrationLock is held while the schema is changed.
const MigrationLock = migrationLock

// Migrate brings a schema up to date.
func Migrate(ctx, inspecting context.Context, dsn string, patience time.Duration) error {
	config, err := parse("--db", dsn)
	if err != nil {
		return err
	}
	return migrate(ctx, inspecting, config.ConnConfig, patience)
}

// Waiting returns when so many changes wait for the writers, besides those that they are busy with.
func (db *DB) Waiting(n int) {
	for db.queue.Waiting() < n {
		runtime.Gosched()
	}
}

// Setting reads a setting on a connection that writes.
func (db *DB) Setting(ctx context.Context, name string) (string, error) {
	rows, err := db.link.Load().writing.Query(ctx, `SELECT current_setting($1)`, name)
	if err != nil {
		return "", err
	}
	return pgx.CollectOneRow(rows, pgx.RowTo[string])
}

// MadeSchema is what Compare looks for, and SelectSchema finds what is there.
var MadeSchema = madeSchema

// SelectSchema has one parameter, the table of the schema's version.
const SelectSchema, VersionTable = selectSchema, versionTable
