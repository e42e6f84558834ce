package metrics_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/store"
)

// writing is a store whose batches a test makes up.
type writing struct {
	store.Store
	observe func(store.Batch)
}

// Ping always answers.
func (*writing) Ping(context.Context) error { return nil }

// WaitingChanges is how many wait.
func (*writing) WaitingChanges() int { return 7 }

// ObserveBatches keeps who wants to know.
func (w *writing) ObserveBatches(observe func(store.Batch)) { w.observe = observe }

// TestBatches: what is committed counts with its changes and its time, and what is not with neither.
func TestBatches(t *testing.T) {
	t.Parallel()
	db, figures := &writing{}, metrics.New("test")
	none := func() int { return 0 }
	if err := figures.Watch(metrics.Sources{
		Store: db, InFlight: none, Running: none, Connections: none, Callers: none, MaxConnections: none, ReplacedConnections: func() uint64 { return 0 },
	}); err != nil {
		t.Fatal(err)
	}
	for _, batch := range []store.Batch{
		{Changes: 3, Took: 2 * time.Millisecond, Outcome: store.Committed}, {Changes: 4, Took: 1500 * time.Millisecond, Outcome: store.Committed},
		{Changes: 100, Took: time.Hour, Outcome: store.Unchanged}, {Changes: 100, Took: time.Hour, Outcome: store.Failed},
	} {
		db.observe(batch)
	}
	recorder := httptest.NewRecorder()
	figures.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	for _, want := range []string{
		"tokenwire_store_batch_changes_sum 7", "tokenwire_store_batch_changes_count 2",
		"tokenwire_store_commit_duration_seconds_sum 1.502", "tokenwire_store_commit_duration_seconds_count 2",
		"tokenwire_store_batches_failed_total 1", "tokenwire_store_waiting_changes 7", "tokenwire_store_up 1",
	} {
		if !strings.Contains(recorder.Body.String(), "\n"+want+"\n") {
			t.Errorf("there is no line %q", want)
		}
	}
}
