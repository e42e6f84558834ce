package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/store"
)

const (
	// maxCallers bounds the memory of callers.
	maxCallers = 10_000
	// callerLifetime is how long a credential is believed without a look into the store. It is how soon this server obeys a
	// change that another process has made, at the latest; its own it obeys at once. When the store does not answer, nobody is
	// believed any more after it.
	callerLifetime = time.Second
)

// callers is a store that remembers who has authenticated lately. What changes a token goes through it, so that nobody is
// remembered as they were before a change that is answered. It never remembers that a credential is wrong: whoever guesses
// fills nothing here.
type callers struct {
	store.Store
	notifier store.Notifier   // nil: no other process uses the store
	measured *metrics.Metrics // nil: nobody counts
	known    *lru.Cache[store.SecretHash, knownCaller]

	mu      sync.Mutex
	changes atomic.Uint64
	// changed has, for the tokens that share a slot, which change was their last. To share one costs a look into the store, and
	// nothing else.
	changed [4096]atomic.Uint64
	// allChanged is the last change that may have been one of any token.
	allChanged atomic.Uint64
}

// knownCaller is a token as the store had it, and who that is.
type knownCaller struct {
	token   store.Token
	who     *identity
	at      time.Time
	changes uint64 // that were made when the store was asked: a later one may be missing in token
}

// newCallers takes the store that callers stands before, and the one below everything, which may hear of others.
func newCallers(db, lowest store.Store) (*callers, error) {
	known, err := lru.New[store.SecretHash, knownCaller](maxCallers)
	notifier, _ := lowest.(store.Notifier)
	return &callers{Store: db, notifier: notifier, known: known}, err
}

// remembered returns a token that has authenticated lately, for a project that the caller says is its own. A token of another
// project is looked up each time, so that the time an answer takes does not tell that the secret is in use.
func (c *callers) remembered(project uuid.UUID, hash store.SecretHash, now time.Time) (knownCaller, bool) {
	known, ok := c.known.Get(hash)
	ok = ok && known.token.ProjectID == project && c.isCurrent(known, now)
	if c.measured != nil {
		c.measured.LookedUp(ok)
	}
	return known, ok
}

// ask looks a token up, and remembers it if it is one of this project.
func (c *callers) ask(ctx context.Context, project uuid.UUID, hash store.SecretHash, now time.Time) (knownCaller, error) {
	known := knownCaller{at: now, changes: c.changes.Load()}
	var err error
	if known.token, err = c.TokenBySecret(ctx, hash, now); err != nil || known.token.ProjectID != project {
		return known, err
	}
	known.who = identityOf(known.token)
	c.known.Add(hash, known)
	return known, nil
}

func (c *callers) isCurrent(known knownCaller, now time.Time) bool {
	age := now.Sub(known.at)
	expired := !known.token.ExpiresAt.IsZero() && !known.token.ExpiresAt.After(now)
	changed := max(c.slot(known.token.ID).Load(), c.allChanged.Load())
	return age >= 0 && age < callerLifetime && !expired && changed <= known.changes
}

// forget makes sure that the store is asked about a token again. It is called after a change and before its answer, also when
// the change has failed: the store may have made it nevertheless.
func (c *callers) forget(token uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slot(token).Store(c.changes.Add(1))
}

// forgetAll makes sure that the store is asked about every token again.
func (c *callers) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allChanged.Store(c.changes.Add(1))
}

// listen forgets what other processes change, as soon as the store hears of it, until ctx ends. Without it callerLifetime is the
// bound.
func (c *callers) listen(ctx context.Context) {
	if c.notifier != nil {
		c.notifier.Notify(ctx, func(tokens []uuid.UUID) {
			for _, token := range tokens {
				c.forget(token)
			}
		}, c.forgetAll)
	}
}

// slot is chosen by the random end of an id.
func (c *callers) slot(token uuid.UUID) *atomic.Uint64 {
	return &c.changed[(int(token[14])<<8|int(token[15]))%len(c.changed)]
}

// UpdateToken changes a token, and forgets it as a caller.
func (c *callers) UpdateToken(
	ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change,
) (store.Token, error) {
	if !update.IsEmpty() {
		defer c.forget(id)
	}
	return c.Store.UpdateToken(ctx, account, id, update, change)
}

// RotateToken gives a token a new secret, and forgets it as a caller.
func (c *callers) RotateToken(
	ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change,
) (store.Token, error) {
	defer c.forget(id)
	return c.Store.RotateToken(ctx, account, id, rotation, change)
}

// DeleteToken removes a token, and forgets it as a caller.
func (c *callers) DeleteToken(ctx context.Context, account, id uuid.UUID, change store.Change) error {
	defer c.forget(id)
	return c.Store.DeleteToken(ctx, account, id, change)
}
