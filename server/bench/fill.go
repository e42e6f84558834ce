package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	tokenwire "github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// database is a tokenwire database with its keyset, and what is in it.
type database struct {
	path       string // of the file, or the URL of a PostgreSQL database
	keysetFile string
	keyset     *secret.Keyset
	project    uuid.UUID
	management secret.Secret // of the token that may do everything
	actor      uuid.UUID     // that token
	fax        secret.Secret // of one that lacks the permission for every call here
	tokens     []uuid.UUID   // those that were filled in
}

// newDatabase makes a database as the first start does, and fills tokens in.
func newDatabase(ctx context.Context, directory string, tokens int) (*database, error) {
	db := &database{path: filepath.Join(directory, fmt.Sprintf("tokens-%d-%s.db", tokens, uuid.NewString()[:8])), fax: secret.New()}
	db.keysetFile = db.path + ".keyset"
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
	return errors.Join(db.bootstrapIn(ctx, opened), opened.Close())
}

func (db *database) bootstrapIn(ctx context.Context, opened store.Store) error {
	var err error
	if db.keyset, err = secret.KeysetFor(ctx, opened, db.keysetFile); err != nil {
		return err
	}
	server, err := tokenwire.New(tokenwire.Config{Store: opened, Keyset: db.keyset})
	if err != nil {
		return err
	}
	created, _, err := server.Bootstrap(ctx, tokenwire.NewProject{Name: "Bench"})
	db.project, db.management, db.actor = created.Project.ID, created.Secret, created.TokenID
	return err
}

// connect opens the file without the product, with the same engine and with settings under which a change is as durable as the product's.
func (db *database) connect(ctx context.Context, pragmas ...string) (*zombiezen.Conn, error) {
	opened, err := zombiezen.OpenConn(db.path, zombiezen.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	opened.SetInterrupt(ctx.Done())
	for _, pragma := range append([]string{"busy_timeout = 5000", "foreign_keys = 1", "synchronous = FULL"}, pragmas...) {
		if err := sqlitex.Execute(opened, "PRAGMA "+pragma, nil); err != nil {
			return nil, errors.Join(fmt.Errorf("open %s: pragma %s: %w", db.path, pragma, err), opened.Close())
		}
	}
	return opened, nil
}

// tokenRow is what differs from one filled token to the next.
type tokenRow struct {
	id, event uuid.UUID
	hash      [32]byte
	sealed    secret.Sealed
}

// What all tokens that are filled in have in common.
const (
	filledName       = "Bench 1234567"
	filledPermission = "fax"
	filledFrom       = "127.0.0.1"
)

const (
	// rowsPerBatch keeps the cost of a statement small beside that of its rows.
	rowsPerBatch = 100
	// rowsPerTransaction keeps the pages that a transaction changes in memory, and their number of writes down.
	rowsPerTransaction = 250_000
)

// newRow seals the secret as the product does: a token that is updated is answered with it.
func (db *database) newRow(plain secret.Secret) (tokenRow, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return tokenRow{}, err
	}
	event, err := uuid.NewV7()
	if err != nil {
		return tokenRow{}, err
	}
	sealed, err := db.keyset.Seal(id, plain)
	return tokenRow{id, event, plain.Hash(), sealed}, err
}

// creation is what the audit trail says of a token that is filled in.
func creation() (string, error) {
	changes, err := json.Marshal(store.TokenCreation(store.Token{Name: filledName, Permissions: []string{filledPermission}}))
	return string(changes), err
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
// of their hashes grows as it does in life; and as in life the audit trail has an event for each of them.
func (db *database) fill(ctx context.Context, tokens int, inserted func(int) error) ([]uuid.UUID, error) {
	rows := make(chan []tokenRow, 16)
	ids := make([]uuid.UUID, 0, tokens)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(rows)
		for len(ids) < tokens {
			batch := make([]tokenRow, min(rowsPerBatch, tokens-len(ids)))
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
	// Without room in memory what could be taken back of a statement would go through a file, for each of them.
	opened, err := db.connect(ctx, "cache_size = -262144", "temp_store = MEMORY")
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		more, err = db.insertMany(opened, batches, inserted)
	}
	return errors.Join(err, opened.Close())
}

// insertMany fills one transaction. It reports whether there may be more for another one.
func (db *database) insertMany(opened *zombiezen.Conn, batches <-chan []tokenRow, inserted func(int) error) (more bool, err error) { //nolint:nonamedreturns // the transaction ends by the error
	end, err := sqlitex.ImmediateTransaction(opened)
	if err != nil {
		return false, err
	}
	defer end(&err)
	changes, err := creation()
	if err != nil {
		return false, err
	}
	for n := 0; n < rowsPerTransaction; {
		batch, more := <-batches
		if !more {
			return false, nil
		}
		if err := db.insertBatch(opened, batch, changes); err != nil {
			return false, err
		}
		if err := inserted(len(batch)); err != nil {
			return false, err
		}
		n += len(batch)
	}
	return true, nil
}

// Tokens, and the events of their creation. A number of rows follows.
const (
	insertTokens = `INSERT INTO tokens (id, secret_hash, sealed_secret, project_id, root_id, name, permissions, created_at, updated_at) VALUES `
	insertEvents = `INSERT INTO audit_events (id, at, action, root_id, project_id, token_id, actor_project_id, actor_token_id, address, request_id, changes) VALUES `
)

// insertBatch writes many rows with each statement, which is prepared once: all batches but the last are of one size.
func (db *database) insertBatch(opened *zombiezen.Conn, batch []tokenRow, changes string) error {
	now, project := time.Now().UnixMicro(), db.project[:]
	var tokens, events []any
	for _, row := range batch {
		tokens = append(tokens, row.id[:], row.hash[:], row.sealed, project, project, filledName, filledPermission, now, now)
		events = append(events, row.event[:], now, string(store.TokenCreated), project, project, row.id[:], project, db.actor[:], filledFrom,
			row.event.String(), changes)
	}
	places := func(columns int) string {
		one := "(" + strings.Repeat("?, ", columns-1) + "?)"
		return strings.Repeat(one+", ", len(batch)-1) + one
	}
	err := sqlitex.Execute(opened, insertTokens+places(len(tokens)/len(batch)), &sqlitex.ExecOptions{Args: tokens})
	if err != nil {
		return err
	}
	return sqlitex.Execute(opened, insertEvents+places(len(events)/len(batch)), &sqlitex.ExecOptions{Args: events})
}

// newBar shows progress on standard error.
func newBar(steps int, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions(steps, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(fmt.Sprintf("%-34s", what)),
		progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(false), progressbar.OptionOnCompletion(func() { fmt.Fprintln(os.Stderr) }))
}
