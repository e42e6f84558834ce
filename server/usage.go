package server

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	// useInterval is how often the last use of one token is recorded at most.
	useInterval = time.Minute
	// maxUsedTokens bounds the memory of a usage.
	maxUsedTokens = 100_000
	// recordTimeout bounds one write of a usage.
	recordTimeout = 10 * time.Second
	// firstPause is how long nothing is noted after a write has failed; it doubles with each further failure, up to useInterval.
	firstPause = time.Second
)

// usage records when tokens were used last, off the path of the requests: they leave a note, and a goroutine that runs while
// there are notes writes them.
type usage struct {
	store  store.Store
	logger *slog.Logger
	clock  func() time.Time
	noted  *lru.Cache[usedToken, time.Time] // when each token's use was noted last

	mu      sync.Mutex
	pending map[usedToken]time.Time
	writing bool
	// left counts the notes, and recorded how many of them have been dealt with; changed tells who waits for them.
	left, recorded uint64
	changed        *sync.Cond
	// failures counts the writes that have failed one after the other, and paused is until when nothing is noted for that.
	failures int
	paused   time.Time
}

// usedToken is a token in an era of its world: after a reset its use is noted anew.
type usedToken struct {
	id  uuid.UUID
	era uint64
}

func newUsage(db store.Store, logger *slog.Logger, clock func() time.Time) (*usage, error) {
	noted, err := lru.New[usedToken, time.Time](maxUsedTokens)
	u := &usage{store: db, logger: logger, clock: clock, noted: noted, pending: make(map[usedToken]time.Time)}
	u.changed = sync.NewCond(&u.mu)
	return u, err
}

// note says that token was used now. It does not wait for anything.
func (u *usage) note(token store.Token, era uint64, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	used := usedToken{token.ID, era}
	last, _ := u.noted.Get(used)
	if token.LastUsedAt.After(last) {
		last = token.LastUsedAt
	}
	if now.Sub(last).Abs() < useInterval || len(u.pending) >= maxUsedTokens || u.clock().Before(u.paused) {
		return
	}
	u.noted.Add(used, now)
	u.pending[used] = now
	u.left++
	if !u.writing {
		u.writing = true
		go u.write()
	}
}

// write writes until there are no notes left.
func (u *usage) write() {
	var left uint64
	for {
		u.mu.Lock()
		u.recorded = max(u.recorded, left)
		u.changed.Broadcast()
		noted := maps.Clone(u.pending)
		clear(u.pending)
		left, u.writing = u.left, len(noted) > 0
		u.mu.Unlock()
		if len(noted) == 0 {
			return
		}
		uses := make(map[uuid.UUID]time.Time, len(noted))
		for used, at := range noted {
			uses[used.id] = at
		}
		ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
		err := u.store.RecordUse(ctx, uses)
		cancel()
		u.conclude(noted, err)
	}
}

// conclude pauses after a failure: who cannot write is not helped by trying at each log-in, nor is who reads the log.
func (u *usage) conclude(noted map[usedToken]time.Time, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		if u.failures > 0 {
			u.logger.Info("the last use of tokens is recorded again", "failures", u.failures)
		}
		u.failures = 0
		return
	}
	if u.failures == 0 {
		u.logger.Warn("the last use of tokens was not recorded; it will be when that works again", "tokens", len(noted), "error", err)
	}
	u.paused = u.clock().Add(min(firstPause<<min(u.failures, 10), useInterval))
	u.failures++
	for used := range noted {
		u.noted.Remove(used) // so that the next use is recorded
	}
}

// wait returns when the notes that were left so far have been dealt with. It does not wait for later ones, so that it ends on a
// busy server too.
func (u *usage) wait() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for left := u.left; u.recorded < left; {
		u.changed.Wait()
	}
}

// WaitForUsage returns when the last use of every token that has authenticated so far has been recorded. Serve calls it
// before it returns.
func (s *Server) WaitForUsage() { s.usage.wait() }
