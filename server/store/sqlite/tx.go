package sqlite

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// tx is a transaction of the writer. Nobody else changes the database meanwhile, so that what its changes ask again and again
// is asked once: most of them come from the same few callers.
type tx struct {
	conn
	callers map[store.SecretHash]store.Token // who has been found by a secret
	roots   map[uuid.UUID]uuid.UUID
	latest  map[uuid.UUID]int64 // the time of the latest event in the trail of a root
	check   []byte              // the keyset check; nil before it was asked for, and empty when there is none
}

func newTx(c conn) *tx {
	return &tx{c, make(map[store.SecretHash]store.Token), make(map[uuid.UUID]uuid.UUID), make(map[uuid.UUID]int64), nil}
}

// forget is called when a change has been taken back: what was learned since it began may not be so.
func (t *tx) forget() {
	clear(t.callers)
	clear(t.roots)
	clear(t.latest)
	t.check = nil
}

// transact runs f in a transaction that is durable when transact returns nil.
func (db *DB) transact(ctx context.Context, f func(*tx) error) error {
	return explain(ctx, db.writer.transact(ctx, f))
}

// change makes a change that takes no idempotency key.
func (db *DB) change(ctx context.Context, change store.Change, f func(*tx) error) error {
	return db.transact(ctx, func(t *tx) error {
		if err := t.checkCredential(change); err != nil {
			return err
		}
		return f(t)
	})
}

// once makes a change in a transaction, unless its idempotency key says that it was made before, and keeps the answer with
// it. f returns the token that the answer is about.
func (db *DB) once(ctx context.Context, change store.Change, f func(*tx) (store.Token, error)) error {
	return db.transact(ctx, func(t *tx) error {
		if claim := change.Idempotency; claim != nil {
			if err := t.findAnswer(*claim, change.At); err != nil {
				return err
			}
			if claim.OnlyReplay {
				return store.ErrRevoked
			}
		}
		if err := t.checkCredential(change); err != nil {
			return err
		}
		token, err := f(t)
		if err != nil || change.Idempotency == nil {
			return err
		}
		return t.keepAnswer(change, token)
	})
}

// checkCredential makes sure that a change may be made by who has asked for it.
func (t *tx) checkCredential(change store.Change) error {
	if change.Credential == nil {
		return nil
	}
	hash := change.Credential.SecretHash
	token, known := t.callers[hash]
	if !known || !works(token, change.At) {
		var err error
		if token, err = tokenBySecret(t.conn, hash, change.At); err != nil {
			return asRevoked(err)
		}
		t.callers[hash] = token
	}
	return checkPermission(token, change)
}

// asRevoked is what it means that the token of a credential is not found.
func asRevoked(err error) error {
	if errors.Is(err, errNoRow) {
		return store.ErrRevoked
	}
	return err
}

func checkPermission(token store.Token, change store.Change) error {
	if !slices.Contains(token.Permissions, change.Credential.Permission) {
		return store.ErrRevoked
	}
	return nil
}

// tokenChanged forgets a token as a caller.
func (t *tx) tokenChanged(id uuid.UUID) {
	for hash, known := range t.callers {
		if known.ID == id {
			delete(t.callers, hash)
		}
	}
}

// root returns the project at the top of a project's world, and errNoRow when there is no such project.
func (t *tx) root(project uuid.UUID) (uuid.UUID, error) {
	if root, ok := t.roots[project]; ok {
		return root, nil
	}
	root, err := one(t.conn, func(r row) (uuid.UUID, error) { return r.id(0), nil }, `SELECT root_id FROM projects WHERE id = ?`, project[:])
	if err == nil {
		t.roots[project] = root
	}
	return root, err
}
