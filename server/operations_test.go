package server_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// The files for who operates a server, which the README names.
const (
	dashboardFile = "../docs/operations/dashboard.json"
	alertsFile    = "../docs/operations/alerts.yaml"
	alertsTests   = "../docs/operations/alerts_test.yaml"
)

var metricName = regexp.MustCompile(`\b(tokenwire|go|process)_[a-z_]+\b`)

// unknownMetrics returns the names in a text that no series has. A histogram has three endings.
func unknownMetrics(text string, series map[string]float64) []string {
	known := make(map[string]bool)
	for name := range series {
		name, _, _ = strings.Cut(name, "{")
		known[name] = true
		known[name+"_bucket"], known[name+"_count"], known[name+"_sum"] = true, true, true
	}
	var unknown []string
	for _, name := range metricName.FindAllString(text, -1) {
		if !known[name] && !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// TestOperationsFiles: what the dashboard shows and the rules alert about is what a server measures.
func TestOperationsFiles(t *testing.T) {
	t.Parallel()
	series := startMeasured(t, servertest.Options{}).scrape(t)
	for _, file := range []string{dashboardFile, alertsFile, alertsTests} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !metricName.Match(text) {
			t.Errorf("%s names no metric", file)
		}
		if unknown := unknownMetrics(string(text), series); len(unknown) > 0 {
			t.Errorf("%s names what no server measures: %v", file, unknown)
		}
	}
	if unknown := unknownMetrics("rate(tokenwire_of_nothing_total[5m]) / go_goroutines", series); len(unknown) != 1 {
		t.Errorf("of one unknown name these were found: %v", unknown)
	}
}

// TestDashboard: each panel of the dashboard that shows something asks for something, with a title and a place.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Title, UID string
		Panels     []struct {
			Title, Type string
			GridPos     struct{ W, H int }
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.Title == "" || dashboard.UID == "" || len(dashboard.Panels) < 20 {
		t.Errorf("the dashboard %q (%q) has %d panels", dashboard.Title, dashboard.UID, len(dashboard.Panels))
	}
	for _, panel := range dashboard.Panels {
		asks := len(panel.Targets) > 0 && panel.Targets[0].Expr != ""
		if panel.Title == "" || panel.GridPos.W == 0 || asks == (panel.Type == "row") {
			t.Errorf("the panel %q is of no use", panel.Title)
		}
	}
}

// TestAlertRules has promtool read the rules, and run the tests that they have. make test-metrics installs it, and wants it.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("TOKENWIRE_TEST_PROMTOOL") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no promtool: make test-metrics installs it where it can")
	}
	for _, args := range [][]string{{"check", "rules", alertsFile}, {"test", "rules", alertsTests}} {
		output, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		if err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, output)
		}
	}
}
