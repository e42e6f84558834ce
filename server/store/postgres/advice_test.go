//go:build unix

package postgres_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// TestAdvice: whoever sets a database up and has forgotten something is told what to do, in one line, and the error of the server stays.
func TestAdvice(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	postgrestest.Exec(t, cluster.DSN("postgres"),
		`CREATE ROLE newcomer LOGIN PASSWORD 'p'`, `CREATE ROLE nologin PASSWORD 'p'`, `CREATE ROLE few LOGIN CONNECTION LIMIT 0 PASSWORD 'p'`,
		`CREATE DATABASE foreign_schema TEMPLATE template0`, `CREATE DATABASE no_connect TEMPLATE template0`, `REVOKE CONNECT ON DATABASE no_connect FROM PUBLIC`)
	as := func(user, password, database, parameters string) string {
		return (&url.URL{
			Scheme: "postgres", User: url.UserPassword(user, password), Host: "127.0.0.1:" + strconv.Itoa(cluster.Port), Path: "/" + database, RawQuery: parameters,
		}).String()
	}
	for _, c := range []struct{ name, dsn, cause, want string }{
		{"no right to make tables", as("newcomer", "p", "foreign_schema", "sslmode=disable"), "42501", `ALTER DATABASE "foreign_schema" OWNER TO "newcomer"`},
		{"no right to connect", as("newcomer", "p", "no_connect", "sslmode=disable"), "42501", `GRANT CONNECT ON DATABASE "no_connect" TO "newcomer"`},
		{"no database", as("newcomer", "p", "tokens", "sslmode=disable"), "3D000", `CREATE DATABASE "tokens" OWNER "newcomer" ENCODING 'UTF8' TEMPLATE template0`},
		{"a wrong password", as("newcomer", "q", "tokens", "sslmode=disable"), "28P01", "correct the user, or the password in the URL, PGPASSWORD or the file that PGPASSFILE names"},
		{"no password", as("newcomer", "", "tokens", "sslmode=disable"), "28P01", "it wants a password, and got none: put it into PGPASSWORD"},
		{"no user", as("nobody", "p", "tokens", "sslmode=disable"), "28P01", "correct the user"},
		{"a user that may not log in", as("nologin", "p", "tokens", "sslmode=disable"), "28000", "with LOGIN"},
		{"a limit", as("few", "p", "postgres", "sslmode=disable"), "53300", "CONNECTION LIMIT"},
		{"no TLS", as("newcomer", "p", "tokens", "sslmode=verify-full"), "server refused TLS connection", "ssl = on"},
		{"no server", "postgres://newcomer:p@127.0.0.1:1/tokens?sslmode=disable", "connection refused", "start PostgreSQL there, or correct the host and the port"},
		{"no host", "postgres://newcomer:p@nowhere.invalid/tokens?sslmode=disable", "nowhere.invalid", "correct the host in the URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, openErr := postgres.Open(t.Context(), c.dsn)
			errs := map[string]error{"Open": openErr}
			if c.name != "no right to make tables" { // it only looks
				_, errs["Examine"] = postgres.Examine(t.Context(), c.dsn)
				_, errs["OpenImport"] = postgres.OpenImport(t.Context(), "--to", c.dsn)
			}
			for what, err := range errs {
				if err == nil || !strings.Contains(err.Error(), c.cause) || !strings.Contains(err.Error(), "; ") ||
					!strings.Contains(err.Error()[strings.LastIndex(err.Error(), c.cause):], c.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v; want %q and then %q in it", what, err, c.cause, c.want)
				}
			}
		})
	}
}

// TestAdviceOnCertificates: a server whose certificate is not believed is not called one that does not answer, and no more.
func TestAdviceOnCertificates(t *testing.T) {
	t.Parallel()
	https := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(https.Close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := io.ReadFull(c, make([]byte, 8)); err == nil { // the request for TLS
				_, _ = c.Write([]byte("S"))
				_ = tls.Server(c, https.TLS).HandshakeContext(t.Context())
			}
			_ = c.Close()
		}
	}()
	_, err = postgres.Open(t.Context(), "postgres://u:p@"+listener.Addr().String()+"/d?sslmode=verify-full")
	if err == nil || !strings.Contains(err.Error(), "PGSSLROOTCERT") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want PGSSLROOTCERT in it", err)
	}
}

// TestSetUp: the statements in the documentation make a database that tokenwire can use.
func TestSetUp(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	page, err := os.ReadFile("../../../docs/postgresql.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sql\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 1 {
		t.Fatalf("the page has %d blocks of SQL", len(blocks))
	}
	// The superuser of the test's server has the name of the documentation's user.
	for statement := range strings.SplitSeq(strings.ReplaceAll(blocks[0][1], "tokenwire", "newcomer"), ";") {
		postgrestest.Exec(t, cluster.DSN("postgres"), statement)
	}
	dsn, err := url.Parse(cluster.DSN("newcomer"))
	if err != nil {
		t.Fatal(err)
	}
	dsn.User = url.UserPassword("newcomer", "a password of its own")
	newProject(t, dsn.String())
}
