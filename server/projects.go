package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// maxProjectName is the vendor's bound on FriendlyName, in characters.
const maxProjectName = 250

// NewProject describes a project that shall be created together with a token that holds the permission management.
type NewProject struct {
	Name string
	// ParentID makes it a subproject of that project.
	ParentID uuid.UUID
	// ID, TokenID and Secret are chosen by the server when they are zero.
	ID      uuid.UUID
	TokenID uuid.UUID
	Secret  secret.Secret
}

// ProjectCredentials is a new project with its first token.
type ProjectCredentials struct {
	Project store.Project
	TokenID uuid.UUID
	Secret  secret.Secret
}

// CreateProject creates a project. It is for the operator, and no operation of the contract.
func (s *Server) CreateProject(ctx context.Context, wanted NewProject) (ProjectCredentials, error) {
	credentials, token, err := s.newProject(ctx, wanted)
	if err != nil {
		return ProjectCredentials{}, err
	}
	if err := s.config.Store.CreateProject(ctx, credentials.Project, &token, s.change(ctx)); err != nil {
		return ProjectCredentials{}, err
	}
	if err := s.openWorld(ctx, credentials.Project); err != nil {
		return ProjectCredentials{}, err
	}
	return credentials, nil
}

// CreateManagementToken creates another token that holds the permission management in a project that exists, or returns
// store.ErrNotFound. It is for the operator, and no operation of the contract: nobody calls who has lost all tokens.
func (s *Server) CreateManagementToken(ctx context.Context, projectID uuid.UUID) (ProjectCredentials, error) {
	project, err := s.config.Store.Project(ctx, projectID)
	if err != nil {
		return ProjectCredentials{}, err
	}
	plain := secret.New()
	token, err := s.managementToken(ctx, newID(), project.ID, plain)
	if err != nil {
		return ProjectCredentials{}, err
	}
	if err := s.config.Store.CreateToken(ctx, token, s.change(ctx)); err != nil {
		return ProjectCredentials{}, err
	}
	return ProjectCredentials{Project: project, TokenID: token.ID, Secret: plain}, nil
}

// managementToken is the token with which a project can be managed.
func (s *Server) managementToken(ctx context.Context, id, projectID uuid.UUID, plain secret.Secret) (store.Token, error) {
	return s.newToken(ctx, id, projectID, "Management", []string{string(serverapi.PermissionManagement)}, plain)
}

// Bootstrap creates the first project. It reports false, and does nothing, when there is one.
func (s *Server) Bootstrap(ctx context.Context, wanted NewProject) (ProjectCredentials, bool, error) {
	credentials, token, err := s.newProject(ctx, wanted)
	if err != nil {
		return ProjectCredentials{}, false, err
	}
	created, err := s.config.Store.Bootstrap(ctx, credentials.Project, token, s.change(ctx))
	if err == nil && created {
		err = s.openWorld(ctx, credentials.Project)
	}
	return credentials, created, err
}

// HasProject reports whether there is a project already.
func (s *Server) HasProject(ctx context.Context) (bool, error) {
	found, err := s.config.Store.Projects(ctx, store.ProjectQuery{Page: store.Page{Limit: 1}})
	return len(found) > 0, err
}

func (s *Server) newProject(ctx context.Context, wanted NewProject) (ProjectCredentials, store.Token, error) {
	if err := checkProjectName(wanted.Name); err != nil {
		return ProjectCredentials{}, store.Token{}, err
	}
	if wanted.ID == uuid.Nil {
		wanted.ID = newID()
	}
	if wanted.Secret == (secret.Secret{}) {
		wanted.Secret = secret.New()
	}
	if wanted.TokenID == uuid.Nil {
		wanted.TokenID = newID()
	}
	now := s.now(ctx)
	project := store.Project{ID: wanted.ID, ParentID: wanted.ParentID, Name: wanted.Name, CreatedAt: now, UpdatedAt: now}
	token, err := s.managementToken(ctx, wanted.TokenID, project.ID, wanted.Secret)
	if err != nil {
		return ProjectCredentials{}, store.Token{}, err
	}
	return ProjectCredentials{Project: project, TokenID: token.ID, Secret: wanted.Secret}, token, nil
}

func checkProjectName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return errors.New("the name of a project must not be blank")
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return errors.New("the name of a project must be valid UTF-8 without NUL")
	case utf8.RuneCountInString(name) > maxProjectName:
		return fmt.Errorf("the name of a project may have at most %d characters", maxProjectName)
	}
	return nil
}
