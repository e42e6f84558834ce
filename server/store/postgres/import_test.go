//go:build unix

package postgres_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

func openImport(t *testing.T, dsn string) *postgres.Import {
	t.Helper()
	i, err := postgres.OpenImport(t.Context(), "--to", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

func part(t *testing.T, name string) store.Part {
	t.Helper()
	for _, p := range store.Parts(time.Now()) {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("there are no %s", name)
	return store.Part{}
}

func TestImport(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	origin := store.Origin{Fingerprint: [32]byte{1}, TrailSince: 1}
	t.Run("one copy at a time", func(t *testing.T) {
		t.Parallel()
		dsn := cluster.NewDatabase(t)
		first, second := openImport(t, dsn), openImport(t, dsn+"&lock_timeout=50ms")
		if err := first.Begin(t.Context(), origin); err != nil {
			t.Fatal(err)
		}
		if err := second.Begin(t.Context(), origin); err == nil || !strings.Contains(err.Error(), "another tokenwire copy is at work") {
			t.Errorf("beside another copy: %v", err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if err := openImport(t, dsn+"&lock_timeout=0").Begin(t.Context(), origin); err != nil {
			t.Errorf("when the other copy has ended: %v", err)
		}
	})
	t.Run("a source that has changed", func(t *testing.T) {
		t.Parallel()
		i := openImport(t, cluster.NewDatabase(t))
		if err := i.Begin(t.Context(), origin); err != nil {
			t.Fatal(err)
		}
		projects, tokens := part(t, "projects"), part(t, "tokens")
		project := uuid.New()
		token := func(of uuid.UUID, secret string) []store.Row {
			id, hash := uuid.New(), sha256.Sum256([]byte(secret))
			return []store.Row{{id[:], of[:], of[:], "", "", hash[:], []byte{1}, int64(1), int64(1), nil, nil}}
		}
		if err := i.AddRows(t.Context(), projects, []store.Row{{project[:], nil, project[:], "", int64(1), int64(1)}}); err != nil {
			t.Fatal(err)
		}
		if err := i.AddRows(t.Context(), tokens, token(project, "taken")); err != nil {
			t.Fatal(err)
		}
		for what, rows := range map[string][]store.Row{
			"a secret that another token had": token(project, "taken"), "a token of a project that is not there": token(uuid.New(), "free"),
		} {
			if err := i.AddRows(t.Context(), tokens, rows); err == nil || !strings.Contains(err.Error(), "has changed since this copy began") {
				t.Errorf("%s: %v", what, err)
			}
		}
		broken := token(project, "short")
		broken[0][5] = make([]byte, 31)
		if err := i.AddRows(t.Context(), tokens, broken); err == nil || !strings.Contains(err.Error(), "doctor") {
			t.Errorf("a hash that is too short: %v", err)
		}
	})
}
