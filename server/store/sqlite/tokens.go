package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	columnsOfToken = `id, project_id, name, permissions, secret_hash, sealed_secret, created_at, updated_at, expires_at, last_used_at` //nolint:gosec // these are names of columns

	selectToken = `SELECT ` + columnsOfToken + ` FROM tokens WHERE id = ? AND ` + ofAccount

	// ofAccount limits a statement to the tokens of an account and of its subprojects; it takes the account twice.
	ofAccount = `(project_id = ? OR root_id = ?)`
)

// CreateToken adds a token.
func (db *DB) CreateToken(ctx context.Context, token store.Token, change store.Change) error {
	err := db.once(ctx, change, func(t *tx) (store.Token, error) {
		return token, t.insertToken(token, change)
	})
	if err != nil {
		return fmt.Errorf("create token: %w", err)
	}
	return nil
}

func (t *tx) insertToken(token store.Token, change store.Change) error {
	if err := t.checkSeal(token.SealedSecret); err != nil {
		return err
	}
	root, err := t.root(token.ProjectID)
	if err != nil {
		return err
	}
	err = t.exec(`INSERT INTO tokens (`+columnsOfToken+`, root_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		token.ID[:], token.ProjectID[:], token.Name, joinPermissions(token.Permissions),
		token.SecretHash[:], token.SealedSecret, micro(token.CreatedAt), micro(token.UpdatedAt),
		optionalMicro(token.ExpiresAt), optionalMicro(token.LastUsedAt), root[:])
	if err != nil {
		return err
	}
	return t.note(store.NewAuditEvent(change, store.TokenCreated, token.ProjectID, token.ID, store.TokenCreation(token)))
}

// Token returns one token.
func (db *DB) Token(ctx context.Context, account, id uuid.UUID) (store.Token, error) {
	token, err := readOne(ctx, db, scanToken, selectToken, id[:], account[:], account[:])
	if err != nil {
		return store.Token{}, fmt.Errorf("token %s: %w", id, err)
	}
	return token, nil
}

// token returns a token that a change is about.
func (t *tx) token(account, id uuid.UUID) (store.Token, error) {
	return one(t.conn, scanToken, selectToken, id[:], account[:], account[:])
}

// Tokens returns a page of tokens.
func (db *DB) Tokens(ctx context.Context, query store.TokenQuery) ([]store.Token, error) {
	l := &list{columns: columnsOfToken, from: `tokens`}
	if query.NamePrefix != "" {
		l.where(`substr(name, 1, length(?)) = ?`, query.NamePrefix, query.NamePrefix)
	}
	if query.Permission != "" {
		l.where(`instr(',' || permissions || ',', ?) > 0`, ","+query.Permission+",")
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

// UpdateToken changes a token. Nobody else changes it between the statements: the transaction is the only one that writes.
func (db *DB) UpdateToken(
	ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change,
) (store.Token, error) {
	if update.IsEmpty() {
		return db.readToken(ctx, account, id, change)
	}
	var after store.Token
	err := db.change(ctx, change, func(t *tx) error {
		before, err := t.token(account, id)
		if err != nil {
			return err
		}
		after = update.Apply(before, change.At)
		t.tokenChanged(id)
		err = t.exec(`UPDATE tokens SET name = ?, permissions = ?, expires_at = ?, updated_at = ? WHERE id = ?`,
			after.Name, joinPermissions(after.Permissions), optionalMicro(after.ExpiresAt), micro(after.UpdatedAt), id[:])
		if err != nil {
			return err
		}
		return t.note(store.NewAuditEvent(change, store.TokenUpdated, after.ProjectID, id, store.TokenDifference(before, after)))
	})
	if err != nil {
		return store.Token{}, fmt.Errorf("update token %s: %w", id, err)
	}
	return after, nil
}

// readToken is an update that changes nothing. The answer has the secret: the credential is looked at last, so that it was good
// when the token was read.
func (db *DB) readToken(ctx context.Context, account, id uuid.UUID, change store.Change) (store.Token, error) {
	token, err := db.Token(ctx, account, id)
	if change.Credential == nil {
		return token, err
	}
	caller, callerErr := db.TokenBySecret(ctx, change.Credential.SecretHash, change.At)
	if errors.Is(callerErr, store.ErrNotFound) {
		return store.Token{}, fmt.Errorf("read token %s: %w", id, store.ErrRevoked)
	}
	if callerErr == nil {
		callerErr = checkPermission(caller, change)
	}
	if callerErr != nil {
		return store.Token{}, fmt.Errorf("read token %s: %w", id, callerErr)
	}
	return token, err
}

// DeleteToken removes a token.
func (db *DB) DeleteToken(ctx context.Context, account, id uuid.UUID, change store.Change) error {
	err := db.change(ctx, change, func(t *tx) error {
		token, err := t.token(account, id)
		if err != nil {
			return err
		}
		t.tokenChanged(id)
		if err := t.exec(`DELETE FROM tokens WHERE id = ?`, id[:]); err != nil {
			return err
		}
		return t.note(store.NewAuditEvent(change, store.TokenDeleted, token.ProjectID, id, store.Changes{}))
	})
	if err != nil {
		return fmt.Errorf("delete token %s: %w", id, err)
	}
	return nil
}

func scanToken(r row) (store.Token, error) {
	return store.Token{
		ID: r.id(0), ProjectID: r.id(1), Name: r.text(2), Permissions: splitPermissions(r.text(3)),
		SecretHash: r.hash(4), SealedSecret: r.bytes(5), CreatedAt: r.time(6), UpdatedAt: r.time(7),
		ExpiresAt: r.time(8), LastUsedAt: r.time(9),
	}, nil
}
