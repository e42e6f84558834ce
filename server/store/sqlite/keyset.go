package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenwire/tokenwire/server/store"
)

const selectKeysetCheck = `SELECT value FROM settings WHERE name = 'keyset_check'`

// KeysetCheck returns the value that InitKeysetCheck has kept, or nil.
func (db *DB) KeysetCheck(ctx context.Context) ([]byte, error) {
	value, err := readOne(ctx, db, func(r row) ([]byte, error) { return r.bytes(0), nil }, selectKeysetCheck)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the keyset check: %w", err)
	}
	return value, nil
}

// InitKeysetCheck keeps the first value that it is given.
func (db *DB) InitKeysetCheck(ctx context.Context, value []byte) ([]byte, error) {
	if kept, err := db.KeysetCheck(ctx); kept != nil || err != nil {
		return kept, err
	}
	err := db.transact(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO settings (name, value) VALUES ('keyset_check', ?) ON CONFLICT DO NOTHING`, value)
	})
	if err != nil {
		return nil, fmt.Errorf("keep the keyset check: %w", err)
	}
	return db.KeysetCheck(ctx)
}
