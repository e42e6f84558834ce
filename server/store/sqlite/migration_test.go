package sqlite_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// TestUpgradeFromTheFirstSchema: what was there before accounts and paging is found through them.
func TestUpgradeFromTheFirstSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	if err := sqlite.MigrateTo(t.Context(), path, 1); err != nil {
		t.Fatal(err)
	}
	execute(t, path,
		`INSERT INTO projects (id, name, created_at, updated_at) VALUES (x'00000000000000000000000000000001', 'Parent', 1, 1)`,
		`INSERT INTO projects (id, parent_id, name, created_at, updated_at)
			VALUES (x'00000000000000000000000000000002', x'00000000000000000000000000000001', 'Child', 1, 1)`,
		`INSERT INTO tokens (id, project_id, name, permissions, secret_hash, sealed_secret, created_at, updated_at)
			VALUES (x'00000000000000000000000000000003', x'00000000000000000000000000000002', 'Old', 'fax', zeroblob(32), x'01', 1, 1)`,
	)
	db := open(t, path)
	parent, child := uuid.UUID{15: 1}, uuid.UUID{15: 2}
	for _, account := range []uuid.UUID{parent, child} {
		tokens, err := db.Tokens(t.Context(), store.TokenQuery{Account: account, Page: store.Page{Limit: 10}})
		if err != nil || len(tokens) != 1 || tokens[0].Name != "Old" || !tokens[0].ExpiresAt.IsZero() {
			t.Errorf("tokens of %s: %+v, %v", account, tokens, err)
		}
	}
	projects, err := db.Projects(t.Context(), store.ProjectQuery{Account: parent, Page: store.Page{Limit: 10}})
	if err != nil || len(projects) != 2 {
		t.Errorf("projects: %+v, %v", projects, err)
	}
	if _, err := db.TokenBySecret(t.Context(), store.SecretHash{}, time.Now()); err != nil {
		t.Errorf("the old secret: %v", err)
	}
	execute(t, path, // as a version that is not stopped yet does
		`INSERT INTO projects (id, parent_id, name, created_at, updated_at)
			VALUES (x'00000000000000000000000000000004', x'00000000000000000000000000000001', 'Late', 1, 1)`,
		`INSERT INTO tokens (id, project_id, name, permissions, secret_hash, sealed_secret, created_at, updated_at)
			VALUES (x'00000000000000000000000000000005', x'00000000000000000000000000000004', 'Late', 'fax', x'`+strings.Repeat("05", 32)+`', x'01', 1, 1)`,
	)
	if tokens, err := db.Tokens(t.Context(), store.TokenQuery{Account: parent, Page: store.Page{Limit: 10}}); err != nil || len(tokens) != 2 {
		t.Errorf("tokens after an older version has added one: %+v, %v", tokens, err)
	}
	e, err := sqlite.Examine(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if missing, foreign, err := e.Compare(t.Context()); err != nil || len(missing)+len(foreign) > 0 {
		t.Errorf("an upgraded database is said to lack %q and to have %q besides (%v)", missing, foreign, err)
	}
	if problems, err := e.Invariants(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("an upgraded database is said to have %v (%v)", problems, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := db.DeleteToken(t.Context(), parent, uuid.UUID{15: 3}, store.Change{}); err != nil {
		t.Errorf("deletion by the parent: %v", err)
	}
}

// TestCompareEachSchema: what the migrations make up to any version is what it is compared with.
func TestCompareEachSchema(t *testing.T) {
	t.Parallel()
	for version := range int64(4) {
		path := filepath.Join(t.TempDir(), "old.db")
		if err := sqlite.MigrateTo(t.Context(), path, version+1); err != nil {
			t.Fatal(err)
		}
		compare := func() ([]string, []string) {
			t.Helper()
			e, err := sqlite.Examine(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			missing, foreign, err := e.Compare(t.Context())
			if err := errors.Join(err, e.Close()); err != nil {
				t.Fatal(err)
			}
			return missing, foreign
		}
		if missing, foreign := compare(); len(missing)+len(foreign) > 0 {
			t.Errorf("schema %d is said to lack %q and to have %q besides", version+1, missing, foreign)
		}
		execute(t, path, `DELETE FROM goose_db_version WHERE version_id > 0`)
		if missing, _ := compare(); len(missing) == 0 {
			t.Errorf("schema %d of which nothing is recorded is said to be sound", version+1)
		}
	}
}
