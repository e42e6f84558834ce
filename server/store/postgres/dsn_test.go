package postgres_test

import (
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/store/postgres"
)

// TestCheck: whoever means a database server and writes it a little wrong gets no file of that name, and no error with it.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"host=127.0.0.1 port=5432 user=u password=Zecret dbname=tw", "password=Zecret", "dbname = tw", "'host=h password=Zecret'", "x;PASSWORD =Zecret", "Server=127.0.0.1;Database=tw;Pwd=Zecret",
		"Postgres://u:Zecret@127.0.0.1:5432/tw", "POSTGRES://u:Zecret@h/tw", "POSTGRESQL://u:Zecret@h/tw", "PostgreSQL:u:Zecret@h",
		" postgres://u:Zecret@h/tw", "\tpostgres://u:Zecret@h/tw", `"postgres://u:Zecret@h/tw"`, "'postgres://u:Zecret@h/tw'", "<postgres://u:Zecret@h/tw>",
		"postgres:/u:Zecret@h/tw", "postgres:u:Zecret@h/tw", "postgres:///u:Zecret@h/tw", "postgres//u:Zecret@h", "//u:Zecret@h/tw",
		"pgsql://u:Zecret@h/tw", "pgx://u:Zecret@h/tw", "pgx5:u", "psql:x", "cockroachdb://u:Zecret@h/tw",
		"jdbc:postgresql://u:Zecret@h/tw", "jdbc:postgresql:tw", "postgresql+psycopg2://u:Zecret@h/tw", "mysql://u:Zecret@h/tw", "https://h/Zecret",
		"u:Zecret@127.0.0.1/tw", "u:12/Zecret@127.0.0.1/tw", `"u:Zecret@127.0.0.1/tw"`,
		"u/Zecret@h/tw", "u/Zecret@h:5432", `"u/Zecret@h/tw"`, " u/Zecret@h/tw",

		"postgres://u:12/Zecret@127.0.0.1:5432/tw", "postgres://u:p@x@Zecret/tw", "postgres://u:1234#Zecret@h/tw", "postgres://u:1234?Zecret@h/tw",
		"postgres://u:1234#Zecret", "postgres://u:p@h/tw@Zecret", "postgres://u@h/tw?application_name=x@Zecret",
	} {
		err := postgres.Check("--db", name)
		if err == nil || !strings.HasPrefix(err.Error(), "--db ") || !strings.Contains(err.Error(), "percent-encoded") ||
			strings.Contains(err.Error()+postgres.Name(name), "Zecret") {
			t.Errorf("%s: %v, called %s", name, err, postgres.Name(name))
		}
	}
	for _, name := range []string{
		"tokenwire.db", "./tokenwire.db", "/srv/tokenwire/tokenwire.db", "/srv/a:b/c@d.db", "./12:30@home.db", `C:\Users\me@home\tokenwire.db`, "me@home.db", "data/me@home.db", "./me@home/x.db", "../a/me@home.db", "~/me@home.db",
		"12:30.db", "postgres.db", "postgres", "host.db", "/srv/host=a/x.db", "localhost=1.db", "file.passwords", "",
		"postgres://u:p@h/tw", "postgresql://u:p%40%2F%3F%23@h1:1,h2:2/tw?sslmode=verify-full", "postgres:///tw?host=/var/run/postgresql",
		"postgres://h/tw?password=p&user=u", "postgres://u@[::1]:5432/tw", "postgres://u:a:b@h/tw",
	} {
		if err := postgres.Check("--db", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
