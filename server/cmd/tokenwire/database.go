package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// databaseFlags name the database and the keyset that belongs to it.
type databaseFlags struct {
	DB     string `name:"db" default:"tokenwire.db" placeholder:"FILE" help:"SQLite database. serve and project create make it if it does not exist. (default: ${default})"`
	Keyset string `placeholder:"FILE" help:"Keyset that seals the secrets in the database: keep it apart from its backups. It is made together with the database. (default: the name of the database with .keyset)"`
}

func (f databaseFlags) keysetFile() string {
	if f.Keyset != "" {
		return f.Keyset
	}
	return f.DB + ".keyset"
}

// absolute names a file so that its folder shows.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// open opens the database and its keyset. The caller closes the database.
func (f databaseFlags) open(ctx context.Context) (*sqlite.DB, *secret.Keyset, error) {
	db, err := sqlite.Open(ctx, f.DB)
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
	if _, err := os.Stat(f.DB); err != nil {
		return fmt.Errorf("there is no database: %w; name it with --db, or create it with tokenwire serve", err)
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
