// Package metrics counts what a server does, for Prometheus, and serves the figures on a listener of their own.
//
// Nothing that comes from a request becomes a label: operations are those of the contract, statuses those that it documents for
// them, and everything else shares one value. All series exist from the start, at 0, so that the first event shows as an
// increase, and so that a request finds its series without a search by label.
//
//	figures := metrics.New(version)
//	srv, err := server.New(server.Config{Metrics: figures, …})
//	err = figures.Serve(ctx, listener, logger) // until ctx ends
package metrics

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const namespace = "tokenwire"

// Metrics are the figures of one server. Its methods may be called from many goroutines at once.
type Metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	batches   prometheus.Histogram
	commits   prometheus.Histogram
	lost      prometheus.Counter

	shed, unavailable prometheus.Counter
	refused           [refusals]prometheus.Counter
	hits, misses      prometheus.Counter

	droppedLines atomic.Pointer[func() uint64] // nil: nobody counts them
}

// Refusal says why a request was not let in.
type Refusal int

// The reasons to refuse a request.
const (
	WrongCredential Refusal = iota
	MissingPermission
	OriginalRequest // what a gateway asks about is not open to the caller, whatever its permissions
	RateLimited
	refusals // how many there are
)

func (r Refusal) label() string {
	switch r {
	case WrongCredential:
		return "wrong_credential"
	case MissingPermission:
		return "missing_permission"
	case OriginalRequest:
		return "original_request"
	default:
		return "rate_limited"
	}
}

// New returns the figures of a server that has not done anything yet. version is the program's.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "http_requests_total",
			Help: "Requests that are done with, by operation of the contract and status of the answer; status none: the client got no answer.",
		}, []string{"operation", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_duration_seconds",
			Help:    "Time from the headers of a request to its answer, the time in which its body arrives included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"operation"}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "store_batch_changes",
			Help:    "Changes that have shared one commit, with those of them that were refused.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 8), // 1 to 128, which is the most that share one
		}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "store_commit_duration_seconds",
			Help:    "Time that changes took, all attempts included, until they were durable.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		lost:        counter("store_batches_failed_total", "Batches of changes that the database has failed, after all attempts. Requests for them are answered 503. They were not made, unless it was the commit that failed: then they may have been."),
		shed:        counter("http_requests_shed_total", "Requests that were answered 503 because too many others were being carried out."),
		unavailable: counter("store_unavailable_total", "Requests that the database did not answer, or not in time."),
	}
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "auth_failures_total", Help: "Requests that were not let in, by reason.",
	}, []string{"reason"})
	for reason := range refusals {
		m.refused[reason] = failures.WithLabelValues(reason.label())
	}
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "caller_cache_lookups_total",
		Help: "Credentials that were looked for in memory; what is not there is looked up in the database.",
	}, []string{"result"})
	m.hits, m.misses = lookups.WithLabelValues("hit"), lookups.WithLabelValues("miss")
	dropped := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "log_lines_dropped_total", Help: "Lines of the log that were dropped, because nobody has read them in time or they could not be written.",
	}, m.dropped)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "The program: always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister( // it panics if two of these have one name, which no input changes
		m.requests, m.durations, m.batches, m.commits, m.lost, m.shed, m.unavailable, failures, lookups, dropped, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

// Unknown is the operation of a request that is none of the contract's.
const Unknown = "unknown"

// The statuses that no contract has.
const (
	noAnswer    = "none"  // the client has hung up, or a fault of a sandbox has broken its connection
	otherStatus = "other" // not documented for the operation
)

// Operation counts the requests of one operation.
type Operation struct {
	byStatus     map[int]prometheus.Counter
	none, other  prometheus.Counter
	distribution prometheus.Observer
}

// Operation returns what counts the requests of an operation with these statuses.
func (m *Metrics) Operation(id string, statuses []int) *Operation {
	op := &Operation{
		byStatus:     make(map[int]prometheus.Counter, len(statuses)),
		none:         m.requests.WithLabelValues(id, noAnswer),
		other:        m.requests.WithLabelValues(id, otherStatus),
		distribution: m.durations.WithLabelValues(id),
	}
	for _, status := range statuses {
		op.byStatus[status] = m.requests.WithLabelValues(id, strconv.Itoa(status))
	}
	return op
}

// Done counts a request that is done with. Its status is 0 when the client got no answer; how long that took says nothing.
func (o *Operation) Done(status int, took time.Duration) {
	counter, documented := o.byStatus[status]
	switch {
	case status == 0:
		o.none.Inc()
		return
	case !documented:
		counter = o.other
	}
	counter.Inc()
	o.distribution.Observe(took.Seconds())
}

// Refused counts a request that was not let in.
func (m *Metrics) Refused(why Refusal) { m.refused[why].Inc() }

// Shed counts a request that was refused because there were too many others.
func (m *Metrics) Shed() { m.shed.Inc() }

// Unavailable counts a request that the database did not answer.
func (m *Metrics) Unavailable() { m.unavailable.Inc() }

// WatchLog lets the lines of the log that were dropped be counted by who has dropped them.
func (m *Metrics) WatchLog(dropped func() uint64) { m.droppedLines.Store(&dropped) }

func (m *Metrics) dropped() float64 {
	if dropped := m.droppedLines.Load(); dropped != nil {
		return float64((*dropped)())
	}
	return 0
}

// LookedUp counts a look for a caller in memory.
func (m *Metrics) LookedUp(found bool) {
	if found {
		m.hits.Inc()
		return
	}
	m.misses.Inc()
}
