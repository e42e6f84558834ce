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

// String shows a ratio with its bounds.
func (s spread) String() string {
	return fmt.Sprintf("%.*f (%s)", s.digits(), s.median, s.bounds(s.digits()))
}

// digits are those of a ratio after the point: fewer when it is large.
func (s spread) digits() int {
	if s.median >= 10 {
		return 1
	}
	return 2
}

func (s spread) bounds(digits int) string {
	return fmt.Sprintf("%.*f–%.*f", digits, s.least, digits, s.greatest)
}

// unit is that of what is no ratio.
type unit string

const (
	milliseconds unit = "ms"
	megabytes    unit = "MB"
)

func (u unit) digits() int {
	if u == megabytes {
		return 1
	}
	return 0
}

// show shows a spread; what was measured once has no bounds.
func (u unit) show(s spread) string {
	text := fmt.Sprintf("%.*f %s", u.digits(), s.median, u)
	if s.least < s.greatest {
		text += " (" + s.bounds(u.digits()) + ")"
	}
	return text
}

// durationsOf is the spread of times in milliseconds.
func durationsOf(times []time.Duration) spread {
	values := make([]float64, len(times))
	for i, t := range times {
		values[i] = float64(t.Microseconds()) / 1000
	}
	return spreadOf(values)
}

// bytesOf is the spread of sizes in megabytes.
func bytesOf(sizes []uint64) spread {
	values := make([]float64, len(sizes))
	for i, size := range sizes {
		values[i] = float64(size) / 1e6
	}
	return spreadOf(values)
}

// atLeast and atMost say whether a target is met.
func atLeast(got spread, limit float64) string {
	return fmt.Sprintf("≥ %s %s", number(limit), verdict(got.median >= limit, (got.least >= limit) == (got.greatest >= limit), got.bounds(got.digits())))
}

func atMost(got spread, limit float64, in unit) string {
	return fmt.Sprintf("≤ %s %s %s", number(limit), in, verdict(got.median <= limit, (got.greatest <= limit) == (got.least <= limit), got.bounds(in.digits())))
}

// number writes a limit: a fraction with two digits, as the ratios have, and anything else as it is.
func number(limit float64) string {
	if limit < 1 {
		return fmt.Sprintf("%.2f", limit)
	}
	return fmt.Sprint(limit)
}

// verdict is that of the median. Where the rounds disagree, their bounds stand beside it: a median just above a target may be chance.
func verdict(met, agreed bool, bounds string) string {
	word := "missed"
	if met {
		word = "✓"
	}
	if agreed {
		return word
	}
	return word + " (" + bounds + ")"
}
