package server

import (
	"net"
	"net/http"
)

// LimitConnections limits the connections of a listener. The function is told what becomes of them.
func LimitConnections(listener net.Listener, limit int) (net.Listener, func(net.Conn, http.ConnState)) {
	c := newConnections(limit)
	return c.limit(listener), c.changed
}
