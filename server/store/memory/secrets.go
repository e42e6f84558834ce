package memory

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// TokenBySecret finds the token that a secret belongs to.
func (db *DB) TokenBySecret(ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
	var result store.Token
	err := db.read(ctx, "token by secret", func() error {
		found, ok := db.login(hash, now)
		if !ok {
			return store.ErrNotFound
		}
		result = keptToken(found.Token)
		result.SecretHash = hash
		if until, retired := found.retired[hash]; retired && (result.ExpiresAt.IsZero() || until.Before(result.ExpiresAt)) {
			result.ExpiresAt = until
		}
		return nil
	})
	return result, err
}

// login returns the token that authenticates with a secret.
func (db *DB) login(hash store.SecretHash, now time.Time) (*token, bool) {
	found, ok := db.secrets[hash]
	if !ok || found.expired(now) {
		return nil, false
	}
	return found, hash == found.SecretHash || found.retired[hash].After(store.Kept(now))
}

// checkCredential makes sure that a change may be made by who has asked for it.
func (db *DB) checkCredential(change store.Change) error {
	if change.Credential == nil {
		return nil
	}
	found, ok := db.login(change.Credential.SecretHash, change.At)
	if !ok || !slices.Contains(found.Permissions, change.Credential.Permission) {
		return store.ErrRevoked
	}
	return nil
}

// TokenByRepetition finds the token that has made a change under an idempotency key.
func (db *DB) TokenByRepetition(
	ctx context.Context, id uuid.UUID, hash store.SecretHash, project uuid.UUID, key string, now time.Time,
) (store.Token, error) {
	var result store.Token
	err := db.read(ctx, "token by repetition", func() error {
		home, ok := db.tokens[id]
		if !ok {
			return store.ErrNotFound
		}
		answer, ok := home.answers[answerKey{project, key}]
		i, _ := find(home.tokens, id, tokenID)
		if !ok || answer.token != id || answer.secret != hash || !answer.expiresAt.After(store.Kept(now)) || home.tokens[i].expired(now) {
			return store.ErrNotFound
		}
		result = keptToken(home.tokens[i].Token)
		result.SecretHash = hash
		return nil
	})
	return result, err
}

// RotateToken replaces the secret of a token.
func (db *DB) RotateToken(
	ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change,
) (store.Token, error) {
	var after store.Token
	err := db.write(ctx, "rotate token "+id.String(), func() error {
		return db.once(change, func() (plan, error) {
			home, found, err := db.find(account, id)
			if err != nil {
				return plan{}, err
			}
			if _, taken := db.secrets[rotation.SecretHash]; taken {
				return plan{}, store.ErrConflict
			}
			if err := db.checkSeal(rotation.SealedSecret); err != nil {
				return plan{}, err
			}
			after = keptToken(found.Token)
			after.SecretHash, after.SealedSecret = rotation.SecretHash, clone(rotation.SealedSecret)
			after.UpdatedAt = store.Later(after.UpdatedAt, change.At)
			return plan{keptToken(after), func() {
				db.retire(found, rotation.RetireAt, change.At)
				found.Token = keptToken(after)
				db.secrets[rotation.SecretHash] = found
				home.note(change, store.TokenRotated, found.ProjectID, id, store.Changes{})
			}}, nil
		})
	})
	if err != nil {
		return store.Token{}, err
	}
	return after, nil
}

// retire ends the secrets that a token has, the current one and those that were retired before, at the given time.
func (db *DB) retire(t *token, at, now time.Time) {
	if !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(at) {
		at = t.ExpiresAt
	}
	t.retired[t.SecretHash] = store.Kept(at)
	for hash, until := range t.retired {
		if until.After(store.Kept(at)) {
			until = store.Kept(at)
			t.retired[hash] = until
		}
		if !until.After(store.Kept(now)) {
			delete(t.retired, hash)
			delete(db.secrets, hash)
		}
	}
}

// RecordUse notes when tokens were used last.
func (db *DB) RecordUse(ctx context.Context, uses map[uuid.UUID]time.Time) error {
	return db.write(ctx, "record the use of tokens", func() error {
		for id, at := range uses {
			home, ok := db.tokens[id]
			if !ok {
				continue
			}
			i, _ := find(home.tokens, id, tokenID)
			home.tokens[i].LastUsedAt = store.Later(home.tokens[i].LastUsedAt, at)
		}
		return nil
	})
}
