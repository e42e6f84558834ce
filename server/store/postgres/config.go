package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// writers is how many batches are on their way at once. While one is being committed the next one is at the server already.
	writers = 2
	// minReaders is the least size of the pool that reads; pool_max_conns in the DSN sets another.
	minReaders = 8

	connectTimeout = 3 * time.Second
)

// The times after which the server gives up, unless the DSN has others. A process that is stopped in the middle of a transaction
// must not hold its locks for long.
const (
	statementTimeout = "10s"
	lockTimeout      = "5s"
	idleTimeout      = "5s"
)

// parse turns a DSN into the configuration of the pool that reads. flag is what its errors call the DSN.
func parse(flag, dsn string) (*pgxpool.Config, error) {
	if err := Check(flag, dsn); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, refused(flag, dsn, err)
	}
	c := config.ConnConfig
	if err := checkCaches(flag, c); err != nil {
		return nil, err
	}
	if c.Database == "" {
		return nil, errors.New(flag + " names no database: write postgres://user@host:5432/database")
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
		dialer := c.DialFunc
		c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connectTimeout)
			defer cancel()
			return dialer(ctx, network, address)
		}
	}
	// Several hosts are a primary and its standbys: the one that takes changes is meant, unless the DSN says which.
	if c.ValidateConnect == nil && len(hosts(c)) > 1 {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	// Every statement looks rows up by a key, or reads along an index: one plan is good for all arguments, and made once.
	for name, value := range map[string]string{
		"application_name": "tokenwire", "statement_timeout": statementTimeout, "lock_timeout": lockTimeout,
		"idle_in_transaction_session_timeout": idleTimeout, "default_transaction_isolation": "read committed",
		"client_encoding": "UTF8", "plan_cache_mode": "force_generic_plan",
	} {
		if _, chosen := c.RuntimeParams[name]; !chosen {
			c.RuntimeParams[name] = value
		}
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		config.MaxConns = int32(max(minReaders, 2*runtime.GOMAXPROCS(0))) //nolint:gosec // a number of processors
	}
	// What finds its connection lost is tried again on another, so that no call need wait for a ping first.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	config.HealthCheckPeriod = 10 * time.Second
	return config, nil
}

// checkCaches refuses what pgx refuses only when it connects, as if the server did not answer.
func checkCaches(flag string, c *pgx.ConnConfig) error {
	name, capacity := "statement_cache_capacity", c.StatementCacheCapacity
	switch c.DefaultQueryExecMode {
	case pgx.QueryExecModeCacheStatement:
	case pgx.QueryExecModeCacheDescribe:
		name, capacity = "description_cache_capacity", c.DescriptionCacheCapacity
	default: // the others have no cache
		return nil
	}
	if capacity > 0 {
		return nil
	}
	return fmt.Errorf("%s in the URL of %s must be at least 1: leave it out", name, flag)
}

// hosts returns each host with its port once.
func hosts(c *pgx.ConnConfig) []string {
	found := []string{net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))}
	for _, other := range c.Fallbacks {
		if host := net.JoinHostPort(other.Host, strconv.Itoa(int(other.Port))); !slices.Contains(found, host) {
			found = append(found, host)
		}
	}
	return found
}

// forWriting is the configuration of the pool for the writers. A commit that is acknowledged must have been written, and where there
// are synchronous standbys, by them too: a weaker setting of the server, the user or the DSN is not obeyed.
func forWriting(config *pgxpool.Config) *pgxpool.Config {
	config = config.Copy()
	config.MaxConns, config.MinConns, config.MinIdleConns = writers, 0, 0
	// Plans are made once, for any table: on one that is small yet they would read all of it, and go on when it has grown.
	config.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false)
			WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')`)
		return err
	}
	// A server that commits without waiting any more for its standbys says so in a warning, and nowhere else.
	config.ConnConfig.OnNotice = func(c *pgconn.PgConn, notice *pgconn.Notice) {
		if notice.Severity == "WARNING" || notice.SeverityUnlocalized == "WARNING" {
			c.CustomData()[warned] = notice.Message
		}
	}
	return config
}

// warned is the key of the last warning in a connection's own data.
const warned = "warning"

// pause waits a moment before the next attempt, longer each time, and reports whether there is time for it.
func pause(ctx context.Context, try int) bool {
	wait := 25 * time.Millisecond << try
	wait += time.Duration(rand.Int64N(int64(wait))) //nolint:gosec // nobody must not guess it
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
