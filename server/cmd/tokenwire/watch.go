package main

import (
	"context"
	"reflect"

	"github.com/alecthomas/kong"

	"github.com/tokenwire/tokenwire/server/store/postgres"
)

// onDatabase is a command that uses a database itself until it is done.
type onDatabase interface{ database() string }

func (f databaseFlags) database() string { return f.DB }

// database is nothing to be watched: a server notices by itself when its database says nothing any more, and waits for it.
func (serveCmd) database() string { return "" }

func (cmd copyCmd) database() string { return cmd.To }

func (cmd projectListCmd) database() string { return cmd.DB }

// runWatched runs a command, and ends it when it waits for a database server that does not answer any more.
func runWatched(ctx context.Context, command *kong.Context) error {
	uses, ok := reflect.TypeAssert[onDatabase](command.Selected().Target)
	if !ok || !postgres.IsDSN(uses.database()) {
		return command.Run()
	}
	watched, stop := postgres.Watch(ctx, uses.database())
	defer stop()
	command.BindTo(watched, (*context.Context)(nil))
	err := command.Run()
	if err != nil && watched.Err() != nil && ctx.Err() == nil {
		return context.Cause(watched)
	}
	return err
}
