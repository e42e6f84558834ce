package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// KeysetCheck returns the value that InitKeysetCheck has kept, or nil.
func (db *DB) KeysetCheck(ctx context.Context) ([]byte, error) {
	var value []byte
	err := db.reads.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = 'keyset_check'`).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the keyset check: %w", explain(ctx, err))
	}
	return value, nil
}

// InitKeysetCheck keeps the first value that it is given.
func (db *DB) InitKeysetCheck(ctx context.Context, value []byte) ([]byte, error) {
	if kept, err := db.KeysetCheck(ctx); kept != nil || err != nil {
		return kept, err
	}
	err := db.transact(ctx, func(ctx context.Context, tx *statements) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO settings (name, value) VALUES ('keyset_check', ?) ON CONFLICT DO NOTHING`, value)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("keep the keyset check: %w", err)
	}
	return db.KeysetCheck(ctx)
}
