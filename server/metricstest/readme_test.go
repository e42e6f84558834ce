package metricstest_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	tableRow = regexp.MustCompile("(?m)^\\| (`tokenwire_[^|]*) \\|([^|]*)\\|(.*)\\|$")
	codeText = regexp.MustCompile("`([^`]+)`")
)

// inCode returns the words of a text that are set as code.
func inCode(text string) []string {
	var found []string
	for _, match := range codeText.FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// TestReadme: the table in the README has every figure that the program makes itself, and no other one, with its labels, and with
// the values of those labels that have a few.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	check(t, err)
	type row struct{ labels, meaning []string }
	table := make(map[string]row)
	for _, match := range tableRow.FindAllStringSubmatch(string(text), -1) {
		for _, name := range inCode(match[1]) {
			table[name] = row{inCode(match[2]), inCode(match[3])}
		}
	}
	digits := regexp.MustCompile(`^\d+$`)
	for name, family := range start(t).families(t) {
		if !strings.HasPrefix(name, "tokenwire_") {
			continue
		}
		said, ok := table[name]
		if !ok {
			t.Errorf("%s is missing", name)
		}
		delete(table, name)
		for _, metric := range family.GetMetric() {
			if len(metric.GetLabel()) != len(said.labels) {
				t.Fatalf("%s has the labels %v, not %v", name, metric.GetLabel(), said.labels)
			}
			for _, label := range metric.GetLabel() {
				few := slices.Contains([]string{"status", "reason", "result"}, label.GetName()) && !digits.MatchString(label.GetValue())
				if !slices.Contains(said.labels, label.GetName()) || few && !slices.Contains(said.meaning, label.GetValue()) {
					t.Fatalf("%s has the label %s with the value %s, of which nothing is said", name, label.GetName(), label.GetValue())
				}
			}
		}
	}
	for name := range table {
		t.Errorf("there is no %s", name)
	}
}
