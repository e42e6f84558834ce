package server_test

import (
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/store"
)

// TestGhosts: a connection that is closed is forgotten, whatever the requests are at that came by it.
func TestGhosts(t *testing.T) {
	t.Parallel()
	if n := server.RememberedOfClosed(&net.TCPConn{}); n != 0 {
		t.Errorf("%d are remembered of one that is closed", n)
	}
	s := startTLS(t, server.Config{MaxConnections: 100}, func(s store.Store) store.Store { return s })
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			client := s.unwilling(t, 64<<10)
			client.ask(t, http.MethodGet, s.path, s.authorization())
			client.ask(t, http.MethodGet, largestAnswer, "")
			_ = client.conn.NetConn().Close()
		})
	}
	wg.Wait()
	for end := time.Now().Add(30 * time.Second); s.server.Remembered() > 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d are remembered, and all are closed", s.server.Remembered())
		}
	}
}

// TestShortAnswersThatNobodyTakes: who does not take the answer to any request keeps nobody out.
func TestShortAnswersThatNobodyTakes(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{MaxConnections: 2}, func(s store.Store) store.Store { return s })
	s.server.SetTimeouts(time.Hour, time.Hour) // which are not what closes them
	for _, authorization := range []string{"", s.authorization(), s.authorization(), ""} {
		client := s.unwilling(t, 0)
		for range 2 {
			client.ask(t, http.MethodGet, s.path, authorization)
			client.status(t)
		}
	}
	for range 3 {
		s.comeIn(t)
	}
}

// TestRequestsThatAreTakenBack: whoever asks over HTTP/2 and takes it back at once has no request, also when it is carried out still.
func TestRequestsThatAreTakenBack(t *testing.T) {
	t.Parallel()
	for _, logIn := range []bool{false, true} {
		if before, after := server.CanGoAfterReset(&slowToClose{}, logIn); !before || !after {
			t.Errorf("with a log-in: %v: the connection can be given up before the handler is done: %v, and after: %v", logIn, before, after)
		}
	}
}
