package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/time/rate"

	"github.com/tokenwire/tokenwire/client"
)

// rotating creates, updates and rotates tokens with idempotency keys until it is stopped, and notes every secret with its token.
type rotating struct {
	mu      sync.Mutex
	secrets map[string]string // by token: the last one that was handed out
	ended   []*client.Token   // as they were when their life had ended
	replays []func(context.Context, *client.Client) error
	calls   int
	failed  error
	changed *sync.Cond
	stop    func()
}

func (r *rotating) handedOut(token *client.Token, replay func(context.Context, *client.Client) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets[token.ID] = token.Secret.Reveal()
	if r.calls++; replay != nil && len(r.secrets)%3 == 0 {
		r.replays = append(r.replays, replay)
	}
	r.changed.Broadcast()
}

// more waits until n more calls were answered.
func (r *rotating) more(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for until := r.calls + n; r.calls < until && r.failed == nil; {
		r.changed.Wait()
	}
}

func (r *rotating) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err
	r.changed.Broadcast()
}

func beginRotating(t *testing.T, urls ...string) *rotating {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &rotating{secrets: make(map[string]string)}
	r.changed = sync.NewCond(&r.mu)
	pace := rate.NewLimiter(100, 6) // so that there is an end to what has to be sealed again
	var wg sync.WaitGroup
	for i := range 6 {
		c, err := client.New(firstProject, firstToken, client.WithBaseURL(urls[i%len(urls)]))
		check(t, err)
		wg.Go(func() {
			for n := 0; pace.Wait(ctx) == nil; n++ { // a life that was begun is lived to its end
				if err := r.life(t.Context(), c, fmt.Sprintf("%d-%d", i, n)); err != nil {
					r.fail(err)
					return
				}
			}
		})
	}
	r.stop = func() { cancel(); wg.Wait() }
	return r
}

// look reads a token from earlier, which a rotation may have sealed again just now.
func (r *rotating) look(ctx context.Context, c *client.Client) error {
	r.mu.Lock()
	if len(r.ended) == 0 {
		r.mu.Unlock()
		return nil
	}
	earlier := r.ended[rand.IntN(len(r.ended))]
	r.mu.Unlock()
	token, err := c.UpdateToken(ctx, earlier.ID, client.UpdateTokenParams{})
	if err == nil && token.Secret.Reveal() != earlier.Secret.Reveal() {
		err = fmt.Errorf("token %s has another secret than before", token.ID)
	}
	return err
}

// life is that of one token, with looks at others.
func (r *rotating) life(ctx context.Context, c *client.Client, key string) error {
	for range 5 {
		if err := r.look(ctx, c); err != nil {
			return err
		}
	}
	params := client.CreateTokenParams{Name: "Load " + key, Permissions: []client.Permission{client.PermissionFax}, IdempotencyKey: key}
	created, err := c.CreateToken(ctx, params)
	if err != nil {
		return err
	}
	r.handedOut(created, func(ctx context.Context, c *client.Client) error {
		again, err := c.CreateToken(ctx, params)
		if err == nil && (again.ID != created.ID || again.Secret.Reveal() != created.Secret.Reveal()) {
			err = fmt.Errorf("the repetition of the creation of %s has another answer", created.ID)
		}
		return err
	})
	updated, err := c.UpdateToken(ctx, created.ID, client.UpdateTokenParams{Name: new("Renamed " + key)})
	if err != nil {
		return err
	}
	if updated.Secret.Reveal() != created.Secret.Reveal() {
		return fmt.Errorf("the update of %s has another secret", created.ID)
	}
	rotated, err := c.RotateToken(ctx, created.ID, client.RotateTokenParams{IdempotencyKey: "rotate-" + key})
	if err != nil {
		return err
	}
	r.handedOut(rotated, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, rotated)
	return nil
}

// verify opens every secret that was handed out, and asks for answers again.
func (r *rotating) verify(t *testing.T, url string) {
	t.Helper()
	c, err := client.New(firstProject, firstToken, client.WithBaseURL(url))
	check(t, err)
	for id, plain := range r.secrets {
		token, err := c.UpdateToken(t.Context(), id, client.UpdateTokenParams{})
		if err != nil || token.Secret.Reveal() != plain {
			t.Fatalf("token %s has another secret than it was handed out with, or none: %v", id, err)
		}
	}
	if len(r.replays) == 0 {
		t.Error("no answer is asked for again")
	}
	for _, replay := range r.replays {
		check(t, replay(t.Context(), c))
	}
	t.Logf("%d tokens, %d answers asked for again, %d calls under load", len(r.secrets), len(r.replays), r.calls)
}

// TestKeysetRotateUnderLoad: two servers answer while the keys are rotated again and again. No call fails, every secret that was
// handed out before, meanwhile or after opens, and at the end one key has sealed everything.
func TestKeysetRotateUnderLoad(t *testing.T) {
	t.Parallel()
	rotateUnderLoad(t)
}

// rotateUnderLoad takes flags that name a database, or none.
func rotateUnderLoad(t *testing.T, flags ...string) {
	t.Helper()
	dir := t.TempDir()
	run := func(args ...string) result {
		t.Helper()
		return execute(t, dir, nil, append(args, flags...)...).want(t, 0)
	}
	s := serve(t, dir, append(flags, "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)...)
	second := serve(t, dir, flags...)
	r := beginRotating(t, s.url, second.url)
	r.more(60)
	check(t, r.failed)
	link := nextPage(t, s.url)
	for range 3 {
		leaveKeyset(t, dir)
		printed := run("keyset", "rotate")
		wantOneKeyset(t, dir)
		if !strings.Contains(printed.stdout, "Nothing is sealed with an older key any more") || !strings.Contains(printed.stdout, "sealing again: ") {
			t.Errorf("rotate printed %q", printed.stdout)
		}
		wantSealed(t, dir, flags...)
		r.more(60)
		if status := getAs(t, second.url+link); status != http.StatusOK {
			t.Errorf("a link from before the rotation: %d", status)
		}
	}
	leaveKeyset(t, dir)
	run("keyset", "prune", "--discard")
	wantOneKeyset(t, dir)
	r.more(60)
	r.stop()
	check(t, r.failed)
	wantSealed(t, dir, flags...)
	if keys := keysOn(t, dir, flags...); len(keys) != 1 {
		t.Errorf("after the pruning there are %d keys", len(keys))
	}
	r.verify(t, s.url)
	r.verify(t, second.url)
	s.stop(t)
	second.stop(t)
	restarted := serve(t, dir, flags...)
	r.verify(t, restarted.url)
	if status := getAs(t, restarted.url+link); status != http.StatusBadRequest {
		t.Errorf("a link of a key that is gone: %d", status)
	}
	restarted.stop(t)
	run("doctor")
}
