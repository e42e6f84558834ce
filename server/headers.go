package server

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// What headers may cost. net/http bounds their bytes, and makes twenty times as much of them where each line has a few.
const (
	maxHeaderBytes  = 28 << 10 // net/http adds 4 KiB to it: 32 KiB in all
	maxHeaderFields = 100
	// maxUnfinished is how many bytes of headers that are not complete the connections together may have sent, besides fairUnfinished
	// for each. When they have, the one that sends more of them is closed.
	maxUnfinished  = 1 << 20
	fairUnfinished = 3 << 10 // a TLS handshake of today takes two thirds of it
)

var errUnfinished = errors.New("there are too many headers that are not complete")

// receiving is a connection, below TLS, that counts what it has received while it has no request.
type receiving struct {
	*net.TCPConn
	all *atomic.Int64 // of all connections

	mu   sync.Mutex
	own  int64
	busy bool // a request is being carried out, or the connection is closed
}

// Read reads, and counts.
func (r *receiving) Read(into []byte) (int, error) {
	n, err := r.TCPConn.Read(into)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy {
		return n, err
	}
	before := r.excess()
	r.own += int64(n)
	if all := r.all.Add(r.excess() - before); all > maxUnfinished && r.excess() > 0 {
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: r.LocalAddr(), Addr: r.RemoteAddr(), Err: errUnfinished} // net/http answers other errors
	}
	return n, err
}

// excess is what a connection has sent besides its fair share.
func (r *receiving) excess() int64 { return max(0, r.own-fairUnfinished) }

// changed begins to count anew.
func (r *receiving) changed(state http.ConnState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Add(-r.excess())
	r.own, r.busy = 0, state != http.StateNew && state != http.StateIdle
}

// receivingOf returns what is below a connection; nil in a test with connections of its own.
func receivingOf(conn net.Conn) *receiving {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	r, _ := conn.(*receiving)
	return r
}

// boundHeaders refuses a request with too many headers, before anything else keeps them for as long as it lasts. The answer is the one
// that net/http has for too large ones.
func boundHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fields := 0
		for _, values := range r.Header {
			fields += len(values)
		}
		if fields <= maxHeaderFields {
			next.ServeHTTP(w, r)
			return
		}
		clear(r.Header)
		w.Header().Set("Connection", "close")
		http.Error(w, "431 Request Header Fields Too Large", http.StatusRequestHeaderFieldsTooLarge)
	})
}
