package server

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"time"
)

// patience is how long a connection may be without a request before another may take its place.
const patience = time.Second

// connections bounds how many connections are open. When there are too many, the one goes that has been without a request for
// longest, or does not take the answer to it, so that nobody keeps others out by connections that ask for nothing. New ones wait until
// there is one.
type connections struct {
	max int

	mu      sync.Mutex
	changes *sync.Cond
	open    int
	// replaced counts those that had to go.
	replaced uint64
	closed   bool // nobody is let in any more
	// waiting has the connections that have no request, the one first that has had none for longest, and places where they are in it.
	waiting *list.List
	places  map[net.Conn]*list.Element
	// leaving are those that were given up and are not closed yet.
	leaving map[net.Conn]struct{}
	look    *time.Timer // when one will have waited for long enough
}

// waitingConn is a connection, and since when it has no request.
type waitingConn struct {
	net.Conn
	since time.Time
}

func newConnections(limit int) *connections {
	c := &connections{
		max: limit, waiting: list.New(), places: make(map[net.Conn]*list.Element), leaving: make(map[net.Conn]struct{}),
	}
	c.changes = sync.NewCond(&c.mu)
	c.look = time.AfterFunc(time.Hour, c.wake)
	c.look.Stop()
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

// wake takes the lock, so that it does not come between the look and the wait of admit.
func (c *connections) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes.Broadcast()
}

// admit makes room for one more connection, unless the listener has been closed.
func (c *connections) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.max && !c.closed {
		if c.open-len(c.leaving) >= c.max {
			c.giveUpOne()
		}
		c.changes.Wait()
	}
	if !c.closed {
		c.open++
	}
	return !c.closed
}

// giveUpOne closes the connection that has waited for longest, if that was long enough, and makes sure that it will be looked at again
// if not.
func (c *connections) giveUpOne() {
	first := c.waiting.Front()
	if first == nil {
		return
	}
	conn := first.Value.(waitingConn)
	if left := patience - time.Since(conn.since); left > 0 {
		c.look.Reset(left)
		return
	}
	c.hasRequest(conn.Conn)
	c.leaving[conn.Conn] = struct{}{}
	c.replaced++
	go func() { _ = conn.Close() }() // TLS takes leave first; net/http says when it is closed
}

func (c *connections) hasRequest(conn net.Conn) {
	if place, ok := c.places[conn]; ok {
		c.waiting.Remove(place)
		delete(c.places, conn)
	}
}

// answering is told of a connection whose request is carried out and whose answer is long: it can be given up like one that has no
// request.
func (c *connections) answering(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, waits := c.places[conn]
	if _, leaving := c.leaving[conn]; waits || leaving {
		return
	}
	c.places[conn] = c.waiting.PushBack(waitingConn{conn, time.Now()})
	c.changes.Broadcast()
}

// changed is told by net/http what becomes of each connection.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hasRequest(conn)
	_, leaving := c.leaving[conn]
	switch state {
	case http.StateNew, http.StateIdle:
		if !leaving {
			c.places[conn] = c.waiting.PushBack(waitingConn{conn, time.Now()})
		}
	case http.StateActive:
	case http.StateClosed, http.StateHijacked:
		delete(c.leaving, conn)
		c.open--
	}
	c.changes.Broadcast()
}
