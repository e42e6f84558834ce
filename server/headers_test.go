package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// TestTooManyHeaders: a request has a hundred headers at most, whether they have a name each or share one.
func TestTooManyHeaders(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{}, func(s store.Store) store.Store { return s })
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: s.trust.Clone(), ForceAttemptHTTP2: http2, DisableCompression: true}
		t.Cleanup(transport.CloseIdleConnections)
		for name, header := range map[string]func(i int) string{
			"of many names": func(i int) string { return fmt.Sprint("X-", i) },
			"of one name":   func(int) string { return "X" },
		} {
			for count, want := range map[int]int{99: 200, 100: 431} { // and User-Agent
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/healthz", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				for i := range count {
					request.Header.Add(header(i), "")
				}
				response, err := transport.RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				if _ = response.Body.Close(); response.StatusCode != want {
					t.Errorf("%d headers %s over %s: %d, want %d", count+1, name, response.Proto, response.StatusCode, want)
				}
			}
		}
	}
}

// TestHeadersThatDoNotEnd: what is kept of headers that are not complete has a bound. Who sends more then is closed, without an answer;
// nothing of it is left when they have gone.
func TestHeadersThatDoNotEnd(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{ReadHeaderTimeout: time.Hour}) // which is not what closes them
	const begin = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: "
	large := begin + strings.Repeat("x", 24<<10)
	var held []net.Conn
	for range 100 {
		held = append(held, dial(t, a, large))
	}
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{}`).as(a.Project)).want(t, 200)
	ended := make(chan int64, len(held))
	for _, conn := range held {
		go func() {
			n, _ := io.Copy(io.Discard, conn)
			ended <- n
		}()
	}
	for range 50 { // there is room for 49, of which each takes 21 KiB of 1 MiB
		if n := <-ended; n != 0 {
			t.Errorf("%d bytes came before the end", n)
		}
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	for status := 0; status != http.StatusOK; { // as soon as the server has noticed
		conn := dial(t, a, large+"\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		status = response.StatusCode
	}
}
