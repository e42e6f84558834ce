package server_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// fullStore does not record when tokens were used, while it is broken.
type fullStore struct {
	store.Store
	broken atomic.Bool
	asked  atomic.Int32
}

func (s *fullStore) RecordUse(ctx context.Context, uses map[uuid.UUID]time.Time) error {
	s.asked.Add(1)
	if s.broken.Load() {
		return errors.Join(store.ErrUnavailable, errors.New("the disk is full"))
	}
	return s.Store.RecordUse(ctx, uses)
}

// TestUseIsNotRecorded: while the last use cannot be recorded, that is tried seldom and said once, and the calls go on.
func TestUseIsNotRecorded(t *testing.T) {
	t.Parallel()
	full, log := &fullStore{}, &safeBuffer{}
	full.broken.Store(true)
	a := start(t, &servertest.Options{FixedClock: true, Logger: slog.New(slog.NewTextHandler(log, nil)), WrapStore: func(s store.Store) store.Store {
		full.Store = s
		return full
	}})
	use := func(times int) {
		for range times {
			a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}.as(a.Project)).want(t, 200)
			a.WaitForUsage()
		}
	}
	tries := int32(0)
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		use(20)
		if tries++; full.asked.Load() != tries {
			t.Fatalf("it was tried %d times, want %d", full.asked.Load(), tries)
		}
		a.Advance(pause*time.Second - 1)
		use(20)
		if full.asked.Load() != tries {
			t.Fatalf("it was tried %d times before %d seconds had passed, want %d", full.asked.Load(), pause, tries)
		}
		a.Advance(1)
	}
	if n := strings.Count(log.String(), "was not recorded"); n != 1 {
		t.Errorf("it was logged %d times, want once", n)
	}
	full.broken.Store(false)
	use(20)
	if n := strings.Count(log.String(), "failures=8"); full.asked.Load() != tries+1 || n != 1 {
		t.Errorf("it was tried %d times, want %d, and the log has the number of failures %d times, want once", full.asked.Load(), tries+1, n)
	}
	if used := a.summary(t, a.TokenID)["last_used_at"]; used == nil {
		t.Error("the last use is not recorded when that works again")
	}
}
