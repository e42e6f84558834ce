package metrics

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// places bounds how many connections are open. A new one takes the place of the one that has been without a request for longest, or
// else of the one whose request is the oldest, so that nobody keeps a collector out by connections, whatever they have begun.
type places struct {
	mu            sync.Mutex
	waiting, busy []net.Conn // the oldest first
}

// changed is told by net/http what becomes of each connection. One is busy from when its headers are there.
func (p *places) changed(conn net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	isIt := func(other net.Conn) bool { return other == conn }
	p.waiting, p.busy = slices.DeleteFunc(p.waiting, isIt), slices.DeleteFunc(p.busy, isIt)
	switch state {
	case http.StateNew:
		p.makeRoom()
		p.waiting = append(p.waiting, conn)
	case http.StateIdle:
		p.waiting = append(p.waiting, conn)
	case http.StateActive:
		p.busy = append(p.busy, conn)
	case http.StateClosed, http.StateHijacked:
	}
}

// makeRoom closes a connection where there are as many as there may be.
func (p *places) makeRoom() {
	if len(p.waiting)+len(p.busy) < maxConnections {
		return
	}
	from := &p.waiting
	if len(p.waiting) == 0 {
		from = &p.busy
	}
	_ = (*from)[0].Close() // net/http notices, and says so, when this one is forgotten already
	*from = slices.Delete(*from, 0, 1)
}
