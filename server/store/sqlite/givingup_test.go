package sqlite_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/store"
)

// TestGivingUpInABatch: who does not wait any more is answered at once, also behind another change of the same batch, and
// changes nothing.
func TestGivingUpInABatch(t *testing.T) {
	t.Parallel()
	h := hold(t)
	reached, free := make(chan struct{}), make(chan struct{})
	slow := answering(h.project.ID, "slow", func() { close(reached); <-free })
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- h.CreateToken(t.Context(), h.token("slow"), slow) }()
	h.Waiting(1)
	ctx, giveUp := context.WithCancel(t.Context())
	go func() { second <- h.CreateToken(ctx, h.token("given up"), store.Change{}) }()
	h.Waiting(2)
	h.release()
	<-reached
	giveUp()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("who has given up: %v", err)
	}
	close(free)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if _, err := h.TokenBySecret(t.Context(), h.token("given up").SecretHash, time.Now()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the token of who has given up: %v", err)
	}
}

// TestGivingUpTooLate: a change that is being made is made, and who has asked for it is told so.
func TestGivingUpTooLate(t *testing.T) {
	t.Parallel()
	h := hold(t)
	h.release()
	reached, free := make(chan struct{}), make(chan struct{})
	ctx, giveUp := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		result <- h.CreateToken(ctx, h.token("begun"), answering(h.project.ID, "begun", func() { close(reached); <-free }))
	}()
	<-reached
	giveUp()
	close(free)
	told := <-result
	if err := h.CreateToken(t.Context(), h.token("after it"), store.Change{}); err != nil {
		t.Fatal(err)
	}
	_, err := h.TokenBySecret(t.Context(), h.token("begun").SecretHash, time.Now())
	if told != nil || err != nil {
		t.Errorf("who has asked for it is told %v, and looking for the token gives %v; both should be well", told, err)
	}
}

// ending is a context that has ended, and whose caller has not noticed yet.
type ending struct {
	context.Context //nolint:containedctx // it is one
	ended           atomic.Bool
}

// Err says whether it has ended.
func (e *ending) Err() error {
	if e.ended.Load() {
		return context.Canceled
	}
	return e.Context.Err()
}

// TestWhoHasGone: a change is neither made nor counted whose caller does not wait any more, or is about to notice that.
func TestWhoHasGone(t *testing.T) {
	t.Parallel()
	h := hold(t)
	var mu sync.Mutex
	var batches []int
	h.ObserveBatches(func(b store.Batch) {
		mu.Lock()
		defer mu.Unlock()
		batches = append(batches, b.Changes)
	})
	noticed, giveUp := context.WithCancel(t.Context())
	unnoticed := &ending{Context: t.Context()}
	results := make([]chan error, 3)
	for i, ctx := range []context.Context{noticed, unnoticed, t.Context()} {
		results[i] = make(chan error, 1)
		go func() { results[i] <- h.CreateToken(ctx, h.token(strconv.Itoa(i)), store.Change{}) }()
		h.Waiting(i + 1)
	}
	giveUp()
	gone := <-results[0]
	unnoticed.ended.Store(true)
	h.release()
	for i, err := range []error{gone, <-results[1], <-results[2]} {
		_, none := h.TokenBySecret(t.Context(), h.token(strconv.Itoa(i)).SecretHash, time.Now())
		if waits := i == 2; errors.Is(err, context.Canceled) == waits || (none == nil) != waits {
			t.Errorf("caller %d is told %v, and looking for the token gives %v", i, err, none)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(batches, []int{1, 1}) {
		t.Errorf("the batches have %v changes, want that which was held, and then the one whose caller waits", batches)
	}
}
