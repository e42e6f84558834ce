package sandbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/sandbox"
)

// TestJournalIsBounded: in calls and in bytes; the oldest go, and are counted.
func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what        string
		body        int
		first, kept int64
	}{{"small calls", 1, 101, 1000}, {"large calls", 64 << 10, 0, 0}} {
		journal := sandbox.New().World(uuid.New()).Journal
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
	journal := sandbox.New().World(uuid.New()).Journal
	journal.Add(sandbox.Call{Operation: "update_token"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if calls, _, enough := journal.Wait(ctx, sandbox.Query{}, 2); enough || len(calls) != 1 {
		t.Errorf("%d calls, enough: %v", len(calls), enough)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	world := sandbox.New().World(uuid.New())
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
	world := sandbox.New().World(uuid.New())
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
