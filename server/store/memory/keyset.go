package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// KeysetCheck returns the value that InitKeysetCheck has kept, or nil.
func (db *DB) KeysetCheck(ctx context.Context) ([]byte, error) {
	var value []byte
	err := db.read(ctx, "read the keyset check", func() error {
		value = clone(db.check)
		return nil
	})
	return value, err
}

// InitKeysetCheck keeps the first value that it is given.
func (db *DB) InitKeysetCheck(ctx context.Context, value []byte) ([]byte, error) {
	var first []byte
	err := db.write(ctx, "keep the keyset check", func() error {
		if db.check == nil {
			db.check = clone(value)
		}
		first = clone(db.check)
		return nil
	})
	return first, err
}

// MoveKeysetCheck replaces the value.
func (db *DB) MoveKeysetCheck(ctx context.Context, from, to []byte) ([]byte, error) {
	var moved []byte
	err := db.write(ctx, "move the keyset check", func() error {
		if db.check != nil && bytes.Equal(db.check, from) {
			db.check = clone(to)
		}
		moved = clone(db.check)
		return nil
	})
	return moved, err
}

// checkSeal refuses a value that was not sealed with the key of the keyset check.
func (db *DB) checkSeal(sealed []byte) error {
	if !store.SameKey(db.check, sealed) {
		return store.ErrStaleSeal
	}
	return nil
}

// CountSealed counts the sealed values.
func (db *DB) CountSealed(ctx context.Context) (int, int, error) {
	var secrets, answers int
	err := db.read(ctx, "count what is sealed", func() error {
		for _, w := range db.worlds {
			secrets, answers = secrets+len(w.tokens), answers+len(w.answers)
		}
		return nil
	})
	return secrets, answers, err
}

// SealedSecrets returns a part of the sealed secrets.
func (db *DB) SealedSecrets(ctx context.Context, after uuid.UUID, limit int) ([]store.SealedSecret, error) {
	var found []store.SealedSecret
	err := db.read(ctx, "read sealed secrets", func() error {
		for _, w := range db.worlds {
			for _, t := range w.tokens {
				if bytes.Compare(t.ID[:], after[:]) > 0 {
					found = append(found, store.SealedSecret{TokenID: t.ID, Hash: t.SecretHash, Sealed: clone(t.SealedSecret)})
				}
			}
		}
		return nil
	})
	slices.SortFunc(found, func(a, b store.SealedSecret) int { return bytes.Compare(a.TokenID[:], b.TokenID[:]) })
	return found[:min(limit, len(found))], err
}

// SealedAnswers returns a part of the sealed answers.
func (db *DB) SealedAnswers(ctx context.Context, after store.AnswerPlace, limit int) ([]store.SealedAnswer, error) {
	var found []store.SealedAnswer
	err := db.read(ctx, "read sealed answers", func() error {
		for _, w := range db.worlds {
			for at, kept := range w.answers {
				if place := (store.AnswerPlace{ProjectID: at.project, Key: at.key}); comparePlaces(place, after) > 0 {
					found = append(found, store.SealedAnswer{AnswerPlace: place, Sealed: clone(kept.answer)})
				}
			}
		}
		return nil
	})
	slices.SortFunc(found, func(a, b store.SealedAnswer) int { return comparePlaces(a.AnswerPlace, b.AnswerPlace) })
	return found[:min(limit, len(found))], err
}

func comparePlaces(a, b store.AnswerPlace) int {
	return cmp.Or(bytes.Compare(a.ProjectID[:], b.ProjectID[:]), cmp.Compare(a.Key, b.Key))
}

// Reseal replaces sealed values that are those from before still.
func (db *DB) Reseal(ctx context.Context, secrets []store.ResealedSecret, answers []store.ResealedAnswer) (int, error) {
	replaced := 0
	err := db.write(ctx, "seal again", func() error {
		for _, s := range secrets {
			if err := db.checkSeal(s.After); err != nil {
				return err
			}
		}
		for _, a := range answers {
			if err := db.checkSeal(a.After); err != nil {
				return err
			}
		}
		for _, s := range secrets {
			replaced += db.resealSecret(s)
		}
		for _, a := range answers {
			replaced += db.resealAnswer(a)
		}
		return nil
	})
	return replaced, err
}

func (db *DB) resealSecret(s store.ResealedSecret) int {
	home, ok := db.tokens[s.TokenID]
	if !ok {
		return 0
	}
	i, _ := find(home.tokens, s.TokenID, tokenID)
	if !bytes.Equal(home.tokens[i].SealedSecret, s.Before) {
		return 0
	}
	home.tokens[i].SealedSecret = clone(s.After)
	return 1
}

func (db *DB) resealAnswer(a store.ResealedAnswer) int {
	home, ok := db.worlds[db.roots[a.ProjectID]]
	if !ok {
		return 0
	}
	at := answerKey{a.ProjectID, a.Key}
	kept, ok := home.answers[at]
	if !ok || !bytes.Equal(kept.answer, a.Before) {
		return 0
	}
	kept.answer = clone(a.After)
	home.answers[at] = kept
	return 1
}
