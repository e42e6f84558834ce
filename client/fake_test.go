package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

const (
	projectID  = "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11"
	subproject = "7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42"
	tokenID    = "ea14556a-984f-11ee-b9d1-0242ac120002"
	apiToken   = "PT000000000000000000000000000000000000000000000000"
	secret     = "PT037258e533e87ac63174ee136ed0798dc85d4f4f9e6d7191"
	tokenBody  = `{"id":"` + tokenID + `","name":"N","permissions":["fax"],"token":"` + secret + `"}`

	basePath   = "/some/base"
	tokensPath = basePath + "/api/laml/2010-04-01/Accounts/" + projectID + "/tokens"
	tokenPath  = tokensPath + "/" + tokenID
)

// received is what the fake server saw of one request.
type received struct {
	method, path, body string
	header             http.Header
}

// fake is an HTTP server that gives one prepared answer after the other.
type fake struct {
	*httptest.Server

	mu       sync.Mutex
	requests []received
	pauses   []time.Duration
}

// serve starts a fake; one request more than there are answers fails the test.
func serve(t *testing.T, answers ...http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		f.mu.Lock()
		n := len(f.requests)
		f.requests = append(f.requests, received{r.Method, r.URL.EscapedPath(), string(body), r.Header.Clone()})
		f.mu.Unlock()
		if n >= len(answers) {
			t.Errorf("request %d is one too many: %s %s", n+1, r.Method, r.URL.Path)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		answers[n](w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// client returns a client of the fake below a base path. It remembers its pauses and does not make them.
func (f *fake) client(t *testing.T, opts ...client.Option) *client.Client {
	t.Helper()
	all := append([]client.Option{
		client.WithBaseURL(f.URL + basePath),
		client.WithWait(func(ctx context.Context, d time.Duration) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.pauses = append(f.pauses, d)
			return ctx.Err()
		}),
	}, opts...)
	c, err := client.New(projectID, apiToken, all...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (f *fake) seen() []received {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

func (f *fake) waited() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pauses
}

// answer writes a status and a body; headers are pairs of name and value.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// reset closes the connection after it wrote raw.
func reset(t *testing.T, raw string) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		_, _ = io.WriteString(conn, raw)
		_ = conn.Close()
	}
}

// members decodes a JSON object without a guess at its types.
func members(t rapidOrTesting, body string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("body %q: %v", body, err)
	}
	return m
}

// rapidOrTesting is what *rapid.T and testing.TB have in common here.
type rapidOrTesting interface {
	Helper()
	Fatalf(format string, args ...any)
}

// call is one of the three operations, for tables.
type call struct {
	name string
	do   func(context.Context, *client.Client) error
}

func create() call {
	return call{"create", func(ctx context.Context, c *client.Client) error {
		_, err := c.CreateToken(ctx, client.CreateTokenParams{
			Name: "N", Permissions: []client.Permission{client.PermissionFax},
		})
		return err
	}}
}

func update() call {
	return call{"update", func(ctx context.Context, c *client.Client) error {
		_, err := c.UpdateToken(ctx, tokenID, client.UpdateTokenParams{Name: new("N")})
		return err
	}}
}

func remove() call {
	return call{"delete", func(ctx context.Context, c *client.Client) error {
		return c.DeleteToken(ctx, tokenID)
	}}
}
