package server

import (
	"net"
	"net/http"
	"time"
)

// LimitConnections limits the connections of a listener. The function is told what becomes of them.
func LimitConnections(listener net.Listener, limit int) (net.Listener, func(net.Conn, http.ConnState)) {
	c := newConnections(limit)
	return c.limit(listener), c.changed
}

// SetTimeouts sets how long a client may take for a step of an answer, and for its end.
func (s *Server) SetTimeouts(answer, end time.Duration) { s.answerTimeout, s.endTimeout = answer, end }

// IsFull reports whether somebody waits for a connection.
func (s *Server) IsFull() bool {
	c := s.connections.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wanted
}
