//go:build unix

package crashtest_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// wire is what lies between a server and its database: a proxy that can be cut, that can swallow everything, and that can lose
// notifications and nothing else.
type wire struct {
	url    string // of the database, by way of the wire
	target string
	deaf   bool
	lost   atomic.Int64 // notifications
	// parting says that the end of a connection comes through although nothing else does.
	parting atomic.Bool

	listener net.Listener
	mu       sync.Mutex
	cut      bool
	flowing  chan struct{} // closed when bytes flow
	ends     map[net.Conn]bool
}

func newWire(t *testing.T, dsn string, deaf bool) *wire {
	t.Helper()
	parsed, err := url.Parse(dsn)
	must(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	w := &wire{target: parsed.Host, deaf: deaf, listener: listener, flowing: make(chan struct{}), ends: make(map[net.Conn]bool)}
	close(w.flowing)
	parsed.Host = listener.Addr().String()
	w.url = parsed.String()
	var wg sync.WaitGroup
	wg.Go(func() { w.accept(&wg) })
	t.Cleanup(func() {
		_ = listener.Close()
		w.mend()
		w.sever()
		wg.Wait()
	})
	return w
}

func (w *wire) accept(wg *sync.WaitGroup) {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		wg.Go(func() { w.connect(near, wg) })
	}
}

// connect passes on what the two ends say. As long as nothing comes through, nobody knows whether there is another end.
func (w *wire) connect(near net.Conn, wg *sync.WaitGroup) {
	w.flow()
	far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", w.target)
	if err != nil || !w.add(near, far) {
		_ = near.Close()
		return
	}
	pump := func(to, from net.Conn, pass func(io.Writer, io.Reader) error) {
		_ = pass(to, from)
		w.remove(to, from)
	}
	wg.Go(func() { pump(far, near, w.bytes) })
	wg.Go(func() { pump(near, far, w.messages) })
}

// add takes a connection, unless the wire is cut.
func (w *wire) add(near, far net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		_ = far.Close()
		return false
	}
	w.ends[near], w.ends[far] = true, true
	return true
}

func (w *wire) remove(ends ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, end := range ends {
		_ = end.Close()
		delete(w.ends, end)
	}
}

// sever breaks all connections, and every new one.
func (w *wire) sever() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for end := range w.ends {
		_ = end.Close()
	}
}

// swallow lets connections be, and nothing come through.
func (w *wire) swallow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flowing = make(chan struct{})
}

// mend makes the wire good again. What was swallowed comes through late.
func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
	select {
	case <-w.flowing:
	default:
		close(w.flowing)
	}
}

// flow waits until bytes flow.
func (w *wire) flow() {
	w.mu.Lock()
	flowing := w.flowing
	w.mu.Unlock()
	<-flowing
}

func (w *wire) bytes(to io.Writer, from io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		w.flow()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// messages passes on what PostgreSQL says: a letter, the length of itself and the rest, and the rest.
func (w *wire) messages(to io.Writer, from io.Reader) error {
	const header, notification, longest = 5, 'A', 16 << 20
	for {
		message := make([]byte, header)
		if _, err := io.ReadFull(from, message); err != nil {
			if !w.parting.Load() {
				w.flow()
			}
			return err
		}
		length := binary.BigEndian.Uint32(message[1:])
		if length < header-1 || length > longest {
			return fmt.Errorf("a message of %d bytes", length)
		}
		message = append(message, make([]byte, length-(header-1))...)
		if _, err := io.ReadFull(from, message[header:]); err != nil {
			return err
		}
		w.flow()
		if w.deaf && message[0] == notification {
			w.lost.Add(1)
			continue
		}
		if _, err := to.Write(message); err != nil {
			return err
		}
	}
}
