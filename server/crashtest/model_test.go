package crashtest_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

// world is what must be there.
type world struct {
	workers []*worker
	// newest is the id of the last event that was compared, or "".
	newest string
	// buried has the secrets that are over, for those who try them while others go on.
	buried *graves
}

// worker is one of those that change tokens at the same time. Nobody else touches its tokens.
type worker struct {
	name         string
	random       *rand.Rand
	tokens, gone []*token // gone are those that were deleted
	pending      *change  // whose answer has not come
	named        int      // how many names it has given
	acknowledged int
	failed       error // an answer, or a silence, that a crash does not explain
	buried       *graves

	insists bool         // see insist; load has nothing to do with it
	latest  atomic.Int64 // when its latest change was acknowledged, in nanoseconds, for who waits for that
}

// token is one that was acknowledged, with all that must be known about it.
type token struct {
	id string
	state
	retired []retired
	events  []event // oldest first
	// compared is how many of the events were found, and checked that the deletion was.
	compared int
	checked  bool
}

type state struct {
	name        string
	permissions []client.Permission // sorted
	expiresAt   time.Time           // zero for never
	secret      string
	deleted     bool
}

// retired is an earlier secret. It stops to work at a moment between from and until: when exactly, the server's clock has decided
// between the question and the answer.
type retired struct {
	secret      string
	from, until time.Time
}

// event is what a test can foretell of an entry of the audit trail.
type event struct {
	Action  string
	Changes map[string]client.ValueChange
}

// The actions of the audit trail.
const (
	created = "token.created"
	updated = "token.updated"
	rotated = "token.rotated"
	deleted = "token.deleted"
)

// change is one that a worker asks for.
type change struct {
	action string
	token  *token // nil for a creation
	after  state  // of a creation and of a rotation without the secret, which the server chooses
	key    string // the idempotency key, or ""
	grace  time.Duration
	// began and ended are when it was sent first, and when the last answer came or could not come any more.
	began, ended time.Time
}

// made returns the token as it is when the change has happened. The id matters to a creation only, the secret to a creation and a
// rotation.
func (c *change) made(id, secret string) *token {
	before := &token{id: id}
	if c.token != nil {
		before = c.token
	}
	next := *before
	next.state = c.after
	next.events = append(slices.Clone(before.events), c.event(before.state))
	next.retired = slices.Clone(before.retired)
	if c.action == created || c.action == rotated {
		next.secret = secret
	}
	if c.action == rotated {
		next.retired = append(next.retired, retired{before.secret, c.began.Add(c.grace), c.ended.Add(c.grace)})
		for i := range next.retired {
			old := &next.retired[i]
			old.from, old.until = earlier(old.from, c.began.Add(c.grace)), earlier(old.until, c.ended.Add(c.grace))
		}
	}
	return &next
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// event returns what the audit trail must have about the change.
func (c *change) event(before state) event {
	changes := make(map[string]client.ValueChange)
	switch c.action {
	case created:
		changes["name"] = client.ValueChange{New: c.after.name}
		changes["permissions"] = client.ValueChange{New: c.after.permissions}
		if !c.after.expiresAt.IsZero() {
			changes["expires_at"] = client.ValueChange{New: c.after.expiresAt}
		}
	case updated:
		if before.name != c.after.name {
			changes["name"] = client.ValueChange{Old: before.name, New: c.after.name}
		}
		if !slices.Equal(before.permissions, c.after.permissions) {
			changes["permissions"] = client.ValueChange{Old: before.permissions, New: c.after.permissions}
		}
		if !before.expiresAt.Equal(c.after.expiresAt) {
			changes["expires_at"] = client.ValueChange{Old: timeOrNil(before.expiresAt), New: timeOrNil(c.after.expiresAt)}
		}
	}
	return event{c.action, changes}
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// accept makes a change part of what must be there.
func (w *worker) accept(c *change, after *token) {
	switch c.action {
	case created:
		w.tokens = append(w.tokens, after)
	case deleted:
		w.buried.add(c.token.secret)
		*c.token = *after
		w.gone = append(w.gone, c.token)
		w.tokens = slices.DeleteFunc(w.tokens, func(t *token) bool { return t == c.token })
	default:
		if c.action == rotated && c.grace == 0 {
			w.buried.add(c.token.secret)
		}
		*c.token = *after
	}
}

// all iterates over the tokens of all workers.
func (w *world) all(yield func(*worker, *token) bool) {
	for _, worker := range w.workers {
		for _, t := range slices.Concat(worker.tokens, worker.gone) {
			if !yield(worker, t) {
				return
			}
		}
	}
}

// ids returns the ids of all tokens.
func (w *world) ids() map[string]*token {
	return maps.Collect(func(yield func(string, *token) bool) {
		w.all(func(_ *worker, t *token) bool { return yield(t.id, t) })
	})
}
