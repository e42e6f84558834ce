package secret

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// CheckStore keeps the value with which a database recognises its keyset. A store.Store is one.
type CheckStore interface {
	// KeysetCheck returns the value, or nil when there is none yet.
	KeysetCheck(ctx context.Context) ([]byte, error)
	// InitKeysetCheck keeps value if there is none yet, and returns the one that is kept.
	InitKeysetCheck(ctx context.Context, value []byte) ([]byte, error)
}

// KeysetFor loads the keyset of a database from the file at path, and creates the file when the database is new. It
// refuses, and changes nothing, when the database has a keyset already and the file is missing or holds another one.
func KeysetFor(ctx context.Context, db CheckStore, path string) (*Keyset, error) {
	check, err := db.KeysetCheck(ctx)
	if err != nil {
		return nil, err
	}
	if check == nil {
		return firstKeyset(ctx, db, path)
	}
	keyset, err := LoadKeyset(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the keyset %s of this database is missing; restore it from a backup or name it with --keyset", path)
	}
	if err != nil {
		return nil, err
	}
	if err := keyset.Follow(check); err != nil {
		return nil, mismatch(path)
	}
	return keyset, nil
}

// firstKeyset may run in several processes at once: each uses the file that was there first, and the database keeps the
// check of the one that was faster.
func firstKeyset(ctx context.Context, db CheckStore, path string) (*Keyset, error) {
	keyset, err := LoadKeyset(path)
	if errors.Is(err, fs.ErrNotExist) {
		keyset, err = CreateKeyset(path)
		if errors.Is(err, fs.ErrExist) {
			keyset, err = LoadKeyset(path)
		}
	}
	if err != nil {
		return nil, err
	}
	check, err := keyset.Check()
	if err != nil {
		return nil, err
	}
	kept, err := db.InitKeysetCheck(ctx, check)
	if err != nil {
		return nil, err
	}
	if err := keyset.Follow(kept); err != nil {
		return nil, mismatch(path)
	}
	return keyset, nil
}

func mismatch(path string) error {
	return fmt.Errorf("%w this database: %s belongs to another one, or is older than the rotation of its keys; name the right file with --keyset", ErrKeysetMismatch, path)
}
