package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/plainfile"
	"github.com/tokenwire/tokenwire/server/secret"
)

type sandboxFlags struct {
	Sandbox       bool   `help:"Serve tests: everything is in memory, starts from a project that is always the same, and is controlled below /_sandbox/."`
	SandboxRemote bool   `help:"Let callers on other machines use /_sandbox/, which needs no credential."`
	Seed          string `placeholder:"FILE" help:"YAML file with projects that a sandbox has from the start."`
}

// The project of a sandbox. It is documented, so that tests can have it in their configuration.
const (
	sandboxProjectID = "5a4db0c5-0000-4000-8000-000000000001"
	sandboxTokenID   = "5a4db0c5-0000-4000-8000-000000000002"               //nolint:gosec // it is public
	sandboxToken     = "PT5a4db0c55a4db0c55a4db0c55a4db0c55a4db0c55a4db0c5" //nolint:gosec // it is public
)

// prepareSandbox creates the project of a sandbox and those of the seed file.
func (cmd serveCmd) prepareSandbox(
	ctx context.Context, srv *server.Server, wanted server.NewProject, logger *slog.Logger,
) (server.ProjectCredentials, error) {
	wanted.Name = "Sandbox"
	wanted.TokenID = uuid.MustParse(sandboxTokenID)
	if wanted.ID == uuid.Nil {
		wanted.ID = uuid.MustParse(sandboxProjectID)
	}
	if wanted.Secret == (secret.Secret{}) {
		var err error
		if wanted.Secret, err = secret.Parse(sandboxToken); err != nil {
			return server.ProjectCredentials{}, err
		}
	}
	created, err := srv.CreateWorld(ctx, wanted)
	if err != nil || cmd.Seed == "" {
		return created, err
	}
	file, err := plainfile.Read(cmd.Seed)
	if err != nil {
		return created, fmt.Errorf("cannot read the seed file: %w; name another with --seed", err)
	}
	projects, err := srv.Seed(ctx, file)
	if err != nil {
		return created, fmt.Errorf("%s: %w", cmd.Seed, err)
	}
	logger.Info("seeded", "file", cmd.Seed, "projects", projects)
	return created, nil
}
