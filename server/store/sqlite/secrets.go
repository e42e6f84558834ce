package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	selectCurrent = `SELECT ` + columnsOfToken + ` FROM tokens WHERE secret_hash = ?`

	// selectRetired has the secret that is asked for in place of the current one, and as the expiry when that secret stops to work.
	selectRetired = `SELECT id, project_id, name, permissions, retired.secret_hash, sealed_secret, created_at, updated_at,
			min(coalesce(expires_at, valid_until), valid_until), last_used_at
		FROM retired_secrets AS retired JOIN tokens ON tokens.id = retired.token_id WHERE retired.secret_hash = ?`
)

// TokenBySecret finds the token that a secret belongs to.
func (db *DB) TokenBySecret(ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
	var token store.Token
	err := db.read(ctx, func(c conn) error {
		var err error
		token, err = tokenBySecret(c, hash, now)
		return err
	})
	if err != nil {
		return store.Token{}, fmt.Errorf("token by secret: %w", err)
	}
	return token, nil
}

// tokenBySecret looks among the current secrets first. The time is compared here: with it in the statement SQLite would plan the
// statement anew each time.
func tokenBySecret(c conn, hash store.SecretHash, now time.Time) (store.Token, error) {
	token, err := one(c, scanToken, selectCurrent, hash[:])
	if errors.Is(err, errNoRow) {
		token, err = one(c, scanToken, selectRetired, hash[:])
	}
	if err == nil && !works(token, now) {
		return store.Token{}, errNoRow
	}
	return token, err
}

// works reports whether the secret by which a token was found is good at this time.
func works(token store.Token, now time.Time) bool {
	return token.ExpiresAt.IsZero() || token.ExpiresAt.After(store.Kept(now))
}

// RotateToken replaces the secret of a token.
func (db *DB) RotateToken(
	ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change,
) (store.Token, error) {
	var after store.Token
	err := db.once(ctx, change, func(t *tx) (store.Token, error) {
		before, err := t.token(account, id)
		if err != nil {
			return store.Token{}, err
		}
		if err := t.checkSeal(rotation.SealedSecret); err != nil {
			return store.Token{}, err
		}
		t.tokenChanged(id)
		if err := t.retire(before, rotation.RetireAt, change.At); err != nil {
			return store.Token{}, err
		}
		after = before
		after.SecretHash, after.SealedSecret, after.UpdatedAt = rotation.SecretHash, rotation.SealedSecret, store.Later(before.UpdatedAt, change.At)
		err = t.exec(`UPDATE tokens SET secret_hash = ?, sealed_secret = ?, updated_at = ? WHERE id = ?`,
			after.SecretHash[:], after.SealedSecret, micro(after.UpdatedAt), id[:])
		if err != nil {
			return store.Token{}, err
		}
		return after, t.note(store.NewAuditEvent(change, store.TokenRotated, after.ProjectID, id, store.Changes{}))
	})
	if err != nil {
		return store.Token{}, fmt.Errorf("rotate token %s: %w", id, err)
	}
	return after, nil
}

// retire ends the secrets that a token has, the current one and those that were retired before, at the given time.
func (t *tx) retire(token store.Token, at, now time.Time) error {
	if !token.ExpiresAt.IsZero() && token.ExpiresAt.Before(at) {
		at = token.ExpiresAt
	}
	for _, step := range []struct {
		text string
		args []any
	}{
		{`INSERT INTO retired_secrets (secret_hash, token_id, valid_until) VALUES (?, ?, ?)`, []any{token.SecretHash[:], token.ID[:], micro(at)}},
		{`UPDATE retired_secrets SET valid_until = min(valid_until, ?) WHERE token_id = ?`, []any{micro(at), token.ID[:]}},
		{`DELETE FROM retired_secrets WHERE token_id = ? AND valid_until <= ?`, []any{token.ID[:], micro(now)}},
	} {
		if err := t.exec(step.text, step.args...); err != nil {
			return err
		}
	}
	return nil
}

// maxUses bounds how many uses are recorded in one change, so that others need not wait for long.
const maxUses = 500

// RecordUse notes when tokens were used last.
func (db *DB) RecordUse(ctx context.Context, uses map[uuid.UUID]time.Time) error {
	ids := make([]uuid.UUID, 0, len(uses))
	for id := range uses {
		ids = append(ids, id)
	}
	for some := range slices.Chunk(ids, maxUses) {
		err := db.transact(ctx, func(t *tx) error {
			for _, id := range some {
				err := t.exec(`UPDATE tokens SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?`, micro(uses[id]), id[:])
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("record the use of tokens: %w", err)
		}
	}
	return nil
}
