package main

import (
	"strings"
	"testing"
	"time"
)

func microseconds(values ...time.Duration) []time.Duration {
	for i := range values {
		values[i] *= time.Microsecond
	}
	return values
}

// A busy processor does one call after the other: what each costs everybody together decides how many there are.
func TestCostsOfACall(t *testing.T) {
	t.Parallel()
	bare := cost{server: 19 * time.Microsecond, others: microseconds(14)}
	mine := cost{server: 96 * time.Microsecond, others: microseconds(24)}
	overPostgres := cost{server: 80 * time.Microsecond, others: microseconds(25, 43)}
	if got, want := mine.total(), 120*time.Microsecond; got != want {
		t.Errorf("a call costs %s, want %s", got, want)
	}
	if got, want := overPostgres.total(), 148*time.Microsecond; got != want {
		t.Errorf("over PostgreSQL a call costs %s, want %s", got, want)
	}
	if got := mine.ratioTo(bare); got != 0.275 {
		t.Errorf("the ratio is %v, want 0.275", got)
	}
	if got, want := mine.leftAt(0.60, bare), 31*time.Microsecond; got != want {
		t.Errorf("the target leaves %s for the server, want %s", got, want)
	}
}

func TestPageOfAProfile(t *testing.T) {
	t.Parallel()
	seen := profile{
		call: profiledCall{name: "update", atLeast: 0.60},
		mine: cost{path: "bin/profiles/update.prof", rate: 12345, server: 100 * time.Microsecond, others: microseconds(20)},
		bare: cost{rate: 54321, server: 20 * time.Microsecond, others: microseconds(16)},
		mineShares: map[string]float64{
			"SQLite: writing the log": 0.3, "the rest of the goroutine that writes": 0.06, "authentication": 0.2, "collecting garbage": 0.4, elsewhere: 0.04,
		},
		bareShares: map[string]float64{"collecting garbage": 0.5},
		size:       12_340_000,
	}
	var page strings.Builder
	if err := seen.write(&page, 0.05); err != nil {
		t.Fatal(err)
	}
	const want = `
## update

12,345 requests/s, bare Echo 54,321. A request costs 100.0 µs of the processors' time, and 20.0 µs in the load generator; with bare
Echo it costs 20.0 µs and 16.0 µs. By their rates the ratio is 0.23, by that time alone 0.30. The target of 0.60 would leave 40.0 µs.
The goroutine that writes takes 36.0 µs. The database has 12 MB.

| | share | µs | bare Echo, µs |
|---|---:|---:|---:|
| collecting garbage | 40 % | 40.0 | 10.0 |
| SQLite: writing the log | 30 % | 30.0 | – |
| authentication | 20 % | 20.0 | – |
| the rest of the goroutine that writes | 6 % | 6.0 | – |
`
	if page.String() != want {
		t.Errorf("the page is\n%s\nwant\n%s", page.String(), want)
	}
}
