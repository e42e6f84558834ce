package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

const shortly = 100 * time.Millisecond

func TestMeasureCountsWhatTheServerHasAnswered(t *testing.T) {
	t.Parallel()
	var err error
	for window := shortly; window < time.Minute; window *= 2 { // on a machine that is busy nothing may happen in a short one
		if err = countAnswers(t.Context(), window); err == nil {
			return
		}
	}
	t.Error(err)
}

func countAnswers(ctx context.Context, window time.Duration) error {
	var mu sync.Mutex
	connections := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		connections[r.RemoteAddr]++
	}))
	defer server.Close()
	get := &target{address: server.Listener.Addr().String(), status: http.StatusOK, prepare: toRoot}
	got, err := get.measure(ctx, slot{connections: 4, warmUp: window, measured: window})
	if err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	answered := 0
	for _, n := range connections {
		answered += n
	}
	counted := got.latencies.TotalCount()
	if len(connections) != 4 || counted == 0 || counted >= int64(answered) {
		return fmt.Errorf("%d of %d answers over %d connections were counted, want those after the warm-up over 4", counted, answered, len(connections))
	}
	if want := float64(counted) / window.Seconds(); got.rate != want {
		return fmt.Errorf("the rate is %v, want %v", got.rate, want)
	}
	return nil
}

func TestMeasureFailsOnAnUnexpectedStatus(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such token", http.StatusNotFound)
	}))
	defer server.Close()
	get := &target{address: server.Listener.Addr().String(), status: http.StatusOK, prepare: toRoot}
	_, err := get.measure(t.Context(), slot{connections: 2, measured: shortly})
	if err == nil || !strings.Contains(err.Error(), "was answered 404, not 200: no such token") {
		t.Errorf("the error is %v", err)
	}
}

// What runs out ends the window: the time without calls is not part of the rate.
func TestMeasureEndsWhenTheCallsRunOut(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	left := &queue[string]{}
	left.add(make([]string, 50))
	get := &target{address: server.Listener.Addr().String(), status: http.StatusNotFound, prepare: func(n uint64, r *fasthttp.Request) bool {
		_, ok := left.next()
		return toRoot(n, r) && ok
	}}
	got, err := get.measure(t.Context(), slot{connections: 2, measured: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if got.latencies.TotalCount() != 50 || got.rate < 1 || left.size() != 0 {
		t.Errorf("%d answers were counted, %v in a second, with %d left", got.latencies.TotalCount(), got.rate, left.size())
	}
}

func toRoot(_ uint64, request *fasthttp.Request) bool {
	request.SetRequestURI("/")
	return true
}
