package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/client/guard"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// world is a tokenwire server that counts what it is asked, and a manager of its tokens.
type world struct {
	*servertest.Server
	manager  *client.Client
	front    *httptest.Server
	asked    atomic.Int32
	arrived  chan struct{} // closed by the first question
	answered chan struct{} // closed when it has its answer
	hold     chan struct{} // what is asked waits for it, unless it is nil
	keep     chan struct{} // and so do the answers
	broken   atomic.Bool
}

func newWorld(t *testing.T, options *servertest.Options) *world {
	t.Helper()
	w := &world{Server: servertest.New(t, options), arrived: make(chan struct{}), answered: make(chan struct{})}
	w.front = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		number := w.asked.Add(1)
		if number == 1 {
			close(w.arrived)
		}
		if w.hold != nil {
			<-w.hold
		}
		if w.broken.Load() {
			http.Error(rw, "the cause, which is nobody's business", http.StatusInternalServerError)
			return
		}
		w.Handler().ServeHTTP(rw, r)
		if number == 1 {
			close(w.answered)
		}
		if w.keep != nil {
			<-w.keep
		}
	}))
	t.Cleanup(w.front.Close)
	var err error
	if w.manager, err = client.New(w.ProjectID, w.Token, client.WithBaseURL(w.URL)); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) guard(t *testing.T, options ...guard.Option) *guard.Guard {
	t.Helper()
	g, err := guard.New(w.front.URL, options...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (w *world) token(t *testing.T, permissions ...client.Permission) *client.Token {
	t.Helper()
	token, err := w.manager.CreateToken(t.Context(), client.CreateTokenParams{Name: "T", Permissions: permissions})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// who is a handler that says who has called.
func who(w http.ResponseWriter, r *http.Request) {
	identity, ok := guard.FromContext(r.Context())
	_, _ = fmt.Fprint(w, identity.ProjectID, " ", identity.TokenID, " ", identity.Permissions, " ", ok)
}

func call(handler http.Handler, project, token string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	if project != "" {
		request.SetBasicAuth(project, token)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

// documented expects a refusal to be as the contract has those of verify_token.
func documented(t *testing.T, got *httptest.ResponseRecorder, status int) string {
	t.Helper()
	if got.Code != status {
		t.Errorf("%d %s, want %d", got.Code, got.Body, status)
	}
	header := maps.Clone(got.Header())
	header.Set("X-Request-Id", "none")
	if err := contract.CheckAnswer(http.MethodGet, "/api/tokens/verify", got.Code, header, got.Body.Bytes()); err != nil {
		t.Errorf("%s: %v", got.Body, err)
	}
	var body struct{ Message string }
	if err := json.Unmarshal(got.Body.Bytes(), &body); err != nil {
		t.Error(err)
	}
	return body.Message
}

func TestRequire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	g := w.guard(t, guard.WithLifetime(time.Minute))
	token := w.token(t, client.PermissionFax, client.PermissionChat)
	secret := token.Secret.Reveal()
	want := fmt.Sprint(w.ProjectID, " ", token.ID, " ", token.Permissions, " ", true)
	for _, needed := range [][]client.Permission{nil, {client.PermissionFax}, {client.PermissionVideo, client.PermissionChat}} {
		if got := call(g.Require(needed...)(http.HandlerFunc(who)), w.ProjectID, secret); got.Code != 200 || got.Body.String() != want {
			t.Errorf("%v: %d %s, want %s", needed, got.Code, got.Body, want)
		}
	}
	if asked := w.asked.Load(); asked != 1 {
		t.Errorf("%d questions for one credential", asked)
	}
	never := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
	if message := documented(t, call(g.Require(client.PermissionVideo)(never), w.ProjectID, secret), 403); message != `This API token lacks the permission "video"` {
		t.Error(message)
	}
	if message := documented(t, call(g.Require(client.PermissionVideo, client.PermissionStorage)(never), w.ProjectID, secret), 403); !strings.Contains(message, "video, storage") {
		t.Error(message)
	}
	for what, credential := range map[string][2]string{
		"none": {}, "a wrong secret": {w.ProjectID, secret[:49] + "x"}, "no project": {"x", secret}, "no secret": {w.ProjectID, ""},
		"exchanged": {secret, w.ProjectID}, "a line break": {w.ProjectID, "a\nb"},
	} {
		got := call(g.Require()(never), credential[0], credential[1])
		if message := documented(t, got, 401); !strings.HasPrefix(message, "Authentication failed") || strings.Contains(got.Body.String(), secret) {
			t.Errorf("%s: %s", what, got.Body)
		}
	}
	twice := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	twice.SetBasicAuth(w.ProjectID, secret)
	twice.Header.Add("Authorization", twice.Header.Get("Authorization"))
	recorder := httptest.NewRecorder()
	g.Require()(never).ServeHTTP(recorder, twice)
	documented(t, recorder, 401)
}

// TestBadCredentialsAreNotRemembered: what is bad now may be good in a moment, and whoever guesses fills nothing.
func TestBadCredentialsAreNotRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	handler := w.guard(t, guard.WithMemory(1), guard.WithLifetime(time.Minute)).Require()(http.HandlerFunc(who))
	for range 3 {
		documented(t, call(handler, w.ProjectID, "PT"+strings.Repeat("0", 48)), 401)
		if got := call(handler, w.ProjectID, w.Token); got.Code != 200 {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	}
	if asked := w.asked.Load(); asked != 4 {
		t.Errorf("%d questions, want 3 about the bad one and 1 about the good one", asked)
	}
}

// TestLifetime: without one, a token that was deleted is refused at once; with one, when it is over, and not before.
func TestLifetime(t *testing.T) {
	t.Parallel()
	for _, lifetime := range []time.Duration{0, time.Millisecond, time.Minute} {
		t.Run(lifetime.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			now := time.Now()
			g := w.guard(t, guard.WithLifetime(lifetime))
			g.SetClock(func() time.Time { return now })
			handler, token := g.Require()(http.HandlerFunc(who)), w.token(t, client.PermissionFax)
			if got := call(handler, w.ProjectID, token.Secret.Reveal()); got.Code != 200 {
				t.Fatalf("%d %s", got.Code, got.Body)
			}
			if err := w.manager.DeleteToken(t.Context(), token.ID); err != nil {
				t.Fatal(err)
			}
			if now = now.Add(lifetime - 1); lifetime > 0 {
				if got := call(handler, w.ProjectID, token.Secret.Reveal()); got.Code != 200 || w.asked.Load() != 1 {
					t.Errorf("within its lifetime: %d, after %d questions", got.Code, w.asked.Load())
				}
			}
			now = now.Add(1)
			if got := call(handler, w.ProjectID, token.Secret.Reveal()); got.Code != 401 || w.asked.Load() != 2 {
				t.Errorf("after its lifetime: %d, after %d questions", got.Code, w.asked.Load())
			}
		})
	}
}

// TestOneQuestion: requests that come at once with one credential share a question.
func TestOneQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.hold = make(chan struct{})
	handler := w.guard(t, guard.WithLifetime(time.Minute)).Require()(http.HandlerFunc(who))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	var good, gone atomic.Int32
	for i := range 20 {
		all.Go(func() {
			request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			if i == 0 { // whose client does not wait for the answer
				request = request.WithContext(ctx)
			}
			request.SetBasicAuth(w.ProjectID, w.Token)
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			switch {
			case recorder.Code == 200:
				good.Add(1)
			case i == 0:
				gone.Add(1)
			}
		})
	}
	<-w.arrived
	cancel()
	close(w.hold)
	all.Wait()
	if asked := w.asked.Load(); asked != 1 || good.Load() < 19 {
		t.Errorf("%d questions, %d of 20 were let in, %d had gone", asked, good.Load(), gone.Load())
	}
}

// TestMemoryIsBounded: what was used longest ago is asked about again.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	handler := w.guard(t, guard.WithMemory(2), guard.WithLifetime(time.Minute)).Require()(http.HandlerFunc(who))
	tokens := []*client.Token{w.token(t, "fax"), w.token(t, "fax"), w.token(t, "fax")}
	for range 2 {
		for _, token := range tokens {
			call(handler, w.ProjectID, token.Secret.Reveal())
		}
	}
	if asked := w.asked.Load(); asked != 6 {
		t.Errorf("%d questions, want 6", asked)
	}
}

// TestFailsClosed: without tokenwire nobody gets in, and nobody learns why.
func TestFailsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	handler := w.guard(t, guard.WithLifetime(0), guard.WithPublicURL("https://tokens.example.com/")).Require()(http.HandlerFunc(who))
	w.broken.Store(true)
	got := call(handler, w.ProjectID, w.Token)
	documented(t, got, 503)
	if body := got.Body.String(); strings.Contains(body, "cause") || strings.Contains(body, "127.0.0.1") || !strings.Contains(body, "https://tokens.example.com/docs/errors#20001") {
		t.Error(body)
	}
	w.front.Close()
	documented(t, call(handler, w.ProjectID, w.Token), 503)

	slow := newWorld(t, nil)
	slow.hold = make(chan struct{})
	defer close(slow.hold)
	documented(t, call(slow.guard(t, guard.WithTimeout(10*time.Millisecond)).Require()(http.HandlerFunc(who)), slow.ProjectID, slow.Token), 503)

	elsewhere := httptest.NewServer(http.NotFoundHandler()) // a server that is no tokenwire
	defer elsewhere.Close()
	g, err := guard.New(elsewhere.URL)
	if err != nil {
		t.Fatal(err)
	}
	documented(t, call(g.Require()(http.HandlerFunc(who)), slow.ProjectID, slow.Token), 503)
}

// TestTooManyFailures: an attacker gets 429, and good credentials get in.
func TestTooManyFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &servertest.Options{AuthFailuresPerMinute: 1})
	handler := w.guard(t).Require()(http.HandlerFunc(who))
	for call(handler, w.ProjectID, "guess").Code == 401 {
	}
	got := call(handler, w.ProjectID, "guess")
	if documented(t, got, 429); got.Header().Get("Retry-After") != "60" {
		t.Errorf("Retry-After is %q", got.Header().Get("Retry-After"))
	}
	if got := call(handler, w.ProjectID, w.Token); got.Code != 200 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for what, option := range map[string]guard.Option{
		"WithLifetime": guard.WithLifetime(-1), "1 minute": guard.WithLifetime(time.Hour), "WithMemory": guard.WithMemory(0),
		"WithTimeout": guard.WithTimeout(0), "WithPublicURL": guard.WithPublicURL(""), "WithHTTPClient": guard.WithClient(client.WithHTTPClient(nil)),
	} {
		if _, err := guard.New("http://127.0.0.1:8080", option); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, url := range []string{"", "127.0.0.1", "http://tokens.example.com"} { // the last is plain HTTP to another machine
		if _, err := guard.New(url); err == nil {
			t.Errorf("%q is taken", url)
		} else if _, ok := errors.AsType[*client.ArgumentError](err); !ok {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := guard.New("http://tokens.example.com", guard.WithClient(client.WithInsecureHTTP())); err != nil {
		t.Error(err)
	}
}

// TestDependencies: who imports the guard, or the client, compiles no Echo, no kin-openapi and no server.
func TestDependencies(t *testing.T) {
	t.Parallel()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".", "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.FieldsSeq(string(output)) {
		foreign := slices.ContainsFunc([]string{"labstack/echo", "kin-openapi", "sqlite", "tokenwire/server"}, func(part string) bool { return strings.Contains(pkg, part) })
		if foreign || pkg == "database/sql" {
			t.Errorf("it depends on %s", pkg)
		}
	}
}
