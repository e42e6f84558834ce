package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/tokenwire/tokenwire/server/store/postgres"
)

// cost is what a call has cost: the time of the processors for one of them.
type cost struct {
	path   string          // of the CPU profile
	rate   float64         // calls a second
	server time.Duration   // that of the server
	others []time.Duration // those of the meters; the first is the load generator's
}

// total is what a call has cost everybody.
func (c cost) total() time.Duration {
	sum := c.server
	for _, spent := range c.others {
		sum += spent
	}
	return sum
}

// ratioTo is how many calls there are for one of the other kind, as long as nobody waits: the processors have the same time for both.
func (c cost) ratioTo(other cost) float64 { return float64(other.total()) / float64(c.total()) }

// leftAt is what the server could spend if the ratio were another one.
func (c cost) leftAt(ratio float64, other cost) time.Duration {
	return time.Duration(float64(other.total())/ratio) - (c.total() - c.server)
}

// profile is what was seen of a kind of call, beside the bare handler.
type profile struct {
	call                   profiledCall
	mine, bare             cost
	mineShares, bareShares map[string]float64
	size                   int64 // of the database's file in bytes, where it is one
}

// read adds what stands in files.
func (p *profile) read(db *database) error {
	var err error
	if p.mineShares, err = sharesOf(p.mine.path); err != nil {
		return err
	}
	if p.bareShares, err = sharesOf(p.bare.path); err != nil || postgres.IsDSN(db.path) {
		return err
	}
	info, err := os.Stat(db.path)
	if err != nil {
		return err
	}
	p.size = info.Size()
	return nil
}

// write compares the two, and says where their time has gone, for a page.
func (p *profile) write(to io.Writer, smallest float64) error {
	var page strings.Builder
	fmt.Fprintf(&page, `
## %s

%s requests/s, bare Echo %s. A request costs %.1f µs of the processors' time, and %.1f µs in the load generator; with bare
Echo it costs %.1f µs and %.1f µs.`, p.call.name, rounded(p.mine.rate), rounded(p.bare.rate), micros(p.mine.server), micros(p.mine.others[0]),
		micros(p.bare.server), micros(p.bare.others[0]))
	if !p.call.postgres {
		fmt.Fprintf(&page, " By their rates the ratio is %.2f, by that time alone %.2f.", p.mine.rate/p.bare.rate, p.mine.ratioTo(p.bare))
	}
	if p.call.atLeast > 0 {
		fmt.Fprintf(&page, " The target of %.2f would leave %.1f µs.", p.call.atLeast, micros(p.mine.leftAt(p.call.atLeast, p.bare)))
	}
	page.WriteString("\n")
	if share := shareOfWriter(p.mineShares); share > 0 {
		fmt.Fprintf(&page, "The goroutine that writes takes %.1f µs. The database has %.0f MB.\n", share*micros(p.mine.server), float64(p.size)/1e6)
	}
	page.WriteString("\n| | share | µs | bare Echo, µs |\n|---|---:|---:|---:|\n")
	names := slices.SortedFunc(maps.Keys(p.mineShares), func(a, b string) int { return cmp.Compare(p.mineShares[b], p.mineShares[a]) })
	for _, name := range names {
		if p.mineShares[name] < smallest {
			continue
		}
		beside := "–"
		if p.bareShares[name] > 0 {
			beside = fmt.Sprintf("%.1f", p.bareShares[name]*micros(p.bare.server))
		}
		fmt.Fprintf(&page, "| %s | %.0f %% | %.1f | %s |\n", name, 100*p.mineShares[name], p.mineShares[name]*micros(p.mine.server), beside)
	}
	_, err := io.WriteString(to, page.String())
	return err
}

// sayRaw says what an update costs that is written by hand: this process makes it, and so no profile of tokenwire shows it.
func (cmd profileCmd) sayRaw(ctx context.Context, to io.Writer, directory string, tokens int) error {
	separate, err := newDatabase(ctx, directory, tokens)
	if err != nil {
		return err
	}
	raw, err := newRawSQLite(ctx, separate)
	if err != nil {
		return err
	}
	got, costs, err := metered(ctx, raw.measure, slot{measured: cmd.For}, meterOfThis)
	if err = errors.Join(err, raw.close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(to, `
Raw SQLite makes %s updates a second: one in %.1f µs, %.1f µs of them of the processors' time. %d times that is one in %.1f µs.
`, rounded(got.rate), 1e6/got.rate, micros(costs[0]), rawAtLeast, 1e6/got.rate/rawAtLeast)
	return err
}

// sayPgbench says what the same cluster spends on an update by pgbench: what is there, no profile of tokenwire can show.
func (cmd profileCmd) sayPgbench(ctx context.Context, to io.Writer, f *postgresField, mine cost) error {
	if err := f.writeScript(); err != nil {
		return err
	}
	got, costs, err := metered(ctx, f.pgbench, slot{connections: rowConnections, measured: cmd.For}, meterOfChildren, f.processorTime)
	if err != nil {
		return err
	}
	theirs := cost{rate: got.rate, server: costs[1], others: costs[:1]}
	_, err = fmt.Fprintf(to, `
PostgreSQL spends %.1f µs on each of tokenwire's updates besides: %.1f µs with the load generator. Of pgbench's, %s a second, each
costs %.1f µs in PostgreSQL and %.1f µs in pgbench: %.1f µs. By their rates the ratio is %.2f, by that time alone %.2f.
`, micros(mine.others[1]), micros(mine.total()), rounded(theirs.rate), micros(theirs.server), micros(theirs.others[0]), micros(theirs.total()),
		mine.rate/theirs.rate, mine.ratioTo(theirs))
	return err
}

func rounded(rate float64) string { return humanize.Comma(int64(rate)) }
