//go:build unix

package postgres_test

import (
	"testing"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
	"github.com/tokenwire/tokenwire/server/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, cluster.NewDatabase(t))
	})
}

func open(t *testing.T, dsn string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
