package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"strconv"

	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

type backupCmd struct {
	File string `arg:"" name:"FILE" help:"File to write. It must not exist."`
	DB   string `name:"db" default:"tokenwire.db" placeholder:"FILE" help:"SQLite database. A server may be using it. (default: ${default})"`
}

// Help says what is not in a backup.
func (backupCmd) Help() string {
	return `The backup is the database as it was at one moment; the server goes on meanwhile. The keyset is not in it: the secrets
in it cannot be used without. Keep a copy of the keyset somewhere else. A backup that is killed leaves its half beside <FILE>, under the name <FILE>.UUID.`
}

// Run copies the database.
func (cmd backupCmd) Run(ctx context.Context, std streams) error {
	database := databaseFlags{DB: cmd.DB}
	if err := cmp.Or(postgres.Check("<FILE>", cmd.File), database.mustBeFile("backup", "pg_dump, or its continuous archiving"), database.mustExist()); err != nil {
		return err
	}
	if err := copyDatabase(ctx, std, "backup", namedFile{cmd.DB, "path with --db"}, namedFile{cmd.File, "<FILE>"}); err != nil {
		return err
	}
	return describeDatabase(context.WithoutCancel(ctx), std.out, cmd.File)
}

// namedFile is a file, and how another would be named in its place (orAnother).
type namedFile struct{ path, another string }

func copyDatabase(ctx context.Context, std streams, doing string, from, to namedFile) error {
	bar := newProgress(std.err, doing)
	err := sqlite.Copy(ctx, from.path, to.path, bar.set)
	another := from.another
	if wrong, ok := errors.AsType[*sqlite.FileError](err); ok && wrong.Path == absolute(to.path) {
		another = to.another
	}
	return errors.Join(orAnother(err, another), bar.close())
}

// describeDatabase prints what a database file has in it.
func describeDatabase(ctx context.Context, out io.Writer, path string) error {
	e, err := sqlite.Examine(ctx, path)
	if err != nil {
		return err
	}
	counts, err := e.Counts(ctx)
	if err := errors.Join(err, e.Close()); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return writeTable(out, []string{"FILE", "BYTES", "PROJECTS", "TOKENS", "EVENTS"}, [][]string{{
		path, number(info.Size()), number(counts.Projects), number(counts.Tokens), number(counts.Events),
	}})
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
