package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tokenwire/tokenwire/server/store"
)

// findAnswer returns a *store.Replay or store.ErrKeyReused when the idempotency key of a change has been used. It runs in the
// transaction of the change.
func findAnswer(ctx context.Context, tx *sql.Tx, change store.Change) error {
	claim := change.Idempotency
	if claim == nil {
		return nil
	}
	now := micro(change.At)
	if _, err := tx.ExecContext(ctx, `DELETE FROM idempotent_answers WHERE expires_at <= ?`, now); err != nil {
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

// keepAnswer keeps the answer of a change that has been made, in its transaction. Each change that may have an idempotency
// key ends with it.
func keepAnswer(ctx context.Context, tx *sql.Tx, change store.Change, token store.Token) error {
	kept := change.Idempotency
	if kept == nil {
		return nil
	}
	answer, err := kept.Answer(token)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO idempotent_answers (project_id, key, fingerprint, answer, expires_at) VALUES (?, ?, ?, ?, ?)`,
		kept.ProjectID[:], kept.Key, kept.Fingerprint[:], answer, micro(kept.ExpiresAt))
	return err
}
