package guard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/client/guard"
)

const nobody = "00000000-0000-4000-8000-000000000000"

// joining is a context that says when somebody waits for its end: the guard does as soon as the request has a part in a question.
type joining struct {
	context.Context //nolint:containedctx // it is one
	joined          func()
}

// Done says so.
func (c joining) Done() <-chan struct{} {
	c.joined()
	return c.Context.Done()
}

// send sends a request with a good credential, and returns when it has a part in a question. Its status comes later.
func (w *world) send(ctx context.Context, t *testing.T, handler http.Handler) <-chan int {
	t.Helper()
	joined, status := make(chan struct{}), make(chan int, 1)
	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody).WithContext(joining{ctx, sync.OnceFunc(func() { close(joined) })})
	request.SetBasicAuth(w.ProjectID, w.Token)
	go func() {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		status <- recorder.Code
	}()
	select {
	case <-joined:
	case <-time.After(30 * time.Second):
		t.Fatal("the request does not wait for an answer")
	}
	return status
}

// TestLateForAQuestion: who comes when the lifetime of a question is over, and its answer is not there, is not told what was true then.
func TestLateForAQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.keep = make(chan struct{})
	handler := w.guard(t, guard.WithLifetime(time.Nanosecond)).Require()(http.HandlerFunc(who))
	first := w.send(t.Context(), t, handler)
	<-w.answered
	late := w.send(t.Context(), t, handler)
	if err := w.manager.DeleteToken(t.Context(), w.TokenID); err != nil {
		t.Fatal(err)
	}
	close(w.keep)
	if status := <-first; status != http.StatusOK {
		t.Errorf("who has asked before the token was deleted got %d", status)
	}
	if status := <-late; status != http.StatusUnauthorized {
		t.Errorf("who was late got %d, want 401", status)
	}
	if asked := w.asked.Load(); asked != 2 {
		t.Errorf("%d questions, want 2", asked)
	}
}

// TestGoneFromAQuestion: who hangs up is not kept, and does not take the question away from those who wait for its answer as well.
func TestGoneFromAQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.hold = make(chan struct{})
	release := sync.OnceFunc(func() { close(w.hold) })
	defer release()
	handler := w.guard(t, guard.WithLifetime(time.Minute)).Require()(http.HandlerFunc(who))
	ctx, hangUp := context.WithCancel(t.Context())
	first := w.send(ctx, t, handler)
	<-w.arrived
	other := w.send(t.Context(), t, handler)
	hangUp()
	select {
	case status := <-first:
		if status != http.StatusServiceUnavailable {
			t.Errorf("who has hung up got %d", status)
		}
	case status := <-other:
		t.Errorf("the other one got %d before there was an answer", status)
	case <-time.After(30 * time.Second):
		t.Error("who has hung up is kept")
	}
	release()
	if status := <-other; status != http.StatusOK {
		t.Errorf("the other one got %d", status)
	}
	if asked := w.asked.Load(); asked != 1 {
		t.Errorf("%d questions, want 1", asked)
	}
}

// TestAskedOnce: whoever waits for the guard is told at once what came, also when that was not from tokenwire and says no more.
func TestAskedOnce(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{401: 401, 403: 403, 429: 429, 500: 503, 502: 503, 503: 503, 504: 503} {
		var asked atomic.Int32
		ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(status)
		}))
		t.Cleanup(ill.Close)
		g, err := guard.New(ill.URL)
		if err != nil {
			t.Fatal(err)
		}
		if documented(t, call(g.Require()(http.HandlerFunc(who)), nobody, "token"), want); asked.Load() != 1 {
			t.Errorf("%d: %d questions, want 1", status, asked.Load())
		}
	}
}

// askedUntil is a transport that notes until when an answer is waited for.
type askedUntil struct{ end time.Time }

// RoundTrip fails.
func (a *askedUntil) RoundTrip(r *http.Request) (*http.Response, error) {
	a.end, _ = r.Context().Deadline()
	return nil, errors.New("no answer")
}

// TestTimeout: a question has its time, which is the guard's and not the client's.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{0, time.Minute, time.Hour} {
		until := &askedUntil{}
		options := []guard.Option{guard.WithClient(client.WithHTTPClient(&http.Client{Transport: until}), client.WithTimeout(2*time.Hour))}
		if timeout > 0 {
			options = append(options, guard.WithTimeout(timeout))
		} else {
			timeout = 5 * time.Second
		}
		g, err := guard.New("http://127.0.0.1", options...)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		documented(t, call(g.Require()(http.HandlerFunc(who)), nobody, "token"), 503)
		if until.end.Before(began.Add(timeout)) || until.end.After(time.Now().Add(timeout)) {
			t.Errorf("the answer is waited for until %v after the beginning, want %v", until.end.Sub(began), timeout)
		}
	}
}
