package batch_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/batch"
)

// waiting returns when so many changes wait.
func waiting[C any](q *batch.Queue[C], n int) {
	for q.Waiting() < n {
		runtime.Gosched()
	}
}

// asked is a queue with changes that wait, each with its number, and where their results go.
func asked(t *testing.T, n, maxBatch int) (*batch.Queue[int], []chan error) {
	t.Helper()
	q := batch.New[int](maxBatch, n)
	results := make([]chan error, n)
	for i := range n {
		results[i] = make(chan error, 1)
		go func() { results[i] <- q.Do(context.WithoutCancel(t.Context()), i) }()
		waiting(q, i+1)
	}
	return q, results
}

func TestBatchesKeepTheOrderAndTheBound(t *testing.T) {
	t.Parallel()
	q, results := asked(t, 5, 2)
	next := 0
	for _, size := range []int{2, 2, 1} {
		jobs := q.Next()
		if len(jobs) != size {
			t.Fatalf("a batch has %d changes, want %d", len(jobs), size)
		}
		for _, j := range jobs {
			if j.Change != next || !j.Take() || j.Take() {
				t.Errorf("change %d comes in place of %d, or was taken twice", j.Change, next)
			}
			next++
			j.Finish(nil)
		}
	}
	for i := range results {
		if err := <-results[i]; err != nil {
			t.Error(err)
		}
	}
}

func TestOneMoreThanMayWaitIsRefused(t *testing.T) {
	t.Parallel()
	q, results := asked(t, 3, 3)
	if err := q.Do(t.Context(), 3); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("one more than may wait: %v", err)
	}
	q.Close()
	for i := range results {
		if err := <-results[i]; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("who waits when the queue is closed: %v", err)
		}
	}
	if err := q.Do(t.Context(), 4); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("who comes when the queue is closed: %v", err)
	}
}

// TestCloseEndsEveryWriter: all of them wait when the queue is closed, and one signal has to go round.
func TestCloseEndsEveryWriter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := batch.New[int](1, 1)
		var ended atomic.Int32
		for range 4 {
			go func() {
				if jobs := q.Next(); jobs != nil {
					t.Errorf("a closed queue has %d changes", len(jobs))
				}
				ended.Add(1)
			}()
		}
		synctest.Wait()
		q.Close()
		synctest.Wait()
		if ended.Load() != 4 {
			t.Fatalf("%d of 4 writers have ended", ended.Load())
		}
	})
}

func TestGivingUp(t *testing.T) {
	t.Parallel()
	q := batch.New[string](2, 2)
	early, giveUpEarly := context.WithCancel(t.Context())
	late, giveUpLate := context.WithCancel(t.Context())
	results := map[string]chan error{"early": make(chan error, 1), "late": make(chan error, 1)}
	for i, c := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // it is given up below
	}{{"early", early}, {"late", late}} {
		go func() { results[c.name] <- q.Do(c.ctx, c.name) }()
		waiting(q, i+1)
	}
	giveUpEarly()
	if err := <-results["early"]; !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up while nobody has begun: %v", err)
	}
	jobs := q.Next()
	if jobs[0].Take() {
		t.Error("a change is taken whose caller has gone")
	}
	if !jobs[1].Take() {
		t.Fatal("a change is not there whose caller waits")
	}
	giveUpLate()
	made := errors.New("what became of it")
	jobs[1].Finish(made)
	if err := <-results["late"]; !errors.Is(err, made) {
		t.Errorf("who gives up when the change is begun: %v", err)
	}
	if err := q.Do(early, "ended"); !errors.Is(err, context.Canceled) || q.Waiting() != 0 {
		t.Errorf("who had given up before: %v", err)
	}
}

func TestPanicBelongsToItsCaller(t *testing.T) {
	t.Parallel()
	q := batch.New[func() error](1, 1)
	panicked := make(chan any, 1)
	go func() {
		defer func() { panicked <- recover() }()
		_ = q.Do(context.WithoutCancel(t.Context()), func() error { panic("a slip") })
	}()
	job := q.Next()[0]
	if err := job.Call(job.Change); err == nil || !job.Panicked() {
		t.Errorf("the panic is not seen: %v", err)
	}
	job.Finish(nil)
	if cause := <-panicked; cause == nil {
		t.Error("the caller has not got its panic")
	}
}
