package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
)

// firstProject checks the bootstrap flags also when the database has no use for them, so that a mistake shows at once.
func (cmd serveCmd) firstProject() (server.NewProject, error) {
	first := server.NewProject{Name: "Default"}
	var err error
	if cmd.BootstrapProjectID != "" {
		if first.ID, err = uuid.Parse(cmd.BootstrapProjectID); err != nil || first.ID == uuid.Nil {
			return first, errors.New("--bootstrap-project-id must be a UUID")
		}
	}
	if cmd.BootstrapToken != "" {
		if first.Secret, err = secret.Parse(cmd.BootstrapToken); err != nil {
			return first, fmt.Errorf("--bootstrap-token: %w", err)
		}
	}
	return first, nil
}

// bootstrap prepares what a first start needs, and prints it.
func (cmd serveCmd) bootstrap(
	ctx context.Context, std streams, srv *server.Server, first server.NewProject, authority []byte, baseURL string, logger *slog.Logger,
) error {
	if cmd.DevTLS.Enabled {
		if err := cmd.DevTLS.publish(authority); err != nil {
			return err
		}
		if err := cmd.DevTLS.explain(std.out); err != nil {
			return err
		}
	}
	if cmd.Sandbox {
		created, err := cmd.prepareSandbox(ctx, srv, first, logger)
		if err != nil {
			return fmt.Errorf("cannot prepare the sandbox: %w", err)
		}
		if _, err := fmt.Fprint(std.out, "A sandbox in memory, with a project that is the same at every start:\n\n"); err != nil {
			return err
		}
		return writeCredentials(std.out, created, "", baseURL, cmd.curlFlags())
	}
	return cmd.bootstrapDatabase(ctx, std, srv, first, baseURL, logger)
}

// bootstrapDatabase tries whether anything can be printed before it creates the first project: a credential that nobody has read
// cannot be had again.
func (cmd serveCmd) bootstrapDatabase(
	ctx context.Context, std streams, srv *server.Server, first server.NewProject, baseURL string, logger *slog.Logger,
) error {
	exists, err := srv.HasProject(ctx)
	if err != nil {
		return fmt.Errorf("look for the first project: %w", err)
	}
	if !exists {
		if err := tryOutput(std.out); err != nil && !cmd.knowsToken(logger, err) {
			return fmt.Errorf("the credential of the first project cannot be printed: %w; no project was created: start again with a standard output that can be written to, or choose the credential with --bootstrap-project-id and --bootstrap-token", err)
		}
	}
	created, isFirst, err := srv.Bootstrap(ctx, first)
	if err != nil {
		return fmt.Errorf("cannot create the first project: %w", err)
	}
	if !isFirst {
		if cmd.BootstrapProjectID != "" || cmd.BootstrapToken != "" {
			logger.Info("the database has a project already: --bootstrap-project-id and --bootstrap-token are not used")
		}
		return nil
	}
	var text strings.Builder
	text.WriteString("The database was empty. It has a project now:\n\n")
	err = writeCredentials(&text, created, shownOnce, baseURL, cmd.curlFlags())
	if err == nil {
		_, err = io.WriteString(std.out, text.String())
	}
	if err != nil && !cmd.knowsToken(logger, err) {
		return lostCredential(created, err)
	}
	return nil
}

// tryOutput reports why nobody would read what is printed. A standard output that is closed is the null device: Go opens it in its place.
func tryOutput(out io.Writer) error {
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		null, nullErr := os.Stat(os.DevNull)
		if err == nil && nullErr == nil && os.SameFile(info, null) {
			return errors.New("standard output is closed, or " + os.DevNull)
		}
	}
	_, err := fmt.Fprintln(out)
	return err
}

// knowsToken reports whether the operator has chosen the credential, so that nothing is lost when it cannot be printed.
func (cmd serveCmd) knowsToken(logger *slog.Logger, err error) bool {
	if cmd.BootstrapProjectID == "" || cmd.BootstrapToken == "" {
		return false
	}
	logger.Warn("the credential of the first project cannot be printed; it is the one of --bootstrap-project-id and --bootstrap-token", "error", err.Error())
	return true
}

// curlFlags lets a printed curl line trust the certificate, in whatever folder it is pasted.
func (cmd serveCmd) curlFlags() string {
	file := cmd.TLSCert
	if cmd.DevTLS.Enabled {
		file = cmd.DevTLS.CAFile
	}
	if file == "" {
		return ""
	}
	return "--cacert '" + strings.ReplaceAll(absolute(file), "'", `'\''`) + "' "
}
