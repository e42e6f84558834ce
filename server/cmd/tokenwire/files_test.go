//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFewFiles: where the system opens fewer files than there may be connections, idle ones make room nevertheless, and the log says
// once what to do.
func TestFewFiles(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "few-files")
	check(t, os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\nulimit -n 64\nexec '%s' \"$@\"\n", os.Args[0]), 0o700))
	s := serveProgram(t, program, t.TempDir(), nil, "--sandbox")
	address := strings.TrimPrefix(s.url, "http://")
	for range 150 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		check(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		check(t, err)
	}
	for range 3 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/tokens/verify", http.NoBody)
		check(t, err)
		request.SetBasicAuth(sandboxProjectID, sandboxToken)
		response, err := client.Do(request)
		if err != nil {
			t.Fatalf("a client that behaves: %v", err)
		}
		if _ = response.Body.Close(); response.StatusCode != http.StatusNoContent {
			t.Errorf("a client that behaves got %s", response.Status)
		}
	}
	check(t, s.cmd.Process.Signal(syscall.SIGTERM))
	said := 0
	for line := range s.log {
		said += strings.Count(line, "raise the limit of open files")
	}
	if err := s.cmd.Wait(); err != nil || said != 1 {
		t.Errorf("the log says %d times what to do; serve has ended with %v", said, err)
	}
}
