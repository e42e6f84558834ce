package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// CreateToken is the operation create_token.
func (s *Server) CreateToken(ctx context.Context, request serverapi.CreateTokenRequestObject) (serverapi.CreateTokenResponseObject, error) {
	token, err := s.createToken(ctx, request.AccountSid, *request.JSONBody, request.Params.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	return serverapi.CreateToken200JSONResponse{Body: token}, nil
}

// UpdateToken is the operation update_token.
func (s *Server) UpdateToken(ctx context.Context, request serverapi.UpdateTokenRequestObject) (serverapi.UpdateTokenResponseObject, error) {
	token, err := s.updateToken(ctx, request.AccountSid, request.TokenID, *request.JSONBody)
	if err != nil {
		return nil, err
	}
	return serverapi.UpdateToken200JSONResponse{Body: token}, nil
}

// DeleteToken is the operation delete_token.
func (s *Server) DeleteToken(ctx context.Context, request serverapi.DeleteTokenRequestObject) (serverapi.DeleteTokenResponseObject, error) {
	if err := s.deleteToken(ctx, request.AccountSid, request.TokenID); err != nil {
		return nil, err
	}
	return serverapi.DeleteToken204Response{}, nil
}

// CreateProjectToken is the operation create_project_token.
func (s *Server) CreateProjectToken(ctx context.Context, request serverapi.CreateProjectTokenRequestObject) (serverapi.CreateProjectTokenResponseObject, error) {
	caller, err := mustCaller(ctx)
	if err != nil {
		return nil, err
	}
	token, err := s.createToken(ctx, caller.ProjectID, *request.Body, request.Params.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	return serverapi.CreateProjectToken200JSONResponse{Body: token}, nil
}

// UpdateProjectToken is the operation update_project_token.
func (s *Server) UpdateProjectToken(ctx context.Context, request serverapi.UpdateProjectTokenRequestObject) (serverapi.UpdateProjectTokenResponseObject, error) {
	caller, err := mustCaller(ctx)
	if err != nil {
		return nil, err
	}
	token, err := s.updateToken(ctx, caller.ProjectID, request.TokenID, *request.Body)
	if err != nil {
		return nil, err
	}
	return serverapi.UpdateProjectToken200JSONResponse{Body: token}, nil
}

// DeleteProjectToken is the operation delete_project_token.
func (s *Server) DeleteProjectToken(ctx context.Context, request serverapi.DeleteProjectTokenRequestObject) (serverapi.DeleteProjectTokenResponseObject, error) {
	caller, err := mustCaller(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.deleteToken(ctx, caller.ProjectID, request.TokenID); err != nil {
		return nil, err
	}
	return serverapi.DeleteProjectToken204Response{}, nil
}

func (s *Server) createToken(ctx context.Context, sid uuid.UUID, body serverapi.CreateTokenRequest, key *string) (serverapi.Token, error) {
	account, err := s.account(ctx, sid)
	if err != nil {
		return serverapi.Token{}, err
	}
	expiry := askedExpiry(body.ExpiresAt)
	owner, err := s.tokenOwner(ctx, account, body.SubprojectID)
	if err != nil {
		return serverapi.Token{}, withExpiry(err, checkExpiry(expiry, s.now(ctx)))
	}
	plain := secret.New()
	token, err := s.newToken(ctx, newID(), owner, body.Name, storedPermissions(body.Permissions), plain)
	if err != nil {
		return serverapi.Token{}, err
	}
	if expiry != nil {
		token.ExpiresAt = *expiry
	}
	return once(ctx, s, repeatable{key, "create_token of " + account.String(), body, func(now time.Time) error { return checkExpiry(expiry, now) }},
		func(created store.Token) serverapi.Token { return tokenAnswer(created, plain) },
		func(change store.Change) (store.Token, error) {
			return token, s.config.Store.CreateToken(ctx, token, change)
		})
}

func (s *Server) updateToken(ctx context.Context, sid, id uuid.UUID, body serverapi.UpdateTokenRequest) (serverapi.Token, error) {
	account, err := s.account(ctx, sid)
	if err != nil {
		return serverapi.Token{}, err
	}
	update := store.TokenUpdate{Name: body.Name}
	if body.Permissions != nil {
		permissions := storedPermissions(*body.Permissions)
		update.Permissions = &permissions
	}
	update.ExpiresAt = askedExpiry(body.ExpiresAt)
	if err := checkExpiry(update.ExpiresAt, s.now(ctx)); err != nil {
		// A token that is not there comes before a rule that needs the clock.
		if _, missing := s.config.Store.Token(ctx, account, id); missing != nil {
			return serverapi.Token{}, missing
		}
		return serverapi.Token{}, err
	}
	token, err := s.config.Store.UpdateToken(ctx, account, id, update, s.change(ctx))
	if err != nil {
		return serverapi.Token{}, err
	}
	plain, err := s.config.Keyset.Open(token.ID, token.SealedSecret)
	if err != nil {
		return serverapi.Token{}, err
	}
	return tokenAnswer(token, plain), nil
}

func (s *Server) deleteToken(ctx context.Context, sid, id uuid.UUID) error {
	account, err := s.account(ctx, sid)
	if err != nil {
		return err
	}
	return s.config.Store.DeleteToken(ctx, account, id, s.change(ctx))
}

// tokenOwner returns the project that a new token shall belong to: the account in the path, or the subproject that the
// body names. That must be the caller's, and in a call on a subproject's account it must be that subproject.
func (s *Server) tokenOwner(ctx context.Context, account uuid.UUID, subproject *uuid.UUID) (uuid.UUID, error) {
	if subproject == nil {
		return account, nil
	}
	caller, err := mustCaller(ctx)
	if err != nil {
		return uuid.Nil, err
	}
	foreign := &problem{fields: []fieldError{
		{"subproject_id", invalidSubproject, "Subproject id must be one of your subprojects"},
	}}
	if account != caller.ProjectID && account != *subproject {
		return uuid.Nil, foreign
	}
	project, err := s.config.Store.Project(ctx, *subproject)
	if errors.Is(err, store.ErrNotFound) {
		return uuid.Nil, foreign
	}
	if err != nil {
		return uuid.Nil, err
	}
	if project.ParentID != caller.ProjectID {
		return uuid.Nil, foreign
	}
	return project.ID, nil
}

// askedExpiry returns the expiry that a body asks for: nil when it says nothing, the zero time when it says null.
func askedExpiry(asked nullable.Nullable[time.Time]) *time.Time {
	switch {
	case !asked.IsSpecified():
		return nil
	case asked.IsNull():
		return &time.Time{}
	}
	at := asked.MustGet().UTC().Truncate(time.Microsecond)
	return &at
}

// checkExpiry refuses an expiry that has passed already.
func checkExpiry(expiry *time.Time, now time.Time) error {
	if expiry == nil || expiry.IsZero() || expiry.After(now) {
		return nil
	}
	return &problem{fields: []fieldError{{"expires_at", invalidField, "Expires at must be in the future"}}}
}

// withExpiry adds what is wrong with the expiry to what is wrong with another property: the native surface reports both, the
// compat surface the first.
func withExpiry(err, expiryErr error) error {
	var failed, expired *problem
	if errors.As(err, &failed) && errors.As(expiryErr, &expired) && len(failed.fields) > 0 {
		return &problem{fields: append(slices.Clone(expired.fields), failed.fields...)}
	}
	return err
}

// newToken returns a token of this project as it is stored.
func (s *Server) newToken(
	ctx context.Context, id, project uuid.UUID, name string, permissions []string, plain secret.Secret,
) (store.Token, error) {
	now := s.now(ctx)
	sealed, err := s.config.Keyset.Seal(id, plain)
	if err != nil {
		return store.Token{}, fmt.Errorf("new token: %w", err)
	}
	return store.Token{
		ID: id, ProjectID: project, Name: name, Permissions: store.PermissionSet(permissions),
		SecretHash: plain.Hash(), SealedSecret: sealed, CreatedAt: now, UpdatedAt: now,
	}, nil
}

func tokenAnswer(token store.Token, plain secret.Secret) serverapi.Token {
	return serverapi.Token{ID: token.ID, Name: token.Name, Permissions: wirePermissions(token.Permissions), Token: plain.Reveal()}
}

func wirePermissions(stored []string) []serverapi.Permission {
	permissions := make([]serverapi.Permission, 0, len(stored))
	for _, permission := range stored {
		permissions = append(permissions, serverapi.Permission(permission))
	}
	return permissions
}

func storedPermissions(permissions []serverapi.Permission) []string {
	stored := make([]string, 0, len(permissions))
	for _, permission := range permissions {
		stored = append(stored, string(permission))
	}
	return stored
}
