//go:build unix

package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// syncTimeout is when the wait for a standby to follow is given up.
const syncTimeout = 30 * time.Second

// Standby makes a server that follows this one by streaming replication, with the same settings, and starts it. A port of 0 is a free
// one. The primary does not wait for it before WaitForStandby.
func (c *Cluster) Standby(tb testing.TB, port int) *Cluster {
	tb.Helper()
	settings := maps.Clone(c.settings)
	// A promotion may wait for the next attempt to reach the primary, which is up to 5 seconds later by default.
	settings["wal_retrieve_retry_interval"] = "1s"
	standby, err := prepare(Options{Settings: settings})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := standby.Remove(); err != nil {
			tb.Error(err)
		}
	})
	if port != 0 {
		standby.Port = port
	}
	ctx := tb.Context()
	err = standby.Run(ctx, "pg_basebackup", "--pgdata="+standby.data(), "--host=127.0.0.1", "--port="+strconv.Itoa(c.Port),
		"--username="+userName, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
	if err == nil {
		err = standby.Start(ctx)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return standby
}

// WaitForStandby lets no commit be acknowledged any more that a standby does not have too, and returns when one follows.
func (c *Cluster) WaitForStandby(tb testing.TB) {
	tb.Helper()
	Exec(tb, c.DSN("postgres"), `ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`)
	deadline := time.Now().Add(syncTimeout)
	for !c.is(tb, `current_setting('synchronous_standby_names') <> '' AND EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync')`) {
		if time.Now().After(deadline) {
			tb.Fatalf("no standby follows after %v", syncTimeout)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// HasStandby reports whether a standby follows.
func (c *Cluster) HasStandby(tb testing.TB) bool {
	tb.Helper()
	return c.is(tb, `EXISTS (SELECT 1 FROM pg_stat_replication)`)
}

func (c *Cluster) is(tb testing.TB, condition string) bool {
	tb.Helper()
	connection, err := pgx.Connect(tb.Context(), c.DSN("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = connection.Close(context.WithoutCancel(tb.Context())) }()
	var isSo bool
	if err := connection.QueryRow(tb.Context(), `SELECT `+condition).Scan(&isSo); err != nil {
		tb.Fatal(err)
	}
	return isSo
}

// Promote makes a standby the primary, and returns when it takes changes.
func (c *Cluster) Promote(ctx context.Context) error {
	return c.Run(ctx, "pg_ctl", "promote", "--pgdata="+c.data(), "--wait", "--timeout="+strconv.Itoa(int(startTimeout.Seconds())))
}

// KillAll kills the server and all that works for it at once, as when its machine fails.
func (c *Cluster) KillAll() error {
	if c.process == nil {
		return nil
	}
	server := c.process.Pid
	if err := syscall.Kill(server, syscall.SIGSTOP); err != nil { // so that nothing new comes
		return fmt.Errorf("stop process %d: %w", server, err)
	}
	pids, err := children(server)
	for _, pid := range pids {
		if killed := syscall.Kill(pid, syscall.SIGKILL); killed != nil && !errors.Is(killed, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("kill process %d: %w", pid, killed))
		}
	}
	return errors.Join(err, c.kill())
}

// JoinDSN names the database of a DSN on other servers too. Who uses it wants the one that takes changes.
func JoinDSN(tb testing.TB, dsn string, others ...*Cluster) string {
	tb.Helper()
	joined, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	for _, other := range others {
		joined.Host += "," + net.JoinHostPort("127.0.0.1", strconv.Itoa(other.Port))
	}
	joined.RawQuery += "&target_session_attrs=read-write"
	return joined.String()
}
