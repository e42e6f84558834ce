package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var servingMetrics = regexp.MustCompile(`msg="serving metrics" metrics_url=(\S+)`)

// metricsURL is where a service that has just begun to listen has its figures, and "" where it has none.
func (s *service) metricsURL() string {
	if match := servingMetrics.FindStringSubmatch(strings.Join(s.before, "\n")); match != nil {
		return match[1]
	}
	return ""
}

func read(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	check(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	check(t, err)
	return string(text)
}

// TestMetrics: the figures are there before the first request, and until the last.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0", "--drain-delay", "1h")
	url := s.metricsURL()
	if got := get(t, s.url+"/healthz"); got != http.StatusOK {
		t.Fatal(got)
	}
	const healthy = `tokenwire_http_requests_total{operation="get_health",status="200"} 1`
	if got := read(t, url); !strings.Contains(got, healthy+"\n") || !strings.Contains(got, `version="`+programVersion()+`"`) {
		t.Errorf("%s is not in\n%s", healthy, got)
	}
	check(t, s.cmd.Process.Signal(syscall.SIGTERM))
	for line := range s.log {
		if strings.Contains(line, "msg=stopping") {
			break
		}
	}
	if got := read(t, url); !strings.Contains(got, healthy) {
		t.Error("a server that drains has no figures any more")
	}
	check(t, s.cmd.Process.Kill()) // it would drain for an hour
	s.waitForExit()
}

// TestMetricsStop: a server that stops in good order leaves no listener behind, and one that was not asked has none.
func TestMetricsStop(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0")
	url := s.metricsURL()
	s.stop(t)
	if status := get(t, url); status != 0 {
		t.Errorf("the figures are still served: %d", status)
	}
	if url := serve(t, t.TempDir()).metricsURL(); url != "" {
		t.Errorf("nobody has asked for %s", url)
	}
}

// TestMetricsPortTaken: nothing is begun, so that nothing is left.
func TestMetricsPortTaken(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	defer func() { _ = listener.Close() }()
	dir := t.TempDir()
	got := execute(t, dir, nil, "serve", "--addr", "127.0.0.1:0", "--metrics-addr", listener.Addr().String()).want(t, 1)
	if !strings.Contains(got.stderr, "cannot listen for metrics") || !strings.Contains(got.stderr, "--metrics-addr") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("stderr: %s", got.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "tokenwire.db")); err == nil || got.stdout != "" {
		t.Errorf("a database was made; printed: %s", got.stdout)
	}
}
