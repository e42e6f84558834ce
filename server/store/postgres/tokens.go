package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	columnsOfToken = `id, project_id, name, permissions, secret_hash, sealed_secret, created_at, updated_at, expires_at, last_used_at` //nolint:gosec // these are names of columns

	// selectToken limits the answer to the tokens of an account and of its subprojects.
	selectToken = `SELECT ` + columnsOfToken + ` FROM tokens WHERE id = $1 AND (project_id = $2 OR root_id = $2)`
)

// CreateToken adds a token.
func (db *DB) CreateToken(ctx context.Context, created store.Token, change store.Change) error {
	n := needs{projects: []uuid.UUID{created.ProjectID}, tokens: []uuid.UUID{created.ID}, secrets: []store.SecretHash{created.SecretHash}, seals: true}
	err := db.once(ctx, change, n, func(s *state) (effect, error) {
		root, err := s.root(created.ProjectID)
		if err != nil {
			return effect{}, err
		}
		add, err := s.newToken(created, root, change)
		return effect{created, add}, err
	})
	if err != nil {
		return fmt.Errorf("create token: %w", err)
	}
	return nil
}

// newToken returns what adds a token, unless something speaks against it.
func (s *state) newToken(created store.Token, root uuid.UUID, change store.Change) (func(), error) {
	if _, taken := s.tokens[created.ID]; taken {
		return nil, store.ErrConflict
	}
	if err := cmp.Or(s.checkSeal(created.SealedSecret), s.checkFree(created.SecretHash)); err != nil {
		return nil, err
	}
	event, err := write(store.NewAuditEvent(change, store.TokenCreated, created.ProjectID, created.ID, store.TokenCreation(created)))
	if err != nil {
		return nil, err
	}
	return func() {
		created.Permissions = store.PermissionSet(created.Permissions)
		created.CreatedAt, created.UpdatedAt, created.ExpiresAt = store.Kept(created.CreatedAt), store.Kept(created.UpdatedAt), store.Kept(created.ExpiresAt)
		s.put(token{created, root})
		s.note(event, root)
	}, nil
}

// Token returns one token.
func (db *DB) Token(ctx context.Context, account, token uuid.UUID) (store.Token, error) {
	found, err := readOne(ctx, db, scanToken, selectToken, id(token), id(account))
	if err != nil {
		return store.Token{}, fmt.Errorf("token %s: %w", token, err)
	}
	return found, nil
}

// Tokens returns a page of tokens.
func (db *DB) Tokens(ctx context.Context, query store.TokenQuery) ([]store.Token, error) {
	l := &list{columns: columnsOfToken, from: `tokens`}
	if query.NamePrefix != "" {
		l.where(`starts_with(name, ?)`, query.NamePrefix)
	}
	if query.Permission != "" {
		l.where(`strpos(',' || permissions || ',', ?) > 0`, ","+query.Permission+",")
	}
	if query.Expired != nil {
		l.where(`(expires_at IS NOT NULL AND expires_at <= ?) = ?`, micro(query.Now), *query.Expired)
	}
	tokens, err := readPage(ctx, db, l, query.Account, `project_id`, query.Page, scanToken)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return tokens, nil
}

// UpdateToken changes a token.
func (db *DB) UpdateToken(
	ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change,
) (store.Token, error) {
	if update.IsEmpty() {
		return db.readToken(ctx, account, id, change)
	}
	var after store.Token
	err := db.change(ctx, change, needs{projects: []uuid.UUID{account}, tokens: []uuid.UUID{id}}, func(s *state) error {
		before, err := s.token(account, id)
		if err != nil {
			return err
		}
		after = update.Apply(before.Token, change.At)
		event, err := write(store.NewAuditEvent(change, store.TokenUpdated, after.ProjectID, id, store.TokenDifference(before.Token, after)))
		if err != nil {
			return err
		}
		s.put(token{after, before.root})
		if !samePowers(before.Token, after) {
			s.dirty.changed[id] = true
		}
		s.note(event, before.root)
		return nil
	})
	if err != nil {
		return store.Token{}, fmt.Errorf("update token %s: %w", id, err)
	}
	return after, nil
}

// readToken is an update that changes nothing. The answer has the secret: the credential is looked at last, so that it was good
// when the token was read.
func (db *DB) readToken(ctx context.Context, account, wanted uuid.UUID, change store.Change) (store.Token, error) {
	found, err := db.Token(ctx, account, wanted)
	if change.Credential == nil {
		return found, err
	}
	caller, callerErr := db.TokenBySecret(ctx, change.Credential.SecretHash, change.At)
	switch {
	case errors.Is(callerErr, store.ErrNotFound), callerErr == nil && !permits(caller, change):
		return store.Token{}, fmt.Errorf("read token %s: %w", wanted, store.ErrRevoked)
	case callerErr != nil:
		return store.Token{}, fmt.Errorf("read token %s: %w", wanted, callerErr)
	}
	return found, err
}

// DeleteToken removes a token.
func (db *DB) DeleteToken(ctx context.Context, account, id uuid.UUID, change store.Change) error {
	err := db.change(ctx, change, needs{projects: []uuid.UUID{account}, tokens: []uuid.UUID{id}}, func(s *state) error {
		found, err := s.token(account, id)
		if err != nil {
			return err
		}
		event, err := write(store.NewAuditEvent(change, store.TokenDeleted, found.ProjectID, id, store.Changes{}))
		if err != nil {
			return err
		}
		s.dirty.token(id, s.tokens)
		s.dirty.changed[id] = true
		delete(s.tokens, id)
		for hash, of := range s.secrets {
			if of.token == id {
				delete(s.secrets, hash)
			}
		}
		s.note(event, found.root)
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete token %s: %w", id, err)
	}
	return nil
}

func scanToken(row pgx.CollectableRow) (store.Token, error) {
	var found store.Token
	return found, scanTokenWith(row, &found)
}

// scanTokenWith reads the columns of a token, and others behind them.
func scanTokenWith(row pgx.CollectableRow, found *store.Token, others ...any) error {
	var tokenID, project pgtype.UUID
	var permissions string
	var hash []byte
	var created, updated int64
	var expires, used pgtype.Int8
	err := row.Scan(append([]any{
		&tokenID, &project, &found.Name, &permissions, &hash, &found.SealedSecret, &created, &updated, &expires, &used,
	}, others...)...)
	found.ID, found.ProjectID, found.Permissions = tokenID.Bytes, project.Bytes, splitPermissions(permissions)
	copy(found.SecretHash[:], hash)
	found.CreatedAt, found.UpdatedAt = fromMicro(created), fromMicro(updated)
	found.ExpiresAt, found.LastUsedAt = optionalTime(expires), optionalTime(used)
	return err
}
