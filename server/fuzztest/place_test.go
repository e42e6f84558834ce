package fuzztest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	tokenwire "github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// local is how a request without a connection says where it comes from and where it goes.
const local = "127.0.0.1:8080"

// place is where a sequence runs.
type place struct {
	server
	stranger string       // a project that no sequence has
	client   *http.Client // nil where the handler is called without a connection
	sandbox  bool
	memory   bool // and so a complete sandbox
}

// server is what a place has of its server.
type server struct {
	url        string
	handler    http.Handler
	newProject func(name string) (servertest.Project, error)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// errNotSendable is for what net/http refuses before it asks the server, on either side of a connection.
var errNotSendable = errors.New("the request is no HTTP")

// The places, in the order in which places returns them.
const (
	sandboxOverFile = iota
	sandboxOverFileConnected
	sandboxInMemory
	sandboxInMemoryConnected
	bare
	bareConnected
	bareOverHTTP2
)

// places are the ways to run a sequence: in a sandbox, over a file or in memory, or in a server as people run it, with a connection
// or without one. The handlers can be wrapped.
func places(t *testing.T, wrap func(http.Handler) http.Handler) []*place {
	t.Helper()
	var all []*place
	add := func(p place, clients ...*http.Client) {
		stranger, err := p.newProject("Stranger")
		if err != nil {
			t.Fatal(err)
		}
		p.stranger, p.handler = stranger.ProjectID, wrap(p.handler)
		for _, p.client = range clients {
			all = append(all, new(p))
		}
	}
	for _, memory := range []bool{false, true} {
		s := servertest.New(t, &servertest.Options{InMemory: memory})
		add(place{server: server{s.URL, s.Handler(), s.NewProject}, sandbox: true, memory: memory}, nil, connected(t, nil))
	}
	own, serve := newBare(t)
	own.url = serve("http", nil)
	add(place{server: own}, nil, connected(t, nil))
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	own.url = serve("https", &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	add(place{server: own}, connected(t, certified.Client().Transport.(*http.Transport).TLSClientConfig))
	return all
}

// connected returns a client, which speaks HTTP/2 where there is TLS.
func connected(t *testing.T, trust *tls.Config) *http.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig, transport.ForceAttemptHTTP2 = trust, trust != nil
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// newBare makes a server as `tokenwire serve` has it: no sandbox, and its database in a file. The function lets it serve, and returns
// the URL.
func newBare(t *testing.T) (server, func(scheme string, trust *tls.Config) string) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tokenwire.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	keyset, err := secret.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	s, err := tokenwire.New(tokenwire.Config{Store: db, Keyset: keyset, AuthFailuresPerMinute: 10_000_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.WaitForUsage)
	newProject := func(name string) (servertest.Project, error) {
		created, err := s.CreateProject(context.WithoutCancel(t.Context()), tokenwire.NewProject{Name: name})
		return servertest.Project{ProjectID: created.Project.ID.String(), TokenID: created.TokenID.String(), Token: created.Secret.Reveal()}, err
	}
	return server{handler: s, newProject: newProject}, func(scheme string, trust *tls.Config) string {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, listener, trust) }()
		t.Cleanup(func() {
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
		return scheme + "://" + listener.Addr().String()
	}
}

// placeOf says where a sequence runs: more than a third in a server as people run it, half in a sandbox in memory, where requests are
// cheap, and a share at each other place.
func placeOf(all []*place, number int) *place {
	return all[[]int{
		sandboxOverFile, sandboxOverFileConnected, bare, sandboxInMemoryConnected, sandboxInMemory, sandboxInMemory,
		sandboxInMemory, sandboxInMemory, bareConnected, bareOverHTTP2, bare, bareOverHTTP2,
	}[number%12]]
}

// send sends a request and returns the answer.
func (p *place) send(t *testing.T, d *draft) (answer, error) {
	t.Helper()
	if p.client == nil || len(d.body()) > maxBody { // a server may close a connection before it has read all of a body
		return p.call(t, d)
	}
	request, err := http.NewRequestWithContext(t.Context(), d.method, p.url+d.target(), http.NoBody)
	if err != nil {
		return answer{}, errNotSendable
	}
	d.fill(request)
	response, err := p.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if overTLS := strings.HasPrefix(p.url, "https:"); overTLS != (response.ProtoMajor == 2) {
		return answer{}, fmt.Errorf("the answer came over %s", response.Proto)
	}
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// fill adds headers and body.
func (d *draft) fill(request *http.Request) {
	request.Header = d.header.Clone()
	if d.host != "" {
		request.Host = d.host
	}
	if !d.hasBody {
		return
	}
	request.Body, request.ContentLength = io.NopCloser(strings.NewReader(d.body())), int64(len(d.body()))
	if d.chunked {
		request.ContentLength = -1
	}
}

// call calls the handler.
func (p *place) call(t *testing.T, d *draft) (got answer, err error) { //nolint:nonamedreturns // a panic has no other way to be returned
	t.Helper()
	target, err := url.ParseRequestURI(d.target())
	if err != nil || strings.HasPrefix(d.target(), "//") {
		return answer{}, errNotSendable
	}
	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody).WithContext(t.Context())
	request.Method, request.URL, request.RequestURI, request.Host, request.RemoteAddr = d.method, target, d.target(), local, "127.0.0.1:1024"
	d.fill(request)
	recorder := httptest.NewRecorder()
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("the handler panics: %v\n%s", reason, debug.Stack())
		}
	}()
	p.handler.ServeHTTP(recorder, request)
	body := recorder.Body.String()
	if d.method == http.MethodHead {
		body = "" // net/http does not send it
	}
	return answer{recorder.Code, recorder.Header(), body}, nil
}
