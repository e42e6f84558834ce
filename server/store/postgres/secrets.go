package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tokenwire/tokenwire/server/store"
)

// selectSecret finds a token by its secret: a current one, and otherwise a retired one. That stands in place of the current one then,
// and the expiry is when that secret stops to work.
const selectSecret = `SELECT ` + columnsOfToken + ` FROM tokens WHERE secret_hash = $1
	UNION ALL
	SELECT id, project_id, name, permissions, retired.secret_hash, sealed_secret, created_at, updated_at,
		least(expires_at, valid_until), last_used_at
	FROM retired_secrets AS retired JOIN tokens ON tokens.id = retired.token_id WHERE retired.secret_hash = $1
		AND NOT EXISTS (SELECT 1 FROM tokens WHERE secret_hash = $1)
	LIMIT 1`

// TokenBySecret finds the token that a secret belongs to.
func (db *DB) TokenBySecret(ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
	found, err := readOne(ctx, db, scanToken, selectSecret, hash[:])
	if err == nil && !found.ExpiresAt.IsZero() && !found.ExpiresAt.After(store.Kept(now)) {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return store.Token{}, fmt.Errorf("token by secret: %w", explain(ctx, err))
	}
	return found, nil
}

func permits(caller store.Token, change store.Change) bool {
	return slices.Contains(caller.Permissions, change.Credential.Permission)
}

// samePowers reports whether a token authenticates as it did before.
func samePowers(before, after store.Token) bool {
	return slices.Equal(before.Permissions, after.Permissions) && before.ExpiresAt.Equal(after.ExpiresAt)
}

// RotateToken replaces the secret of a token.
func (db *DB) RotateToken(
	ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change,
) (store.Token, error) {
	var after store.Token
	n := needs{projects: []uuid.UUID{account}, tokens: []uuid.UUID{id}, secrets: []store.SecretHash{rotation.SecretHash}, seals: true}
	err := db.once(ctx, change, n, func(s *state) (effect, error) {
		before, err := s.token(account, id)
		if err != nil {
			return effect{}, err
		}
		if err := cmp.Or(s.checkSeal(rotation.SealedSecret), s.checkFree(rotation.SecretHash)); err != nil {
			return effect{}, err
		}
		after = before.Token
		after.SecretHash, after.SealedSecret, after.UpdatedAt = rotation.SecretHash, rotation.SealedSecret, store.Later(before.UpdatedAt, change.At)
		event, err := write(store.NewAuditEvent(change, store.TokenRotated, after.ProjectID, id, store.Changes{}))
		return effect{after, func() {
			s.retire(before.Token, rotation.RetireAt, change.At)
			s.put(token{after, before.root})
			s.dirty.changed[id] = true
			s.note(event, before.root)
		}}, err
	})
	if err != nil {
		return store.Token{}, fmt.Errorf("rotate token %s: %w", id, err)
	}
	return after, nil
}

// retire ends the secrets that a token has, the current one and those that were retired before, at the given time.
func (s *state) retire(token store.Token, at, now time.Time) {
	if !token.ExpiresAt.IsZero() && token.ExpiresAt.Before(at) {
		at = token.ExpiresAt
	}
	until := micro(at)
	s.secrets[token.SecretHash] = secret{token: token.ID, retired: true, until: until, added: true}
	for hash, of := range s.secrets {
		if of.token == token.ID && of.retired && of.until > until {
			of.until = until
			s.secrets[hash] = of
		}
	}
	s.dirty.retire(token.ID, until, micro(now))
}
