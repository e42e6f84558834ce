package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The states of PostgreSQL that an operator who sets a database up comes across.
const (
	wrongPassword      = "28P01"
	notAuthorized      = "28000"
	noSuchDatabase     = "3D000"
	tooManyConnections = "53300"
)

// unusable says that a database cannot be used, why, and what its operator can do about it.
func unusable(ctx context.Context, name string, config *pgx.ConnConfig, err error) error {
	if advice := advice(config, err); advice != "" {
		return fmt.Errorf("cannot use the database %s: %w; %s", name, explain(ctx, err), advice)
	}
	return fmt.Errorf("cannot use the database %s: %w", name, explain(ctx, err))
}

// advice is what the operator can do about an error of the database, or "". What a server has answered counts for more than that
// another one, or the same one without TLS, has not.
func advice(config *pgx.ConnConfig, err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return adviceOnState(config, pgErr.Code, errors.As(err, new(*pgconn.ConnectError)))
	}
	switch {
	case isUntrusted(err):
		return "name the file with the certificate of the server's authority in PGSSLROOTCERT, or as sslrootcert in the URL, and in the URL a host for which the server's certificate is"
	case strings.Contains(err.Error(), "server refused TLS connection"): // pgx has no type for it
		return "turn TLS on at the server (ssl = on, with a certificate); only where nobody can listen on the way to it, add sslmode=disable to the URL"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "start PostgreSQL there, or correct the host and the port in the URL; the server must listen on that address (listen_addresses)"
	case errors.As(err, new(*net.DNSError)):
		return "correct the host in the URL, or the name service"
	}
	return ""
}

// adviceOnState is advice on what a server has answered, to the attempt to connect or after it.
func adviceOnState(config *pgx.ConnConfig, state string, connecting bool) string {
	user, database := pgx.Identifier{config.User}.Sanitize(), pgx.Identifier{config.Database}.Sanitize()
	switch state {
	case wrongPassword:
		if config.Password == "" {
			return "it wants a password, and got none: put it into PGPASSWORD, into the file that PGPASSFILE names, or into the URL, percent-encoded"
		}
		return "correct the user, or the password in the URL, PGPASSWORD or the file that PGPASSFILE names; the first of these that there is counts. In the URL it must be percent-encoded"
	case notAuthorized:
		return "the user must exist, with LOGIN, and the server's pg_hba.conf must have a line that lets it in from here"
	case noSuchDatabase:
		return fmt.Sprintf("correct its name in the URL, or make it, as a superuser: CREATE DATABASE %s OWNER %s ENCODING 'UTF8' TEMPLATE template0", database, user)
	case insufficientRights:
		if connecting {
			return fmt.Sprintf("allow it, as a superuser: GRANT CONNECT ON DATABASE %s TO %s", database, user)
		}
		return fmt.Sprintf("give the database to its user, as a superuser: ALTER DATABASE %s OWNER TO %s; where the schema is another's still, "+
			"in that database GRANT USAGE, CREATE ON SCHEMA public TO %s. Tables of tokenwire's that are there must be that user's too", database, user, user)
	case tooManyConnections:
		return "raise max_connections of the server, or the CONNECTION LIMIT of the user or the database: each server of tokenwire wants 11, or more with many processors"
	}
	return ""
}

// isUntrusted reports whether the server has a certificate that is not believed.
func isUntrusted(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.UnknownAuthorityError)) ||
		errors.As(err, new(x509.HostnameError))
}
