// Package memory keeps tokenwire's projects and tokens in memory, for tests: nothing is on a disk, and nothing is left when the
// process ends.
//
// It keeps every promise of package store, and those of store.Worlds besides: the state of a top-level project, with everything
// that belongs to it, can be copied, put back and removed without touching any other.
package memory

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// DB is a store in memory.
type DB struct {
	mu     sync.RWMutex
	closed bool
	check  []byte

	worlds  map[uuid.UUID]*world // by top-level project
	roots   map[uuid.UUID]uuid.UUID
	tokens  map[uuid.UUID]*world
	secrets map[store.SecretHash]*token // current and retired ones
}

var (
	_ store.Store  = (*DB)(nil)
	_ store.Worlds = (*DB)(nil)
)

// New returns an empty store.
func New() *DB {
	return &DB{
		worlds: make(map[uuid.UUID]*world), roots: make(map[uuid.UUID]uuid.UUID),
		tokens: make(map[uuid.UUID]*world), secrets: make(map[store.SecretHash]*token),
	}
}

// read calls f while nothing changes.
func (db *DB) read(ctx context.Context, what string, f func() error) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.do(ctx, what, f)
}

// write calls f while nobody reads. f changes nothing if it fails.
func (db *DB) write(ctx context.Context, what string, f func() error) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.do(ctx, what, f)
}

func (db *DB) do(ctx context.Context, what string, f func() error) error {
	err := ctx.Err()
	if err == nil && db.closed {
		err = store.ErrUnavailable
	}
	if err == nil {
		err = f()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// plan is a change that is known to succeed: the token as it will be, and what makes it so.
type plan struct {
	token store.Token
	apply func()
}

// once carries out a plan, unless the idempotency key of the change says that it was carried out before.
func (db *DB) once(change store.Change, prepare func() (plan, error)) error {
	claim := change.Idempotency
	if claim == nil {
		return db.carryOut(change, prepare, func(plan) error { return nil })
	}
	keeper, ok := db.worlds[db.roots[claim.ProjectID]]
	if !ok {
		return store.ErrNotFound
	}
	if err := keeper.findAnswer(*claim, change.At); err != nil {
		return err
	}
	if claim.OnlyReplay {
		return store.ErrRevoked
	}
	return db.carryOut(change, prepare, func(prepared plan) error {
		answer, err := claim.Answer(prepared.token)
		if err == nil {
			err = db.checkSeal(answer)
		}
		if err == nil {
			keeper.keepAnswer(change, answer)
		}
		return err
	})
}

// carryOut makes a change, if its credential is good and the answer can be kept.
func (db *DB) carryOut(change store.Change, prepare func() (plan, error), keep func(plan) error) error {
	if err := db.checkCredential(change); err != nil {
		return err
	}
	prepared, err := prepare()
	if err != nil {
		return err
	}
	if err := keep(prepared); err != nil {
		return err
	}
	prepared.apply()
	return nil
}

// Ping reports whether the store is open.
func (db *DB) Ping(ctx context.Context) error {
	return db.read(ctx, "ping", func() error { return nil })
}

// Close waits for running calls. What was kept is gone.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	return nil
}

func clone(text []byte) []byte {
	if text == nil {
		return nil
	}
	return append([]byte{}, text...)
}
