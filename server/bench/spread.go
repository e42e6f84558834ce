package main

import (
	"fmt"
	"slices"
	"time"
)

// spread is a median with the least and the greatest value.
type spread struct{ median, least, greatest float64 }

// spreadOf returns the spread of at least one value.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return spread{median, sorted[0], sorted[len(sorted)-1]}
}

// ratiosOf divides round by round: what slows a machine down for a moment slows down both.
func ratiosOf(ours, theirs []result) spread {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i].rate / theirs[i].rate
	}
	return spreadOf(ratios)
}

func ratesOf(results []result) spread {
	rates := make([]float64, len(results))
	for i, r := range results {
		rates[i] = r.rate
	}
	return spreadOf(rates)
}

// String shows a ratio: two digits, and fewer after the point when it is large.
func (s spread) String() string {
	digits := 2
	if s.median >= 10 {
		digits = 1
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, s.median, digits, s.least, digits, s.greatest)
}

// durationsOf shows times in milliseconds.
func durationsOf(times []time.Duration) spread {
	values := make([]float64, len(times))
	for i, t := range times {
		values[i] = float64(t.Microseconds()) / 1000
	}
	return spreadOf(values)
}

// atLeast and atMost say whether a target is met.
func atLeast(got, limit float64) string {
	return fmt.Sprintf("≥ %s %s", number(limit), verdict(got >= limit))
}

func atMost(got, limit float64, unit string) string {
	return fmt.Sprintf("≤ %s %s %s", number(limit), unit, verdict(got <= limit))
}

// number writes a limit: a fraction with two digits, as the ratios have, and anything else as it is.
func number(limit float64) string {
	if limit < 1 {
		return fmt.Sprintf("%.2f", limit)
	}
	return fmt.Sprint(limit)
}

func verdict(met bool) string {
	if met {
		return "✓"
	}
	return "short"
}
