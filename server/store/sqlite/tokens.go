package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	columnsOfToken = `id, project_id, name, permissions, secret_hash, sealed_secret, created_at, updated_at` //nolint:gosec // these are names of columns

	// ofAccount limits a statement to the tokens of an account and of its subprojects; it takes the account twice.
	ofAccount = `project_id IN (SELECT id FROM projects WHERE id = ? OR parent_id = ?)`
)

// CreateToken adds a token.
func (db *DB) CreateToken(ctx context.Context, token store.Token) error {
	err := db.change(ctx, func(tx *sql.Tx) error { return insertToken(ctx, tx, token) })
	if err != nil {
		return fmt.Errorf("create token: %w", err)
	}
	return nil
}

func insertToken(ctx context.Context, tx *sql.Tx, token store.Token) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO tokens (`+columnsOfToken+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		token.ID[:], token.ProjectID[:], token.Name, joinPermissions(token.Permissions),
		token.SecretHash[:], token.SealedSecret, token.CreatedAt.UnixMicro(), token.UpdatedAt.UnixMicro())
	return err
}

// UpdateToken changes a token in one statement: what the update leaves out is taken from the row itself, so that it
// cannot overwrite what another update has just put there.
func (db *DB) UpdateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate) (store.Token, error) {
	token, err := db.updateToken(ctx, account, id, update)
	if err != nil {
		return store.Token{}, fmt.Errorf("update token %s: %w", id, err)
	}
	return token, nil
}

func (db *DB) updateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate) (store.Token, error) {
	if update.IsEmpty() {
		token, err := scanToken(db.read.QueryRowContext(ctx,
			`SELECT `+columnsOfToken+` FROM tokens WHERE id = ? AND `+ofAccount, id[:], account[:], account[:]))
		return token, explain(ctx, err)
	}
	var permissions *string
	if update.Permissions != nil {
		joined := joinPermissions(*update.Permissions)
		permissions = &joined
	}
	var token store.Token
	err := db.change(ctx, func(tx *sql.Tx) error {
		var err error
		token, err = scanToken(tx.QueryRowContext(ctx, `UPDATE tokens
			SET name = coalesce(?, name), permissions = coalesce(?, permissions), updated_at = max(updated_at, ?)
			WHERE id = ? AND `+ofAccount+` RETURNING `+columnsOfToken,
			update.Name, permissions, update.At.UnixMicro(), id[:], account[:], account[:]))
		return err
	})
	return token, err
}

// DeleteToken removes a token.
func (db *DB) DeleteToken(ctx context.Context, account, id uuid.UUID) error {
	err := db.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM tokens WHERE id = ? AND `+ofAccount, id[:], account[:], account[:])
		if err != nil {
			return err
		}
		deleted, err := result.RowsAffected()
		if err == nil && deleted == 0 {
			return store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete token %s: %w", id, err)
	}
	return nil
}

// TokenBySecret finds the token that a secret belongs to.
func (db *DB) TokenBySecret(ctx context.Context, hash store.SecretHash) (store.Token, error) {
	token, err := scanToken(db.read.QueryRowContext(ctx, `SELECT `+columnsOfToken+` FROM tokens WHERE secret_hash = ?`, hash[:]))
	if err != nil {
		return store.Token{}, fmt.Errorf("token by secret: %w", explain(ctx, err))
	}
	return token, nil
}

func scanToken(row scanner) (store.Token, error) {
	var token store.Token
	var permissions string
	var hash []byte
	var created, updated int64
	err := row.Scan(&token.ID, &token.ProjectID, &token.Name, &permissions, &hash, &token.SealedSecret, &created, &updated)
	if err != nil {
		return store.Token{}, err
	}
	token.Permissions = splitPermissions(permissions)
	copy(token.SecretHash[:], hash)
	token.CreatedAt, token.UpdatedAt = fromMicro(created), fromMicro(updated)
	return token, nil
}

func joinPermissions(permissions []string) string {
	return strings.Join(store.PermissionSet(permissions), ",")
}

func splitPermissions(joined string) []string {
	if joined == "" {
		return []string{}
	}
	return strings.Split(joined, ",")
}
