//go:build unix

package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	t.Run("takes as long as it takes", func(t *testing.T) {
		t.Parallel()
		dsn := cluster.NewDatabase(t)
		o := connectOther(t, dsn+patient)
		o.exec(t, `BEGIN`)
		o.exec(t, `CREATE TABLE projects ()`) // nobody sees it, and who makes another waits
		inspecting, tooLate := context.WithCancel(t.Context())
		var ended atomic.Int32
		result := make(chan error, 1)
		go func() {
			result <- postgres.Migrate(t.Context(), inspecting, dsn, time.Minute)
			ended.Add(1)
		}()
		waits(t, dsn, 1, &ended)
		tooLate()
		o.exec(t, `ROLLBACK`)
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
	t.Run("says who keeps it waiting", func(t *testing.T) {
		t.Parallel()
		dsn := cluster.NewDatabase(t)
		o := connectOther(t, dsn+patient)
		o.exec(t, `SELECT pg_advisory_lock($1)`, postgres.MigrationLock)
		want := fmt.Sprintf("more than 1s: PostgreSQL's process %d, connected from 127.0.0.1", o.PgConn().PID())
		if err := postgres.Migrate(t.Context(), t.Context(), dsn, time.Second); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	})
	t.Run("waits for nobody when there is nothing to do", func(t *testing.T) {
		t.Parallel()
		dsn := cluster.NewDatabase(t)
		if err := open(t, dsn).Close(); err != nil {
			t.Fatal(err)
		}
		o := connectOther(t, dsn+patient)
		o.exec(t, `SELECT pg_advisory_lock($1)`, postgres.MigrationLock)
		if err := postgres.Migrate(t.Context(), t.Context(), dsn, time.Second); err != nil {
			t.Error(err)
		}
	})
}
