package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/memory"
)

// overTLS is a server that speaks HTTP/2, with a project in memory.
type overTLS struct {
	url, path, project, token, secret string
	trust                             *tls.Config
	server                            *server.Server
}

// authorization is what a request says by which the project's token logs in.
func (s overTLS) authorization() string {
	request := http.Request{Header: make(http.Header)}
	request.SetBasicAuth(s.project, s.secret)
	return request.Header.Get("Authorization")
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
	return overTLS{"https://" + listener.Addr().String(), tokensPath(project), project, created.TokenID.String(), created.Secret.Reveal(), trust, s}
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
	_, _ = io.Copy(io.Discard, response.Body)
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

// TestAnswersThatDoNotLeave: a request counts until its answer has left. Who takes no answers is alone with three of them, and shares
// the connection with the fourth. Those who share are refused when they are too many, and broken off when the refusals are, until
// some have gone.
func TestAnswersThatDoNotLeave(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{MaxRequests: 4}, func(s store.Store) store.Store { return s })
	s.server.SetTimeouts(time.Hour, time.Hour)
	takesNothing := func(requests int) (string, *unwilling) {
		client := s.unwilling(t, 0)
		for range requests - 1 {
			client.ask(t, http.MethodGet, "/healthz", "")
			if status := client.status(t); status != "200" {
				t.Fatalf("one that is alone was answered %s, want 200", status)
			}
		}
		client.ask(t, http.MethodGet, s.path, "")
		return client.status(t), client
	}
	var gone *unwilling
	for i, want := range []string{"401", "401", "401", "401", "503", "broken off", "broken off"} {
		status, client := takesNothing(4)
		if status != want {
			t.Fatalf("number %d of those that share a connection was answered %s, want %s", i+1, status, want)
		}
		if i == 0 {
			gone = client
		}
	}
	if status, _ := takesNothing(3); status != "401" {
		t.Errorf("one that is alone was answered %s, want 401", status)
	}
	_ = gone.conn.Close()
	closed := time.Now()
	for status := "broken off"; status != "503"; { // when the server has seen that
		if status, _ = takesNothing(4); time.Since(closed) > 30*time.Second {
			t.Fatalf("after one has gone another was answered %s, want 503", status)
		}
	}
}

// TestAnswersThatLeave: who sends one request after the other is alone, however many there were.
func TestAnswersThatLeave(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{MaxRequests: 1}, func(s store.Store) store.Store { return s })
	s.server.SetTimeouts(time.Hour, time.Hour)
	crowd := s.unwilling(t, 0) // as large as it may be
	for range 4 {
		crowd.ask(t, http.MethodGet, "/healthz", "")
		if status := crowd.status(t); status != "200" {
			t.Fatalf("the crowd was answered %s", status)
		}
	}
	transport, opened := s.connect(t)
	for range 20 {
		if status, err := s.get(t, transport, s.secret); status != http.StatusOK || opened.Load() != 1 {
			t.Errorf("one that is alone got %d (%v) over connection %d", status, err, opened.Load())
		}
	}
}

// TestEndsThatNobodyTakes: who does not take the end of an answer, which is all of a short one, loses the connection; who does keeps it.
func TestEndsThatNobodyTakes(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{}, func(s store.Store) store.Store { return s })
	s.server.SetTimeouts(time.Hour, 500*time.Millisecond)
	takes, opened := s.connect(t)
	if status, err := s.get(t, takes, s.secret); status != http.StatusOK {
		t.Fatal(status, err)
	}
	client := s.unwilling(t, 0)
	client.ask(t, http.MethodGet, s.path, "")
	if status := client.status(t); status != "401" {
		t.Errorf("the answer is %s", status)
	}
	if err := client.cutOff(); errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, new(http2.StreamError)) {
		t.Errorf("the connection was not closed: %v", err)
	}
	if status, err := s.get(t, takes, s.secret); status != http.StatusOK || opened.Load() != 1 {
		t.Errorf("who takes the answers got %d (%v) over connection %d", status, err, opened.Load())
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

// TestAnswersWithoutBody: over HTTP/2 they are one frame.
func TestAnswersWithoutBody(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{}, func(s store.Store) store.Store { return s })
	client := s.unwilling(t, 0)
	client.ask(t, http.MethodDelete, s.path+"/"+s.token, s.authorization())
	if status := client.status(t); status != "204, and no more" {
		t.Errorf("a deletion was answered %s", status)
	}
}

// TestAnswersThatNobodyTakesOverHTTP2: a request whose answer is not taken is broken off, and so does not hold its connection.
func TestAnswersThatNobodyTakesOverHTTP2(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{}, func(s store.Store) store.Store { return s })
	began, client := time.Now(), s.unwilling(t, 0)
	client.ask(t, http.MethodGet, largestAnswer, "")
	if err := client.cutOff(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the request was broken off after %v", took)
	}
}
