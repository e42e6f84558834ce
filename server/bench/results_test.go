package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What the committed page says of each target follows from the numbers beside it.
func TestVerdictsOfTheRunFitItsNumbers(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	header, rows := tableOf(string(page))
	judged := 0
	for name, row := range rows {
		for said := range strings.SplitSeq(row[header["target"]], ", ") {
			if said == "–" {
				continue
			}
			judged++
			if want, err := verdictOn(said, header, row); err != nil || want != said {
				t.Errorf("%s: the page says %q, and its numbers %q (%v)", name, said, want, err)
			}
		}
	}
	if judged == 0 {
		t.Error("no row has a target")
	}
}

// The committed page is explained in the words of the program that writes it.
func TestResultsAreExplainedAsTheyAreMade(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), explanation) {
		t.Error("RESULTS.md does not have the explanation that bin/bench writes")
	}
}

// verdictOn says of a target what the numbers of its row do.
func verdictOn(said string, header map[string]int, row []string) (string, error) {
	target := regexp.MustCompile(`^((.+) )?([≥≤]) ([0-9.]+) (ms|MB)?`).FindStringSubmatch(said)
	if target == nil {
		return "", fmt.Errorf("%q is no target", said)
	}
	limit, err := strconv.ParseFloat(target[4], 64)
	if err != nil {
		return "", err
	}
	column := "measured"
	switch {
	case target[2] != "":
		column = "÷ " + target[2]
	case target[3] == "≥":
		column = "÷ " + fewTokens
	}
	got, err := parseSpread(row[header[column]])
	switch {
	case err != nil:
		return "", err
	case got.least == limit || got.greatest == limit:
		return said, nil // the page has rounded what decided
	case target[3] == "≥":
		return target[1] + atLeast(got, limit), nil
	}
	return target[1] + atMost(got, limit, unit(target[5])), nil
}

// parseSpread reads what a cell shows of one.
func parseSpread(cell string) (spread, error) {
	found := regexp.MustCompile(`^([0-9.]+)[^(]*(?:\(([0-9.]+)–([0-9.]+)\))?$`).FindStringSubmatch(cell)
	if found == nil {
		return spread{}, fmt.Errorf("%q is no spread", cell)
	}
	if found[2] == "" {
		found[2], found[3] = found[1], found[1]
	}
	var values [3]float64
	for i := range values {
		var err error
		if values[i], err = strconv.ParseFloat(found[i+1], 64); err != nil {
			return spread{}, err
		}
	}
	return spread{values[0], values[1], values[2]}, nil
}
