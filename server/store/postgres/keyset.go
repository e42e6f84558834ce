package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenwire/tokenwire/server/store"
)

const selectKeysetCheck = `SELECT value FROM settings WHERE name = 'keyset_check'`

// KeysetCheck returns the value that InitKeysetCheck has kept, or nil.
func (db *DB) KeysetCheck(ctx context.Context) ([]byte, error) {
	value, err := readOne(ctx, db, pgx.RowTo[[]byte], selectKeysetCheck)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the keyset check: %w", err)
	}
	return value, nil
}

// InitKeysetCheck keeps the first value that it is given, whichever process has given it.
func (db *DB) InitKeysetCheck(ctx context.Context, value []byte) ([]byte, error) {
	if kept, err := db.KeysetCheck(ctx); kept != nil || err != nil {
		return kept, err
	}
	l := db.link.Load()
	_, err := readOnce(ctx, l, l.writing, func(ctx context.Context, c *pgxpool.Conn) (struct{}, error) {
		_, err := c.Exec(ctx, `INSERT INTO settings (name, value) VALUES ('keyset_check', $1) ON CONFLICT DO NOTHING`, value)
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("keep the keyset check: %w", explain(ctx, err))
	}
	return db.KeysetCheck(ctx)
}
