package crashtest_test

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

// When the server is killed: under load, and while it starts, which takes some 50 ms.
const (
	soonest, latest = 5 * time.Millisecond, 300 * time.Millisecond
	longestStart    = 80 * time.Millisecond
)

// shortCycles is how often the server is killed in `go test`.
const shortCycles = 5

// run is one test with its chances and its counts.
type run struct {
	site   site
	world  *world
	random *rand.Rand
	began  time.Time

	cycles, startsKilled         int
	happened, notHappened, again int
}

func TestKill(t *testing.T) {
	t.Parallel()
	cycles, seed := number(t, "CRASH_CYCLES", shortCycles), number(t, "CRASH_SEED", rand.Uint64())
	t.Logf("CRASH_SEED=%d repeats these choices", seed)
	program := build(t)
	t.Run("under load", func(t *testing.T) {
		t.Parallel()
		underLoad(t, &run{site: site{program: program, dir: t.TempDir()}, world: newWorld(seed), random: rand.New(rand.NewPCG(seed, 0)), began: time.Now()}, int(cycles))
	})
	t.Run("first start", func(t *testing.T) {
		t.Parallel()
		random := rand.New(rand.NewPCG(seed, 1<<32))
		for range cycles {
			firstStart(t, site{program: program, dir: t.TempDir()}, random)
		}
	})
	t.Run("checks can fail", func(t *testing.T) {
		t.Parallel()
		checksCanFail(t, program)
	})
}

// number reads an environment variable.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	value, err := strconv.ParseUint(cmp.Or(os.Getenv(name), strconv.FormatUint(otherwise, 10)), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value
}

// underLoad kills and starts one server on one database. What runs after a start carries the next load, too.
func underLoad(t *testing.T, r *run, cycles int) {
	t.Helper()
	c := r.site.start(t)
	for r.cycles < cycles {
		r.world.load(t, []*child{c}, between(r.random, soonest, latest), strike{c.kill, unanswered})
		report(t, append(c.complaints(), r.world.failures()...))
		report(t, r.site.damage(t))
		c = r.restart(t)
		r.verify(t, c, false)
		r.cycles++
		if every := max(1, cycles/20); r.cycles%every == 0 {
			t.Logf("%d of %d cycles: %d changes acknowledged; of those in flight %d have happened, %d not",
				r.cycles, cycles, r.world.acknowledged(), r.happened, r.notHappened)
		}
	}
	r.verify(t, c, true)
	c.kill()
	report(t, c.complaints())
	t.Log(r.table())
}

func between(random *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(random.Int64N(int64(to-from)))
}

// report fails the test when there are problems: what follows one would only be its echo.
func report(t *testing.T, problems []string) {
	t.Helper()
	if len(problems) > 0 {
		t.Fatal(strings.Join(problems, "\n"))
	}
}

// restart starts the server after a crash, and one time in four kills it first while it starts.
func (r *run) restart(t *testing.T) *child {
	t.Helper()
	for r.random.IntN(4) == 0 {
		r.site.killWhileStarting(t, between(r.random, 0, longestStart))
		r.startsKilled++
		report(t, r.site.damage(t))
	}
	return r.site.start(t)
}

// verify looks at the server and makes what it finds the state to go on from.
func (r *run) verify(t *testing.T, c *child, full bool) {
	t.Helper()
	seen := observe(t, c, r.world, full)
	outcomes, problems := compare(r.world, seen)
	report(t, problems)
	happened, not := r.world.settle(seen, outcomes)
	r.happened, r.notHappened = r.happened+happened, r.notHappened+not
	for _, o := range outcomes {
		r.ask(t, c, o)
	}
}

// ask sends a change again that was in flight with an idempotency key, and forgets it otherwise. Whether it has happened or
// not, it has once after that; the next look would find it twice, and its event.
func (r *run) ask(t *testing.T, c *child, o outcome) {
	t.Helper()
	defer func() { o.worker.pending = nil }()
	if o.worker.pending.key == "" {
		return
	}
	r.again++
	if err := o.worker.send(t.Context(), c.as(t, adminSecret), o.after); err != nil {
		t.Fatalf("a change in flight was asked for again, with its idempotency key: %v", err)
	}
}

func (w *world) failures() []string {
	var failures []string
	for _, worker := range w.workers {
		if worker.failed != nil {
			failures = append(failures, worker.failed.Error())
		}
	}
	return failures
}

func (w *world) acknowledged() int {
	sum := 0
	for _, worker := range w.workers {
		sum += worker.acknowledged
	}
	return sum
}

func (r *run) table() string {
	living, gone := 0, 0
	for _, worker := range r.world.workers {
		living, gone = living+len(worker.tokens), gone+len(worker.gone)
	}
	var text strings.Builder
	for _, line := range []struct {
		name  string
		value any
	}{
		{"killed under load", r.cycles},
		{"killed while starting", r.startsKilled},
		{"changes acknowledged, none lost", r.world.acknowledged()},
		{"in flight: happened", r.happened},
		{"in flight: not happened", r.notHappened},
		{"asked again with the same key", r.again},
		{"tokens at the end", living},
		{"tokens deleted", gone},
		{"seconds", int(time.Since(r.began).Seconds())},
	} {
		fmt.Fprintf(&text, "\n  %-33s%8v", line.name, line.value)
	}
	return text.String()
}

// firstStart kills the server while it makes its files. Whatever it has made, the next start completes it.
func firstStart(t *testing.T, s site, random *rand.Rand) {
	t.Helper()
	for range 1 + random.IntN(3) {
		s.killWhileStarting(t, between(random, 0, longestStart))
		if _, err := os.Stat(s.database()); !errors.Is(err, fs.ErrNotExist) {
			report(t, s.damage(t))
			report(t, s.examine(t))
		}
	}
	c := s.start(t)
	report(t, observe(t, c, &world{}, true).problems)
	if _, err := c.as(t, adminSecret).CreateToken(t.Context(), client.CreateTokenParams{
		Name: "First", Permissions: []client.Permission{client.PermissionFax},
	}); err != nil {
		t.Fatal(err)
	}
	c.kill()
	report(t, append(c.complaints(), s.damage(t)...))
	files, err := filepath.Glob(filepath.Join(s.dir, "*"))
	must(t, err)
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v), want 0600", filepath.Base(file), info.Mode(), err)
		}
	}
}
