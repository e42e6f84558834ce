package metrics_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/store/memory"
)

// mostOpen is a bound that 400 connections would go beyond.
const mostOpen = 100

// countedListener knows how many connections are open.
type countedListener struct {
	net.Listener
	t    *testing.T
	open atomic.Int64
}

type countedConn struct {
	net.Conn
	closed func()
}

func (l *countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if open := l.open.Add(1); open > mostOpen {
		l.t.Errorf("%d connections are open", open)
	}
	return &countedConn{conn, sync.OnceFunc(func() { l.open.Add(-1) })}, nil
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// serve serves figures until the test ends, and returns where.
func serve(t *testing.T, figures *metrics.Metrics) string {
	t.Helper()
	plain, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := &countedListener{Listener: plain, t: t}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- figures.Serve(ctx, listener, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// whole is a request that is answered.
const whole = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// begin opens many connections, each of which sends this and no more. It returns the last one.
func begin(t *testing.T, address, text string) net.Conn {
	t.Helper()
	var conn net.Conn
	for range 400 {
		var err error
		if conn, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, whole) {
			continue
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil { // so that it is not a new one any more
			t.Fatal(err)
		}
	}
	return conn
}

// scrape reads the figures as Prometheus does unless it is told otherwise: it gives up after ten seconds.
func scrape(t *testing.T, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		t.Error(err)
		return
	}
	collector := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := collector.Do(request)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(text), "tokenwire_build_info") {
		t.Errorf("%d %v: %s", response.StatusCode, err, text)
	}
}

// TestStarving: whoever opens connections and does not go on keeps no collector out, and there are never many.
func TestStarving(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]string{
		"nothing":       "",
		"half a header": "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-",
		"no body":       whole + "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n",
		"idle":          whole,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, metrics.New("test"))
			begin(t, address, begun)
			scrape(t, address)
		})
	}
}

// slowStore answers when it is let.
type slowStore struct {
	*memory.DB
	asked, answer chan struct{}
}

func (s slowStore) Ping(context.Context) error {
	close(s.asked)
	<-s.answer
	return nil
}

// TestBusyStays: a scrape that is being answered does not make room while others have no request.
func TestBusyStays(t *testing.T) {
	t.Parallel()
	figures := metrics.New("test")
	store := slowStore{memory.New(), make(chan struct{}), make(chan struct{})}
	none := func() int { return 0 }
	err := figures.Watch(metrics.Sources{
		InFlight: none, Running: none, Connections: none, Callers: none, MaxConnections: none, ReplacedConnections: func() uint64 { return 0 }, Store: store,
	})
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, figures)
	done := make(chan struct{})
	go func() {
		defer close(done)
		scrape(t, address)
	}()
	<-store.asked
	last := begin(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n")
	if _, err := io.WriteString(last, "\r\n"); err != nil {
		t.Error(err)
	}
	if _, err := last.Read(make([]byte, 1)); err != nil { // so that all of them have come
		t.Error(err)
	}
	close(store.answer)
	<-done
}
