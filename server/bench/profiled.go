package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"runtime/pprof"

	tokenwire "github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// profiledCmd is tokenwire serve, as far as it takes part in a call, under a profiler: the program itself has none.
type profiledCmd struct {
	Addr    string `required:"" help:"Address to listen on."`
	DB      string `required:"" name:"db" help:"The database."`
	Keyset  string `required:"" help:"Its keyset."`
	Profile string `required:"" help:"Where the profile goes."`
}

// memoryLimit is that of tokenwire serve.
const memoryLimit = 96 << 20

// Run serves until the context ends.
func (cmd profiledCmd) Run(ctx context.Context) (err error) {
	debug.SetMemoryLimit(memoryLimit)
	opened, err := cmd.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	keyset, err := secret.KeysetFor(ctx, opened, cmd.Keyset)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	server, err := tokenwire.New(tokenwire.Config{Store: opened, Keyset: keyset, Logger: logger})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cmd.Addr)
	if err != nil {
		return err
	}
	return profiled(cmd.Profile, func() error { return server.Serve(ctx, listener, nil) })
}

func (cmd profiledCmd) open(ctx context.Context) (store.Store, error) {
	if postgres.IsDSN(cmd.DB) {
		return postgres.Open(ctx, cmd.DB)
	}
	return sqlite.Open(ctx, cmd.DB)
}

// profiled writes a CPU profile of what serve does until it returns.
func profiled(path string, serve func() error) error {
	file, err := os.Create(path) //nolint:gosec // whoever runs this names the file
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = serve()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}
