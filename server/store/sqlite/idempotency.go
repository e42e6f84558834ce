package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// TokenByRepetition finds the token that has made a change under an idempotency key.
func (db *DB) TokenByRepetition(
	ctx context.Context, id uuid.UUID, hash store.SecretHash, project uuid.UUID, key string, now time.Time,
) (store.Token, error) {
	token, err := readOne(ctx, db, scanToken, `SELECT `+columnsOfToken+` FROM tokens
		WHERE id = ?1 AND (expires_at IS NULL OR expires_at > ?2) AND EXISTS (SELECT 1 FROM idempotent_answers AS kept
			WHERE kept.project_id = ?3 AND kept.key = ?4 AND kept.token_id = ?1 AND kept.secret_hash = ?5 AND kept.expires_at > ?2)`,
		id[:], micro(now), project[:], key, hash[:])
	if err != nil {
		return store.Token{}, fmt.Errorf("token by repetition: %w", err)
	}
	token.SecretHash = hash
	return token, nil
}

// findAnswer returns a *store.Replay or store.ErrKeyReused when the key has been used.
func (t *tx) findAnswer(claim store.Idempotency, now time.Time) error {
	if err := t.exec(`DELETE FROM idempotent_answers WHERE expires_at <= ?`, micro(now)); err != nil {
		return err
	}
	read := func(r row) ([]byte, error) {
		if string(r.bytes(0)) != string(claim.Fingerprint[:]) {
			return nil, store.ErrKeyReused
		}
		return r.bytes(1), nil
	}
	answer, err := one(t.conn, read, `SELECT fingerprint, answer FROM idempotent_answers WHERE project_id = ? AND key = ?`,
		claim.ProjectID[:], claim.Key)
	switch {
	case errors.Is(err, errNoRow):
		return nil
	case err != nil:
		return err
	}
	return &store.Replay{Answer: answer}
}

// keepAnswer keeps the answer of a change that has been made.
func (t *tx) keepAnswer(change store.Change, token store.Token) error {
	kept := change.Idempotency
	answer, err := kept.Answer(token)
	if err == nil {
		err = t.checkSeal(answer)
	}
	if err != nil {
		return err
	}
	var hash any
	if change.Credential != nil {
		hash = change.Credential.SecretHash[:]
	}
	return t.exec(`INSERT INTO idempotent_answers (project_id, key, fingerprint, answer, expires_at, token_id, secret_hash)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		kept.ProjectID[:], kept.Key, kept.Fingerprint[:], answer, micro(kept.ExpiresAt), optionalID(change.Actor.TokenID), hash)
}
