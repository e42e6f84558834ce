package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/memory"
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

// quietListener is one that nobody connects to.
type quietListener struct {
	net.Listener
	closed chan struct{}
}

// Accept waits until the listener is closed.
func (l quietListener) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

// Close ends Accept.
func (l quietListener) Close() error {
	close(l.closed)
	return nil
}

// Addr is any.
func (quietListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// TestServeWaitsForUses: a server that stops has recorded whatever was used before it says that it has stopped.
func TestServeWaitsForUses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := stuckUse{memory.New(), make(chan struct{})}
		keyset, err := secret.NewKeyset()
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.New(server.Config{Store: db, Keyset: keyset})
		if err != nil {
			t.Fatal(err)
		}
		created, err := s.CreateProject(t.Context(), server.NewProject{Name: "Default"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, quietListener{closed: make(chan struct{})}, nil) }()
		b := bare{handler: s, project: created.Project.ID.String(), secret: created.Secret.Reveal()}
		if status := b.probe(b.project, b.secret); status != 200 {
			t.Fatalf("%d for a good credential", status)
		}
		stop()
		<-time.After(time.Second) // of the clock in here: it waits for nothing else any more
		synctest.Wait()
		select {
		case err := <-served:
			close(db.release)
			t.Fatalf("it has stopped (%v), and a use is not recorded", err)
		default:
		}
		close(db.release)
		if err := <-served; err != nil {
			t.Error(err)
		}
		if token, err := db.Token(t.Context(), created.Project.ID, created.TokenID); err != nil || token.LastUsedAt.IsZero() {
			t.Errorf("the use is not recorded (%v)", err)
		}
	})
}

// stuckUse records no use before it is released.
type stuckUse struct {
	store.Store
	release chan struct{}
}

// RecordUse waits until it is released.
func (s stuckUse) RecordUse(ctx context.Context, uses map[uuid.UUID]time.Time) error {
	<-s.release
	return s.Store.RecordUse(ctx, uses)
}
