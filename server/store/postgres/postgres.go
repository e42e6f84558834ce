// Package postgres keeps tokenwire's projects and tokens in a PostgreSQL database, which any number of processes may use at once.
//
// Changes that wait at the same time share a transaction (package batch) and two round trips. The first one begins the
// transaction, locks the top-level projects that the changes belong to, and reads what the changes need (load.go). Then they are
// made one after the other in memory (state.go and the files named after what they change). The second one writes what has
// become of them, a statement for each table, and commits (write.go). writer.go has the batches, and what happens when one fails.
//
// # Isolation
//
// Transactions are READ COMMITTED. Every change belongs to the tree of one top-level project, and holds the lock on its row from
// before it reads until it is committed; projects never move and are never removed. So the changes to one tree happen one after
// the other, whichever process makes them: the credential of a change is looked at after everything that could have revoked it, and
// the times of the audit trail never go back. Each statement has a snapshot that was taken after the locks, which a transaction of
// a higher level would not have. The locks are taken in the order of the ids, so that two transactions never wait for each other.
// What is unique everywhere and not in one tree, ids and secrets, is looked up first, and guarded by unique indexes.
package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/batch"
)

const (
	// maxBatch bounds how many changes share a transaction, and so how long the first of them waits for the last.
	maxBatch = 128
	// maxWaiting bounds how many changes wait: what comes then is refused, because it would wait too long.
	maxWaiting = 4096
	// maxKinds bounds the memory of DB.nested.
	maxKinds = 10_000
)

// DB is a store in a PostgreSQL database.
type DB struct {
	config   *pgxpool.Config
	asking   *pgx.ConnConfig // of the connection that listens, which goes on asking a server that does not answer
	link     atomic.Pointer[link]
	silences silences

	queue   *batch.Queue[*change]
	writers sync.WaitGroup
	closed  context.Context //nolint:containedctx // it ends when the store is closed
	close   context.CancelFunc

	// nested remembers which projects are subprojects. That never changes.
	nested *lru.Cache[uuid.UUID, bool]
	purged atomic.Int64 // when expired answers were removed last, in microseconds
}

var (
	_ store.Store    = (*DB)(nil)
	_ store.Notifier = (*DB)(nil)
)

// Open connects to the database that dsn names, postgres://…, and brings its schema up to date. Several processes may do so at once.
// It refuses, and leaves as it is, a database that another program uses, and an unfinished copy. The errors are one line, and never have the password.
func Open(ctx context.Context, dsn string) (*DB, error) {
	config, err := parse("--db", dsn)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, config.ConnConfig); err != nil {
		return nil, unusable(ctx, Name(dsn), config.ConnConfig, err)
	}
	nested, err := lru.New[uuid.UUID, bool](maxKinds)
	if err != nil {
		return nil, err
	}
	db := &DB{config: config, queue: batch.New[*change](maxBatch, maxWaiting), nested: nested}
	db.closed, db.close = context.WithCancel(context.Background())
	db.asking = db.silences.watch(config)
	l, err := connect(config)
	if err != nil {
		return nil, err
	}
	if err := refuseUnfinished(ctx, l.readers); err != nil {
		l.close()
		return nil, unusable(ctx, Name(dsn), config.ConnConfig, err)
	}
	db.link.Store(l)
	for range writers {
		db.writers.Go(db.write)
	}
	return db, nil
}

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error {
	_, err := read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) (struct{}, error) {
		_, err := c.Exec(ctx, `SELECT count(*) FROM settings`)
		return struct{}{}, err
	})
	return err
}

// ObserveBatches has observe called for each transaction of the writers.
func (db *DB) ObserveBatches(observe func(store.Batch)) { db.queue.ObserveBatches(observe) }

// WaitingChanges returns how many changes wait for the writers.
func (db *DB) WaitingChanges() int { return db.queue.Waiting() }

// Close waits for running calls and closes the connections.
func (db *DB) Close() error {
	db.queue.Close()
	db.writers.Wait()
	db.close()
	db.link.Load().close()
	return nil
}

const (
	// attempts is how often something is tried that a lost connection has kept from being done.
	attempts = 4
	// lastAttempt is how long after the first the last of them may begin: those who wait for an answer want one.
	lastAttempt = 2*quietTimeout + time.Second
)

// read runs f on a connection that reads, and again on another when the connection was lost: reading twice does no harm.
func read[T any](ctx context.Context, db *DB, f func(context.Context, *pgxpool.Conn) (T, error)) (T, error) {
	return repeat(ctx, db, func(l *link) *pgxpool.Pool { return l.readers }, f)
}

// repeat runs f on a connection of a pool until it has not lost it: what f does may be done twice.
func repeat[T any](
	ctx context.Context, db *DB, pool func(*link) *pgxpool.Pool, f func(context.Context, *pgxpool.Conn) (T, error),
) (T, error) {
	began := time.Now()
	for try := 1; ; try++ {
		l := db.link.Load()
		found, err := readOnce(ctx, l, pool(l), f)
		if err == nil || !db.mayTryAgain(ctx, l, err, began, try) {
			return found, explain(ctx, err)
		}
	}
}

// mayTryAgain reports whether what has failed with an error, for the first time soon after began, is worth another try, and pauses
// before it.
func (db *DB) mayTryAgain(ctx context.Context, l *link, err error, began time.Time, try int) bool {
	return try < attempts && ctx.Err() == nil && db.recover(l, err) && time.Since(began) <= lastAttempt && pause(ctx, try)
}

func readOnce[T any](ctx context.Context, l *link, pool *pgxpool.Pool, f func(context.Context, *pgxpool.Conn) (T, error)) (T, error) {
	ctx, settle := l.within(ctx)
	var found T
	c, err := pool.Acquire(ctx)
	if err == nil {
		defer c.Release()
		found, err = f(ctx, c)
	}
	return found, settle(err)
}

// readOne reads one row, or returns store.ErrNotFound.
func readOne[T any](ctx context.Context, db *DB, scan pgx.RowToFunc[T], text string, args ...any) (T, error) {
	return read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) (T, error) {
		rows, err := c.Query(ctx, text, args...)
		if err != nil {
			var none T
			return none, err
		}
		return pgx.CollectOneRow(rows, scan)
	})
}

// recover reports whether an error comes from the connection or the server rather than from what was asked, so that another
// connection may do better. When a server is going away or has become a standby its other connections are no good either.
func (db *DB) recover(l *link, err error) bool {
	if !isTransient(err) || db.nobodyAnswers(err) {
		return false
	}
	if errors.Is(err, errPoolClosed) { // by Close, or because another link has taken its place
		return db.closed.Err() == nil
	}
	if isConnectionLost(err) && !errors.As(err, new(*pgconn.ConnectError)) {
		db.replace(l)
	}
	return true
}
