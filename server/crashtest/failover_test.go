//go:build unix

package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

const (
	replicas = 3
	// shortFailovers has one long outage, which everybody notices, and one that is over before they do.
	shortFailovers = 2
	// backToWork is how soon after a promotion every replica must have made a change.
	backToWork = 10 * time.Second
)

// How long a primary is under load before it is killed.
const soonestFailover, latestFailover = 300 * time.Millisecond, time.Second

// failover is servers that stand on a primary with a synchronous standby.
type failover struct {
	run
	program          string
	primary, standby *postgrestest.Cluster
	replicas         []*child
	insisting        []*worker // one for each replica
	anchor           string    // a token that stays
	// vanishing lets the machine of the primary be silent in place of refusing connections: wire is the way to it.
	vanishing bool
	wire      *wire

	tries          int // at secrets that were over
	refusals       int // 503
	first, longest [replicas][]time.Duration
}

// testFailover kills the primary under load and promotes the standby, several times: what was the standby is the next primary.
func testFailover(t *testing.T, program string) {
	t.Helper()
	cycles, seed := int(number(t, "FAILOVER_CYCLES", shortFailovers)), number(t, "CRASH_SEED", rand.Uint64())
	t.Logf("CRASH_SEED=%d repeats these choices", seed)
	f := newFailover(program, seed)
	f.prepare(t, seed, true)
	for f.cycles < cycles {
		if f.cycles > 0 {
			f.primary, f.standby = f.standby, f.standby.Standby(t, f.primary.Port)
			f.primary.WaitForStandby(t)
		}
		f.cycle(t)
		f.cycles++
	}
	f.verify(t, f.replicas[f.cycles%replicas], true)
	t.Log(f.table())
}

// testVanishing lets the primary's machine vanish: nothing that is sent to it is ever answered. Whether those who are connected are told
// depends on what has become of it.
func testVanishing(t *testing.T, program string) {
	t.Helper()
	for name, parting := range map[string]bool{"nothing comes": false, "connections end before": true} {
		t.Run(name, func(t *testing.T) {
			f := newFailover(program, rand.Uint64())
			f.vanishing, f.cycles = true, 1 // which is the promotion without delay
			f.prepare(t, 1, true)
			f.wire.parting.Store(parting)
			f.cycle(t)
			f.verify(t, f.replicas[0], true)
			t.Log(f.table())
		})
	}
}

func newFailover(program string, seed uint64) *failover {
	return &failover{program: program, run: run{world: newWorld(seed), random: rand.New(rand.NewPCG(seed, 0)), began: time.Now()}}
}

func (f *failover) prepare(t *testing.T, seed uint64, synchronous bool) {
	t.Helper()
	f.primary = postgrestest.Start(t, nil)
	dsn := f.primary.NewDatabase(t)
	f.standby = f.primary.Standby(t, 0)
	if synchronous {
		f.primary.WaitForStandby(t)
	}
	if f.vanishing {
		f.wire = newWire(t, dsn, false)
		dsn = f.wire.url
	}
	on := site{program: f.program, dir: t.TempDir(), url: postgrestest.JoinDSN(t, dsn, f.standby)}
	for i := range replicas {
		f.replicas = append(f.replicas, on.start(t))
		w := f.world.worker(fmt.Sprintf("i%d", i), seed, workers+i)
		w.insists = true
		f.world.workers, f.insisting = append(f.world.workers, w), append(f.insisting, w)
	}
	f.anchor = anchor(t, f.replicas[0])
	t.Cleanup(func() {
		for i, c := range f.replicas {
			if log := c.logged(); t.Failed() {
				t.Logf("replica %d has logged:\n%s", i, strings.Join(log[max(0, len(log)-20):], "\n"))
			}
		}
	})
}

// anchor returns the id of the token that the database began with.
func anchor(t *testing.T, c *child) string {
	t.Helper()
	for token, err := range c.as(t, adminSecret).ListTokens(t.Context(), client.ListTokensParams{NamePrefix: "Management"}) {
		must(t, err)
		return token.ID
	}
	t.Fatal("there is no token")
	return ""
}

// cycle kills the primary, and holds what the replicas did, and what they have afterwards, against what they have promised.
func (f *failover) cycle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	others := f.besides(t, ctx)
	var promoted, primary time.Time // when the promotion began, and when there was a primary again
	f.world.load(t, f.replicas, between(f.random, soonestFailover, latestFailover), strike{
		happen: func() {
			before := f.refused()
			if f.vanishing {
				f.wire.swallow()
			}
			must(t, f.primary.KillAll())
			if f.cycles%2 == 0 {
				f.awaitRefusals(t, before)
			}
			promoted = time.Now()
			must(t, f.standby.Promote(ctx))
			primary = time.Now()
		},
		excuses: func(err error) bool { return errors.Is(err, client.ErrUnavailable) },
	})
	for i, w := range f.insisting {
		until(t, promoted.Add(backToWork), fmt.Sprintf("replica %d makes changes again", i), func() bool {
			return w.latest.Load() > promoted.UnixNano()
		})
	}
	<-time.After(obeyed + obeyed/2) // those who try secrets that are over go on beyond the time for which they may be believed
	cancel()
	attempts, problems := others()
	problems = append(problems, f.world.failures()...)
	for i, c := range f.replicas {
		_, improper := c.answers.refusals()
		problems = append(append(problems, improper...), panics(c)...)
		first, longest := outage(attempts[i], promoted)
		f.first[i], f.longest[i] = append(f.first[i], first), append(f.longest[i], longest)
		if first > backToWork {
			problems = append(problems, fmt.Sprintf("replica %d has made its first change %v after the promotion, want %v at most", i, first, backToWork))
		}
	}
	report(t, problems)
	<-time.After(obeyed) // what was changed last may be unknown to others until then, and verify does not allow for that
	f.verify(t, f.replicas[f.cycles%replicas], false)
	t.Logf("failover %d: the promotion took %v; first change after its beginning in %v, longest refusal or wait %v; %d changes acknowledged",
		f.cycles+1, rounded(primary.Sub(promoted)), latestOf(f.first), latestOf(f.longest), f.world.acknowledged())
}

// failoverCanFail promotes a standby that has stopped to follow, and wants the loss to be found.
func failoverCanFail(t *testing.T, program string) {
	t.Helper()
	f := newFailover(program, 1)
	f.prepare(t, 1, false)
	postgrestest.Exec(t, f.standby.DSN("postgres"), `ALTER SYSTEM SET primary_conninfo = ''`, `SELECT pg_reload_conf()`)
	until(t, time.Now().Add(backToWork), "the standby has stopped to follow", func() bool { return !f.primary.HasStandby(t) })
	f.world.load(t, f.replicas, soonestFailover, strike{
		happen: func() {
			must(t, f.primary.KillAll())
			must(t, f.standby.Promote(t.Context()))
		},
		excuses: func(err error) bool { return errors.Is(err, client.ErrUnavailable) },
	})
	_, problems := compare(f.world, observe(t, f.replicas[0], f.world, true))
	if found := strings.Join(problems, "\n"); !strings.Contains(found, "it is not there") {
		t.Errorf("found %q, want a loss", found)
	}
}

// besides lets somebody at each replica insist on changes, and try secrets that are over, until the context ends. What it returns
// waits for them, and returns the attempts at changes and what is wrong.
func (f *failover) besides(t *testing.T, ctx context.Context) func() ([replicas][]attempt, []string) { //nolint:revive // the test's own comes first
	t.Helper()
	var wg sync.WaitGroup
	var attempts [replicas][]attempt
	var tries [replicas]int
	var problems [replicas][]string
	for i, c := range f.replicas {
		admin, random := c.as(t, adminSecret), rand.New(rand.NewPCG(f.random.Uint64(), 0))
		wg.Go(func() { attempts[i] = f.insisting[i].insist(ctx, admin, 2*backToWork) })
		wg.Go(func() { tries[i], problems[i] = f.world.buried.haunt(ctx, c, f.anchor, random) })
	}
	return func() ([replicas][]attempt, []string) {
		wg.Wait()
		var all []string
		for i := range replicas {
			f.tries += tries[i]
			all = append(all, problems[i]...)
		}
		return attempts, all
	}
}

func (f *failover) refused() [replicas]int {
	var counts [replicas]int
	for i, c := range f.replicas {
		counts[i], _ = c.answers.refusals()
	}
	return counts
}

// awaitRefusals returns when every replica has answered 503.
func (f *failover) awaitRefusals(t *testing.T, before [replicas]int) {
	t.Helper()
	for i := range replicas {
		until(t, time.Now().Add(requestTimeout), fmt.Sprintf("replica %d answers 503 while there is no primary", i), func() bool {
			return f.refused()[i] > before[i]
		})
	}
}

// until waits for something that must be so at a time.
func until(t *testing.T, deadline time.Time, what string, isSo func() bool) {
	t.Helper()
	for !isSo() {
		if time.Now().After(deadline) {
			t.Fatalf("it is not so in time that %s", what)
		}
		<-time.After(pace / 2)
	}
}

// outage returns when the first change after a promotion was acknowledged, and the longest time that a change has taken, from when it
// was first asked for.
func outage(attempts []attempt, promoted time.Time) (time.Duration, time.Duration) {
	var first, longest time.Duration
	var since time.Time
	for _, a := range attempts {
		if since.IsZero() {
			since = a.began
		}
		if a.refused {
			continue
		}
		longest, since = max(longest, a.ended.Sub(since)), time.Time{}
		if first == 0 && a.ended.After(promoted) {
			first = a.ended.Sub(promoted)
		}
	}
	return first, longest
}

func latestOf(times [replicas][]time.Duration) []string {
	var texts []string
	for _, of := range times {
		texts = append(texts, of[len(of)-1].Round(time.Millisecond).String())
	}
	return texts
}

// panics returns what no outage explains.
func panics(c *child) []string {
	var found []string
	for _, line := range c.logged() {
		if strings.Contains(line, "panic") {
			found = append(found, "the server has logged: "+line)
		}
	}
	return found
}

func (f *failover) table() string {
	f.refusals = 0
	for _, count := range f.refused() {
		f.refusals += count
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\n  %-36s%12s%12s", "", "median", "maximum")
	for i := range replicas {
		fmt.Fprintf(&text, "\n  replica %d: promotion to first change%12v%12v", i+1, median(f.first[i]), largest(f.first[i]))
		fmt.Fprintf(&text, "\n  replica %d: longest refusal or wait   %12v%12v", i+1, median(f.longest[i]), largest(f.longest[i]))
	}
	for _, line := range []struct {
		name  string
		value any
	}{
		{"primaries killed under load", f.cycles},
		{"changes acknowledged, none lost", f.world.acknowledged()},
		{"in flight: happened", f.happened},
		{"in flight: not happened", f.notHappened},
		{"answers 503, as documented", f.refusals},
		{"tries of secrets that were over", f.tries},
		{"seconds", int(time.Since(f.began).Seconds())},
	} {
		fmt.Fprintf(&text, "\n  %-36s%12v", line.name, line.value)
	}
	return text.String()
}
