package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	columnsOfToken = `id, project_id, name, permissions, secret_hash, sealed_secret, created_at, updated_at, expires_at, last_used_at` //nolint:gosec // these are names of columns

	// ofAccount limits a statement to the tokens of an account and of its subprojects; it takes the account twice.
	ofAccount = `(project_id = ? OR root_id = ?)`
)

// CreateToken adds a token.
func (db *DB) CreateToken(ctx context.Context, token store.Token, change store.Change) error {
	err := db.once(ctx, change, func(ctx context.Context, tx *statements) (store.Token, error) {
		return token, insertToken(ctx, tx, token, change)
	})
	if err != nil {
		return fmt.Errorf("create token: %w", err)
	}
	return nil
}

func insertToken(ctx context.Context, tx *statements, token store.Token, change store.Change) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO tokens (`+columnsOfToken+`, root_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT root_id FROM projects WHERE id = ?))`,
		token.ID[:], token.ProjectID[:], token.Name, joinPermissions(token.Permissions),
		token.SecretHash[:], token.SealedSecret, micro(token.CreatedAt), micro(token.UpdatedAt),
		optionalMicro(token.ExpiresAt), optionalMicro(token.LastUsedAt), token.ProjectID[:])
	if err != nil {
		return err
	}
	return insertEvent(ctx, tx, store.NewAuditEvent(change, store.TokenCreated, token.ProjectID, token.ID, store.TokenCreation(token)))
}

// Token returns one token.
func (db *DB) Token(ctx context.Context, account, id uuid.UUID) (store.Token, error) {
	token, err := selectToken(ctx, db.reads, account, id)
	if err != nil {
		return store.Token{}, fmt.Errorf("token %s: %w", id, explain(ctx, err))
	}
	return token, nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func selectToken(ctx context.Context, from querier, account, id uuid.UUID) (store.Token, error) {
	return scanToken(from.QueryRowContext(ctx,
		`SELECT `+columnsOfToken+` FROM tokens WHERE id = ? AND `+ofAccount, id[:], account[:], account[:]))
}

// Tokens returns a page of tokens.
func (db *DB) Tokens(ctx context.Context, query store.TokenQuery) ([]store.Token, error) {
	tokens, err := db.listTokens(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", explain(ctx, err))
	}
	return tokens, nil
}

func (db *DB) listTokens(ctx context.Context, query store.TokenQuery) ([]store.Token, error) {
	l := &list{columns: columnsOfToken, from: `tokens`}
	if err := l.account(ctx, db.read, query.Account, `project_id`); err != nil {
		return nil, err
	}
	if query.NamePrefix != "" {
		l.where(`substr(name, 1, length(?)) = ?`, query.NamePrefix, query.NamePrefix)
	}
	if query.Permission != "" {
		l.where(`instr(',' || permissions || ',', ?) > 0`, ","+query.Permission+",")
	}
	if query.Expired != nil {
		l.where(`(expires_at IS NOT NULL AND expires_at <= ?) = ?`, micro(query.Now), *query.Expired)
	}
	return readPage(ctx, db.read, l, query.Page, scanToken)
}

// UpdateToken changes a token in one statement: what the update leaves out is taken from the row itself, so that it
// cannot overwrite what another update has just put there.
func (db *DB) UpdateToken(
	ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change,
) (store.Token, error) {
	if update.IsEmpty() {
		if err := checkCredential(ctx, db.reads, change); err != nil {
			return store.Token{}, fmt.Errorf("read token %s: %w", id, explain(ctx, err))
		}
		return db.Token(ctx, account, id)
	}
	var after store.Token
	err := db.change(ctx, change, func(ctx context.Context, tx *statements) error {
		before, err := selectToken(ctx, tx, account, id)
		if err != nil {
			return err
		}
		after, err = updateToken(ctx, tx, id, update, change)
		if err != nil {
			return err
		}
		return insertEvent(ctx, tx, store.NewAuditEvent(change, store.TokenUpdated, after.ProjectID, id, store.TokenDifference(before, after)))
	})
	if err != nil {
		return store.Token{}, fmt.Errorf("update token %s: %w", id, err)
	}
	return after, nil
}

func updateToken(ctx context.Context, tx *statements, id uuid.UUID, update store.TokenUpdate, change store.Change) (store.Token, error) {
	var permissions *string
	if update.Permissions != nil {
		joined := joinPermissions(*update.Permissions)
		permissions = &joined
	}
	var expiresAt sql.NullInt64
	if update.ExpiresAt != nil {
		expiresAt = optionalMicro(*update.ExpiresAt)
	}
	return scanToken(tx.QueryRowContext(ctx, `UPDATE tokens SET
			name = coalesce(?, name),
			permissions = coalesce(?, permissions),
			expires_at = CASE WHEN ? THEN ? ELSE expires_at END,
			updated_at = max(updated_at, ?)
		WHERE id = ? RETURNING `+columnsOfToken,
		update.Name, permissions, update.ExpiresAt != nil, expiresAt, micro(change.At), id[:]))
}

// DeleteToken removes a token.
func (db *DB) DeleteToken(ctx context.Context, account, id uuid.UUID, change store.Change) error {
	err := db.change(ctx, change, func(ctx context.Context, tx *statements) error {
		var project uuid.UUID
		err := tx.QueryRowContext(ctx, `DELETE FROM tokens WHERE id = ? AND `+ofAccount+` RETURNING project_id`,
			id[:], account[:], account[:]).Scan(&project)
		if err != nil {
			return err
		}
		return insertEvent(ctx, tx, store.NewAuditEvent(change, store.TokenDeleted, project, id, store.Changes{}))
	})
	if err != nil {
		return fmt.Errorf("delete token %s: %w", id, err)
	}
	return nil
}

func scanToken(row scanner) (store.Token, error) {
	var token store.Token
	var permissions string
	var hash []byte
	var created, updated int64
	var expires, used sql.NullInt64
	err := row.Scan(&token.ID, &token.ProjectID, &token.Name, &permissions, &hash, &token.SealedSecret,
		&created, &updated, &expires, &used)
	if err != nil {
		return store.Token{}, err
	}
	token.Permissions = splitPermissions(permissions)
	copy(token.SecretHash[:], hash)
	token.CreatedAt, token.UpdatedAt = fromMicro(created), fromMicro(updated)
	token.ExpiresAt, token.LastUsedAt = fromOptionalMicro(expires), fromOptionalMicro(used)
	return token, nil
}
