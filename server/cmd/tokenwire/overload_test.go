package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tokenwire/tokenwire/client"
)

// attack is one of many that do the same, until it is over or the server hangs up.
type attack struct {
	name  string
	count int
	run   func(ctx context.Context, conn net.Conn)
}

// say repeats a text.
func say(times int, head, text string) func(context.Context, net.Conn) {
	return func(ctx context.Context, conn net.Conn) {
		if _, err := conn.Write([]byte(head)); err != nil {
			return
		}
		for range times {
			if _, err := conn.Write([]byte(text)); err != nil || ctx.Err() != nil {
				return
			}
		}
		<-ctx.Done() // and hold on to the connection
	}
}

// TestOverload: while many do their worst, a client that behaves is served, and the server takes no more than 150 MiB.
func TestOverload(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
	path := "/api/laml/2010-04-01/Accounts/" + firstProject + "/tokens"
	request := "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
	good, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url, http.NoBody)
	check(t, err)
	good.SetBasicAuth(firstProject, firstToken)
	request += "Authorization: " + good.Header.Get("Authorization") + "\r\n"
	chunk := "4000\r\n" + strings.Repeat(" ", 0x4000) + "\r\n"
	attacks := []attack{
		{"more connections than there may be", 1500, say(0, "", "")},
		{"huge headers", 300, say(100, "GET /healthz HTTP/1.1\r\nHost: x\r\n", "X-Large: "+strings.Repeat("x", 1000)+"\r\n")},
		{"headers that do not end", 300, say(25, "GET /healthz HTTP/1.1\r\nHost: x\r\n", "X-Large: "+strings.Repeat("x", 1000)+"\r\n")},
		{"bodies without end", 300, say(1000, request+"\r\n", chunk)},
		{"bodies that stop before their end", 300, say(3, request+"\r\n", chunk)},
		{"failed log-ins", 8, say(500, "", "GET "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\r\n")},
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var begun atomic.Int32
	for _, a := range attacks {
		for range a.count {
			wg.Go(func() {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(s.url, "http://"))
				if err != nil {
					return
				}
				defer func() { _ = conn.Close() }()
				begun.Add(1)
				a.run(ctx, conn)
			})
		}
	}
	for begun.Load() < 1500 { // more than the server has connections
	}
	c, err := client.New(firstProject, firstToken, client.WithBaseURL(s.url))
	check(t, err)
	for i := range 200 { // it repeats what a dying connection has taken, as clients do
		token, err := c.CreateToken(t.Context(), client.CreateTokenParams{Name: strconv.Itoa(i), IdempotencyKey: "overload-" + strconv.Itoa(i), Permissions: []client.Permission{client.PermissionFax}})
		if err != nil {
			t.Fatalf("call %d of a client that behaves: %v", i, err)
		}
		check(t, c.DeleteToken(t.Context(), token.ID))
	}
	peak := peakMemory(t, s.cmd.Process.Pid)
	stop()
	wg.Wait()
	if t.Logf("at its peak the server has taken %d MiB", peak>>20); peak > 150<<20 && !raceDetector {
		t.Errorf("the server has taken %d MiB, want 150 at most", peak>>20)
	}
	s.stop(t)
}

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peakMemory returns the most memory that a process has had, in bytes, and 0 where the system does not tell.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	match := peakLine.FindSubmatch(status)
	if match == nil {
		return 0
	}
	kilobytes, err := strconv.Atoi(string(match[1]))
	check(t, err)
	return kilobytes << 10
}
