package fuzztest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// local is how a request without a connection says where it comes from and where it goes.
const local = "127.0.0.1:8080"

// place is where a sequence runs.
type place struct {
	server   *servertest.Server
	stranger string // a project that no sequence has
	handler  http.Handler
	client   *http.Client // nil where the handler is called without a connection
	memory   bool         // and so a complete sandbox
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// errNotSendable is for what net/http refuses before it asks the server, on either side of a connection.
var errNotSendable = errors.New("the request is no HTTP")

// places are the ways to run a sequence: over a file or in memory, with a connection or without one. The handlers can be wrapped.
func places(t *testing.T, wrap func(http.Handler) http.Handler) []*place {
	t.Helper()
	var all []*place
	for _, memory := range []bool{false, true} {
		server := servertest.New(t, &servertest.Options{InMemory: memory})
		stranger, err := server.NewProject("Stranger")
		if err != nil {
			t.Fatal(err)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		t.Cleanup(transport.CloseIdleConnections)
		here := place{server: server, stranger: stranger.ProjectID, handler: wrap(server.Handler()), memory: memory}
		connected := here
		connected.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		all = append(all, &here, &connected)
	}
	return all
}

// placeOf says where a sequence runs: most in memory, where requests are cheap, and a share at each other place.
func placeOf(all []*place, number int) *place {
	switch number % 8 {
	case 0:
		return all[0]
	case 1:
		return all[1]
	case 2, 3:
		return all[3]
	}
	return all[2]
}

// send sends a request and returns the answer.
func (p *place) send(t *testing.T, d *draft) (answer, error) {
	t.Helper()
	if p.client == nil || len(d.body()) > maxBody { // a server may close a connection before it has read all of a body
		return p.call(t, d)
	}
	request, err := http.NewRequestWithContext(t.Context(), d.method, p.server.URL+d.target(), http.NoBody)
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
