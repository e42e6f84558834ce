package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// dial opens a connection and says something.
func dial(t *testing.T, a *api, text string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(a.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestConnectionsThatDoNothing: who opens more connections than there may be loses the first of them, and keeps nobody out.
func TestConnectionsThatDoNothing(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{MaxConnections: 8, ReadHeaderTimeout: time.Hour}) // which is not what closes them
	for name, text := range map[string]string{"silent": "", "half a header": "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "} {
		var held []net.Conn
		for range 20 {
			held = append(held, dial(t, a, text))
		}
		for range 10 {
			a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{}`).as(a.Project)).want(t, 200)
		}
		for i, conn := range held[:20-8] {
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			n, err := conn.Read(make([]byte, 1))
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s: connection %d was not closed", name, i)
			}
			if err == nil {
				t.Errorf("%s: connection %d was not closed: it has read %d bytes", name, i, n)
			}
		}
	}
}

// TestConnectionsThatWait: a connection whose request is being carried out is not given up; a new one waits for it.
func TestConnectionsThatWait(t *testing.T) {
	t.Parallel()
	held := heldStore{reached: make(chan struct{}), release: make(chan struct{})}
	a := start(t, &servertest.Options{MaxConnections: 1, WrapStore: func(s store.Store) store.Store { held.Store = s; return held }})
	first := make(chan answer, 1)
	go func() {
		first <- a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"name":"Held"}`).as(a.Project))
	}()
	<-held.reached
	conn := dial(t, a, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	// Longer than an idle connection is left alone, so that there was time enough to serve this one by mistake.
	if err := conn.SetReadDeadline(time.Now().Add(1500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes (%v) before there was a connection for it", n, err)
	}
	close(held.release)
	(<-first).want(t, 200)
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200 ") {
		t.Errorf("the one that has waited got %q (%v)", text, err)
	}
}

// TestTooManyRequests: what would have to wait for too many others is refused at once, and the others are answered.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	held := heldStore{reached: make(chan struct{}), release: make(chan struct{})}
	// The clock stands still: callers are remembered.
	a := start(t, &servertest.Options{FixedClock: true, MaxRequests: 1, WrapStore: func(s store.Store) store.Store { held.Store = s; return held }})
	update := jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"name":"Held"}`).as(a.Project)
	var wg sync.WaitGroup
	wg.Go(func() { a.do(t, update).want(t, 200) })
	<-held.reached
	got := a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}.as(a.Project))
	if got.want(t, 503); got.header.Get("Retry-After") == "" {
		t.Error("the 503 has no Retry-After")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		a.do(t, call{method: http.MethodGet, path: path}).want(t, 200) // a busy server is not taken for a dead one
	}
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"name":7}`).as(a.Project)).want(t, 422) // and what is wrong is wrong
	close(held.release)
	wg.Wait()
	a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}.as(a.Project)).want(t, 200)
}

// hangingLogins is a store in which the token to a secret, unless it is one that is known, is not found before it is released.
type hangingLogins struct {
	store.Store
	reached, release chan struct{}
	known            store.SecretHash
}

// TokenBySecret waits.
func (s hangingLogins) TokenBySecret(ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
	if hash == s.known {
		return s.Store.TokenBySecret(ctx, hash, now)
	}
	s.reached <- struct{}{}
	select {
	case <-s.release:
		return s.Store.TokenBySecret(ctx, hash, now)
	case <-ctx.Done():
		return store.Token{}, ctx.Err()
	}
}

// TestTooManyLogins: log-ins that wait for the database are requests as well, also those of whom nobody knows.
func TestTooManyLogins(t *testing.T) {
	t.Parallel()
	held := hangingLogins{reached: make(chan struct{}, 8), release: make(chan struct{})}
	a := start(t, &servertest.Options{MaxRequests: 2, WrapStore: func(s store.Store) store.Store { held.Store = s; return held }})
	list := call{method: http.MethodGet, path: tokensPath(a.ProjectID)}
	var wg sync.WaitGroup
	wg.Go(func() { a.do(t, list.as(a.Project)).want(t, 200) })
	wg.Go(func() { a.do(t, list.as(servertest.Project{ProjectID: a.ProjectID, Token: "unknown"})).want(t, 401) })
	<-held.reached
	<-held.reached
	for range 3 {
		if got := a.do(t, list.as(a.Project)).want(t, 503); got.header.Get("Retry-After") == "" {
			t.Error("the 503 has no Retry-After")
		}
	}
	if asked := len(held.reached); asked != 0 {
		t.Errorf("the store was asked %d times more", asked)
	}
	close(held.release)
	wg.Wait()
	a.do(t, list.as(a.Project)).want(t, 200)
}

// TestStrangersTakeNoTurns: however many log-ins wait of whom nobody knows, who has logged in before is served, also when they have to be
// looked up again.
func TestStrangersTakeNoTurns(t *testing.T) {
	t.Parallel()
	held := hangingLogins{reached: make(chan struct{}, 8), release: make(chan struct{})}
	options := &servertest.Options{MaxRequests: 2, WrapStore: func(s store.Store) store.Store { held.Store = s; return &held }}
	a := start(t, options)
	held.known = secret.Hash(a.Token)
	list := call{method: http.MethodGet, path: tokensPath(a.ProjectID)}
	a.do(t, list.as(a.Project)).want(t, 200)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { a.do(t, list.as(servertest.Project{ProjectID: a.ProjectID, Token: "unknown"})).want(t, 401) })
		<-held.reached
	}
	a.do(t, list.as(servertest.Project{ProjectID: a.ProjectID, Token: "one too many"})).want(t, 503)
	for range 2 {
		a.do(t, list.as(a.Project)).want(t, 200)
		a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"name":"Changed"}`).as(a.Project)).want(t, 200) // and is looked up again then
	}
	close(held.release)
	wg.Wait()
}

// TestBodiesThatNobodyWants: who has no credential cannot hold a connection by a body that does not arrive, nor can one who
// sends a body where none is taken.
func TestBodiesThatNobodyWants(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{MaxConnections: 4})
	for _, head := range []string{
		"POST " + tokensPath(a.ProjectID) + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"POST " + tokensPath(a.ProjectID) + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
		"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
	} {
		began := time.Now()
		for range 8 {
			dial(t, a, head)
		}
		a.do(t, call{method: "GET", path: "/healthz"}).want(t, 200)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("a client that behaves has waited %v behind %q", took, head)
		}
	}
}

// TestShutdownWhenFull: who waits for a connection does not keep the server from stopping.
func TestShutdownWhenFull(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{MaxConnections: 1, ReadTimeout: time.Minute, ReadHeaderTimeout: time.Minute, ShutdownTimeout: 100 * time.Millisecond})
	dial(t, a, raw(a.Project, 100, "{"))
	for range 3 {
		dial(t, a, "")
	}
	began := time.Now()
	_ = a.Close() // says that a request was still running
	if took := time.Since(began); took > 50*time.Second {
		t.Errorf("the server has taken %v to stop", took)
	}
}

// largestAnswer needs no credential.
const largestAnswer = "/docs/assets/swagger-ui-bundle.js"

// slowly opens a connection with little room for an answer, and asks for the largest there is, more often than the system keeps for it.
func slowly(t *testing.T, a *api) net.Conn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		return errors.Join(err, failed)
	}}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(a.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte(strings.Repeat("GET "+largestAnswer+" HTTP/1.1\r\nHost: x\r\n\r\n", 20))); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestBusyStrangers: who has no credential keeps nobody out by connections that are never idle for long.
func TestBusyStrangers(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{MaxConnections: 4})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
					if response, err := client.Get(a.URL + "/healthz"); err == nil {
						_, _ = io.Copy(io.Discard, response.Body)
						_ = response.Body.Close()
					}
				}
			}
		})
	}
	for range 5 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL+tokensPath(a.ProjectID), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth(a.ProjectID, a.Token)
		response, err := client.Do(request)
		if err != nil {
			t.Errorf("a client that behaves: %v", err)
			break
		}
		if _ = response.Body.Close(); response.StatusCode != http.StatusOK {
			t.Errorf("a client that behaves got %s", response.Status)
		}
	}
	close(stop)
	wg.Wait()
}

// TestAnswersThatNobodyTakes: who asks for large answers, which need no credential, and does not take them, or takes them slowly,
// keeps nobody out.
func TestAnswersThatNobodyTakes(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]int{"not at all": 0, "slowly": 1 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, &servertest.Options{MaxConnections: 4})
			began := time.Now()
			for range 12 {
				conn := slowly(t, a)
				if rate == 0 {
					continue
				}
				ticks := time.NewTicker(100 * time.Millisecond)
				t.Cleanup(ticks.Stop)
				go func() {
					for range ticks.C {
						if _, err := conn.Read(make([]byte, rate)); err != nil {
							return
						}
					}
				}()
			}
			for range 3 {
				a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{}`).as(a.Project)).want(t, 200)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("a client that behaves has waited %v", took)
			}
		})
	}
}

// TestAnswerWithoutProgress: an answer that nobody takes is cut off by itself, and that is no error of the server's; neither is it when
// the client hangs up.
func TestAnswerWithoutProgress(t *testing.T) {
	t.Parallel()
	for name, hangUp := range map[string]bool{"not taken": false, "hung up": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := make(chan string, 100)
			a := start(t, &servertest.Options{Logger: slog.New(slog.NewTextHandler(lineWriter(lines), &slog.HandlerOptions{Level: slog.LevelDebug}))})
			began, conn := time.Now(), slowly(t, a)
			if hangUp {
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				_ = conn.Close()
			}
			for line := range lines {
				if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
					t.Errorf("the log has %s", line)
				}
				if strings.Contains(line, "answer not taken") {
					break
				}
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("the answer has ended after %v", took)
			}
		})
	}
}

// lineWriter gets one line at a time.
type lineWriter chan<- string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}
