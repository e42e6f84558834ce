package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// databaseFlags name the database and the keyset that belongs to it.
type databaseFlags struct {
	DB     string `name:"db" default:"tokenwire.db" placeholder:"FILE|URL" help:"SQLite database, which serve makes if it does not exist; or postgres://USER@HOST:PORT/DATABASE, with several hosts if there are standbys. A password is safer in the environment than on the command line. (default: ${default})"`
	Keyset string `placeholder:"FILE" help:"Keyset that seals the secrets in the database: keep it apart from its backups. It is made together with the database; all servers on one PostgreSQL database need the same. (default: the name of the SQLite database with .keyset, or tokenwire.keyset)"`
}

func (f databaseFlags) keysetFile() string {
	switch {
	case f.Keyset != "":
		return f.Keyset
	case postgres.IsDSN(f.DB):
		return "tokenwire.keyset"
	}
	return f.DB + ".keyset"
}

// name is the database for people. It has no password in it.
func (f databaseFlags) name() string {
	if postgres.IsDSN(f.DB) {
		return postgres.Name(f.DB)
	}
	return absolute(f.DB)
}

// check refuses the name of a database server that is a little wrong, before a file gets that name or anybody is told it.
func (f databaseFlags) check() error { return postgres.Check("--db", f.DB) }

// absolute names a file so that its folder shows.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// openStore opens the database. The caller closes it.
func (f databaseFlags) openStore(ctx context.Context) (store.Store, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if postgres.IsDSN(f.DB) {
		return postgres.Open(ctx, f.DB)
	}
	db, err := sqlite.Open(ctx, f.DB)
	if err != nil {
		return nil, orAnother(err, "path with --db")
	}
	return db, nil
}

// orAnother adds how another file is named to what is wrong with the one of a database, such as: path with --db.
func orAnother(err error, file string) error {
	wrong, ok := errors.AsType[*sqlite.FileError](err)
	switch {
	case !ok:
		return err
	case wrong.Advice == "":
		return fmt.Errorf("%w; choose another %s", err, file)
	}
	return fmt.Errorf("%w, or choose another %s", err, file)
}

// open opens the database and its keyset. The caller closes the database.
func (f databaseFlags) open(ctx context.Context) (store.Store, *secret.Keyset, error) {
	db, err := f.openStore(ctx)
	if err != nil {
		return nil, nil, err
	}
	keyset, err := secret.KeysetFor(ctx, db, f.keysetFile())
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, keyset, nil
}

// mustExist refuses to look into a database that is not there: opening would create it.
func (f databaseFlags) mustExist() error {
	if err := f.check(); err != nil {
		return err
	}
	if postgres.IsDSN(f.DB) {
		return nil
	}
	return fileMustExist("database", f.DB, "name it with --db, or create it with tokenwire serve")
}

func fileMustExist(what, path, advice string) error {
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no %s %s; %s", what, path, advice)
	case err != nil:
		return fmt.Errorf("cannot look at the %s: %w; %s", what, err, advice)
	}
	return nil
}

// mustBeFile refuses what copies files.
func (f databaseFlags) mustBeFile(command, instead string) error {
	if err := f.check(); err != nil {
		return err
	}
	if postgres.IsDSN(f.DB) {
		return fmt.Errorf("%s is for SQLite databases: use PostgreSQL's own %s, and keep a copy of the keyset apart from what it writes", command, instead)
	}
	return nil
}

// withServer calls do with a server that does not listen, on the database.
func (f databaseFlags) withServer(ctx context.Context, do func(*server.Server) error) error {
	db, keyset, err := f.open(ctx)
	if err != nil {
		return err
	}
	srv, err := server.New(server.Config{Store: db, Keyset: keyset})
	if err == nil {
		err = do(srv)
	}
	return errors.Join(err, db.Close())
}
