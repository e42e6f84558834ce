package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// CreateToken is the operation create_token.
func (s *Server) CreateToken(ctx context.Context, request serverapi.CreateTokenRequestObject) (serverapi.CreateTokenResponseObject, error) {
	account, err := s.account(ctx, request.AccountSid)
	if err != nil {
		return nil, err
	}
	owner, err := s.tokenOwner(ctx, account, request.JSONBody.SubprojectID)
	if err != nil {
		return nil, err
	}
	token, plain, err := s.newToken(owner, request.JSONBody.Name, storedPermissions(request.JSONBody.Permissions), secret.New())
	if err != nil {
		return nil, err
	}
	if err := s.config.Store.CreateToken(ctx, token); err != nil {
		return nil, err
	}
	return serverapi.CreateToken200JSONResponse{Body: tokenAnswer(token, plain)}, nil
}

// UpdateToken is the operation update_token.
func (s *Server) UpdateToken(ctx context.Context, request serverapi.UpdateTokenRequestObject) (serverapi.UpdateTokenResponseObject, error) {
	account, err := s.account(ctx, request.AccountSid)
	if err != nil {
		return nil, err
	}
	update := store.TokenUpdate{Name: request.JSONBody.Name, At: s.config.Now()}
	if request.JSONBody.Permissions != nil {
		permissions := storedPermissions(*request.JSONBody.Permissions)
		update.Permissions = &permissions
	}
	token, err := s.config.Store.UpdateToken(ctx, account, request.TokenID, update)
	if err != nil {
		return nil, err
	}
	plain, err := s.config.Keyset.Open(token.ID, token.SealedSecret)
	if err != nil {
		return nil, err
	}
	return serverapi.UpdateToken200JSONResponse{Body: tokenAnswer(token, plain)}, nil
}

// DeleteToken is the operation delete_token.
func (s *Server) DeleteToken(ctx context.Context, request serverapi.DeleteTokenRequestObject) (serverapi.DeleteTokenResponseObject, error) {
	account, err := s.account(ctx, request.AccountSid)
	if err != nil {
		return nil, err
	}
	if err := s.config.Store.DeleteToken(ctx, account, request.TokenID); err != nil {
		return nil, err
	}
	return serverapi.DeleteToken204Response{}, nil
}

// account returns the account that the caller acts on: its own project or one of its subprojects. Any other does not
// exist for this caller.
func (s *Server) account(ctx context.Context, sid uuid.UUID) (uuid.UUID, error) {
	caller, ok := callerFrom(ctx)
	if !ok {
		return uuid.Nil, errors.New("the request was not authenticated")
	}
	if sid == caller.ProjectID {
		return sid, nil
	}
	project, err := s.config.Store.Project(ctx, sid)
	if err != nil {
		return uuid.Nil, err
	}
	if project.ParentID != caller.ProjectID {
		return uuid.Nil, errNotFound
	}
	return sid, nil
}

// tokenOwner returns the project that a new token shall belong to: the account in the path, or the subproject that the
// body names. That must be the caller's, and in a call on a subproject's account it must be that subproject.
func (s *Server) tokenOwner(ctx context.Context, account uuid.UUID, subproject *uuid.UUID) (uuid.UUID, error) {
	if subproject == nil {
		return account, nil
	}
	caller, _ := callerFrom(ctx)
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

// newToken returns a token of this project as it is stored. The second result is its secret.
func (s *Server) newToken(project uuid.UUID, name string, permissions []string, plain secret.Secret) (store.Token, secret.Secret, error) {
	id, now := newID(), s.config.Now()
	sealed, err := s.config.Keyset.Seal(id, plain)
	if err != nil {
		return store.Token{}, secret.Secret{}, fmt.Errorf("new token: %w", err)
	}
	return store.Token{
		ID: id, ProjectID: project, Name: name, Permissions: store.PermissionSet(permissions),
		SecretHash: plain.Hash(), SealedSecret: sealed, CreatedAt: now, UpdatedAt: now,
	}, plain, nil
}

func tokenAnswer(token store.Token, plain secret.Secret) serverapi.Token {
	permissions := make([]serverapi.Permission, 0, len(token.Permissions))
	for _, permission := range token.Permissions {
		permissions = append(permissions, serverapi.Permission(permission))
	}
	return serverapi.Token{ID: token.ID, Name: token.Name, Permissions: permissions, Token: plain.Reveal()}
}

func storedPermissions(permissions []serverapi.Permission) []string {
	stored := make([]string, 0, len(permissions))
	for _, permission := range permissions {
		stored = append(stored, string(permission))
	}
	return stored
}
