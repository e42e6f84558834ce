package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	selectKeysetCheck = `SELECT value FROM settings WHERE name = 'keyset_check'`

	selectSealedSecrets = `SELECT id, secret_hash, sealed_secret FROM tokens WHERE id > ? ORDER BY id LIMIT ?` //nolint:gosec // these are names of columns

	selectSealedAnswers = `SELECT project_id, key, answer FROM idempotent_answers WHERE (project_id, key) > (?, ?) ORDER BY project_id, key LIMIT ?`
)

func bytesAt0(r row) ([]byte, error) { return r.bytes(0), nil }

// keysetCheck returns the value with which the keyset is told from others, or nil.
func (c conn) keysetCheck() ([]byte, error) {
	value, err := one(c, bytesAt0, selectKeysetCheck)
	if errors.Is(err, errNoRow) {
		return nil, nil
	}
	return value, err
}

// KeysetCheck returns the value that InitKeysetCheck has kept, or nil.
func (db *DB) KeysetCheck(ctx context.Context) ([]byte, error) {
	var value []byte
	err := db.read(ctx, func(c conn) error {
		var err error
		value, err = c.keysetCheck()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the keyset check: %w", err)
	}
	return value, nil
}

// InitKeysetCheck keeps the first value that it is given.
func (db *DB) InitKeysetCheck(ctx context.Context, value []byte) ([]byte, error) {
	if kept, err := db.KeysetCheck(ctx); kept != nil || err != nil {
		return kept, err
	}
	err := db.transact(ctx, func(t *tx) error {
		t.check = nil
		return t.exec(`INSERT INTO settings (name, value) VALUES ('keyset_check', ?) ON CONFLICT DO NOTHING`, value)
	})
	if err != nil {
		return nil, fmt.Errorf("keep the keyset check: %w", err)
	}
	return db.KeysetCheck(ctx)
}

// MoveKeysetCheck replaces the value.
func (db *DB) MoveKeysetCheck(ctx context.Context, from, to []byte) ([]byte, error) {
	err := db.transact(ctx, func(t *tx) error {
		t.check = nil
		return t.exec(`UPDATE settings SET value = ? WHERE name = 'keyset_check' AND value = ?`, to, from)
	})
	if err != nil {
		return nil, fmt.Errorf("move the keyset check: %w", err)
	}
	return db.KeysetCheck(ctx)
}

// checkSeal refuses a value that was not sealed with the key of the keyset check. A transaction asks once: nobody else moves the
// check meanwhile.
func (t *tx) checkSeal(sealed []byte) error {
	if t.check == nil {
		check, err := t.keysetCheck()
		if err != nil {
			return err
		}
		t.check = append([]byte{}, check...)
	}
	if !store.SameKey(t.check, sealed) {
		return store.ErrStaleSeal
	}
	return nil
}

// CountSealed counts the sealed values.
func (db *DB) CountSealed(ctx context.Context) (int, int, error) {
	var secrets, answers int
	err := db.read(ctx, func(c conn) error {
		var err error
		secrets, answers, err = c.countSealed()
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count what is sealed: %w", err)
	}
	return secrets, answers, nil
}

// SealedSecrets returns a part of the sealed secrets.
func (db *DB) SealedSecrets(ctx context.Context, after uuid.UUID, limit int) ([]store.SealedSecret, error) {
	var found []store.SealedSecret
	err := db.read(ctx, func(c conn) error {
		var err error
		found, err = c.sealedSecrets(after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read sealed secrets: %w", err)
	}
	return found, nil
}

// SealedAnswers returns a part of the sealed answers.
func (db *DB) SealedAnswers(ctx context.Context, after store.AnswerPlace, limit int) ([]store.SealedAnswer, error) {
	var found []store.SealedAnswer
	err := db.read(ctx, func(c conn) error {
		var err error
		found, err = c.sealedAnswers(after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read sealed answers: %w", err)
	}
	return found, nil
}

func (c conn) countSealed() (int, int, error) {
	counts, err := one(c, func(r row) ([2]int, error) { return [2]int{r.stmt.ColumnInt(0), r.stmt.ColumnInt(1)}, nil },
		`SELECT (SELECT count(*) FROM tokens), (SELECT count(*) FROM idempotent_answers)`)
	return counts[0], counts[1], err
}

func (c conn) sealedSecrets(after uuid.UUID, limit int) ([]store.SealedSecret, error) {
	var found []store.SealedSecret
	err := c.each(selectSealedSecrets, []any{after[:], limit}, func(r row) error {
		found = append(found, store.SealedSecret{TokenID: r.id(0), Hash: r.hash(1), Sealed: r.bytes(2)})
		return nil
	})
	return found, err
}

func (c conn) sealedAnswers(after store.AnswerPlace, limit int) ([]store.SealedAnswer, error) {
	var found []store.SealedAnswer
	err := c.each(selectSealedAnswers, []any{after.ProjectID[:], after.Key, limit}, func(r row) error {
		found = append(found, store.SealedAnswer{AnswerPlace: store.AnswerPlace{ProjectID: r.id(0), Key: r.text(1)}, Sealed: r.bytes(2)})
		return nil
	})
	return found, err
}

// Reseal replaces sealed values that are those from before still.
func (db *DB) Reseal(ctx context.Context, secrets []store.ResealedSecret, answers []store.ResealedAnswer) (int, error) {
	replaced := 0
	err := db.transact(ctx, func(t *tx) error {
		replaced = 0
		for _, s := range secrets {
			if err := t.reseal(&replaced, s.After, `UPDATE tokens SET sealed_secret = ? WHERE id = ? AND sealed_secret = ?`,
				s.After, s.TokenID[:], s.Before); err != nil {
				return err
			}
		}
		for _, a := range answers {
			if err := t.reseal(&replaced, a.After, `UPDATE idempotent_answers SET answer = ? WHERE project_id = ? AND key = ? AND answer = ?`,
				a.After, a.ProjectID[:], a.Key, a.Before); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("seal again: %w", err)
	}
	return replaced, nil
}

func (t *tx) reseal(replaced *int, sealed []byte, update string, args ...any) error {
	if err := t.checkSeal(sealed); err != nil {
		return err
	}
	if err := t.exec(update, args...); err != nil {
		return err
	}
	*replaced += t.Changes()
	return nil
}
