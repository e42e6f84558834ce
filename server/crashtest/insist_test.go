package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

const (
	// obeyed is how soon a server obeys what was changed at another one, at the latest.
	obeyed = time.Second
	// pace is how long those wait between two requests who only want to see what comes.
	pace = 10 * time.Millisecond
)

// attempt is one at a change, or at a use.
type attempt struct {
	began, ended time.Time
	refused      bool
}

// insist makes changes at one server, and asks for each again until it is acknowledged, until the context ends and that has happened.
// Creations and rotations have an idempotency key. It returns its attempts.
func (w *worker) insist(ctx context.Context, admin *client.Client, patience time.Duration) []attempt {
	var attempts []attempt
	for ctx.Err() == nil && w.failed == nil {
		w.pending = w.chooseRepeatable()
		first := time.Now()
		for w.pending != nil {
			a := attempt{began: time.Now()}
			err := w.send(context.WithoutCancel(ctx), admin, nil)
			a.ended = time.Now()
			a.refused = errors.Is(err, client.ErrUnavailable)
			repeated := w.pending.began.Before(a.began)
			switch {
			case err == nil:
				w.pending = nil
				w.latest.Store(a.ended.UnixNano())
			case repeated && w.pending.action == deleted && errors.Is(err, client.ErrNotFound): // it has happened when it was refused
				w.accept(w.pending, w.pending.made("", ""))
				w.pending = nil
			case !a.refused || time.Since(first) > patience:
				w.failed = fmt.Errorf("%s: %s after %v: %w", w.name, w.pending.action, time.Since(first), err)
				return append(attempts, a)
			}
			attempts = append(attempts, a)
			<-time.After(pace)
		}
	}
	return attempts
}

// chooseRepeatable returns a change that happens once however often it is asked for.
func (w *worker) chooseRepeatable() *change {
	var c *change
	for c == nil || c.action == updated {
		c = w.choose()
	}
	if c.action != deleted {
		c.key = fmt.Sprintf("%s-%016x", w.name, w.random.Uint64())
	}
	return c
}

// graves are secrets that do not work any more, and since when that is known to who has asked for it.
type graves struct {
	mu      sync.Mutex
	secrets []grave
}

type grave struct {
	secret string
	since  time.Time
}

// add is called when the change was acknowledged.
func (g *graves) add(secret string) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.secrets = append(g.secrets, grave{secret, time.Now()})
}

// choose returns one of the latest, or one of all.
func (g *graves) choose(random *rand.Rand) (grave, bool) {
	const latest = 20
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.secrets)
	if n == 0 {
		return grave{}, false
	}
	if n > latest && random.IntN(2) == 0 {
		return g.secrets[n-1-random.IntN(latest)], true
	}
	return g.secrets[random.IntN(n)], true
}

// haunt tries secrets that are over at one server until the context ends. Those that were over a moment ago the server may believe
// still, and no others. It returns how often it has tried, and what is wrong.
func (g *graves) haunt(ctx context.Context, c *child, id string, random *rand.Rand) (int, []string) {
	tries := 0
	for ctx.Err() == nil {
		<-time.After(pace)
		dead, ok := g.choose(random)
		if !ok {
			continue
		}
		tries++
		as, err := c.client(dead.secret)
		if err != nil {
			return tries, []string{err.Error()}
		}
		u, err := c.try(context.WithoutCancel(ctx), as, id)
		switch {
		case err != nil && !errors.Is(err, client.ErrUnavailable):
			return tries, []string{fmt.Sprintf("a secret that is over: %v", err)}
		case err == nil && u.result != refused && u.began.Sub(dead.since) > obeyed:
			return tries, []string{fmt.Sprintf("a secret that has been over for %v %s", u.began.Sub(dead.since), u.result)}
		}
	}
	return tries, nil
}
