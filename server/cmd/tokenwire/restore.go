package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tokenwire/tokenwire/server/plainfile"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

type restoreCmd struct {
	File string `arg:"" name:"FILE" help:"Backup to restore."`
	databaseFlags
}

// Help says what has to be there.
func (restoreCmd) Help() string {
	return `There must be no database at --db: move what is there away first, together with its -wal and -shm files. The keyset must be the
one with which the backup was made. What root restores gets the owner of its folder.`
}

// Run copies a backup to where the server looks for its database.
func (cmd restoreCmd) Run(ctx context.Context, std streams) error {
	if err := cmp.Or(postgres.Check("<FILE>", cmd.File), cmd.mustBeFile("restore", "pg_restore on what pg_dump has written")); err != nil {
		return err
	}
	if err := fileMustExist("backup", cmd.File, "name one as <FILE>"); err != nil {
		return err
	}
	if err := checkKeyset(ctx, cmd.File, cmd.keysetFile()); err != nil {
		return orAnother(err, "<FILE>")
	}
	if err := copyDatabase(ctx, std, "restore", namedFile{cmd.File, "<FILE>"}, namedFile{cmd.DB, "path with --db"}); err != nil {
		return err
	}
	if err := plainfile.GiveToFolder(cmd.DB); err != nil {
		return fmt.Errorf("%s is restored, and belongs to root: %w; give it to the user of the server with chown", absolute(cmd.DB), err)
	}
	return describeDatabase(context.WithoutCancel(ctx), std.out, cmd.DB)
}

// checkKeyset refuses a keyset with which the database cannot be used.
func checkKeyset(ctx context.Context, database, keyset string) error {
	e, err := sqlite.Examine(ctx, database)
	if err != nil {
		return err
	}
	check, err := e.KeysetCheck(ctx)
	if err := errors.Join(err, e.Close()); err != nil {
		return err
	}
	loaded, err := secret.LoadKeyset(keyset)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no keyset %s: put the one of this database there, or name it with --keyset", keyset)
	}
	if err != nil {
		return err
	}
	return mustFit(loaded, keyset, check)
}

// mustFit refuses a keyset that has not made this check value.
func mustFit(keyset *secret.Keyset, path string, check []byte) error {
	if !keyset.Fits(check) {
		return fmt.Errorf("%s is not the keyset of this database; restore the right one or name it with --keyset", path)
	}
	return nil
}
