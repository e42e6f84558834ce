package server

import (
	"net"
	"net/http"
	"time"
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
	c := s.connections.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wanted
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
