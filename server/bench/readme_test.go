package main

import (
	"os"
	"strings"
	"testing"
)

// The README shows the figures of the committed run, and no others.
func TestReadmeHasTheFiguresOfTheRun(t *testing.T) {
	t.Parallel()
	results, err := os.ReadFile("RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := writeReadme(&table, string(results)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "\n\n"+table.String()+"\n") {
		t.Errorf("README.md does not have the table that bin/bench readme prints:\n%s", table.String())
	}
}

func TestReadmeTable(t *testing.T) {
	t.Parallel()
	lines := append(sampleLines(), []line{
		{
			what: "PATCH, 1M tokens", measured: "900 requests/s", p50: "2.0 ms", p99: "3.0 ms",
			ratios: map[string]string{fewTokens: "0.90 (0.80–1.00)"}, targets: []string{"≥ 0.85 ✓"},
		},
		{what: "PATCH over 1 connection", measured: "5 requests/s"},
	}...)
	lines[0].what = "PATCH, a durable update"
	var page, table strings.Builder
	if err := (runCmd{}).writePage(&page, results{machine: []fact{{"Cores", "2"}}, lines: lines}); err != nil {
		t.Fatal(err)
	}
	if err := writeReadme(&table, page.String()); err != nil {
		t.Fatal(err)
	}
	const want = `| | measured | p50 | p99 | ÷ bare Echo | ÷ stock stack | ÷ raw SQLite | ÷ Prism | ÷ another | we aim at |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---|
| PATCH, a durable update | 1,234 requests/s | 1.0 ms | 9.0 ms | 0.61 | – | – | not here | – | bare Echo ≥ 0.60 ✓, raw SQLite ≥ 5 missed |
| PATCH, 1 million tokens | 900 requests/s | 2.0 ms | 3.0 ms | – | – | – | – | 0.90 of 10k tokens | ≥ 0.85 ✓ |
| the program, stripped | 24.4 MB | – | – | – | – | – | – | – | – |
`
	if table.String() != want {
		t.Errorf("the table is\n%s\nwant\n%s", table.String(), want)
	}
	if err := writeReadme(&table, "# Nothing\n"); err == nil {
		t.Error("a page without a table has one")
	}
}
