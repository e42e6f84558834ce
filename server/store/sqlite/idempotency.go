package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// once makes a change in a transaction, unless its idempotency key says that it was made before, and keeps the answer with
// it. f returns the token that the answer is about.
func (db *DB) once(ctx context.Context, change store.Change, f func(context.Context, *statements) (store.Token, error)) error {
	return db.transact(ctx, func(ctx context.Context, tx *statements) error {
		if claim := change.Idempotency; claim != nil {
			if err := findAnswer(ctx, tx, *claim, change.At); err != nil {
				return err
			}
			if claim.OnlyReplay {
				return store.ErrRevoked
			}
		}
		if err := checkCredential(ctx, tx, change); err != nil {
			return err
		}
		token, err := f(ctx, tx)
		if err != nil || change.Idempotency == nil {
			return err
		}
		return keepAnswer(ctx, tx, change, token)
	})
}

// change makes a change that takes no idempotency key.
func (db *DB) change(ctx context.Context, change store.Change, f func(context.Context, *statements) error) error {
	return db.transact(ctx, func(ctx context.Context, tx *statements) error {
		if err := checkCredential(ctx, tx, change); err != nil {
			return err
		}
		return f(ctx, tx)
	})
}

// TokenByRepetition finds the token that has made a change under an idempotency key.
func (db *DB) TokenByRepetition(
	ctx context.Context, id uuid.UUID, hash store.SecretHash, project uuid.UUID, key string, now time.Time,
) (store.Token, error) {
	token, err := scanToken(db.reads.QueryRowContext(ctx, `SELECT `+columnsOfToken+` FROM tokens
		WHERE id = ?1 AND (expires_at IS NULL OR expires_at > ?2) AND EXISTS (SELECT 1 FROM idempotent_answers AS kept
			WHERE kept.project_id = ?3 AND kept.key = ?4 AND kept.token_id = ?1 AND kept.secret_hash = ?5 AND kept.expires_at > ?2)`,
		id[:], micro(now), project[:], key, hash[:]))
	if err != nil {
		return store.Token{}, fmt.Errorf("token by repetition: %w", explain(ctx, err))
	}
	token.SecretHash = hash
	return token, nil
}

// findAnswer returns a *store.Replay or store.ErrKeyReused when the key has been used.
func findAnswer(ctx context.Context, tx *statements, claim store.Idempotency, now time.Time) error {
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
func keepAnswer(ctx context.Context, tx *statements, change store.Change, token store.Token) error {
	kept := change.Idempotency
	answer, err := kept.Answer(token)
	if err != nil {
		return err
	}
	var hash []byte
	if change.Credential != nil {
		hash = change.Credential.SecretHash[:]
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO idempotent_answers (project_id, key, fingerprint, answer, expires_at, token_id, secret_hash)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		kept.ProjectID[:], kept.Key, kept.Fingerprint[:], answer, micro(kept.ExpiresAt), optionalID(change.Actor.TokenID), hash)
	return err
}
