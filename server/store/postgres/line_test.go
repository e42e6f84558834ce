//go:build unix

package postgres_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
)

// line stands between a store and its server.
type line struct {
	dsn  string
	mute atomic.Bool // the next words of the server that say that something is committed are swallowed, and the connection is broken
}

func newLine(t *testing.T, dsn string) *line {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	server, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{dsn: through(t, dsn, listener.Addr().String())}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go l.connect(client, server.Host)
		}
	}()
	return l
}

// committed is how the server says that a transaction is.
const committed = "COMMIT\x00"

// cut loses the server's next answer to a commit, whichever connection it comes by.
func (l *line) cut() { l.mute.Store(true) }

func (l *line) connect(client net.Conn, address string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(server, client) }()
	words := make([]byte, 64<<10)
	for {
		n, err := server.Read(words)
		if err != nil || bytes.Contains(words[:n], []byte(committed)) && l.mute.CompareAndSwap(true, false) {
			return
		}
		if _, err := client.Write(words[:n]); err != nil {
			return
		}
	}
}
