package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// sealer is a store that keeps up with the key that seals. When the operator has moved the database to another key, the next change
// that keeps a secret is refused; it is sealed again then, with the key of the database, and no caller notices.
type sealer struct {
	store.Store
	keyset *secret.Keyset
}

// sealAttempts bounds how often one change is tried. More than two happen when keys are rotated at the pace of requests.
const sealAttempts = 4

// keepUp makes a change that keeps a sealed secret. do reads it anew each time.
func (s *sealer) keepUp(ctx context.Context, token uuid.UUID, sealed *[]byte, do func() error) error {
	var err error
	for range sealAttempts {
		if err = do(); !errors.Is(err, store.ErrStaleSeal) {
			return err
		}
		check, checkErr := s.KeysetCheck(ctx)
		if checkErr != nil {
			return checkErr
		}
		if err := s.keyset.Follow(check); err != nil {
			return fmt.Errorf("%w: the keyset of this server lacks the key with which secrets are sealed now; copy the keyset with which the keys were rotated: %w",
				store.ErrUnavailable, err)
		}
		if *sealed, err = s.keyset.Reseal(token, *sealed); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// Bootstrap adds the first project.
func (s *sealer) Bootstrap(ctx context.Context, project store.Project, first store.Token, change store.Change) (bool, error) {
	var created bool
	err := s.keepUp(ctx, first.ID, &first.SealedSecret, func() error {
		var err error
		created, err = s.Store.Bootstrap(ctx, project, first, change)
		return err
	})
	return created, err
}

// CreateProject adds a project.
func (s *sealer) CreateProject(ctx context.Context, project store.Project, first *store.Token, change store.Change) error {
	token := store.Token{}
	if first != nil {
		token = *first
		first = &token
	}
	return s.keepUp(ctx, token.ID, &token.SealedSecret, func() error { return s.Store.CreateProject(ctx, project, first, change) })
}

// CreateToken adds a token.
func (s *sealer) CreateToken(ctx context.Context, token store.Token, change store.Change) error {
	return s.keepUp(ctx, token.ID, &token.SealedSecret, func() error { return s.Store.CreateToken(ctx, token, change) })
}

// RotateToken gives a token a new secret.
func (s *sealer) RotateToken(
	ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change,
) (store.Token, error) {
	var rotated store.Token
	err := s.keepUp(ctx, id, &rotation.SealedSecret, func() error {
		var err error
		rotated, err = s.Store.RotateToken(ctx, account, id, rotation, change)
		return err
	})
	return rotated, err
}
