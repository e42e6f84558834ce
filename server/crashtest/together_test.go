//go:build unix

package crashtest_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// together is how many processes start at once.
const together = 5

// testTogether starts several processes at once on a database that is empty.
func testTogether(t *testing.T, program string) {
	t.Helper()
	cluster := postgrestest.Start(t, nil)
	t.Run("one keyset", func(t *testing.T) {
		dsn, dir := cluster.NewDatabase(t), t.TempDir()
		servers := startTogether(t, func() site { return site{program: program, dir: dir, url: dsn} })
		for _, c := range servers {
			if c.url == "" {
				t.Fatalf("a server has not started:\n%s", strings.Join(c.logged(), "\n"))
			}
		}
		oneProject(t, dsn, servers)
		openEachOther(t, servers)
	})
	t.Run("a keyset each", func(t *testing.T) {
		dsn := cluster.NewDatabase(t)
		servers := startTogether(t, func() site { return site{program: program, dir: t.TempDir(), url: dsn} })
		var serving []*child
		for _, c := range servers {
			if c.url != "" {
				serving = append(serving, c)
				continue
			}
			_ = c.command.Wait()
			if exit := c.command.ProcessState.ExitCode(); exit != 1 {
				t.Errorf("a server with another keyset has ended with %d, want 1", exit)
			}
			log := strings.Join(c.logged(), "\n")
			if strings.Count(log, "\n") > 0 || !strings.HasPrefix(log, "tokenwire: ") || !strings.Contains(log, "tokenwire.db.keyset") ||
				!strings.Contains(log, "--keyset") || strings.Contains(log, postgrestest.Password) {
				t.Errorf("a server with another keyset has said %q, want one line that names the keyset and --keyset", log)
			}
		}
		if len(serving) != 1 {
			t.Fatalf("%d servers with different keysets serve, want one", len(serving))
		}
		oneProject(t, dsn, serving)
		openEachOther(t, serving)
	})
}

// startTogether returns when each server listens, and has its URL then, or has ended.
func startTogether(t *testing.T, on func() site) []*child {
	t.Helper()
	servers, urls := make([]*child, together), make([]<-chan string, together)
	for i := range servers {
		servers[i], urls[i] = on().launch(t)
	}
	for i, c := range servers {
		c.url = <-urls[i]
		if c.url == "" {
			<-c.drained
		}
	}
	return servers
}

// oneProject wants one server to have made the first project, and everyone to know it.
func oneProject(t *testing.T, dsn string, servers []*child) {
	t.Helper()
	for _, c := range servers {
		report(t, observe(t, c, &world{}, true).problems)
	}
	connection, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer func() { _ = connection.Close(t.Context()) }()
	var projects, tokens int
	must(t, connection.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM projects), (SELECT count(*) FROM tokens)`).Scan(&projects, &tokens))
	if projects != 1 || tokens != 1 {
		t.Errorf("there are %d projects and %d tokens, want one of each", projects, tokens)
	}
}

// openEachOther lets every server make a token and every other one read its secret, which only the same keyset opens. Then they are
// stopped: who has made the first project has printed it.
func openEachOther(t *testing.T, servers []*child) {
	t.Helper()
	for _, c := range servers {
		made, err := c.as(t, adminSecret).CreateToken(t.Context(), client.CreateTokenParams{
			Name: "Fax", Permissions: []client.Permission{client.PermissionFax},
		})
		must(t, err)
		for _, other := range servers {
			read, err := other.as(t, adminSecret).UpdateToken(t.Context(), made.ID, client.UpdateTokenParams{})
			must(t, err)
			if read.Secret.Reveal() != made.Secret.Reveal() {
				t.Error("a server reads another secret than the one that another server has made")
			}
		}
	}
	first := 0
	for _, c := range servers {
		report(t, c.complaints())
		c.stop(t)
		if strings.Contains(c.out.String(), "The database was empty") {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d servers say that they have made the first project, want one", first)
	}
}
