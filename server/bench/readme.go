package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// readmeCmd prints the table of the README: part of that of a run, with the medians alone.
type readmeCmd struct {
	Results string `default:"server/bench/RESULTS.md" help:"What a run has written."`
}

// Run prints it to standard output.
func (cmd readmeCmd) Run() error {
	page, err := os.ReadFile(cmd.Results)
	if err != nil {
		return err
	}
	return writeReadme(os.Stdout, string(page))
}

// readmeRows are the rows that the README has, in its order, and their names there.
func readmeRows() [][2]string {
	return [][2]string{
		{"PATCH, a durable update", "PATCH, a durable update"},
		{"POST", "POST"},
		{"DELETE", "DELETE"},
		{"GET one", "GET one"},
		{"authentication alone (401)", "authentication alone (401)"},
		{"verify (204)", "verify (204)"},
		{"refused body (422)", "refused body (422)"},
		{"PATCH, 1M tokens", "PATCH, 1 million tokens"},
		{onPostgres + " over 32 connections", "PATCH on PostgreSQL, 32 connections"},
		{onPostgres + " over 64 connections", "PATCH on PostgreSQL, 64 connections"},
		{onPostgres + ", 3 replicas", "PATCH on PostgreSQL, 3 servers"},
		{"start to the first 200, 1M tokens", "start to the first 200, 1 million tokens"},
		{"… of a call with a credential, 1M tokens", "… of a call with a credential"},
		{"memory after the start", "memory after the start"},
		{"memory after the start, 1M tokens", "memory after the start, 1 million tokens"},
		{"memory under load", "memory under load"},
		{"the program, stripped", "the program, stripped"},
	}
}

var errNoTable = errors.New("there is no table of a run")

// writeReadme makes the README's table of a page that writePage has written. What was not measured has no row.
func writeReadme(to io.Writer, page string) error {
	header, rows := tableOf(page)
	if header == nil {
		return errNoTable
	}
	beside := []string{bareEcho, stockStack, rawUpdates, prismMock}
	if _, err := fmt.Fprintf(to, "| | measured | p50 | p99 | ÷ %s | ÷ another | we aim at |\n|---|---:|---:|---:|%s---:|---|\n",
		strings.Join(beside, " | ÷ "), strings.Repeat("---:|", len(beside))); err != nil {
		return err
	}
	for _, name := range readmeRows() {
		found, ok := rows[name[0]]
		if !ok {
			continue
		}
		cell := func(column string) string {
			if i, there := header[column]; there {
				return found[i]
			}
			return "–"
		}
		cells := []string{name[1], cell("measured"), cell("p50"), cell("p99")}
		for _, reference := range beside {
			cells = append(cells, median(cell("÷ "+reference)))
		}
		cells = append(cells, another(cell), cell("target"))
		if _, err := fmt.Fprintf(to, "| %s |\n", strings.Join(cells, " | ")); err != nil {
			return err
		}
	}
	return nil
}

// another is the ratio to what one row alone is compared with.
func another(cell func(string) string) string {
	for _, reference := range []string{fewTokens, pgUpdates, oneReplica} {
		if ratio := median(cell("÷ " + reference)); ratio != "–" {
			return ratio + " of " + reference
		}
	}
	return "–"
}

// median is a ratio, or a time, without its spread.
func median(cell string) string {
	short, _, _ := strings.Cut(cell, " (")
	return short
}

// tableOf finds the table of the results: where each column is, and the rows by name.
func tableOf(page string) (map[string]int, map[string][]string) {
	var header map[string]int
	rows := make(map[string][]string)
	for text := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(text), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) < 2, strings.HasPrefix(cells[0], "---"):
		case header == nil && cells[1] == "measured":
			header = make(map[string]int)
			for i, name := range cells {
				header[name] = i
			}
		case header != nil && len(cells) >= len(header):
			rows[cells[0]] = cells
		}
	}
	return header, rows
}
