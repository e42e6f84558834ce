package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// send writes raw bytes to the server and returns the status and body of its answer, or 0 when it just hangs up. With half, the client's
// side is closed after the bytes; otherwise it stays open, and silent.
func send(t *testing.T, s *servertest.Server, raw string, half bool) (int, string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	if half {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "" // it was cut off without an answer
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

// raw is an update with this many bytes of body announced, and these sent.
func raw(p servertest.Project, announced int, body string) string {
	return fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		tokenPath(p.ProjectID, p.TokenID), basic(p.ProjectID, p.Token).Get("Authorization"), announced, body)
}

// TestSlowSenders: who does not send what was announced is cut off in time, and nothing is changed.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{ReadHeaderTimeout: 100 * time.Millisecond, ReadTimeout: 200 * time.Millisecond})
	if status, _ := send(t, a.Server, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", false); status != 0 {
		t.Errorf("half a header was answered %d", status)
	}
	const body = `{"name":"never"`
	for what, half := range map[string]bool{"silent": false, "closed": true} {
		status, text := send(t, a.Server, raw(a.Project, 100, body), half)
		if status != 0 && (status != http.StatusBadRequest || !strings.Contains(text, "ended too early or did not arrive in time")) {
			t.Errorf("a %s sender got %d %s", what, status, text)
		}
	}
	if got := a.read(t, a.Project, a.TokenID); got["name"] != "Management" {
		t.Errorf("half a body has renamed the token to %v", got["name"])
	}
}

// TestTooMuch: headers and bodies without end are refused before they are read to it.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	if status, _ := send(t, a.Server, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 33<<10)+"\r\n\r\n", false); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("33 KiB of headers got %d, want 431", status)
	}
	if status, _ := send(t, a.Server, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Large: "+strings.Repeat("x", 31<<10)+"\r\n\r\n", false); status != http.StatusOK {
		t.Errorf("31 KiB of headers got %d, want 200", status)
	}
	if status, text := send(t, a.Server, raw(a.Project, 10<<20, ""), false); status != http.StatusRequestEntityTooLarge {
		t.Errorf("10 MiB announced: %d %s, want 413 without waiting for them", status, text)
	}
	chunked := strings.Replace(raw(a.Project, 0, ""), "Content-Length: 0", "Transfer-Encoding: chunked", 1) +
		strings.Repeat("4000\r\n"+strings.Repeat(" ", 0x4000)+"\r\n", 5)
	if status, text := send(t, a.Server, chunked, false); status != http.StatusRequestEntityTooLarge {
		t.Errorf("80 KiB in chunks: %d %s, want 413", status, text)
	}
}

// heldStore lets an update wait until the test releases it.
type heldStore struct {
	store.Store
	reached, release chan struct{}
}

// UpdateToken says that it was reached, and waits.
func (s heldStore) UpdateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change) (store.Token, error) {
	close(s.reached)
	<-s.release
	return s.Store.UpdateToken(ctx, account, id, update, change)
}

// TestShutdownWaitsForRequests: what runs when the listener closes is finished and answered.
func TestShutdownWaitsForRequests(t *testing.T) {
	t.Parallel()
	held := heldStore{reached: make(chan struct{}), release: make(chan struct{})}
	a := start(t, &servertest.Options{WrapStore: func(s store.Store) store.Store { held.Store = s; return held }})
	answered := make(chan answer, 1)
	go func() {
		answered <- a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"name":"Late"}`).as(a.Project))
	}()
	<-held.reached
	closed := make(chan error, 1)
	go func() { closed <- a.Close() }()
	for dialer := (&net.Dialer{}); ; {
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(a.URL, "http://"))
		if err != nil {
			break // nobody listens any more: the server only waits for the update
		}
		_ = conn.Close()
	}
	select {
	case err := <-closed:
		t.Errorf("the server has stopped with an update running: %v", err)
	default:
	}
	close(held.release)
	if got := (<-answered).want(t, http.StatusOK); !strings.Contains(got.body, "Late") {
		t.Errorf("the update was answered %s", got.body)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
