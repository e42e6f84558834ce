package sandbox_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/sandbox"
)

func newWorld(t *testing.T, s *sandbox.Sandbox) *sandbox.World {
	t.Helper()
	world, err := s.Create(uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	return world
}

// TestJournalIsBounded: in calls and in bytes; the oldest go, and are counted.
func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what        string
		body        int
		first, kept int64
	}{{"small calls", 1, 101, 1000}, {"large calls", 64 << 10, 0, 0}} {
		journal := newWorld(t, sandbox.New()).Journal
		for range 1100 {
			journal.Add(sandbox.Call{RequestBody: strings.Repeat("x", c.body)})
		}
		calls, dropped := journal.Calls(sandbox.Query{})
		bytes := 0
		for _, call := range calls {
			bytes += len(call.RequestBody)
		}
		if bytes > 8<<20 || len(calls) == 0 || calls[len(calls)-1].Number != 1100 || dropped != 1100-int64(len(calls)) {
			t.Errorf("%s: %d calls of %d bytes up to %d, and %d dropped", c.what, len(calls), bytes, calls[len(calls)-1].Number, dropped)
		}
		if c.kept > 0 && (int64(len(calls)) != c.kept || calls[0].Number != c.first) {
			t.Errorf("%s: %d calls from %d on, want the last %d", c.what, len(calls), calls[0].Number, c.kept)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	journal := newWorld(t, sandbox.New()).Journal
	journal.Add(sandbox.Call{Operation: "update_token"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if calls, _, enough := journal.Wait(ctx, sandbox.Query{}, 2); enough || len(calls) != 1 {
		t.Errorf("%d calls, enough: %v", len(calls), enough)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	world := newWorld(t, sandbox.New())
	for range 1000 {
		if _, err := world.Faults.Add(sandbox.Fault{Operation: "update_token"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := world.Faults.Add(sandbox.Fault{}); !errors.Is(err, sandbox.ErrTooManyFaults) {
		t.Errorf("fault 1001: %v", err)
	}
}

func TestSnapshotsAreBounded(t *testing.T) {
	t.Parallel()
	world := newWorld(t, sandbox.New())
	first, last := uuid.New(), uuid.New()
	world.Keep(sandbox.Snapshot{ID: first})
	for range 99 {
		world.Keep(sandbox.Snapshot{ID: uuid.New()})
	}
	if _, ok := world.Snapshot(first); !ok {
		t.Error("the first of 100 snapshots is gone")
	}
	world.Keep(sandbox.Snapshot{ID: last})
	_, old := world.Snapshot(first)
	if _, ok := world.Snapshot(last); !ok || old {
		t.Errorf("of 101 snapshots the last is there: %v, and the first: %v", ok, old)
	}
}

// TestJournalsShareOneBudget: the longest gives way first, what was just noted stays, and a world that is removed gives back what
// it had.
func TestJournalsShareOneBudget(t *testing.T) {
	t.Parallel()
	s := sandbox.New()
	body := strings.Repeat("x", 1<<20)
	var worlds []*sandbox.World
	kept := func() int {
		sum := 0
		for _, world := range worlds {
			calls, _ := world.Journal.Calls(sandbox.Query{})
			sum += len(calls)
		}
		return sum
	}
	small := newWorld(t, s)
	small.Journal.Add(sandbox.Call{Operation: "small"})
	for range 300 {
		world := newWorld(t, s)
		worlds = append(worlds, world)
		for i := range 7 {
			world.Journal.Add(sandbox.Call{RequestBody: body})
			if calls, _ := world.Journal.Calls(sandbox.Query{}); len(calls) == 0 || calls[len(calls)-1].Number != int64(i+1) {
				t.Fatalf("a journal lacks the call that was just noted: it has %d", len(calls))
			}
		}
	}
	if got := kept(); got < 250 || got > 256 {
		t.Errorf("all journals together have %d MiB, want nearly 256", got)
	}
	if calls, dropped := small.Journal.Calls(sandbox.Query{}); len(calls) != 1 || dropped != 0 {
		t.Errorf("a short journal had to give way to long ones: it has %d calls", len(calls))
	}
	for _, world := range worlds {
		s.Remove(world)
		world.Journal.Add(sandbox.Call{RequestBody: body}) // of a request on the way
	}
	if got := kept(); got != 0 {
		t.Errorf("worlds that were removed keep %d calls", got)
	}
	worlds = nil
	for range 32 {
		worlds = append(worlds, newWorld(t, s))
		for range 7 {
			worlds[len(worlds)-1].Journal.Add(sandbox.Call{RequestBody: body})
		}
	}
	if got := kept(); got != 32*7 {
		t.Errorf("after others were removed %d calls fit, want %d", got, 32*7)
	}
}

func TestWorldsAreBounded(t *testing.T) {
	t.Parallel()
	s := sandbox.New()
	first := newWorld(t, s)
	for range 9_999 {
		newWorld(t, s)
	}
	if _, err := s.Create(uuid.New()); !errors.Is(err, sandbox.ErrTooManyWorlds) {
		t.Errorf("world 10,001: %v", err)
	}
	if _, err := s.Ensure(uuid.New()); !errors.Is(err, sandbox.ErrTooManyWorlds) {
		t.Errorf("world 10,001: %v", err)
	}
	s.Remove(first)
	newWorld(t, s)
}

// TestWorldsComeAndGo: nothing of a world is in the next one of the same project, and only the world that is meant is removed.
func TestWorldsComeAndGo(t *testing.T) {
	t.Parallel()
	s := sandbox.New()
	first := newWorld(t, s)
	if _, err := first.Faults.Add(sandbox.Fault{Operation: "update_token"}); err != nil {
		t.Fatal(err)
	}
	first.Journal.Add(sandbox.Call{})
	first.Keep(sandbox.Snapshot{ID: uuid.New()})
	if err := first.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	second, err := s.Create(first.Project)
	if err != nil {
		t.Fatal(err)
	}
	s.Remove(first) // it is not there any more
	now, ok := s.World(first.Project)
	if calls, _ := second.Journal.Calls(sandbox.Query{}); !ok || now != second || len(calls)+len(second.Faults.List()) > 0 || second.Shift() != 0 || second.Era() == first.Era() {
		t.Errorf("the second world of a project is there: %v, with %d calls, %v ahead", ok, len(calls), second.Shift())
	}
	s.Remove(second)
	if _, ok := s.World(first.Project); ok {
		t.Error("a world that was removed is there")
	}
}

// TestSnapshotsShareOneBound: the world with the most gives its oldest away.
func TestSnapshotsShareOneBound(t *testing.T) {
	t.Parallel()
	s := sandbox.New()
	ids := make(map[*sandbox.World][]uuid.UUID)
	keep := func(world *sandbox.World, n int) {
		for range n {
			ids[world] = append(ids[world], uuid.New())
			world.Keep(sandbox.Snapshot{ID: ids[world][len(ids[world])-1]})
		}
	}
	for range 1000 {
		keep(newWorld(t, s), 10)
	}
	for range 10 {
		keep(newWorld(t, s), 1)
	}
	kept := 0
	for world, list := range ids {
		for i, id := range list {
			if _, ok := world.Snapshot(id); ok {
				kept++
			} else if i > 0 {
				t.Fatalf("snapshot %d of %d is gone", i, len(list))
			}
		}
	}
	if kept != 10_000 {
		t.Errorf("there are %d snapshots, want 10000", kept)
	}
}

// TestClocksStayNear: neither a large step nor many small ones lead out of the 200 years, in either direction.
func TestClocksStayNear(t *testing.T) {
	t.Parallel()
	const years = 200 * 365 * 24 * time.Hour
	world := newWorld(t, sandbox.New())
	for _, c := range []struct {
		by, want time.Duration
		refused  bool
	}{
		{math.MaxInt64, 0, true}, {math.MinInt64, 0, true}, {years, years, false}, {1, years, true}, {math.MaxInt64, years, true},
		{math.MinInt64, years + math.MinInt64, false}, {math.MinInt64, years + math.MinInt64, true}, {math.MaxInt64, years - 1, false},
	} {
		err := world.Advance(c.by)
		if got := world.Shift(); got != c.want || errors.Is(err, sandbox.ErrClock) != c.refused {
			t.Errorf("after %v more: %v (%v), want %v", c.by, got, err, c.want)
		}
	}
	if err := world.Move(func(time.Duration) (time.Duration, error) { return math.MinInt64, nil }); !errors.Is(err, sandbox.ErrClock) {
		t.Errorf("Move: %v", err)
	}
	if err := world.Advance(-years); err != nil {
		t.Fatal(err)
	}
	start := world.Shift()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := world.Advance(time.Hour); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := world.Shift() - start; got != 100*time.Hour {
		t.Errorf("100 steps of an hour made %v", got)
	}
}
