package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

// TestOverload: while many do their worst, a client that behaves is served, and the server takes no more than 150 MiB.
func TestOverload(t *testing.T) { //nolint:paralleltest // each takes the whole machine
	program := build(t)
	t.Run("HTTP/1.1", func(t *testing.T) {
		s := serveProgram(t, program, t.TempDir(), nil, "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
		address := strings.TrimPrefix(s.url, "http://")
		overload(t, s, http.DefaultClient, 1500, attacksOnHTTP1(t, func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}))
	})
	t.Run("HTTP/2", func(t *testing.T) {
		dir := t.TempDir()
		s := serveProgram(t, program, dir, nil, "--dev-tls", "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
		trust := trusting(t, filepath.Join(dir, "tokenwire-ca.pem"))
		transport := &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		overload(t, s, &http.Client{Transport: transport}, 450, attacksOnHTTP2(s.url, trust), client.WithRetries(10)) // the race detector makes the clients slow
	})
}

// build makes the program as `make build` does: the race detector takes several times the memory.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tokenwire")
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return program
}

// attack is what count do at the same time, until ctx ends or they are cut off. begun is called when one has a connection.
type attack struct {
	name  string
	count int
	run   func(ctx context.Context, begun func())
}

// overload lets a client that behaves make its calls when so many of the attackers are connected.
func overload(t *testing.T, s *service, behaving *http.Client, attackers int, attacks []attack, options ...client.Option) {
	t.Helper()
	go s.waitForExit() // takes the log, which would hold the server up
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	begun, enough := make(chan struct{}, 10_000), make(chan struct{})
	go func() {
		for range attackers {
			<-begun
		}
		close(enough)
	}()
	for _, a := range attacks {
		for range a.count {
			wg.Go(func() {
				once := sync.OnceFunc(func() { begun <- struct{}{} })
				defer once()
				a.run(ctx, once)
			})
		}
	}
	<-enough
	c, err := client.New(firstProject, firstToken, append(options, client.WithBaseURL(s.url), client.WithHTTPClient(behaving))...)
	check(t, err)
	var slowest time.Duration
	for i := range 200 { // it repeats what a dying connection has taken, as clients do
		began := time.Now()
		token, err := c.CreateToken(t.Context(), client.CreateTokenParams{Name: strconv.Itoa(i), IdempotencyKey: "overload-" + strconv.Itoa(i), Permissions: []client.Permission{client.PermissionFax}})
		if err != nil {
			t.Errorf("call %d of a client that behaves: %v", i, err)
			break
		}
		if err := c.DeleteToken(t.Context(), token.ID); err != nil {
			t.Errorf("deletion %d of a client that behaves: %v", i, err)
			break
		}
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("the slowest creation and deletion of a client that behaves has taken %v", slowest)
	checkMemory(t, s)
	stop()
	wg.Wait()
	s.stop(t)
}

// attacksOnHTTP1 are connections that hold on to what they can.
func attacksOnHTTP1(t *testing.T, dial func(context.Context) (net.Conn, error)) []attack {
	t.Helper()
	path := "/api/laml/2010-04-01/Accounts/" + firstProject + "/tokens"
	request := "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	good := http.Request{Header: make(http.Header)}
	good.SetBasicAuth(firstProject, firstToken)
	request += "Authorization: " + good.Header.Get("Authorization") + "\r\n"
	crowded := `{"name":"x","permissions":[{"a":0}` + strings.Repeat(`,{"a":0}`, 8000) + "]}"
	crowded = fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", request, len(crowded), crowded)
	request += "Transfer-Encoding: chunked\r\n"
	chunk := "4000\r\n" + strings.Repeat(" ", 0x4000) + "\r\n"
	say := func(times int, head, text string) func(context.Context, func()) {
		return func(ctx context.Context, begun func()) {
			conn, err := dial(ctx)
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			begun()
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
	return []attack{
		{"more connections than there may be", 1500, say(0, "", "")},
		{"huge headers", 300, say(100, "GET /healthz HTTP/1.1\r\nHost: x\r\n", "X-Large: "+strings.Repeat("x", 1000)+"\r\n")},
		{"headers of few bytes that do not end", 1000, say(90, "GET /healthz HTTP/1.1\r\nHost: x\r\n", strings.Repeat("x:\r\n", 50))},
		{"headers that do not end", 300, say(25, "GET /healthz HTTP/1.1\r\nHost: x\r\n", "X-Large: "+strings.Repeat("x", 1000)+"\r\n")},
		{"bodies without end", 300, say(1000, request+"\r\n", chunk)},
		{"bodies of thousands of values", 300, say(3, "", crowded)},
		{"bodies that stop before their end", 300, say(3, request+"\r\n", chunk)},
		{"failed log-ins", 300, say(500, "", "GET "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\r\n")},
	}
}

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// checkMemory fails when a process has had more than 150 MiB at any time.
func checkMemory(t *testing.T, s *service) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the system does not tell how much memory a process has had: everything but the memory was checked")
	}
	check(t, err)
	match := peakLine.FindSubmatch(status)
	if match == nil {
		t.Fatalf("there is no peak of memory in:\n%s", status)
	}
	kilobytes, err := strconv.Atoi(string(match[1]))
	check(t, err)
	if t.Logf("at its peak the server has taken %d MiB", kilobytes>>10); kilobytes > 150<<10 {
		t.Errorf("the server has taken %d MiB, want 150 at most", kilobytes>>10)
	}
}
