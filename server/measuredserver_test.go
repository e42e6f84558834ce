package server_test

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// TestMetricsListener has one path, and says what Prometheus' own checks want to hear.
func TestMetricsListener(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, servertest.Options{})
	for path, want := range map[string]int{"/metrics": 200, "/": 404, "/metrics/": 404, "/debug/pprof/": 404, "/healthz": 404, tokensPath(m.ProjectID): 404} {
		if status, _ := m.get(t, http.MethodGet, path); status != want {
			t.Errorf("GET %s: %d, want %d", path, status, want)
		}
	}
	if status, _ := m.get(t, http.MethodPost, "/metrics"); status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", status)
	}
	m.do(t, call{method: "GET", path: "/metrics"}).want(t, 404) // the API has none
	_, text := m.get(t, http.MethodGet, "/metrics")
	problems, err := promlint.New(bytes.NewReader([]byte(text))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

// TestMetricsOfOneServer: two servers would be counted as one.
func TestMetricsOfOneServer(t *testing.T) {
	t.Parallel()
	figures := metrics.New("test")
	if s, err := servertest.Start(&servertest.Options{Metrics: figures}); err != nil {
		t.Fatal(err)
	} else if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err := servertest.Start(&servertest.Options{Metrics: figures}); err == nil {
		t.Errorf("a second server: %v", s.Close())
	}
}

// TestMetricsOfASandbox: in memory there is nothing that waits, and no series is missing for that.
func TestMetricsOfASandbox(t *testing.T) {
	t.Parallel()
	file, memory := startMeasured(t, servertest.Options{}), startMeasured(t, servertest.Options{InMemory: true})
	memory.create(t, memory.Project, "fax")
	if a, b := slices.Sorted(maps.Keys(file.scrape(t))), slices.Sorted(maps.Keys(memory.scrape(t))); !slices.Equal(a, b) {
		t.Errorf("%d series and %d", len(a), len(b))
	}
}
