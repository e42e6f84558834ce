package server

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/store"
)

// unknownStatuses are those of requests that are no operation of the contract. 204 is Echo's to OPTIONS.
func unknownStatuses() []int {
	return []int{http.StatusNoContent, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusInternalServerError, http.StatusServiceUnavailable}
}

// measurement is what a server has besides when it is measured.
type measurement struct {
	*metrics.Metrics
	operations map[string]*metrics.Operation // by operationId; no request adds to it
	unknown    *metrics.Operation
	inFlight   atomic.Int64
}

// newMeasurement prepares the series of each operation. Without Metrics in the Config there is no measurement.
func (s *Server) newMeasurement(db store.Store) (*measurement, error) {
	if s.config.Metrics == nil {
		return nil, nil //nolint:nilnil // nothing is measured
	}
	m := &measurement{Metrics: s.config.Metrics, operations: make(map[string]*metrics.Operation, len(s.operations))}
	for id, op := range s.operations {
		if !op.sandbox || s.config.Sandbox != nil {
			m.operations[id] = m.Operation(id, op.statuses)
		}
	}
	m.unknown = m.Operation(metrics.Unknown, unknownStatuses())
	callers := func() int { return 0 }
	if s.callers != nil {
		callers, s.callers.measured = s.callers.known.Len, m.Metrics
	}
	return m, m.Watch(metrics.Sources{
		Store:    db,
		InFlight: func() int { return int(m.inFlight.Load()) },
		Running:  func() int { return int(s.running.Load()) },
		Callers:  callers,
		Connections: func() int {
			open, _ := s.connections.Load().count()
			return open
		},
		ReplacedConnections: func() uint64 {
			_, replaced := s.connections.Load().count()
			return replaced
		},
		MaxRunning: s.config.MaxRequests, MaxConnections: s.maxConnections,
	})
}

// measure counts each request, when its answer is written.
func (m *measurement) measure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began, asked := time.Now(), c.Request().Context()
		m.inFlight.Add(1)
		defer m.inFlight.Add(-1)
		err := next(c)
		if err != nil {
			c.Error(err) // through writeError, so that there is a status
		}
		status := c.Response().Status
		if hasHungUp(asked, status) {
			status = 0 // nobody got that
		}
		op := m.unknown
		if known := notesOf(c.Request().Context()).op; known != nil {
			op = m.operations[known.id]
		}
		op.Done(status, time.Since(began))
		return nil
	}
}

// failed counts a request that has ended in an error, by what it means for who runs the server.
func (m *measurement) failed(err error, p *problem) {
	if m == nil {
		return
	}
	switch {
	case errors.Is(err, errOverloaded):
		m.Shed()
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		m.Unavailable()
	case p == errCredential:
		m.Refused(metrics.WrongCredential)
	case p.code == codeTooManyRequests:
		m.Refused(metrics.RateLimited)
	case p.lacks:
		m.Refused(metrics.MissingPermission)
	case p.code == codeAuthentication:
		m.Refused(metrics.OriginalRequest)
	}
}
