package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/memory"
)

// overTLS is a server that speaks HTTP/2, with a project in memory.
type overTLS struct {
	url, path, project, secret string
	trust                      *tls.Config
}

func startTLS(t *testing.T, config server.Config, wrap func(store.Store) store.Store) overTLS {
	t.Helper()
	keyset, err := secret.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	config.Keyset, config.Store = keyset, wrap(memory.New())
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	created, err := s.CreateProject(t.Context(), server.NewProject{Name: "Default"})
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	trust := certified.Client().Transport.(*http.Transport).TLSClientConfig
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- s.Serve(ctx, listener, &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	project := created.Project.ID.String()
	return overTLS{"https://" + listener.Addr().String(), tokensPath(project), project, created.Secret.Reveal(), trust}
}

// connect returns a client with a connection of its own, and counts how many it has opened.
func (s overTLS) connect(t *testing.T) (*http.Transport, *atomic.Int32) {
	t.Helper()
	var opened atomic.Int32
	transport := &http.Transport{TLSClientConfig: s.trust, ForceAttemptHTTP2: true, ExpectContinueTimeout: time.Minute, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		opened.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport, &opened
}

func (s overTLS) get(t *testing.T, transport *http.Transport, password string) (int, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+s.path, http.NoBody)
	if err != nil {
		return 0, err
	}
	return s.send(transport, request, password)
}

func (s overTLS) send(transport *http.Transport, request *http.Request, password string) (int, error) {
	request.SetBasicAuth(s.project, password)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.ProtoMajor != 2 {
		return 0, errors.New("the answer came over " + response.Proto)
	}
	return response.StatusCode, nil
}

// heldBody is the body of a creation. The server has asked for it when it says that it is reached; it comes when it is released.
type heldBody struct {
	reached, release chan struct{}
	content          io.Reader
	once             *sync.Once
}

// Read waits.
func (b heldBody) Read(p []byte) (int, error) {
	b.once.Do(func() {
		b.reached <- struct{}{}
		<-b.release
	})
	return b.content.Read(p)
}

// create creates a token, with a body that is sent when the server asks for it.
func (s overTLS) create(t *testing.T, transport *http.Transport, reached, release chan struct{}) (int, error) {
	t.Helper()
	body := heldBody{reached, release, strings.NewReader(`{"name":"Held","permissions":["fax"]}`), &sync.Once{}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+s.path, body)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", jsonType)
	request.Header.Set("Expect", "100-continue")
	return s.send(transport, request, s.secret)
}

// TestManyRequestsOnFewConnections: requests that share connections are refused before their bodies are read when they are too many;
// who is alone on a connection is served.
func TestManyRequestsOnFewConnections(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	s := startTLS(t, server.Config{MaxRequests: 4}, func(s store.Store) store.Store { return s })
	answers := make(chan int, 16)
	send := func(transport *http.Transport) {
		go func() {
			status, err := s.create(t, transport, reached, release)
			if err != nil {
				status = 0
			}
			answers <- status
		}()
	}
	first, _ := s.connect(t)
	second, _ := s.connect(t)
	alone, _ := s.connect(t)
	for range 4 { // one is alone, and three share its connection
		send(first)
		<-reached
	}
	for range 2 { // one is alone, and one shares
		send(second)
		<-reached
	}
	send(second)
	select {
	case status := <-answers:
		if status != http.StatusServiceUnavailable {
			t.Errorf("one more that shares a connection got %d, want 503", status)
		}
	case <-reached:
		t.Error("one more that shares a connection was let in")
	}
	send(alone)
	<-reached
	close(release)
	for range 7 { // of which four can be carried out at once
		if status := <-answers; status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Errorf("one that was let in got %d", status)
		}
	}
}

// TestFailedLogInsOverHTTP2: who is told to wait has to open another connection.
func TestFailedLogInsOverHTTP2(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{AuthFailuresPerMinute: 1}, func(s store.Store) store.Store { return s })
	transport, opened := s.connect(t)
	for _, want := range []int{401, 429, 429, 429} {
		if status, err := s.get(t, transport, "wrong"); status != want {
			t.Errorf("a wrong password got %d (%v), want %d", status, err, want)
		}
	}
	if status, err := s.get(t, transport, s.secret); status != 200 {
		t.Errorf("a good one got %d (%v)", status, err)
	}
	if n := opened.Load(); n < 3 {
		t.Errorf("there were %d connections, want one more after each 429", n)
	}
}

// TestAnswersThatNobodyTakesOverHTTP2: a request whose answer is not taken is broken off, and so does not hold its connection.
func TestAnswersThatNobodyTakesOverHTTP2(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{}, func(s store.Store) store.Store { return s })
	trust := s.trust.Clone()
	trust.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: trust}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var block bytes.Buffer
	coder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", largestAnswer}} {
		if err := coder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	framer, began := http2.NewFramer(conn, conn), time.Now()
	_, err = conn.Write([]byte(http2.ClientPreface))
	if err := errors.Join(err, framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := framer.ReadFrame()
		if _, reset := frame.(*http2.RSTStreamFrame); reset || err != nil {
			break
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the request was broken off after %v", took)
	}
}
