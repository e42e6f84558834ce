//go:build unix

package main

import (
	"bytes"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// freezing stands between a program and its database: after a word of the program nothing goes through any more, and no connection
// ends. It returns the DSN of the database behind it.
func freezing(t *testing.T, dsn, word string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended); _ = listener.Close() })
	parsed, err := url.Parse(dsn)
	check(t, err)
	address := parsed.Host
	parsed.Host = listener.Addr().String()
	var frozen atomic.Bool
	carry := func(to, from net.Conn) {
		defer func() { _ = to.Close() }()
		words := make([]byte, 64<<10)
		for {
			n, err := from.Read(words)
			if bytes.Contains(words[:n], []byte(word)) {
				frozen.Store(true)
			}
			if frozen.Load() {
				<-ended
				return
			}
			if _, failed := to.Write(words[:n]); err != nil || failed != nil {
				return
			}
		}
	}
	go func() {
		for {
			program, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				_ = program.Close()
				continue
			}
			go carry(server, program)
			go carry(program, server)
		}
	}()
	return parsed.String()
}

// TestPostgresSilent: a command that waits for a server which says nothing any more gives up, and says why.
func TestPostgresSilent(t *testing.T) {
	t.Parallel()
	cluster, dir := postgrestest.Start(t, nil), t.TempDir()
	serve(t, dir, "--db", cluster.DSN("postgres")).stop(t)
	for _, args := range [][]string{{"doctor"}, {"keyset", "rotate"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			dsn := freezing(t, cluster.DSN("postgres"), "FROM idempotent_answers)")
			r := execute(t, dir, []string{"TOKENWIRE_DB=" + dsn}, args...).want(t, 1)
			if !strings.Contains(r.stderr, "has not answered for 15s") || strings.Count(r.stderr, "tokenwire: ") != 1 {
				t.Errorf("it says\n%s", r.stderr)
			}
		})
	}
}
