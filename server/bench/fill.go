package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	tokenwire "github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// database is a tokenwire database with its keyset, and what is in it.
type database struct {
	path       string
	keyset     *secret.Keyset
	project    uuid.UUID
	management secret.Secret // of the token that may do everything
	fax        secret.Secret // of one that lacks the permission for every call here
	tokens     []uuid.UUID   // those that were filled in
}

// newDatabase makes a database as the first start does, and fills tokens in.
func newDatabase(ctx context.Context, directory string, tokens int) (*database, error) {
	db := &database{path: filepath.Join(directory, fmt.Sprintf("tokens-%d-%s.db", tokens, uuid.NewString()[:8])), fax: secret.New()}
	if err := db.bootstrap(ctx); err != nil {
		return nil, fmt.Errorf("make a database: %w", err)
	}
	if err := db.fillOne(ctx, db.fax); err != nil {
		return nil, err
	}
	bar := newBar(tokens, fmt.Sprintf("filling %s tokens in", count(tokens)))
	ids, err := db.fill(ctx, tokens, bar.Add)
	db.tokens = ids
	return db, err
}

// bootstrap lets the product's own code make schema, keyset, project and first token.
func (db *database) bootstrap(ctx context.Context) error {
	opened, err := sqlite.Open(ctx, db.path)
	if err != nil {
		return err
	}
	created, err := db.bootstrapIn(ctx, opened)
	db.project, db.management = created.Project.ID, created.Secret
	return errors.Join(err, opened.Close())
}

func (db *database) bootstrapIn(ctx context.Context, opened *sqlite.DB) (tokenwire.ProjectCredentials, error) {
	var err error
	if db.keyset, err = secret.KeysetFor(ctx, opened, db.path+".keyset"); err != nil {
		return tokenwire.ProjectCredentials{}, err
	}
	server, err := tokenwire.New(tokenwire.Config{Store: opened, Keyset: db.keyset})
	if err != nil {
		return tokenwire.ProjectCredentials{}, err
	}
	created, _, err := server.Bootstrap(ctx, tokenwire.NewProject{Name: "Bench"})
	return created, err
}

// connect opens the file without the product. Changes are durable one by one, as the product's are.
func (db *database) connect(ctx context.Context) (*sql.DB, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-262144)",
	}}
	opened, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: db.path, RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, err
	}
	opened.SetMaxOpenConns(1)
	if err := opened.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", db.path, err), opened.Close())
	}
	return opened, nil
}

// tokenRow is what differs from one filled token to the next.
type tokenRow struct {
	id     uuid.UUID
	hash   [32]byte
	sealed secret.Sealed
}

const (
	// rowsPerStatement keeps the cost of a statement small beside that of its rows.
	rowsPerStatement = 100
	// rowsPerTransaction keeps the pages that a transaction changes in memory, and their number of writes down.
	rowsPerTransaction = 250_000
)

// newRow seals the secret as the product does: a token that is updated is answered with it.
func (db *database) newRow(plain secret.Secret) (tokenRow, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return tokenRow{}, err
	}
	sealed, err := db.keyset.Seal(id, plain)
	return tokenRow{id, plain.Hash(), sealed}, err
}

// fillOne adds a token with a secret that somebody is going to use.
func (db *database) fillOne(ctx context.Context, plain secret.Secret) error {
	row, err := db.newRow(plain)
	if err != nil {
		return err
	}
	rows := make(chan []tokenRow, 1)
	rows <- []tokenRow{row}
	close(rows)
	return db.insert(ctx, rows, func(int) error { return nil })
}

// fill adds tokens through SQL, for a million calls would take a while, and returns their ids. Secrets are random, so that the index
// of their hashes grows as it does in life.
func (db *database) fill(ctx context.Context, tokens int, inserted func(int) error) ([]uuid.UUID, error) {
	rows := make(chan []tokenRow, 16)
	ids := make([]uuid.UUID, 0, tokens)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(rows)
		for len(ids) < tokens {
			batch := make([]tokenRow, min(rowsPerStatement, tokens-len(ids)))
			for i := range batch {
				var err error
				if batch[i], err = db.newRow(secret.New()); err != nil {
					return err
				}
				ids = append(ids, batch[i].id)
			}
			select {
			case rows <- batch:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	group.Go(func() error { return db.insert(ctx, rows, inserted) })
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("fill %s: %w", db.path, err)
	}
	return ids, nil
}

// insert writes batches until there are no more.
func (db *database) insert(ctx context.Context, batches <-chan []tokenRow, inserted func(int) error) error {
	opened, err := db.connect(ctx)
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		more, err = db.insertMany(ctx, opened, batches, inserted)
	}
	return errors.Join(err, opened.Close())
}

// insertMany fills one transaction. It reports whether there may be more for another one.
func (db *database) insertMany(ctx context.Context, opened *sql.DB, batches <-chan []tokenRow, inserted func(int) error) (bool, error) {
	tx, err := opened.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	for n := 0; n < rowsPerTransaction; {
		batch, more := <-batches
		if !more {
			return false, tx.Commit()
		}
		if err := db.insertBatch(ctx, tx, batch); err != nil {
			return false, err
		}
		if err := inserted(len(batch)); err != nil {
			return false, err
		}
		n += len(batch)
	}
	return true, tx.Commit()
}

func (db *database) insertBatch(ctx context.Context, tx *sql.Tx, batch []tokenRow) error {
	const columns = `id, secret_hash, sealed_secret, project_id, root_id, name, permissions, created_at, updated_at`
	now := time.Now().UnixMicro()
	arguments := make([]any, 0, 9*len(batch))
	for _, row := range batch {
		arguments = append(arguments, row.id[:], row.hash[:], row.sealed, db.project[:], db.project[:], "Bench 1234567", "fax", now, now)
	}
	places := strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?, ?),", len(batch)), ",")
	_, err := tx.ExecContext(ctx, `INSERT INTO tokens (`+columns+`) VALUES `+places, arguments...) //nolint:gosec // question marks alone
	return err
}

// newBar shows progress on standard error.
func newBar(steps int, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions(steps, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(fmt.Sprintf("%-34s", what)),
		progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(false), progressbar.OptionOnCompletion(func() { fmt.Fprintln(os.Stderr) }))
}
