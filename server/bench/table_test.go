package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func sampleLines() []line {
	return []line{
		{
			what: "PATCH", measured: "1,234 requests/s", p50: "1.0 ms", p99: "9.0 ms",
			ratios:  map[string]string{bareEcho: "0.61 (0.60–0.62)", prismMock: "not here"},
			targets: []string{"bare Echo ≥ 0.60 ✓", "raw SQLite ≥ 5 missed"},
		},
		{what: "the program, stripped", measured: "24.4 MB"},
	}
}

func TestTextIsAligned(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	if err := writeText(&text, sampleLines()); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if len(rows) != 3 {
		t.Fatalf("there are %d rows, want 3:\n%s", len(rows), text.String())
	}
	for header, cell := range map[string]string{"measured": "1,234", "÷ bare Echo": "0.61", "÷ Prism": "not here", "target": "bare Echo ≥"} {
		if above, below := column(rows[0], header), column(rows[1], cell); above < 0 || above != below {
			t.Errorf("%q begins at %d and its cell at %d:\n%s", header, above, below, text.String())
		}
	}
}

// column returns at which character a text begins, or -1.
func column(row, text string) int {
	before, _, found := strings.Cut(row, text)
	if !found {
		return -1
	}
	return utf8.RuneCountInString(before)
}

func TestMarkdownHasEveryCell(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	if err := writeMarkdown(&page, sampleLines()); err != nil {
		t.Fatal(err)
	}
	const want = `|  | measured | p50 | p99 | ÷ bare Echo | ÷ stock stack | ÷ raw SQLite | ÷ Prism | ÷ 10k tokens | ÷ pgbench | ÷ 1 replica | target |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|
| PATCH | 1,234 requests/s | 1.0 ms | 9.0 ms | 0.61 (0.60–0.62) | – | – | not here | – | – | – | bare Echo ≥ 0.60 ✓, raw SQLite ≥ 5 missed |
| the program, stripped | 24.4 MB | – | – | – | – | – | – | – | – | – | – |
`
	if page.String() != want {
		t.Errorf("the page is\n%s\nwant\n%s", page.String(), want)
	}
}
