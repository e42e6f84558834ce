package server

import (
	"container/list"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// patience is how long a connection may be without a request before another may take its place, when it is a new one, or one by
// which somebody has logged in.
const patience = time.Second

// sendBuffer is what the system is asked to keep of what a client has not taken; Linux keeps twice as much. It tells of progress when a
// third of that has been taken: were it as large as it may become, megabytes, who takes an answer slowly would seem to take none.
const sendBuffer = 64 << 10

// connections bounds how many connections are open. When there are too many, the one goes that has been without a request for
// longest, or does not take the answer to it, so that nobody keeps others out by connections that ask for nothing. Strangers, by whose
// connection nobody has logged in, go first, and at once: else they could keep everybody out by asking for very little. New ones wait
// until there is one.
type connections struct {
	max int

	mu      sync.Mutex
	changes *sync.Cond
	open    int // with those that were let in and are not in all yet
	// replaced counts those that had to go, and leaving those of them that are not closed yet.
	replaced uint64
	leaving  int
	closed   bool // nobody is let in any more
	wanted   bool // somebody waits to be let in
	// waiting has the connections that have no request, the one first that has had none for longest.
	waiting *list.List
	// strangers has, in the same order, those that have had a request, and never a good credential.
	strangers *list.List
	// all are those that are open. A handler may have something to say of a connection of HTTP/2 that is closed already, and that must
	// not be remembered.
	all  map[net.Conn]*connection
	look *time.Timer // when one will have waited for long enough

	unfinished atomic.Int64 // bytes of headers that are not complete
}

// connection is one that is open.
type connection struct {
	net.Conn
	known   bool // somebody has logged in by it
	leaving bool // it was given up
	idle    bool // net/http says that it has no request; over HTTP/2 one that was taken back may be carried out still

	in    *list.List    // waiting or strangers; nil while it has a request
	place *list.Element // where in it
	since time.Time     // and since when
}

func newConnections(limit int) *connections {
	c := &connections{max: limit, waiting: list.New(), strangers: list.New(), all: make(map[net.Conn]*connection)}
	c.changes = sync.NewCond(&c.mu)
	c.look = time.AfterFunc(time.Hour, c.wake)
	c.look.Stop()
	return c
}

// limit returns a listener that admits no more connections than may be open. outOfFiles is called, once, when there could be no more
// before, because the system opens no more files.
func (c *connections) limit(listener net.Listener, outOfFiles func(error)) net.Listener {
	var once sync.Once
	return limitedListener{listener, c, func(err error) { once.Do(func() { outOfFiles(err) }) }}
}

type limitedListener struct {
	net.Listener
	connections *connections
	outOfFiles  func(error)
}

// Accept waits for a connection, and for its turn.
func (l limitedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		l.outOfFiles(err)
		l.connections.replaceOne() // net/http tries again after a while
	}
	if err != nil {
		return nil, err
	}
	if !l.connections.admit() {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // else it is larger
		return &receiving{TCPConn: tcp, all: &l.connections.unfinished}, nil
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
		c.wanted = true
		c.makeRoom()
		c.changes.Wait()
	}
	c.wanted = false
	if !c.closed {
		c.open++
	}
	return !c.closed
}

// replaceOne gives a connection up, unless one is leaving already.
func (c *connections) replaceOne() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving == 0 {
		c.giveUpOne()
	}
}

// makeRoom gives a connection up for one who waits, unless one is leaving already.
func (c *connections) makeRoom() {
	if c.wanted && c.open-c.leaving >= c.max {
		c.giveUpOne()
	}
}

// giveUpOne closes the stranger that has waited for longest, or else the connection that has, if that was long enough, and makes sure
// that it will be looked at again if not.
func (c *connections) giveUpOne() {
	first := c.strangers.Front()
	if first == nil {
		if first = c.waiting.Front(); first == nil {
			return
		}
		if left := patience - time.Since(first.Value.(*connection).since); left > 0 {
			c.look.Reset(left)
			return
		}
	}
	conn := first.Value.(*connection)
	conn.hasRequest()
	conn.leaving = true
	c.leaving++
	c.replaced++
	go func() { _ = conn.Close() }() // TLS takes leave first; net/http says when it is closed
}

// hasRequest takes a connection from the list in which it waits.
func (conn *connection) hasRequest() {
	if conn.in != nil {
		conn.in.Remove(conn.place)
		conn.in, conn.place = nil, nil
	}
}

// wait puts a connection that waits nowhere behind those that have waited for longer.
func (conn *connection) wait(in *list.List) {
	if !conn.leaving {
		conn.in, conn.place, conn.since = in, in.PushBack(conn), time.Now()
	}
}

// hadRequest returns the list for a connection that is not new.
func (c *connections) hadRequest(conn *connection) *list.List {
	if conn.known {
		return c.waiting
	}
	return c.strangers
}

// loggedIn is told of a connection by which somebody has logged in: its requests are worth to be waited for.
func (c *connections) loggedIn(by net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.all[by]; conn != nil {
		conn.known = true
		conn.hasRequest()
		if conn.idle {
			conn.wait(c.waiting)
		}
	}
}

// answering is told of a connection whose request is carried out and whose answer is long: it can be given up like one that has no
// request. With HTTP/2 there may be other requests, and so only a stranger is.
func (c *connections) answering(on net.Conn, shared bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn := c.all[on]
	if conn == nil || conn.in != nil || conn.known && shared {
		return
	}
	conn.wait(c.hadRequest(conn))
	c.changes.Broadcast()
}

// settle looks whether a connection has a request that is being carried out. When all of them wait for the client, it can be given up
// like one that has none.
func (c *connections) settle(own *streamsOf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn := c.all[own.conn]
	if conn == nil || conn.idle {
		return // it is closed, or waits already
	}
	conn.hasRequest()
	if own.waitsForClient() {
		conn.wait(c.hadRequest(conn))
		c.changes.Broadcast()
	}
}

// changed is told by net/http what becomes of each connection, beginning with StateNew.
func (c *connections) changed(of net.Conn, state http.ConnState) {
	if received := receivingOf(of); received != nil {
		received.changed(state)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateNew {
		c.all[of] = &connection{Conn: of}
	}
	conn := c.all[of]
	if conn == nil {
		return // it is closed
	}
	conn.hasRequest()
	conn.idle = state == http.StateNew || state == http.StateIdle
	switch state {
	case http.StateNew:
		conn.wait(c.waiting)
	case http.StateIdle:
		conn.wait(c.hadRequest(conn))
		c.makeRoom() // at once: it may have its next request before who waits is woken
	case http.StateActive:
	case http.StateClosed, http.StateHijacked:
		if conn.leaving {
			c.leaving--
		}
		delete(c.all, of)
		c.open--
	}
	c.changes.Broadcast()
}
