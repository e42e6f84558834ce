package server

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// patience is how long a connection may be without a request before another may take its place.
const patience = time.Second

// connections bounds how many connections are open. When there are too many, the one goes that has been without a request for
// longest, so that nobody keeps others out by connections that ask for nothing. New ones wait until there is one.
type connections struct {
	max int

	mu      sync.Mutex
	changes *sync.Cond
	open    int
	// replaced counts those that had to go.
	replaced uint64
	closed   bool                   // nobody is let in any more
	waiting  map[net.Conn]time.Time // since when they have had no request
}

func newConnections(limit int) *connections {
	c := &connections{max: limit, waiting: make(map[net.Conn]time.Time)}
	c.changes = sync.NewCond(&c.mu)
	return c
}

// limit returns a listener that admits no more connections than may be open.
func (c *connections) limit(listener net.Listener) net.Listener { return limitedListener{listener, c} }

type limitedListener struct {
	net.Listener
	connections *connections
}

// Accept waits for a connection, and for its turn.
func (l limitedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !l.connections.admit() {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return conn, nil
}

// Close closes the listener, also for who waits for their turn.
func (l limitedListener) Close() error {
	l.connections.close()
	return l.Listener.Close()
}

// count returns how many connections are open, and how many have been closed to make room. Before there is a listener that is none.
func (c *connections) count() (int, uint64) {
	if c == nil {
		return 0, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, c.replaced
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.changes.Broadcast()
}

// admit makes room for one more connection, unless the listener has been closed.
func (c *connections) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.max && !c.closed {
		idle, since := c.longestWaiting()
		switch left := patience - time.Since(since); {
		case idle == nil:
		case left <= 0:
			delete(c.waiting, idle)
			c.replaced++
			go func() { _ = idle.Close() }() // TLS takes leave first; net/http says when it is closed
		default:
			time.AfterFunc(left, c.changes.Broadcast)
		}
		c.changes.Wait()
	}
	if !c.closed {
		c.open++
	}
	return !c.closed
}

func (c *connections) longestWaiting() (net.Conn, time.Time) {
	var found net.Conn
	var oldest time.Time
	for conn, since := range c.waiting {
		if found == nil || since.Before(oldest) {
			found, oldest = conn, since
		}
	}
	return found, oldest
}

// changed is told by net/http what becomes of each connection.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew, http.StateIdle:
		c.waiting[conn] = time.Now()
	case http.StateActive:
		delete(c.waiting, conn)
	case http.StateClosed, http.StateHijacked:
		delete(c.waiting, conn)
		c.open--
	}
	c.changes.Broadcast()
}
