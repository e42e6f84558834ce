package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// IsDSN reports whether the name of a database is one of this package.
func IsDSN(name string) bool {
	_, ok := address(name)
	return ok
}

// address is what follows the scheme.
func address(name string) (string, bool) {
	if rest, ok := strings.CutPrefix(name, "postgres://"); ok {
		return rest, true
	}
	return strings.CutPrefix(name, "postgresql://")
}

// slips returns what people write who mean a database server, and what would otherwise be the name of a file with a password in it.
func slips() []string {
	return []string{
		`://`,
		`(?i)^[\s"'<]*(jdbc:)?(postgres|pgsql|pgx|psql|cockroach)[\w+.-]*:`,
		`(?i)(^|[\s"'])(host|hostaddr|port|user|passfile|dbname|service|sslmode)\s*=`,
		`(?i)(pass(word|wd)?|pwd)\s*=`,
		`^[\s"'<]*[^\s"'</\\:@.][^/\\:@]*:[^/\\][^@]*@`, // user:password@host
		`//[^/]*:[^@]*@`,
		`^[\s"'<]*[^./\\~@:\s]+/[^@]+@[^@/]+(/|:\d)`, // user/password@host/database; the name of a file in such a folder begins with ./
	}
}

// Check refuses what looks as if it named a database server and is no good URL of one: as the name of a file, or of a host, it would
// be shown, and may have a password in it. flag is what the error calls it. It does not repeat it.
func Check(flag, name string) error {
	rest, ok := address(name)
	if !ok {
		if slices.ContainsFunc(slips(), func(slip string) bool { return regexp.MustCompile(slip).MatchString(name) }) {
			return malformed(flag)
		}
		return nil
	}
	// A character that ends the password too soon leaves an @ behind: no other part may have one either.
	server := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		server = rest[:end]
	}
	if strings.Count(rest, "@") != strings.Count(server, "@") || strings.Count(server, "@") > 1 || strings.Contains(rest, "#") {
		return malformed(flag)
	}
	return nil
}

func malformed(flag string) error {
	return fmt.Errorf("%s is no well-formed URL of a PostgreSQL database: write postgres://user:password@host:5432/database, with the "+
		"special characters of the password percent-encoded (%%40 for @, %%2F for /, %%3A for :, %%3F for ?, %%23 for #, %%25 for %%)", flag)
}

// refused is what pgx has said of a DSN. When it names a parameter, the rest of the URL is well-formed.
func refused(flag, dsn string, err error) error {
	what := withoutDSN(err)
	if parsed, err := url.Parse(dsn); err == nil {
		for parameter := range parsed.Query() {
			if regexp.MustCompile(`\b` + regexp.QuoteMeta(parameter) + `\b`).MatchString(what) {
				return fmt.Errorf("%s in the URL of %s is of no use: %s; correct it, or leave it out", parameter, flag, what)
			}
		}
	}
	return fmt.Errorf("%w: %s", malformed(flag), what)
}

// Name returns the hosts and the database of a DSN, for people. It has no user and no password.
func Name(dsn string) string {
	config, err := pgx.ParseConfig(dsn)
	if err != nil || Check("", dsn) != nil {
		return "PostgreSQL"
	}
	return strings.Join(hosts(config), ",") + "/" + config.Database
}

// withoutDSN is what was wrong with a DSN, without the DSN.
func withoutDSN(err error) string {
	text := err.Error()
	if end := strings.LastIndex(text, "`: "); end >= 0 {
		text = text[end+3:]
	}
	if strings.ContainsAny(text, "@`") || errors.As(err, new(*url.Error)) {
		return "it cannot be parsed"
	}
	return regexp.MustCompile(`"[^"]*"`).ReplaceAllString(text, `"…"`) // a part of it
}
