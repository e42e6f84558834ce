package server

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// LimitConnections limits the connections of a listener. The function is told what becomes of them.
func LimitConnections(listener net.Listener, limit int) (net.Listener, func(net.Conn, http.ConnState)) {
	c := newConnections(limit)
	return c.limit(listener, func(error) {}), c.changed
}

// SetTimeouts sets how long a client may take for a step of an answer, and for its end.
func (s *Server) SetTimeouts(answer, end time.Duration) { s.answerTimeout, s.endTimeout = answer, end }

// SetWriteTimeout sets how long a client may take for an answer, whatever it takes in each step.
func (s *Server) SetWriteTimeout(whole time.Duration) { s.writeTimeout = whole }

// IsFull reports whether somebody waits for a connection.
func (s *Server) IsFull() bool {
	wanted, _ := s.connections.Load().waits()
	return wanted
}

// Waits reports whether somebody waits for a connection of a listener that is limited, and how many were given up.
func Waits(listener net.Listener) (bool, uint64) {
	return listener.(limitedListener).connections.waits()
}

func (c *connections) waits() (bool, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wanted, c.replaced
}

// Remembered returns how many connections are remembered in any way.
func (s *Server) Remembered() int { return s.connections.Load().remembered() }

func (c *connections) remembered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open + len(c.all) + c.leaving + c.waiting.Len() + c.strangers.Len()
}

// RememberedOfClosed tells a limit what a handler may have to say of a connection that is closed already, and returns how many are
// remembered then.
func RememberedOfClosed(conn net.Conn) int {
	c := newConnections(1)
	c.admit()
	for _, state := range []http.ConnState{http.StateNew, http.StateActive, http.StateClosed} {
		c.changed(conn, state)
	}
	own := &streamsOf{connections: c, conn: conn}
	c.loggedIn(conn)
	c.answering(conn, false)
	own.slow.Add(1)
	c.settle(own)
	return c.remembered()
}

// RememberedCallers returns how many of n callers, who all are known to db, are remembered.
func RememberedCallers(ctx context.Context, db store.Store, n int) (int, error) {
	callers, err := newCallers(db, db)
	if err != nil {
		return 0, err
	}
	for i := range n {
		hash := store.SecretHash{byte(i), byte(i >> 8)}
		if _, err := callers.ask(ctx, uuid.Nil, hash, time.Time{}); err != nil {
			return 0, err
		}
	}
	return callers.known.Len(), nil
}

// HoldLargeBodies takes all turns of large bodies, until the function is called that it returns.
func (s *Server) HoldLargeBodies() func() {
	turns := int64(max(2, runtime.GOMAXPROCS(0)))
	_ = s.largeBodies.Acquire(context.Background(), turns) // nobody else has one
	return func() { s.largeBodies.Release(turns) }
}

// CanGoAfterReset reports whether a connection of HTTP/2 can be given up when the client has taken its only request back, before and
// after the handler is done with that.
func CanGoAfterReset(conn net.Conn, logIn bool) (bool, bool) {
	c := newConnections(1)
	c.admit()
	own := &streamsOf{connections: c, conn: conn}
	c.changed(conn, http.StateNew)
	c.changed(conn, http.StateActive)
	own.begin()
	c.changed(conn, http.StateIdle)
	before := c.all[conn].in != nil
	if logIn {
		c.loggedIn(conn)
	}
	own.finish()
	own.answerLeft()
	return before, c.all[conn].in != nil
}
