package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

const (
	// workers is how many changes are on their way at the same time.
	workers = 8
	// fewest and most bound the tokens of a worker, so that a cycle can look at all of them.
	fewest, most = 2, 6
)

func newWorld(seed uint64) *world {
	w := &world{buried: &graves{}}
	for i := range workers {
		w.workers = append(w.workers, w.worker("w"+strconv.Itoa(i), seed, i))
	}
	return w
}

func (w *world) worker(name string, seed uint64, number int) *worker {
	return &worker{name: name, random: rand.New(rand.NewPCG(seed, uint64(number)+1)), buried: w.buried}
}

// strike is what happens to the servers, or to what they stand on, while they are under load.
type strike struct {
	// happen returns when no change is on its way any more, or none need be.
	happen func()
	// excuses says which ends of a change are no mistake once it has begun.
	excuses func(error) bool
}

// unanswered excuses what comes from a server that is gone: nothing.
func unanswered(err error) bool {
	_, answered := errors.AsType[*client.Error](err)
	return !answered && !errors.Is(err, errAnswer)
}

// load lets all workers change tokens, each change at one of the servers, until the servers are struck, after a time, and returns when
// the workers have noticed.
func (w *world) load(t *testing.T, servers []*child, until time.Duration, s strike) {
	t.Helper()
	var struck, over atomic.Bool
	var wg sync.WaitGroup
	var admins []*client.Client
	for _, server := range servers {
		admins = append(admins, server.as(t, adminSecret))
	}
	for _, worker := range w.workers {
		if worker.insists {
			continue
		}
		wg.Go(func() {
			worker.run(t.Context(), admins, &over, func(err error) bool { return struck.Load() && s.excuses(err) })
		})
	}
	<-time.After(until)
	struck.Store(true)
	s.happen()
	over.Store(true)
	wg.Wait()
}

// run makes one change after the other until one is not acknowledged, or it is over.
func (w *worker) run(ctx context.Context, admins []*client.Client, over *atomic.Bool, excused func(error) bool) {
	for w.pending == nil && !over.Load() {
		admin := admins[w.random.IntN(len(admins))]
		w.pending = w.choose()
		if err := w.send(ctx, admin, nil); err != nil {
			if !excused(err) {
				w.failed = fmt.Errorf("%s: %s was refused, or failed without a reason: %w", w.name, w.pending.action, err)
			}
			return
		}
		w.pending = nil
	}
}

// choose returns a change. Each name is given once, so that no two changes look the same.
func (w *worker) choose() *change {
	dice := w.random.IntN(10)
	if len(w.tokens) < fewest || len(w.tokens) < most && dice < 2 {
		return &change{action: created, after: w.change(state{}, true, true, dice%2 == 0), key: w.chooseKey()}
	}
	t := w.tokens[w.random.IntN(len(w.tokens))]
	c := &change{token: t, after: t.state}
	switch {
	case dice < 4:
		c.action, c.after.deleted = deleted, true
	case dice < 6:
		c.action, c.key = rotated, w.chooseKey()
		c.grace = []time.Duration{0, time.Second, time.Hour}[w.random.IntN(3)]
	case dice < 8:
		c.action, c.after = updated, w.change(t.state, true, true, dice%2 == 0) // all or nothing must hold for several fields
	default:
		one := w.random.IntN(3)
		c.action, c.after = updated, w.change(t.state, one == 0, one == 1, one == 2)
	}
	return c
}

// change returns a state with other values.
func (w *worker) change(s state, name, permissions, expiry bool) state {
	if name {
		w.named++
		s.name = w.name + "-" + strconv.Itoa(w.named)
	}
	if permissions {
		s.permissions = w.otherPermissions(s.permissions)
	}
	if expiry && (s.expiresAt.IsZero() || w.random.IntN(2) == 0) {
		s.expiresAt = time.Now().Add(24*time.Hour + time.Duration(w.random.IntN(1e9))*time.Microsecond).UTC().Truncate(time.Microsecond)
	} else if expiry {
		s.expiresAt = time.Time{}
	}
	return s
}

// otherPermissions returns a set that differs from this one. That of a new token, which has had none, is not empty.
func (w *worker) otherPermissions(before []client.Permission) []client.Permission {
	for {
		set := []client.Permission{}
		for _, p := range []client.Permission{client.PermissionChat, client.PermissionFax, client.PermissionManagement, client.PermissionVideo} {
			if w.random.IntN(2) == 0 {
				set = append(set, p)
			}
		}
		if !slices.Equal(before, set) {
			return set
		}
	}
}

func (w *worker) chooseKey() string {
	if w.random.IntN(2) == 0 {
		return ""
	}
	return fmt.Sprintf("%s-%016x", w.name, w.random.Uint64())
}

// send asks for the pending change and accepts it when it is acknowledged. A change that has happened already, as known, must be
// answered as it was then, and is not accepted anew.
func (w *worker) send(ctx context.Context, admin *client.Client, known *token) error {
	c := w.pending
	if c.began.IsZero() {
		c.began = time.Now()
	}
	answer, err := c.call(ctx, admin)
	c.ended = time.Now()
	if err != nil {
		return err
	}
	after := known
	if known == nil {
		after = c.made(answer.ID, answer.Secret.Reveal())
		w.accept(c, after)
		w.acknowledged++
	}
	if c.action == deleted {
		return nil
	}
	if answer.ID != after.id || answer.Name != after.name || !slices.Equal(answer.Permissions, after.permissions) || answer.Secret.Reveal() != after.secret {
		return fmt.Errorf("%w: %s of %s", errAnswer, c.action, after.name)
	}
	return nil
}

var errAnswer = errors.New("the answer is not what was asked for")

func (c *change) call(ctx context.Context, admin *client.Client) (*client.Token, error) {
	switch c.action {
	case created:
		return admin.CreateToken(ctx, client.CreateTokenParams{
			Name: c.after.name, Permissions: c.after.permissions, ExpiresAt: c.after.expiresAt, IdempotencyKey: c.key,
		})
	case updated:
		return admin.UpdateToken(ctx, c.token.id, c.update())
	case rotated:
		return admin.RotateToken(ctx, c.token.id, client.RotateTokenParams{Grace: c.grace, IdempotencyKey: c.key})
	}
	return &client.Token{}, admin.DeleteToken(ctx, c.token.id)
}

// update names the fields that differ, and no other.
func (c *change) update() client.UpdateTokenParams {
	var params client.UpdateTokenParams
	before, after := c.token.state, c.after
	if before.name != after.name {
		params.Name = &after.name
	}
	switch {
	case slices.Equal(before.permissions, after.permissions):
	case len(after.permissions) == 0:
		params.Permissions = client.NoPermissions()
	default:
		params.Permissions = client.SetPermissions(after.permissions...)
	}
	switch {
	case before.expiresAt.Equal(after.expiresAt):
	case after.expiresAt.IsZero():
		params.Expiry = client.NeverExpire()
	default:
		params.Expiry = client.ExpireAt(after.expiresAt)
	}
	return params
}
