//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// TestFrozenServer: a server whose processes are all stopped accepts connections and says nothing. It is given up, and what comes
// then is refused without asking it again; when it goes on, so does everything.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	dsn := cluster.NewDatabase(t)
	db, project := open(t, dsn), newProject(t, dsn)
	listening := make(chan struct{}, 1)
	go db.Notify(t.Context(), func([]uuid.UUID) {}, func() {
		select {
		case listening <- struct{}{}:
		default:
		}
	})
	<-listening
	calls := map[string]func(context.Context) error{
		"a read": func(ctx context.Context) error { _, err := db.Project(ctx, project.ID); return err },
		"a ping": db.Ping,
		"a change": func(ctx context.Context) error {
			return db.CreateToken(ctx, newToken(project.ID, uuid.NewString()), store.Change{At: time.Now()})
		},
	}
	for name, call := range calls {
		if err := call(t.Context()); err != nil {
			t.Fatal(name, err)
		}
	}
	if err := cluster.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	refuse := func(within time.Duration) {
		t.Helper()
		results := make(map[string]chan error)
		for name, call := range calls {
			result := make(chan error, 1)
			results[name] = result
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), within)
				defer cancel()
				result <- call(ctx)
			}()
		}
		for name, result := range results {
			if err := <-result; !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s that may take %v: %v", name, within, err)
			}
		}
	}
	refuse(10 * time.Second)                // two to notice, two to ask
	refuse(postgres.ConnectTimeout * 3 / 4) // nobody waits for a connection any more
	if err := cluster.Thaw(); err != nil {
		t.Fatal(err)
	}
	for name, call := range calls {
		err := call(t.Context())
		for errors.Is(err, store.ErrUnavailable) {
			err = call(t.Context())
		}
		if err != nil {
			t.Errorf("%s after the server goes on: %v", name, err)
		}
	}
}
