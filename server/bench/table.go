package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/dustin/go-humanize"
)

// What tokenwire is compared with.
const (
	bareEcho   = "bare Echo"
	stockStack = "stock stack"
	rawUpdates = "raw SQLite"
	prismMock  = "Prism"
	fewTokens  = "10k tokens"
	pgUpdates  = "pgbench"
	oneReplica = "1 replica"
	ours       = "tokenwire"
)

// notHere is in the cells of what could not take part.
const notHere = "not here"

// references are the columns of ratios.
func references() []string {
	return []string{bareEcho, stockStack, rawUpdates, prismMock, fewTokens, pgUpdates, oneReplica}
}

// line is a row of the table. What is empty was not measured, or makes no sense there.
type line struct {
	what, measured, p50, p99 string
	ratios                   map[string]string // by reference
	targets                  []string
}

// cells returns the table with its header.
func cells(lines []line) [][]string {
	header := []string{"", "measured", "p50", "p99"}
	for _, reference := range references() {
		header = append(header, "÷ "+reference)
	}
	rows := [][]string{append(header, "target")}
	for _, l := range lines {
		row := []string{l.what, l.measured, l.p50, l.p99}
		for _, reference := range references() {
			row = append(row, l.ratios[reference])
		}
		rows = append(rows, append(row, strings.Join(l.targets, ", ")))
	}
	for _, row := range rows[1:] {
		for i, cell := range row {
			if cell == "" {
				row[i] = "–"
			}
		}
	}
	return rows
}

// writeText writes the table aligned.
func writeText(to io.Writer, lines []line) error {
	aligned := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, row := range cells(lines) {
		if _, err := fmt.Fprintln(aligned, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return aligned.Flush()
}

// writeMarkdown writes the table for a page.
func writeMarkdown(to io.Writer, lines []line) error {
	rows := cells(lines)
	rule := "|---|" + strings.Repeat("---:|", len(rows[0])-2) + "---|"
	for i, row := range rows {
		if _, err := fmt.Fprintf(to, "| %s |\n", strings.Join(row, " | ")); err != nil {
			return err
		}
		if i == 0 {
			if _, err := fmt.Fprintln(to, rule); err != nil {
				return err
			}
		}
	}
	return nil
}

// speed begins a line with what was measured of one contender.
func speed(what string, results []result) line {
	latencies := together(results)
	return line{
		what: what, measured: perSecond(results) + " requests/s",
		p50: percentile(latencies, 50), p99: percentile(latencies, 99), ratios: make(map[string]string),
	}
}

func perSecond(results []result) string { return humanize.Comma(int64(ratesOf(results).median)) }

func percentile(latencies *hdrhistogram.Histogram, percent float64) string {
	microseconds := latencies.ValueAtQuantile(percent)
	if microseconds < time.Millisecond.Microseconds() {
		return fmt.Sprintf("%d µs", microseconds)
	}
	return fmt.Sprintf("%.1f ms", float64(microseconds)/1000)
}

// plural writes a number of things.
func plural(number int, thing string) string {
	if number == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", number, thing)
}

// count writes a number of tokens as people say it.
func count(tokens int) string {
	switch {
	case tokens%1_000_000 == 0:
		return fmt.Sprintf("%dM", tokens/1_000_000)
	case tokens%1000 == 0:
		return fmt.Sprintf("%dk", tokens/1000)
	}
	return strconv.Itoa(tokens)
}
