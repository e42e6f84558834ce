package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// bare is a server as `tokenwire serve` has it, without a connection: no sandbox, and its database in a file.
type bare struct {
	handler         http.Handler
	project, secret string
	tokens          []string // ids of tokens that may not manage
	narrow          string   // the secret of one of them
}

func newBare(tb testing.TB) *bare {
	tb.Helper()
	return newBareWith(tb, server.Config{})
}

// newBareWith is a bare server with something besides, or with another store.
func newBareWith(tb testing.TB, config server.Config) *bare {
	tb.Helper()
	if config.Store == nil {
		db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "tokenwire.db"))
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = db.Close() })
		config.Store = db
	}
	keyset, err := secret.NewKeyset()
	if err != nil {
		tb.Fatal(err)
	}
	config.Keyset = keyset
	s, err := server.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.WaitForUsage)
	created, err := s.CreateProject(context.WithoutCancel(tb.Context()), server.NewProject{Name: "Default"})
	if err != nil {
		tb.Fatal(err)
	}
	b := &bare{handler: s, project: created.Project.ID.String(), secret: created.Secret.Reveal()}
	for range 64 {
		recorder := b.serve(http.MethodPost, tokensPath(b.project), b.secret, `{"name":"Bench","permissions":["fax"]}`)
		var token struct{ ID, Token string }
		if err := json.Unmarshal(recorder.Body.Bytes(), &token); err != nil || recorder.Code != 200 {
			tb.Fatalf("create a token: %d %s", recorder.Code, recorder.Body)
		}
		b.tokens, b.narrow = append(b.tokens, token.ID), token.Token
	}
	return b
}

func (b *bare) serve(method, path, secret, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.SetBasicAuth(b.project, secret)
	if body != "" {
		request.Header.Set("Content-Type", jsonType)
	}
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, request)
	return recorder
}

// hotCalls are the calls whose cost matters, with the status of their answer.
func (b *bare) hotCalls() []struct {
	name   string
	status int
	serve  func(i int) int
} {
	token := func(i int) string { return tokenPath(b.project, b.tokens[i%len(b.tokens)]) }
	return []struct {
		name   string
		status int
		serve  func(i int) int
	}{
		{"update", 200, func(i int) int {
			return b.serve(http.MethodPatch, token(i), b.secret, fmt.Sprintf(`{"name":"Bench %d"}`, i)).Code
		}},
		{"create", 200, func(int) int {
			return b.serve(http.MethodPost, tokensPath(b.project), b.secret, `{"name":"Bench","permissions":["fax"]}`).Code
		}},
		{"create and delete", 204, func(int) int {
			var token struct{ ID string }
			created := b.serve(http.MethodPost, tokensPath(b.project), b.secret, `{"name":"Bench","permissions":["fax"]}`)
			if json.Unmarshal(created.Body.Bytes(), &token) != nil {
				return created.Code
			}
			return b.serve(http.MethodDelete, tokenPath(b.project, token.ID), b.secret, "").Code
		}},
		{"get", 200, func(i int) int { return b.serve(http.MethodGet, token(i), b.secret, "").Code }},
		{"not permitted", 401, func(i int) int { return b.serve(http.MethodGet, token(i), b.narrow, "").Code }},
		{"verify", 204, func(int) int { return b.serve(http.MethodGet, verifyPath+"?permission=fax", b.narrow, "").Code }},
		{"verify a path", 204, func(int) int {
			request := httptest.NewRequest(http.MethodGet, verifyPath, http.NoBody)
			request.SetBasicAuth(b.project, b.narrow)
			request.Header.Set("X-Original-Method", http.MethodPost)
			request.Header.Set("X-Original-Uri", compat+"/"+b.project+"/Faxes.json")
			recorder := httptest.NewRecorder()
			b.handler.ServeHTTP(recorder, request)
			return recorder.Code
		}},
		{"refused body", 422, func(i int) int { return b.serve(http.MethodPatch, token(i), b.secret, `{"name":7}`).Code }},
	}
}

// BenchmarkHandler is the whole way of a request but for the connection. With 64 callers at once updates share their syncs.
func BenchmarkHandler(b *testing.B) {
	s := newBare(b)
	for _, c := range s.hotCalls() {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if status := c.serve(i); status != c.status {
						b.Fatalf("%d, want %d", status, c.status)
					}
				}
			})
		})
	}
}

// TestAllocations keeps the way of a request lean, where a time would depend on the machine. The bounds have a tenth of room, and
// include what the test itself allocates: the request and the recorder, about 40.
func TestAllocations(t *testing.T) { //nolint:paralleltest // testing.AllocsPerRun counts what all goroutines allocate
	bounds := map[string]float64{"update": 180, "create": 185, "create and delete": 326, "get": 110, "not permitted": 58, "verify": 48, "verify a path": 51, "refused body": 104}
	for name, config := range map[string]server.Config{"plain": {}, "measured": {Metrics: metrics.New("test")}} {
		t.Run(name, func(t *testing.T) { testAllocations(t, newBareWith(t, config), bounds) })
	}
}

// TestCostOfBadBodies: what it takes to refuse a body grows with the body, and no faster.
func TestCostOfBadBodies(t *testing.T) { //nolint:paralleltest // testing.AllocsPerRun counts what all goroutines allocate
	s := newBare(t)
	list := func(entry string) func(int) string {
		return func(entries int) string {
			return `{"name":"x","permissions":[` + entry + strings.Repeat(","+entry, entries) + `]}`
		}
	}
	for name, body := range map[string]func(entries int) string{
		"unknown properties": func(entries int) string {
			var text strings.Builder
			for i := range entries {
				fmt.Fprintf(&text, `,"%d":1`, i)
			}
			return "{" + text.String()[1:] + "}"
		},
		"no permissions": list(`"x"`),
		"numbers":        list("0"),
		"objects":        list("{}"),
	} {
		cost := func(entries int) float64 {
			text := body(entries)
			return testing.AllocsPerRun(5, func() {
				if got := s.serve(http.MethodPost, tokensPath(s.project), s.secret, text); got.Code != http.StatusUnprocessableEntity {
					t.Errorf("%s: %d", name, got.Code)
				}
			})
		}
		const entries, each = 2000, 8
		if got := cost(entries); got > entries*each {
			t.Errorf("%s: %d take %.0f allocations, want %d for each at most", name, entries, got, each)
		}
	}
}

func testAllocations(t *testing.T, s *bare, bounds map[string]float64) {
	t.Helper()
	for _, c := range s.hotCalls() {
		i, allocations := 0, math.Inf(1)
		for range 3 { // what others allocate meanwhile comes and goes
			allocations = min(allocations, testing.AllocsPerRun(100, func() {
				if status := c.serve(i); status != c.status {
					t.Fatalf("%s: %d, want %d", c.name, status, c.status)
				}
				i++
			}))
		}
		if t.Logf("%s: %.0f allocations", c.name, allocations); allocations > bounds[c.name] {
			t.Errorf("%s takes %.0f allocations, want %.0f at most", c.name, allocations, bounds[c.name])
		}
	}
}

// discarding takes an answer and keeps nothing of it.
type discarding struct{ header http.Header }

func (d discarding) Header() http.Header             { return d.header }
func (discarding) WriteHeader(int)                   {}
func (discarding) Write(content []byte) (int, error) { return len(content), nil }

// TestDocumentsAreNotCopied: nobody needs a credential to ask for a document, and who does not take it would keep the copy.
func TestDocumentsAreNotCopied(t *testing.T) { //nolint:paralleltest // it counts what all goroutines allocate
	s := newBare(t)
	for _, path := range []string{"/openapi.yaml", "/openapi.json", "/docs", "/docs/errors", largestAnswer} {
		serve := func() {
			s.handler.ServeHTTP(discarding{make(http.Header)}, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		}
		serve() // makes what is made once
		const calls = 50
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range calls {
			serve()
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / calls; each > 24<<10 {
			t.Errorf("%s takes %d bytes each time, want 24 KiB at most", path, each)
		}
	}
}
