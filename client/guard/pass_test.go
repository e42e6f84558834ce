package guard_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/client/guard"
)

// spoofed is a request with a good credential and an identity of the client's making.
func (w *world) spoofed(t *testing.T, url string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(w.ProjectID, w.Token)
	for name, value := range map[string]string{
		"X-Tokenwire-Project": "evil", "X_Tokenwire_Project": "evil", "X-Tokenwire_Permissions": "management", "x_tokenwire-token-id": "evil",
		"X.Tokenwire.Project": "evil", "X-TOKENWIRE-ROLE": "evil", "X-Tokenwired": "stays", "Xstokenwire-Project": "stays", "Accept": "stays",
	} {
		request.Header[name] = []string{value}
	}
	request.Header["Connection"] = []string{"X-Tokenwire-Project, keep-alive", "x_tokenwire_project,X-TOKENWIRE-Token-ID"}
	return request
}

// unspoofed expects the headers to have nothing of what the client said about itself.
func unspoofed(t *testing.T, what string, header http.Header) {
	t.Helper()
	for name, values := range header {
		if values[0] == "evil" || values[0] == "management" {
			t.Errorf("%s gets %s: %q", what, name, values)
		}
	}
	for _, name := range []string{"X-Tokenwired", "Xstokenwire-Project", "Accept"} {
		if header.Get(name) != "stays" {
			t.Errorf("%s does not get %s: %q", what, name, header)
		}
	}
}

// TestHeaders: the handler gets neither the secret nor an identity that the client made up, and who comes before the guard gets all.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for what, options := range map[string][]guard.Option{"": nil, "with the credential": {guard.WithAuthorization()}} {
		var got http.Header
		handler := w.guard(t, options...).Require()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
		request := w.spoofed(t, "/")
		before := request.Header.Clone()
		handler.ServeHTTP(httptest.NewRecorder(), request)
		unspoofed(t, "the handler"+what, got)
		if kept := got.Get("Authorization") != ""; kept != (options != nil) {
			t.Errorf("%s: the handler gets the credential: %v", what, kept)
		}
		if connection := strings.Join(got["Connection"], ","); strings.Contains(strings.ToLower(connection), "tokenwire") || !strings.Contains(connection, "keep-alive") {
			t.Errorf("the handler gets Connection: %s", connection)
		}
		got.Set("Accept", "changed")
		for name, values := range before {
			if strings.Join(request.Header[name], "|") != strings.Join(values, "|") {
				t.Errorf("%s has changed for who comes before the guard: %q", name, request.Header[name])
			}
		}
	}
}

// TestReverseProxy: what the service behind a proxy reads about its caller is what the proxy has said, under net/http and Echo.
func TestReverseProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	g := w.guard(t)
	reached := make(chan http.Header, 1)
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Header }))
	t.Cleanup(service.Close)
	target, err := url.Parse(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	proxy := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		who, _ := guard.FromContext(r.Context())
		r.Header.Set("X-Tokenwire-Project", who.ProjectID)
		forward.ServeHTTP(rw, r)
	})
	e := echo.New()
	e.Use(echo.WrapMiddleware(g.Require()))
	e.Any("/*", echo.WrapHandler(proxy))
	for what, handler := range map[string]http.Handler{"net/http": g.Require()(proxy), "Echo": e} {
		front := httptest.NewServer(handler)
		response, err := front.Client().Do(w.spoofed(t, front.URL+"/"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", what, response.StatusCode)
		}
		got := <-reached
		unspoofed(t, "the service behind "+what, got)
		if values := got.Values("X-Tokenwire-Project"); len(values) != 1 || values[0] != w.ProjectID || got.Get("Authorization") != "" {
			t.Errorf("the service behind %s gets the project %q and the credential %q", what, values, got.Get("Authorization"))
		}
		front.Close()
	}
}

// TestNested: a guard knows whom it has let through itself already, and believes no other.
func TestNested(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	g, other := w.guard(t, guard.WithLifetime(0)), w.guard(t)
	inner := func(permission client.Permission) http.Handler { return g.Require(permission)(http.HandlerFunc(who)) }
	if got := call(g.Require()(inner(client.PermissionManagement)), w.ProjectID, w.Token); got.Code != 200 || !strings.Contains(got.Body.String(), w.ProjectID) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if asked := w.asked.Load(); asked != 1 {
		t.Errorf("%d questions for one request", asked)
	}
	documented(t, call(g.Require()(inner(client.PermissionFax)), w.ProjectID, w.Token), 403)
	documented(t, call(other.Require()(inner(client.PermissionManagement)), w.ProjectID, w.Token), 401)
	// Another credential is another caller, also in the context of this one.
	exchange := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.SetBasicAuth(w.ProjectID, "guessed")
		inner(client.PermissionManagement).ServeHTTP(rw, r)
	})
	documented(t, call(g.Require()(exchange), w.ProjectID, w.Token), 401)
}
