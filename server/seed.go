package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/oasdiff/yaml"
	yaml3 "github.com/oasdiff/yaml3"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// createWorld creates a project with everything that a seed has, or nothing.
func (s *Server) createWorld(ctx context.Context, seed serverapi.SandboxSeed) (serverapi.SandboxProject, error) {
	main := serverapi.SandboxSubprojectSeed{Name: seed.Name, ProjectID: seed.ProjectID, Token: seed.Token, TokenID: seed.TokenID, Tokens: seed.Tokens}
	var project serverapi.SandboxProject
	err := s.buildWorld(ctx, func() (uuid.UUID, error) {
		created, err := s.seedProject(ctx, "", uuid.Nil, main)
		project = serverapi.SandboxProject{
			Name: created.Name, ProjectID: created.ProjectID, Token: created.Token, TokenID: created.TokenID, Tokens: created.Tokens,
			Subprojects: []serverapi.SandboxSubproject{},
		}
		return created.ProjectID, err
	}, func() error { return s.seedRest(ctx, &project, main, seed.Subprojects) })
	if err != nil {
		return serverapi.SandboxProject{}, err
	}
	return project, nil
}

// CreateWorld creates a top-level project of a sandbox, to which reset_sandbox_project can go back.
func (s *Server) CreateWorld(ctx context.Context, wanted NewProject) (ProjectCredentials, error) {
	if wanted.ParentID != uuid.Nil {
		return ProjectCredentials{}, errors.New("a subproject is no world of its own")
	}
	var created ProjectCredentials
	err := s.buildWorld(ctx, func() (uuid.UUID, error) {
		var err error
		created, err = s.CreateProject(ctx, wanted)
		return created.Project.ID, err
	}, func() error { return nil })
	if err != nil {
		return ProjectCredentials{}, err
	}
	return created, nil
}

// openWorld begins the world of a new project, where projects can be removed; elsewhere it begins with the first call. When a
// sandbox has no room for it the project is removed.
func (s *Server) openWorld(ctx context.Context, project store.Project) error {
	worlds, err := s.worlds()
	if err != nil || project.ParentID != uuid.Nil {
		return nil //nolint:nilerr // this is no sandbox, or one whose projects stay
	}
	if _, err := s.config.Sandbox.Create(project.ID); err != nil {
		return errors.Join(refusedBySandbox(err), worlds.Remove(context.WithoutCancel(ctx), project.ID))
	}
	return nil
}

// buildWorld creates a project, fills it, and keeps the state that it has then. When something fails nothing is left.
func (s *Server) buildWorld(ctx context.Context, create func() (uuid.UUID, error), fill func() error) error {
	worlds, err := s.worlds()
	if err != nil {
		return err
	}
	project, err := create()
	if err != nil {
		return err
	}
	world, ok := s.config.Sandbox.World(project)
	if !ok { // somebody has removed it already
		return store.ErrNotFound
	}
	if err = fill(); err == nil {
		var state store.Snapshot
		if state, err = worlds.Snapshot(ctx, project); err == nil {
			world.Created(state)
			return nil
		}
	}
	s.config.Sandbox.Remove(world)
	return errors.Join(err, worlds.Remove(context.WithoutCancel(ctx), project)) // also when ctx has ended: that may be why
}

// seedRest adds what comes after the project itself.
func (s *Server) seedRest(
	ctx context.Context, project *serverapi.SandboxProject, main serverapi.SandboxSubprojectSeed, subprojects *[]serverapi.SandboxSubprojectSeed,
) error {
	var err error
	if project.Tokens, err = s.seedTokens(ctx, "", project.ProjectID, main.Tokens); err != nil || subprojects == nil {
		return err
	}
	for i, seed := range *subprojects {
		where := fmt.Sprintf("subprojects.%d.", i)
		created, err := s.seedProject(ctx, where, project.ProjectID, seed)
		if err != nil {
			return err
		}
		if created.Tokens, err = s.seedTokens(ctx, where, created.ProjectID, seed.Tokens); err != nil {
			return err
		}
		project.Subprojects = append(project.Subprojects, created)
	}
	return nil
}

// seedProject creates one project with its management token.
func (s *Server) seedProject(
	ctx context.Context, where string, parent uuid.UUID, seed serverapi.SandboxSubprojectSeed,
) (serverapi.SandboxSubproject, error) {
	wanted := NewProject{Name: "Sandbox", ParentID: parent}
	if seed.Name != nil {
		wanted.Name = *seed.Name
	}
	var err error
	if wanted.ID, err = seededID(where+"project_id", seed.ProjectID); err != nil {
		return serverapi.SandboxSubproject{}, err
	}
	if wanted.TokenID, err = seededID(where+"token_id", seed.TokenID); err != nil {
		return serverapi.SandboxSubproject{}, err
	}
	if wanted.Secret, err = seededSecret(where, seed.Token); err != nil {
		return serverapi.SandboxSubproject{}, err
	}
	created, err := s.CreateProject(ctx, wanted)
	if err != nil {
		return serverapi.SandboxSubproject{}, taken(err, where+"project_id", "The project_id, the token_id or the token")
	}
	return serverapi.SandboxSubproject{
		Name: wanted.Name, ProjectID: created.Project.ID, TokenID: created.TokenID, Token: created.Secret.Reveal(), Tokens: []serverapi.SandboxToken{},
	}, nil
}

func (s *Server) seedTokens(ctx context.Context, where string, project uuid.UUID, seeds *[]serverapi.SandboxTokenSeed) ([]serverapi.SandboxToken, error) {
	tokens := []serverapi.SandboxToken{}
	if seeds == nil {
		return tokens, nil
	}
	for i, seed := range *seeds {
		here := fmt.Sprintf("%stokens.%d.", where, i)
		plain, err := seededSecret(here, seed.Token)
		if err != nil {
			return nil, err
		}
		if plain == (secret.Secret{}) {
			plain = secret.New()
		}
		id, err := seededID(here+"token_id", seed.TokenID)
		if err != nil {
			return nil, err
		}
		if id == uuid.Nil {
			id = newID()
		}
		token, err := s.newToken(ctx, id, project, seed.Name, storedPermissions(seed.Permissions), plain)
		if err != nil {
			return nil, err
		}
		if expiry := askedExpiry(seed.ExpiresAt); expiry != nil { // one that has passed is what some tests need
			token.ExpiresAt = *expiry
		}
		if err := s.config.Store.CreateToken(ctx, token, s.change(ctx)); err != nil {
			return nil, taken(err, here+"token_id", "The token_id or the token")
		}
		tokens = append(tokens, serverapi.SandboxToken{
			ExpiresAt: optionalTime(token.ExpiresAt), Name: token.Name, Permissions: wirePermissions(token.Permissions),
			Token: plain.Reveal(), TokenID: token.ID,
		})
	}
	return tokens, nil
}

// taken names what is in the way when an id or a secret exists already.
func taken(err error, attribute, what string) error {
	if errors.Is(err, store.ErrConflict) {
		return &problem{fields: []fieldError{{attribute, invalidField, what + " exists already (" + attribute + ")"}}}
	}
	return err
}

func seededSecret(where string, text *string) (secret.Secret, error) {
	if text == nil {
		return secret.Secret{}, nil
	}
	parsed, err := secret.Parse(*text)
	if err != nil {
		return secret.Secret{}, &problem{fields: []fieldError{{where + "token", invalidField, err.Error()}}}
	}
	return parsed, nil
}

// seededID returns uuid.Nil for nil, and refuses it when it was asked for: it would become a random one.
func seededID(attribute string, id *uuid.UUID) (uuid.UUID, error) {
	switch {
	case id == nil:
		return uuid.Nil, nil
	case *id == uuid.Nil:
		return uuid.Nil, &problem{fields: []fieldError{{attribute, invalidField, label(attribute) + " must not be all zeros"}}}
	}
	return *id, nil
}

// Seed creates the projects of a seed file. That is YAML or JSON: a list named projects, each entry like the body of
// create_sandbox_project. It returns how many there are. The error names the entry and the property.
func (s *Server) Seed(ctx context.Context, file []byte) (int, error) {
	op := s.operations["create_sandbox_project"]
	text, err := yaml.YAMLToJSON(file)
	if err == nil {
		err = checkOneDocument(file)
	}
	if errors.Is(err, errDocuments) {
		return 0, err
	}
	if err != nil {
		return 0, fmt.Errorf("the seed file is not YAML: %w", err)
	}
	projects, err := seededProjects(text)
	if err != nil {
		return 0, err
	}
	for i, project := range projects {
		if err := s.seedOne(ctx, op, project, schemaOptions()); err != nil {
			return 0, fmt.Errorf("projects.%d: %w", i, err)
		}
	}
	return len(projects), nil
}

// seededProjects returns the projects in a seed file. What is empty has none.
func seededProjects(text []byte) ([]map[string]any, error) {
	var seeds any
	if err := json.Unmarshal(text, &seeds); err != nil {
		return nil, fmt.Errorf("the seed file is not YAML: %w", err)
	}
	whole, ok := seeds.(map[string]any)
	if !ok && seeds != nil {
		return nil, noSeeds("it is " + kindOf(seeds))
	}
	for _, name := range sortedKeys(whole) {
		if name != "projects" {
			return nil, noSeeds(fmt.Sprintf("it has %q", printable(name, maxAttribute)))
		}
	}
	list, ok := whole["projects"].([]any)
	if !ok && whole["projects"] != nil {
		return nil, noSeeds("its projects are " + kindOf(whole["projects"]))
	}
	projects := make([]map[string]any, 0, len(list))
	for i, entry := range list {
		project, ok := entry.(map[string]any)
		if !ok && entry != nil {
			return nil, fmt.Errorf("projects.%d must be an object, and is %s", i, kindOf(entry))
		}
		projects = append(projects, project)
	}
	return projects, nil
}

func noSeeds(why string) error {
	return errors.New("the seed file must have a list named projects, and nothing else: " + why)
}

// kindOf says what a value of JSON is.
func kindOf(value any) string {
	switch value.(type) {
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case string:
		return "a text"
	case bool:
		return "true or false"
	}
	return "a number"
}

var errDocuments = errors.New("the seed file must be one YAML document")

// checkOneDocument refuses what YAMLToJSON drops without a word: the documents behind the first.
func checkOneDocument(file []byte) error {
	var document yaml3.Node
	decoder := yaml3.NewDecoder(bytes.NewReader(file))
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch err := decoder.Decode(&document); {
	case err == nil:
		return errDocuments
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func (s *Server) seedOne(ctx context.Context, op *operation, project map[string]any, options []openapi3.SchemaValidationOption) error {
	if err := op.validateBody(decodedBody{value: project}, options); err != nil {
		return err
	}
	text, err := json.Marshal(project)
	if err != nil {
		return err
	}
	var seed serverapi.SandboxSeed
	if err := json.Unmarshal(text, &seed); err != nil {
		return err
	}
	_, err = s.createWorld(ctx, seed)
	return err
}
