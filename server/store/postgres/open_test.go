//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	t.Run("refuses in one line without the password", func(t *testing.T) {
		t.Parallel()
		foreign, ascii := cluster.NewDatabase(t), cluster.DSN("ascii")
		postgrestest.Exec(t, foreign, `CREATE TABLE tokens (id int)`)
		postgrestest.Exec(t, cluster.DSN("postgres"), `CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0`)
		const password = "s3cr3t-of-nobody"
		for _, c := range []struct{ dsn, want string }{
			{foreign, "tables of another program"},
			{ascii, "encoding"},
			{strings.Replace(foreign, postgrestest.Password, password, 1), "authentication"},
			{"postgres://u:" + password + "@127.0.0.1:1/d", "127.0.0.1:1"},
			{"postgres://u:" + password + "@127.0.0.1:port/d", "postgres://user:password@host"},
			{"postgres://u:" + password + "@@127.0.0.1:1:2/d", "postgres://user:password@host"},
			{"postgres://u:" + password + "%zz@127.0.0.1/d", "postgres://user:password@host"},
			{"postgres://u:" + password + " x@127.0.0.1/d", "postgres://user:password@host"},
			{"postgres://u@127.0.0.1/d?password=x&" + password, "postgres://user:password@host"},
			{"postgres://u:" + password + "@127.0.0.1/d?sslmode=what", "sslmode"},
			{"postgres://u:" + password + "@127.0.0.1/d?target_session_attrs=what", "target_session_attrs in the URL of --db is of no use"},
			{"postgres://u:" + password + "@127.0.0.1/d?pool_max_conns=many", "pool_max_conns in the URL of --db is of no use"},
			{"postgres://u:" + password + "@127.0.0.1/d?statement_cache_capacity=0", "statement_cache_capacity in the URL of --db must be at least 1"},
			{"postgres://u:" + password + "@127.0.0.1/d?default_query_exec_mode=cache_describe&description_cache_capacity=0", "description_cache_capacity in"},
			{foreign + "&search_path=nowhere", "its search_path names no schema that exists"},
		} {
			_, err := postgres.Open(t.Context(), c.dsn)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q in it", c.dsn, err, c.want)
				continue
			}
			if answers := c.dsn == foreign || c.dsn == ascii; answers && strings.Contains(err.Error(), store.ErrUnavailable.Error()) {
				t.Errorf("%v: the server has answered", err)
			}
			if strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "refused") > 1 {
				t.Errorf("%s: %v", c.dsn, err)
			}
			for _, secret := range []string{password, postgrestest.Password} {
				if strings.Contains(err.Error()+postgres.Name(c.dsn), secret) {
					t.Errorf("the password is in %q or %q", err, postgres.Name(c.dsn))
				}
			}
		}
		if n := query(t, foreign, `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`); n != 1 {
			t.Errorf("a database that was refused has %d tables and indexes", n)
		}
	})
	t.Run("synchronous_commit is not weakened", func(t *testing.T) {
		t.Parallel()
		dsn := cluster.NewDatabase(t)
		for chosen, want := range map[string]string{"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply"} {
			got, err := open(t, dsn+"&synchronous_commit="+chosen).Setting(t.Context(), "synchronous_commit")
			if err != nil || got != want {
				t.Errorf("with %s in the DSN it is %s, %v; want %s", chosen, got, err, want)
			}
		}
	})
	t.Run("changes read no whole table, and wait for nobody without an end", func(t *testing.T) {
		t.Parallel()
		db := open(t, cluster.NewDatabase(t))
		for setting, want := range map[string]string{
			"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan",
			"statement_timeout": "10s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "5s",
		} {
			if got, err := db.Setting(t.Context(), setting); err != nil || got != want {
				t.Errorf("%s is %s, %v; want %s", setting, got, err, want)
			}
		}
	})
}

func TestName(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://u:p@db1:5433,db2/tw?sslmode=prefer": "db1:5433,db2:5432/tw",
		"postgresql://u:p@[::1]/tw":                     "[::1]:5432/tw",
		"postgres://u:p@h:port/tw":                      "PostgreSQL",
	} {
		if got := postgres.Name(dsn); got != want {
			t.Errorf("the name of %s is %s, want %s", dsn, got, want)
		}
	}
}

// TestServerGoesAway: calls fail soon with ErrUnavailable while there is no server, and work again when there is, on the same store.
func TestServerGoesAway(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	dsn := cluster.NewDatabase(t)
	db, project := open(t, dsn), newProject(t, dsn)
	for round, stop := range []func() error{cluster.Stop, cluster.KillAll} {
		if err := db.CreateToken(t.Context(), newToken(project.ID, "before"+string(rune('0'+round))), store.Change{At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		_, readErr := db.Project(t.Context(), project.ID)
		for what, err := range map[string]error{
			"a read": readErr, "a ping": db.Ping(t.Context()),
			"a change": db.CreateToken(t.Context(), newToken(project.ID, "during"), store.Change{At: time.Now()}),
		} {
			if !errors.Is(err, store.ErrUnavailable) || strings.Contains(err.Error(), postgrestest.Password) {
				t.Errorf("%s without a server: %v", what, err)
			}
		}
		if err := cluster.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := db.CreateToken(t.Context(), newToken(project.ID, "after"+string(rune('0'+round))), store.Change{At: time.Now()}); err != nil {
			t.Errorf("a change after the server has come back: %v", err)
		}
		if !isThere(t, db, "before"+string(rune('0'+round))) || isThere(t, db, "during") {
			t.Error("what was acknowledged is gone, or what was refused is there")
		}
	}
}

// TestGivenUpStandby: a commit that does not wait any more for a synchronous standby is not acknowledged, although the server says
// that it was made.
func TestGivenUpStandby(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Start(t, nil).NewDatabase(t)
	db, project := open(t, dsn), newProject(t, dsn)
	postgrestest.Exec(t, dsn, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`, `SELECT pg_reload_conf()`)
	until(t, dsn, `SELECT (current_setting('synchronous_standby_names') = 'nobody')::int`)
	result := make(chan error, 1)
	go func() {
		result <- db.CreateToken(context.WithoutCancel(t.Context()), newToken(project.ID, "alone"), store.Change{At: time.Now()})
	}()
	until(t, dsn, `SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)
	if err := <-result; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a change that no standby has: %v", err)
	}
}

// TestTakenAway: tables that are gone under a store, or are not its own any more, are not the fault of the program.
func TestTakenAway(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	for name, take := range map[string]func(dsn, database string) (string, []string){
		"the database was made anew": func(_, database string) (string, []string) {
			return cluster.DSN("postgres"), []string{`DROP DATABASE ` + database + ` WITH (FORCE)`, `CREATE DATABASE ` + database + ` TEMPLATE template0`}
		},
		"a column is gone": func(dsn, _ string) (string, []string) {
			return dsn, []string{`ALTER TABLE projects RENAME created_at TO x`, `ALTER TABLE settings RENAME TO y`}
		},
		"the schema is another": func(dsn, _ string) (string, []string) { return dsn, []string{`ALTER SCHEMA public RENAME TO other`} },
		"the right is withdrawn": func(dsn, database string) (string, []string) {
			return dsn, []string{`ALTER ROLE r` + database + ` NOSUPERUSER`, `REVOKE ALL ON projects, tokens, settings FROM r` + database}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := cluster.NewDatabase(t)
			database := dsn[strings.LastIndex(dsn, "/")+1 : strings.Index(dsn, "?")]
			postgrestest.Exec(t, dsn, `CREATE ROLE r`+database+` LOGIN SUPERUSER PASSWORD '`+postgrestest.Password+`'`)
			db := open(t, strings.Replace(dsn, "//tokenwire:", "//r"+database+":", 1))
			project := newProject(t, dsn)
			if _, err := db.Project(t.Context(), project.ID); err != nil {
				t.Fatal(err)
			}
			at, statements := take(dsn, database)
			postgrestest.Exec(t, at, statements...)
			_, readErr := db.Project(t.Context(), project.ID)
			for what, err := range map[string]error{
				"a read": readErr, "a ping": db.Ping(t.Context()),
				"a change": db.CreateToken(t.Context(), newToken(project.ID, "token"), store.Change{At: time.Now()}),
			} {
				if !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
