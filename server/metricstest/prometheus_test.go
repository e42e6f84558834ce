//go:build prometheus

package metricstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func promtool(t *testing.T, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "promtool", args...)
	command.Dir = operations
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

// TestRules: promtool understands the alerts, and they fire when they should and not otherwise.
func TestRules(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "alerts.yaml")
	promtool(t, "test", "rules", "alerts_test.yaml")
}

// TestFigures: promtool has nothing to say against them.
func TestFigures(t *testing.T) {
	t.Parallel()
	text := get(t, "http://"+start(t).target+"/metrics")
	command := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	command.Stdin = strings.NewReader(string(text))
	if output, err := command.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, output)
	}
}

// collector is a running Prometheus.
type collector struct{ url string }

// collect runs Prometheus with the alerts, and with the server as the job that they expect.
func collect(t *testing.T, target string) collector {
	t.Helper()
	dir, err := filepath.Abs(t.TempDir())
	check(t, err)
	alerts, err := filepath.Abs(filepath.Join(operations, "alerts.yaml"))
	check(t, err)
	config := fmt.Sprintf("global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: tokenwire, static_configs: [{targets: [%q]}]}]\n", alerts, target)
	check(t, os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(config), 0o600))
	promtool(t, "check", "config", filepath.Join(dir, "prometheus.yaml"))
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // Prometheus does not say which port it has taken
	check(t, err)
	address := free.Addr().String()
	check(t, free.Close())
	log, err := os.Create(filepath.Join(dir, "log"))
	check(t, err)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), "prometheus", "--config.file", filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	command.Stdout, command.Stderr = log, log
	check(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("the log of Prometheus:\n%s", text)
		}
		_ = log.Close()
	})
	return collector{"http://" + address}
}

// ask returns how many series an expression has, now.
func (c collector) ask(ctx context.Context, expr string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/api/v1/query?query="+url.QueryEscape(expr), http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Error string
		Data  struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Error != "" {
		return 0, errors.New(answer.Error)
	}
	return len(answer.Data.Result), nil
}

// TestDashboard: Prometheus has an answer for each panel, from a server that is in use, and no reason for an alert.
func TestDashboard(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := collect(t, s.target)
	variables := strings.NewReplacer("$__rate_interval", "1m", "$job", "tokenwire", "$instance", s.target)
	open := dashboard(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	var last error
	for len(open) > 0 {
		use(t, s)
		series, err := c.ask(ctx, variables.Replace(open[0].expr))
		if last = err; err == nil && series > 0 {
			open = open[1:]
			continue
		}
		select {
		case <-ctx.Done():
			t.Fatalf("Prometheus has no answer to %d queries, the first of which is of %s: %s (%v)", len(open), open[0].from, open[0].expr, last)
		case <-pause.C:
		}
	}
	for _, r := range rules(t) {
		if _, err := c.ask(ctx, r.Expr); err != nil {
			t.Errorf("%s: %v", r.Alert, err)
		}
	}
	if firing, err := c.ask(ctx, "ALERTS"); err != nil || firing > 0 {
		t.Errorf("%d alerts for a server that is well (%v)", firing, err)
	}
}

// use makes a change.
func use(t *testing.T, s site) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.URL+"/api/project/tokens/"+s.TokenID, strings.NewReader(`{"name":"Used"}`))
	check(t, err)
	request.SetBasicAuth(s.ProjectID, s.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%d", response.StatusCode)
	}
}
