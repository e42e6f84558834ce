package postgres

import (
	"context"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// change is what the queue holds: what has to be read and locked for a change, and how it is made in what was read.
type change struct {
	needs needs
	// make makes the change in the state, or leaves the state as it is and says why. It may be called again with another state,
	// when a transaction was not committed.
	make func(*state) error
}

// needs is what a change has to know.
type needs struct {
	projects  []uuid.UUID // whose trees are locked; they need not exist
	tokens    []uuid.UUID // by their ids
	secrets   []store.SecretHash
	claims    []answerKey
	bootstrap bool // whether there is no project at all
	seals     bool // which key seals: something sealed is kept
}

type answerKey struct {
	project uuid.UUID
	key     string
}

// with adds what a change needs because of who makes it and under which key.
func (n needs) with(c store.Change) needs {
	if c.Credential != nil {
		n.secrets = append(n.secrets, c.Credential.SecretHash)
	}
	if claim := c.Idempotency; claim != nil {
		n.projects = append(n.projects, claim.ProjectID)
		n.seals = true
		n.claims = append(n.claims, answerKey{claim.ProjectID, claim.Key})
	}
	return n
}

// transact returns what make has returned, or what has kept the change from being made.
func (db *DB) transact(ctx context.Context, c *change) error {
	return db.queue.Do(ctx, c)
}

// change makes a change that takes no idempotency key.
func (db *DB) change(ctx context.Context, c store.Change, n needs, f func(*state) error) error {
	c.Idempotency = nil
	return db.transact(ctx, &change{needs: n.with(c), make: func(s *state) error {
		if err := s.checkCredential(c); err != nil {
			return err
		}
		return f(s)
	}})
}

// effect is a change that nothing speaks against any more: the token that its answer is about, and how it is made.
type effect struct {
	token store.Token
	make  func()
}

// once makes a change, unless its idempotency key says that it was made before, and keeps the answer with it. f looks whether the
// change can be made, and does not make it: the answer is made before.
func (db *DB) once(ctx context.Context, c store.Change, n needs, f func(*state) (effect, error)) error {
	return db.transact(ctx, &change{needs: n.with(c), make: func(s *state) error {
		claim := c.Idempotency
		if claim != nil {
			if err := s.findAnswer(*claim, c.At); err != nil {
				return err
			}
			if claim.OnlyReplay {
				return store.ErrRevoked
			}
		}
		if err := s.checkCredential(c); err != nil {
			return err
		}
		made, err := f(s)
		if err != nil {
			return err
		}
		var answer []byte
		if claim != nil {
			if answer, err = s.answer(*claim, made.token); err != nil {
				return err
			}
		}
		made.make()
		if claim != nil {
			s.keepAnswer(c, answer)
		}
		return nil
	}})
}
