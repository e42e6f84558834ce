package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenwire/tokenwire/server/store"
)

// pingTimeout bounds how long the database may make a scrape wait.
const pingTimeout = 2 * time.Second

// Sources are asked for a figure when somebody reads it. None may be nil.
type Sources struct {
	InFlight, Running   func() int // requests that are not answered yet, and those of them that are carried out
	Connections         func() int
	Callers             func() int    // that are remembered
	ReplacedConnections func() uint64 // that were closed because others needed their place
	MaxRunning          int
	MaxConnections      func() int
	Store               store.Store
}

// Watch registers the figures that are read from a server, and observes the batches of its store. A Metrics can watch one server;
// the second is an error.
func (m *Metrics) Watch(s Sources) error {
	waiting := func() int { return 0 }
	measured, ok := s.Store.(store.Measured)
	if ok {
		waiting = measured.WaitingChanges
	}
	for _, collector := range []prometheus.Collector{
		gauge("http_requests_in_flight", "Requests that are not answered yet.", s.InFlight),
		gauge("http_requests_running", "Requests that are being carried out: authenticated, read and valid.", s.Running),
		gauge("http_requests_running_limit", "How many requests may be carried out at once.", func() int { return s.MaxRunning }),
		gauge("connections_open", "Open connections.", s.Connections),
		gauge("connections_limit", "How many connections may be open.", s.MaxConnections),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "connections_replaced_total", Help: "Connections without a request, or slow to send a body or to take a long answer, that were closed to make room for others.",
		}, func() float64 { return float64(s.ReplacedConnections()) }),
		gauge("caller_cache_entries", "Credentials that are remembered.", s.Callers),
		gauge("store_waiting_changes", "Changes that wait to be written.", waiting),
		gauge("store_up", "1 if the database answers, asked at the time of this scrape, and 0 if not.", func() int { return up(s.Store) }),
	} {
		if err := m.registry.Register(collector); err != nil {
			return err
		}
	}
	if ok {
		measured.ObserveBatches(m.observe)
	}
	return nil
}

func gauge(name, help string, read func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, func() float64 { return float64(read()) })
}

func up(db store.Store) int {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	if db.Ping(ctx) != nil {
		return 0
	}
	return 1
}

func (m *Metrics) observe(batch store.Batch) {
	switch batch.Outcome {
	case store.Failed:
		m.lost.Inc()
	case store.Committed:
		m.batches.Observe(float64(batch.Changes))
		m.commits.Observe(batch.Took.Seconds())
	case store.Unchanged: // it has waited for no disk and no standby
	}
}
