package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/tokenwire/tokenwire/server/store"
)

// once makes a change in a transaction, unless its idempotency key says that it was made before, and keeps the answer with
// it. f returns the token that the answer is about.
func (db *DB) once(ctx context.Context, change store.Change, f func(*sql.Tx) (store.Token, error)) error {
	return db.transact(ctx, func(tx *sql.Tx) error {
		if change.Idempotency == nil {
			_, err := f(tx)
			return err
		}
		if err := findAnswer(ctx, tx, *change.Idempotency, change.At); err != nil {
			return err
		}
		token, err := f(tx)
		if err != nil {
			return err
		}
		return keepAnswer(ctx, tx, *change.Idempotency, token)
	})
}

// findAnswer returns a *store.Replay or store.ErrKeyReused when the key has been used.
func findAnswer(ctx context.Context, tx *sql.Tx, claim store.Idempotency, now time.Time) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM idempotent_answers WHERE expires_at <= ?`, micro(now)); err != nil {
		return err
	}
	var fingerprint, answer []byte
	err := tx.QueryRowContext(ctx, `SELECT fingerprint, answer FROM idempotent_answers WHERE project_id = ? AND key = ?`,
		claim.ProjectID[:], claim.Key).Scan(&fingerprint, &answer)
	switch {
	case err == nil && string(fingerprint) == string(claim.Fingerprint[:]):
		return &store.Replay{Answer: answer}
	case err == nil:
		return store.ErrKeyReused
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	return nil
}

// keepAnswer keeps the answer of a change that has been made.
func keepAnswer(ctx context.Context, tx *sql.Tx, kept store.Idempotency, token store.Token) error {
	answer, err := kept.Answer(token)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO idempotent_answers (project_id, key, fingerprint, answer, expires_at) VALUES (?, ?, ?, ?, ?)`,
		kept.ProjectID[:], kept.Key, kept.Fingerprint[:], answer, micro(kept.ExpiresAt))
	return err
}
