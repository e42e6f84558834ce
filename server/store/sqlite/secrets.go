package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// TokenBySecret finds the token that a secret belongs to, among the current secrets first. The column secret_hash of the
// result is the one that matched.
func (db *DB) TokenBySecret(ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
	token, err := tokenBySecret(ctx, db.reads, hash, now)
	if err != nil {
		return store.Token{}, fmt.Errorf("token by secret: %w", explain(ctx, err))
	}
	return token, nil
}

// checkCredential makes sure that a change may be made by who has asked for it.
func checkCredential(ctx context.Context, from querier, change store.Change) error {
	if change.Credential == nil {
		return nil
	}
	token, err := tokenBySecret(ctx, from, change.Credential.SecretHash, change.At)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !slices.Contains(token.Permissions, change.Credential.Permission) {
		return store.ErrRevoked
	}
	return err
}

func tokenBySecret(ctx context.Context, from querier, hash store.SecretHash, now time.Time) (store.Token, error) {
	return scanToken(from.QueryRowContext(ctx, `
		SELECT `+columnsOfToken+` FROM tokens
		WHERE secret_hash = ?1 AND (expires_at IS NULL OR expires_at > ?2)
		UNION ALL
		SELECT id, project_id, name, permissions, retired.secret_hash, sealed_secret, created_at, updated_at,
			min(coalesce(expires_at, valid_until), valid_until), last_used_at
		FROM retired_secrets AS retired JOIN tokens ON tokens.id = retired.token_id
		WHERE retired.secret_hash = ?1 AND retired.valid_until > ?2 AND (expires_at IS NULL OR expires_at > ?2)
		LIMIT 1`, hash[:], micro(now)))
}

// RotateToken replaces the secret of a token.
func (db *DB) RotateToken(
	ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change,
) (store.Token, error) {
	var after store.Token
	err := db.once(ctx, change, func(ctx context.Context, tx *statements) (store.Token, error) {
		before, err := selectToken(ctx, tx, account, id)
		if err != nil {
			return store.Token{}, err
		}
		if err := retire(ctx, tx, before, rotation.RetireAt, change.At); err != nil {
			return store.Token{}, err
		}
		after, err = scanToken(tx.QueryRowContext(ctx, `UPDATE tokens
			SET secret_hash = ?, sealed_secret = ?, updated_at = max(updated_at, ?) WHERE id = ? RETURNING `+columnsOfToken,
			rotation.SecretHash[:], rotation.SealedSecret, micro(change.At), id[:]))
		if err != nil {
			return store.Token{}, err
		}
		event := store.NewAuditEvent(change, store.TokenRotated, after.ProjectID, id, store.Changes{})
		return after, insertEvent(ctx, tx, event)
	})
	if err != nil {
		return store.Token{}, fmt.Errorf("rotate token %s: %w", id, err)
	}
	return after, nil
}

// retire ends the secrets that a token has, the current one and those that were retired before, at the given time.
func retire(ctx context.Context, tx *statements, token store.Token, at, now time.Time) error {
	if !token.ExpiresAt.IsZero() && token.ExpiresAt.Before(at) {
		at = token.ExpiresAt
	}
	statements := []struct {
		text string
		args []any
	}{
		{`INSERT INTO retired_secrets (secret_hash, token_id, valid_until) VALUES (?, ?, ?)`, []any{token.SecretHash[:], token.ID[:], micro(at)}},
		{`UPDATE retired_secrets SET valid_until = min(valid_until, ?) WHERE token_id = ?`, []any{micro(at), token.ID[:]}},
		{`DELETE FROM retired_secrets WHERE token_id = ? AND valid_until <= ?`, []any{token.ID[:], micro(now)}},
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement.text, statement.args...); err != nil {
			return err
		}
	}
	return nil
}

// RecordUse notes when tokens were used last.
func (db *DB) RecordUse(ctx context.Context, uses map[uuid.UUID]time.Time) error {
	err := db.transact(ctx, func(ctx context.Context, tx *statements) error {
		for id, at := range uses {
			_, err := tx.ExecContext(ctx, `UPDATE tokens SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?`, micro(at), id[:])
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the use of tokens: %w", err)
	}
	return nil
}
