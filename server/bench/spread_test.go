package main

import "testing"

func TestSpreadOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{7}, spread{7, 7, 7}},
		{[]float64{9, 1, 5}, spread{5, 1, 9}},
		{[]float64{4, 1, 2, 100}, spread{3, 1, 100}},
	} {
		if got := spreadOf(test.values); got != test.want {
			t.Errorf("spreadOf(%v) = %v, want %v", test.values, got, test.want)
		}
	}
}

func TestSpreadOfKeepsTheOrderOfItsValues(t *testing.T) {
	t.Parallel()
	values := []float64{3, 1, 2}
	spreadOf(values)
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("the values are %v now", values)
	}
}

// The machine is half as fast in the second round. The ratio of the medians would not be 0.5.
func TestRatiosAreTakenWithinARound(t *testing.T) {
	t.Parallel()
	mine := []result{{rate: 100}, {rate: 50}, {rate: 120}}
	theirs := []result{{rate: 200}, {rate: 100}, {rate: 200}}
	if got, want := ratiosOf(mine, theirs), (spread{0.5, 0.5, 0.6}); got != want {
		t.Errorf("ratiosOf = %v, want %v", got, want)
	}
}

func TestHowNumbersAreWritten(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		spread{0.5, 0.449, 0.551}.String():        "0.50 (0.45–0.55)",
		spread{12.34, 9.99, 15}.String():          "12.3 (10.0–15.0)",
		count(207):                                "207",
		count(10_000):                             "10k",
		count(10_000_000):                         "10M",
		plural(1, "connection"):                   "1 connection",
		plural(64, "connection"):                  "64 connections",
		milliseconds.show(spread{61.6, 59.2, 80}): "62 ms (59–80)",
		megabytes.show(spread{40.9, 40.52, 41}):   "40.9 MB (40.5–41.0)",
		megabytes.show(spread{34.3, 34.3, 34.3}):  "34.3 MB",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A target is met or missed by the median. When the rounds disagree, it says how far.
func TestVerdictIsThatOfTheMedian(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		atLeast(spread{0.7, 0.6, 0.9}, 0.6):              "≥ 0.60 ✓",
		atLeast(spread{0.5, 0.4, 0.599}, 0.6):            "≥ 0.60 missed",
		atLeast(spread{0.85, 0.78, 0.91}, 0.85):          "≥ 0.85 ✓ (0.78–0.91)",
		atLeast(spread{0.5, 0.4, 0.6}, 0.6):              "≥ 0.60 missed (0.40–0.60)",
		atLeast(spread{4, 3, 4.9}, 5):                    "≥ 5 missed",
		atLeast(spread{12.5, 8.14, 14.14}, 12):           "≥ 12 ✓ (8.1–14.1)",
		atMost(spread{39, 38, 40}, 40, megabytes):        "≤ 40 MB ✓",
		atMost(spread{41, 40.1, 42}, 40, megabytes):      "≤ 40 MB missed",
		atMost(spread{40.2, 39.81, 42}, 40, megabytes):   "≤ 40 MB missed (39.8–42.0)",
		atMost(spread{40, 40, 40}, 40, megabytes):        "≤ 40 MB ✓",
		atMost(spread{40.1, 40.1, 40.1}, 40, megabytes):  "≤ 40 MB missed",
		atMost(spread{95, 90, 101.4}, 100, milliseconds): "≤ 100 ms ✓ (90–101)",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
