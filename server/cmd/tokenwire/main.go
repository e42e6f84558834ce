// Command tokenwire serves SignalWire's API-token endpoints from a database of its own, and manages tokens at any
// server that has these endpoints, SignalWire itself included.
//
//	tokenwire serve           start the server
//	tokenwire health          ask a server whether it is ready
//	tokenwire backup FILE     copy the database, also while the server is using it; restore FILE takes it back
//	tokenwire copy            move from SQLite up to PostgreSQL
//	tokenwire doctor          check a database and its keyset
//	tokenwire keyset …        the keys that seal the secrets in a database
//	tokenwire project …       projects, directly on the database
//	tokenwire token …         API tokens, over HTTP
//	tokenwire account …       accounts, over HTTP
//	tokenwire audit …         the audit trail, over HTTP
//	tokenwire contract        hold any server against the contract, over HTTP
//	tokenwire version         print the version
//
// `tokenwire COMMAND --help` has the rest. Exit codes: 0 done, 1 failed, 2 not understood; of
// `tokenwire contract` 2 is also that it could not run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/tokenwire/tokenwire/server/logline"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store/postgres"
)

// version is set by the linker.
var version = "" //nolint:gochecknoglobals // the linker can set nothing else

const description = `A self-hosted, drop-in implementation of SignalWire's API-token endpoints.

Every flag can be given as an environment variable too, named below in parentheses. What people and programs read
goes to standard output, the log to standard error.`

// cli is the command line.
type cli struct {
	PrintVersion versionFlag `name:"version" env:"-" help:"Print the version."`

	Serve    serveCmd    `cmd:"" help:"Start the server."`
	Health   healthCmd   `cmd:"" help:"Ask a server whether it is ready."`
	Backup   backupCmd   `cmd:"" help:"Copy the database to a file, also while a server is using it."`
	Restore  restoreCmd  `cmd:"" help:"Make a database of a backup."`
	Copy     copyCmd     `cmd:"" help:"Copy an SQLite database to PostgreSQL."`
	Doctor   doctorCmd   `cmd:"" help:"Check a database and its keyset."`
	Keyset   keysetCmd   `cmd:"" help:"Show, rotate and prune the keys that seal the secrets in a database."`
	Project  projectCmd  `cmd:"" help:"Create and list projects, and give one a new token, directly on the database."`
	Token    tokenCmd    `cmd:"" help:"Create, update, delete and, here only, list, show and rotate API tokens over HTTP."`
	Account  accountCmd  `cmd:"" help:"Create, list, show and rename accounts over HTTP, here or at SignalWire."`
	Audit    auditCmd    `cmd:"" help:"Show who changed what, over HTTP."`
	Contract contractCmd `cmd:"" help:"Hold a server against the contract, over HTTP, here or at SignalWire."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// streams are where commands write to.
type streams struct{ out, err io.Writer }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}))
}

// run parses and executes a command line and returns the exit code.
func run(ctx context.Context, args []string, std streams) int {
	exit := -1
	parser, err := kong.New(&cli{},
		kong.Name("tokenwire"), kong.Description(description), kong.DefaultEnvars("TOKENWIRE"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(std.out, std.err), kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(std), values(),
	)
	if err != nil {
		return fail(std, err)
	}
	command, err := parser.Parse(args)
	if exit >= 0 { // --help has been printed
		return exit
	}
	if err != nil {
		_ = fail(std, withoutURLs(err, args))
		_, _ = fmt.Fprintln(std.err, "Run tokenwire --help, or the same command with --help.")
		return 2
	}
	if err := runWatched(ctx, command); err != nil {
		return fail(std, err)
	}
	return 0
}

// withoutURLs takes out of an error what names a database server, and may have a password in it.
func withoutURLs(err error, args []string) error {
	text := err.Error()
	for _, arg := range args {
		if postgres.IsDSN(arg) || postgres.Check("", arg) != nil {
			text = strings.ReplaceAll(text, arg, "URL")
		}
	}
	return errors.New(text)
}

func fail(std streams, err error) int {
	code := exitCode(err)
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	last := logline.NewWriter(std.err) // who has stopped to read does not keep the process from ending
	_, _ = fmt.Fprintf(last, "tokenwire: %s\n", secret.Mask(oneLine(err.Error())))
	last.Close(logTimeout)
	return code
}

type versionCmd struct{}

// Run prints the version of the program and of Go.
func (versionCmd) Run(std streams) error { return printVersion(std) }

// versionFlag does the same as the command: people try both.
type versionFlag bool

// BeforeReset prints the version in place of running a command.
func (versionFlag) BeforeReset(app *kong.Kong, std streams) error {
	if err := printVersion(std); err != nil {
		return err
	}
	app.Exit(0)
	return nil
}

func printVersion(std streams) error {
	_, err := fmt.Fprintf(std.out, "tokenwire %s (%s, %s/%s)\n", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// programVersion prefers what the linker was told and falls back to what `go install` records.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
