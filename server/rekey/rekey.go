// Package rekey moves what a store has sealed from one key of its keyset to another, while servers use the store.
//
// The steps of a rotation, each of which may be the last one before a crash:
//
//  1. A new key is added to the keyset's file. It opens, and seals nothing. Whoever meets a value that no key opens looks at the
//     file again, so that from here on nobody can be surprised by the new key.
//  2. The keyset check of the database moves to the new key: one change in one transaction. The store refuses every value
//     that was sealed with another key from then on (store.ErrStaleSeal), and servers seal it again.
//  3. What is sealed with older keys is sealed again, in small batches. A value that has changed meanwhile is left alone: it has the new key.
//  4. Only when nothing is left may old keys be removed, which is a command of its own.
//
// Nothing is lost at any point: a key is in the file before anything is sealed with it, and until nothing is any more.
package rekey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

const (
	// batch is how many values are read at once and replaced in one transaction: a writer that comes in between waits for a few
	// milliseconds.
	batch = 200
	// maxBroken bounds how many errors are kept.
	maxBroken = 10
	// attempts bounds how often a batch is tried while the database is busy, with a pause of up to longestPause between.
	attempts     = 60
	longestPause = time.Second
)

// Use says how many values a key has sealed.
type Use struct{ Secrets, Answers int }

// Found is what is sealed in a store.
type Found struct {
	// ByKey has each key that has sealed something, by its id.
	ByKey map[uint32]Use
	// Total is how many values there are. Broken is how many of them the keyset does not open, and Errors say why, for the first few.
	Total  int
	Broken int
	Errors []error
}

// Others returns how many values were sealed with other keys than this one.
func (f Found) Others(key uint32) int {
	sum := 0
	for id, use := range f.ByKey {
		if id != key {
			sum += use.Secrets + use.Answers
		}
	}
	return sum
}

// Err says what is broken, or is nil.
func (f Found) Err() error {
	if f.Broken == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d: %w", f.Broken, f.Total, f.Errors[0])
}

func (f *Found) broken(err error) {
	if f.Broken++; len(f.Errors) < maxBroken {
		f.Errors = append(f.Errors, err)
	}
}

func (f *Found) count(sealed []byte, use Use) {
	key := secret.KeyID(sealed)
	f.Total += use.Secrets + use.Answers
	f.ByKey[key] = Use{f.ByKey[key].Secrets + use.Secrets, f.ByKey[key].Answers + use.Answers}
}

// Reader is what has sealed values in it. A store.Store is one.
type Reader interface {
	CountSealed(ctx context.Context) (secrets, answers int, err error)
	SealedSecrets(ctx context.Context, after uuid.UUID, limit int) ([]store.SealedSecret, error)
	SealedAnswers(ctx context.Context, after store.AnswerPlace, limit int) ([]store.SealedAnswer, error)
}

// Progress hears how many values of how many are done.
type Progress func(done, total int)

// Look opens every sealed value, and counts them by key.
func Look(ctx context.Context, db Reader, keyset *secret.Keyset, progress Progress) (Found, error) {
	return visit(ctx, db, keyset, progress, func([]store.ResealedSecret, []store.ResealedAnswer) error { return nil })
}

// Reseal seals everything with the key that seals now which was sealed with another, and returns what it has found: ByKey is
// how it was before. The caller looks whether anything is left. It can be stopped at any point, and begun again.
func Reseal(ctx context.Context, db store.Store, keyset *secret.Keyset, progress Progress) (Found, error) {
	return visit(ctx, db, keyset, progress, func(secrets []store.ResealedSecret, answers []store.ResealedAnswer) error {
		if len(secrets)+len(answers) == 0 {
			return nil
		}
		return replace(ctx, db, secrets, answers)
	})
}

// replace writes one batch, and then leaves the store to others for as long as it took.
func replace(ctx context.Context, db store.Store, secrets []store.ResealedSecret, answers []store.ResealedAnswer) error {
	pause := 10 * time.Millisecond
	for attempt := 1; ; attempt++ {
		began := time.Now()
		_, err := db.Reseal(ctx, secrets, answers)
		if err == nil {
			return wait(ctx, time.Since(began))
		}
		if !errors.Is(err, store.ErrUnavailable) || attempt == attempts {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestPause)
	}
}

func wait(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// visitor goes through everything that is sealed.
type visitor struct {
	keyset *secret.Keyset
	found  Found
}

// visit opens every sealed value, and gives do those that another key has sealed than the one that seals now, sealed again.
func visit(
	ctx context.Context, db Reader, keyset *secret.Keyset, progress Progress,
	do func([]store.ResealedSecret, []store.ResealedAnswer) error,
) (Found, error) {
	v := visitor{keyset, Found{ByKey: make(map[uint32]Use)}}
	countSecrets, countAnswers, err := db.CountSealed(ctx)
	if err != nil {
		return v.found, err
	}
	done, total := 0, countSecrets+countAnswers
	step := func(n int, secrets []store.ResealedSecret, answers []store.ResealedAnswer) error {
		if err := do(secrets, answers); err != nil {
			return err
		}
		done += n
		if progress != nil {
			progress(done, max(done, total)) // there may be more by now
		}
		return nil
	}
	err = eachPart(ctx, db.SealedSecrets, func(s store.SealedSecret) uuid.UUID { return s.TokenID }, func(part []store.SealedSecret) error {
		return step(len(part), v.secrets(part), nil)
	})
	if err != nil {
		return v.found, err
	}
	err = eachPart(ctx, db.SealedAnswers, func(a store.SealedAnswer) store.AnswerPlace { return a.AnswerPlace }, func(part []store.SealedAnswer) error {
		return step(len(part), nil, v.answers(part))
	})
	return v.found, err
}

// eachPart calls do with everything in a list, in parts. place says behind what the next part begins.
func eachPart[T, P any](
	ctx context.Context, list func(ctx context.Context, after P, limit int) ([]T, error), place func(T) P, do func([]T) error,
) error {
	var after P
	for {
		part, err := list(ctx, after, batch)
		if err == nil {
			err = do(part)
		}
		if err != nil || len(part) < batch {
			return err
		}
		after = place(part[batch-1])
	}
}

// secrets returns those that have to be sealed again.
func (v *visitor) secrets(part []store.SealedSecret) []store.ResealedSecret {
	var stale []store.ResealedSecret
	for _, s := range part {
		v.found.count(s.Sealed, Use{Secrets: 1})
		plain, err := v.keyset.Open(s.TokenID, s.Sealed)
		if err == nil && plain.Hash() != s.Hash {
			err = fmt.Errorf("the secret of token %s is another than the one that it is found by", s.TokenID)
		}
		var after []byte
		if err == nil && secret.KeyID(s.Sealed) != v.keyset.Sealing() {
			after, err = v.keyset.Seal(s.TokenID, plain)
		}
		if err != nil {
			v.found.broken(err)
		} else if after != nil {
			stale = append(stale, store.ResealedSecret{TokenID: s.TokenID, Before: s.Sealed, After: after})
		}
	}
	return stale
}

func (v *visitor) answers(part []store.SealedAnswer) []store.ResealedAnswer {
	var stale []store.ResealedAnswer
	for _, a := range part {
		v.found.count(a.Sealed, Use{Answers: 1})
		after, err := v.keyset.ResealAnswer(a.ProjectID, a.Sealed)
		if err != nil {
			v.found.broken(fmt.Errorf("the answer that is kept for an idempotency key of project %s: %w", a.ProjectID, err))
		} else if secret.KeyID(a.Sealed) != v.keyset.Sealing() {
			stale = append(stale, store.ResealedAnswer{AnswerPlace: a.AnswerPlace, Before: a.Sealed, After: after})
		}
	}
	return stale
}
