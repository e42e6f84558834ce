package server_test

import (
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"

	"github.com/tokenwire/tokenwire/server"
)

// slowToClose is a connection that takes as long to close as the test wants.
type slowToClose struct {
	net.Conn
	close func(net.Conn)
}

func (c *slowToClose) Close() error { c.close(c); return nil }

// endless is a listener to whom connections come.
type endless struct {
	net.Listener
	close func(net.Conn)
}

func (l endless) Accept() (net.Conn, error) { return &slowToClose{close: l.close}, nil }

// TestOneForOne: for one who comes, one is given up, however long that takes to close.
func TestOneForOne(t *testing.T) {
	t.Parallel()
	const limit = 20
	var changed func(net.Conn, http.ConnState)
	closing, closed := make(chan struct{}, limit), make(chan struct{})
	var wg sync.WaitGroup
	listener, changed := server.LimitConnections(endless{close: func(conn net.Conn) {
		wg.Add(1)
		defer wg.Done()
		closing <- struct{}{}
		<-closed
		changed(conn, http.StateClosed)
	}}, limit)
	accept := func() net.Conn {
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
		}
		changed(conn, http.StateNew)
		return conn
	}
	var busy net.Conn
	for range limit {
		busy = accept()
	}
	changed(busy, http.StateActive)
	come := make(chan net.Conn)
	go func() { come <- accept() }()
	<-closing
	for range 1000 { // others go on meanwhile
		changed(busy, http.StateIdle)
		changed(busy, http.StateActive)
		runtime.Gosched()
	}
	close(closed)
	<-come
	wg.Wait()
	if more := len(closing); more > 0 {
		t.Errorf("%d more were given up", more)
	}
}

// TestBetweenTwoRequests: who sends one request after the other, and has no credential, makes room for one who waits as soon as there is
// no request, however soon the next one comes.
func TestBetweenTwoRequests(t *testing.T) {
	t.Parallel()
	for range 100 {
		var changed func(net.Conn, http.ConnState)
		var given sync.WaitGroup
		given.Add(1)
		listener, changed := server.LimitConnections(endless{close: func(conn net.Conn) {
			defer given.Done()
			changed(conn, http.StateClosed)
		}}, 1)
		busy, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		changed(busy, http.StateNew)
		changed(busy, http.StateActive)
		come := make(chan error)
		go func() {
			_, err := listener.Accept()
			come <- err
		}()
		for wanted, _ := server.Waits(listener); !wanted; wanted, _ = server.Waits(listener) {
			runtime.Gosched()
		}
		changed(busy, http.StateIdle)
		changed(busy, http.StateActive)
		if _, replaced := server.Waits(listener); replaced != 1 {
			t.Fatal("it stays, and one waits")
		}
		if err := <-come; err != nil {
			t.Error(err)
		}
		given.Wait()
	}
}
