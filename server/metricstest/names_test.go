// Package metricstest_test holds what docs/operations has for Prometheus and Grafana against the figures of a real server. The
// parts that need Prometheus itself are run by `make test-metrics`.
package metricstest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oasdiff/yaml"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// operations is the folder of the files, from here.
const operations = "../../docs/operations"

// site is a server with figures.
type site struct {
	*servertest.Server
	target string // where the figures are: host and port
}

func start(t *testing.T) site {
	t.Helper()
	figures := metrics.New("test")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- figures.Serve(ctx, listener, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		check(t, <-served)
	})
	return site{servertest.New(t, &servertest.Options{Metrics: figures}), listener.Addr().String()}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	check(t, err)
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	check(t, err)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", url, response.StatusCode, text)
	}
	return text
}

// families returns the figures by their names.
func (s site) families(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(get(t, "http://"+s.target+"/metrics"))))
	check(t, err)
	return families
}

// names returns each name that a query can ask for, with its labels. Those that Prometheus adds are among them.
func (s site) names(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{"up": {"job", "instance"}} // Prometheus makes this one itself
	for name, family := range s.families(t) {
		labels := []string{"job", "instance"}
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, label.GetName())
		}
		if family.GetMetric()[0].GetHistogram() == nil {
			found[name] = labels
			continue
		}
		found[name+"_count"], found[name+"_sum"], found[name+"_bucket"] = labels, labels, append(slices.Clone(labels), "le")
	}
	return found
}

// query is an expression of a file, and where it is from.
type query struct{ from, expr string }

func dashboard(t *testing.T) []query {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(operations, "dashboard.json"))
	check(t, err)
	var file struct {
		Panels []struct {
			ID      int
			GridPos struct{ W, H int }
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	check(t, json.Unmarshal(text, &file))
	var queries []query
	ids := make(map[int]bool)
	for _, panel := range file.Panels {
		if ids[panel.ID] || panel.Title == "" || panel.GridPos.W == 0 || (panel.Type == "row") != (len(panel.Targets) == 0) {
			t.Errorf("panel %d %q has an id that is taken, no title, no place or no query", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			queries = append(queries, query{"panel " + panel.Title, target.Expr})
		}
	}
	return queries
}

// rule is an alert.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(operations, "alerts.yaml"))
	check(t, err)
	var file struct{ Groups []struct{ Rules []rule } }
	_, err = yaml.Unmarshal(text, &file, yaml.DecodeOpts{})
	check(t, err)
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

var (
	texts     = regexp.MustCompile(`"[^"]*"`)
	selectors = regexp.MustCompile(`([a-z_:][a-z0-9_:]*)\s*\{([^}]*)\}`)
	grouping  = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	ranges    = regexp.MustCompile(`\[[^\]]*\]`)
	words     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
	matchers  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
)

// used returns the metrics that an expression names, with the labels that it selects by, and the labels that it groups by.
func used(expr string) (map[string][]string, []string) {
	var by []string
	for _, match := range grouping.FindAllStringSubmatch(expr, -1) {
		by = append(by, strings.Fields(strings.ReplaceAll(match[1], ",", " "))...)
	}
	plain := ranges.ReplaceAllString(grouping.ReplaceAllString(texts.ReplaceAllString(expr, `""`), ""), "")
	found := make(map[string][]string)
	for _, match := range selectors.FindAllStringSubmatch(plain, -1) {
		labels := found[match[1]]
		for _, matcher := range matchers.FindAllStringSubmatch(match[2], -1) {
			labels = append(labels, matcher[1])
		}
		found[match[1]] = labels
	}
	for _, word := range words.FindAllString(selectors.ReplaceAllString(plain, ""), -1) {
		name := strings.TrimSpace(word)
		if !strings.HasSuffix(name, "(") && !slices.Contains([]string{"or", "and", "unless", "bool", "sum", "min", "max", "count", "avg"}, name) {
			found[name] = append(found[name], []string{}...)
		}
	}
	return found, by
}

// unknown returns what an expression asks for that a server does not have.
func unknown(expr string, names map[string][]string) []string {
	var wrong []string
	metrics, by := used(expr)
	if len(metrics) == 0 {
		wrong = append(wrong, "it names no metric")
	}
	for name, labels := range metrics {
		has, ok := names[name]
		if !ok {
			wrong = append(wrong, name)
			continue
		}
		for _, label := range append(labels, by...) {
			if !slices.Contains(has, label) {
				wrong = append(wrong, fmt.Sprintf("%s{%s}", name, label))
			}
		}
	}
	return wrong
}

// TestNames: the dashboard and the alerts ask for figures that the server has, by labels that these have.
func TestNames(t *testing.T) {
	t.Parallel()
	names := start(t).names(t)
	queries := dashboard(t)
	for _, r := range rules(t) {
		queries = append(queries, query{"alert " + r.Alert, r.Expr})
	}
	if len(queries) < 40 {
		t.Errorf("there are %d queries", len(queries))
	}
	asked := make(map[string]bool)
	for _, q := range queries {
		for _, wrong := range unknown(q.expr, names) {
			t.Errorf("%s: the server does not have %s", q.from, wrong)
		}
		metrics, _ := used(q.expr)
		for name := range metrics {
			asked[name] = true
		}
	}
	for name := range names {
		base := strings.NewReplacer("_bucket", "", "_count", "", "_sum", "").Replace(name)
		if strings.HasPrefix(name, "tokenwire_") && !asked[name] && !asked[base+"_bucket"] {
			t.Errorf("nobody looks at %s", name)
		}
	}
}

// TestNamesCanBeWrong: the check above finds what is not there.
func TestNamesCanBeWrong(t *testing.T) {
	t.Parallel()
	names := map[string][]string{"a_total": {"job", "operation"}, "b_bucket": {"job", "le"}}
	for expr, want := range map[string]string{
		`sum by (operation) (rate(a_total{job=~"$job"}[5m])) > 0`:   "",
		`histogram_quantile(0.9, sum by (le) (rate(b_bucket[1m])))`: "",
		`rate(a_totals[5m])`:               "a_totals",
		`a_total / c_total{job="a_total"}`: "c_total",
		`a_total{status="200"}`:            "a_total{status}",
		`sum by (status) (a_total)`:        "a_total{status}",
		`1 > 0`:                            "it names no metric",
		`a_total or other_thing`:           "other_thing",
		`sum(rate(a_total{operation!~"x|y", path="/"}[$__rate_interval]))`: "a_total{path}",
	} {
		if got := strings.Join(unknown(expr, names), " "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// TestEachAlertIsTested: promtool is told of each what it fires for, and it says what to do.
func TestEachAlertIsTested(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(operations, "alerts_test.yaml"))
	check(t, err)
	type tested struct {
		AlertName string `json:"alertname"`
		ExpAlerts []any  `json:"exp_alerts"`
	}
	var file struct {
		Tests []struct {
			AlertRuleTest []tested `json:"alert_rule_test"`
		}
	}
	_, err = yaml.Unmarshal(text, &file, yaml.DecodeOpts{})
	check(t, err)
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, test := range file.Tests {
		for _, alert := range test.AlertRuleTest {
			fires[alert.AlertName] = fires[alert.AlertName] || len(alert.ExpAlerts) > 0
			silent[alert.AlertName] = silent[alert.AlertName] || len(alert.ExpAlerts) == 0
		}
	}
	for _, r := range rules(t) {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s is not tested, to fire and not to", r.Alert)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] == "" {
			t.Errorf("%s does not say how bad it is, or what to do", r.Alert)
		}
	}
}
