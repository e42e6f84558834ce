//go:build gateway

package gatewaytest_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// guarded is a service behind a gateway.
type guarded struct {
	gateway
	tokenwire *servertest.Server
	manager   *client.Client
	address   string

	mu  sync.Mutex
	got []*http.Request // what has reached the service
}

func guardService(t *testing.T, g gateway, options *servertest.Options) *guarded {
	t.Helper()
	s := &guarded{gateway: g, tokenwire: servertest.New(t, options)}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.got = append(s.got, r)
		s.mu.Unlock()
		_, _ = fmt.Fprintf(w, "served %s %s %s", r.Method, r.RequestURI, body)
	}))
	t.Cleanup(service.Close)
	var err error
	if s.manager, err = client.New(s.tokenwire.ProjectID, s.tokenwire.Token, client.WithBaseURL(s.tokenwire.URL)); err != nil {
		t.Fatal(err)
	}
	s.address = g.run(t, strings.TrimPrefix(s.tokenwire.URL, "http://"), service.Listener.Addr().String())
	return s
}

func (s *guarded) token(t *testing.T, permissions ...client.Permission) *client.Token {
	t.Helper()
	token, err := s.manager.CreateToken(t.Context(), client.CreateTokenParams{Name: "T", Permissions: permissions})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (s *guarded) basic(secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(s.tokenwire.ProjectID+":"+secret))
}

// send sends a request byte by byte as it stands here: a client of Go would tidy it up. It returns the status, the body and what has
// reached the service of it.
func (s *guarded) send(t *testing.T, method, uri, body string, headers ...string) (int, string, *http.Request) {
	t.Helper()
	s.mu.Lock()
	before := len(s.got)
	s.mu.Unlock()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	lines := append([]string{method + " " + uri + " HTTP/1.1", "Host: " + s.address, "Connection: close"}, headers...)
	if body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, uri, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusUnauthorized && !strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("%s %s: 401 with WWW-Authenticate %q", method, uri, response.Header.Get("WWW-Authenticate"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == before {
		return response.StatusCode, string(text), nil
	}
	return response.StatusCode, string(text), s.got[len(s.got)-1]
}

// each runs a test with each gateway.
func each(t *testing.T, options *servertest.Options, test func(*testing.T, *guarded)) {
	t.Helper()
	for _, g := range gateways() {
		t.Run(g.name, func(t *testing.T) { test(t, guardService(t, g, options)) })
	}
}

func TestWhoIsLetThrough(t *testing.T) {
	each(t, nil, func(t *testing.T, s *guarded) { //nolint:thelper // it is a subtest
		sms := s.token(t, client.PermissionMessaging, client.PermissionChat)
		good := s.basic(sms.Secret.Reveal())
		messages := "/api/laml/2010-04-01/Accounts/" + s.tokenwire.ProjectID + "/Messages"
		status, body, got := s.send(t, "POST", messages+".json?To=%2B1", "Body=Hi", good)
		if status != 200 || body != "served POST "+messages+".json?To=%2B1 Body=Hi" {
			t.Fatalf("%d %s", status, body)
		}
		for name, want := range map[string]string{
			"X-Tokenwire-Project": s.tokenwire.ProjectID, "X-Tokenwire-Token-Id": sms.ID, "X-Tokenwire-Permissions": "chat,messaging",
		} {
			if values := got.Header.Values(name); len(values) != 1 || values[0] != want {
				t.Errorf("%s is %q, want %q", name, values, want)
			}
		}
		if got.Header.Get("Authorization") != "" {
			t.Error("the service has seen the secret")
		}
		for what, c := range map[string]struct {
			uri, credential string
			status          int
		}{
			"no credential":          {messages, "X-Nothing: 1", 401},
			"a bad one":              {messages, s.basic(sms.Secret.Reveal()[:49] + "x"), 401},
			"another permission":     {"/api/fax/logs", good, 403},
			"no rule":                {"/elsewhere", good, 403},
			"somebody else's":        {"/api/laml/2010-04-01/Accounts/7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42/Messages", good, 403},
			"the question itself":    {"/_tokenwire", good, 404},
			"the question, asked by": {"/api/tokens/verify", good, 403},
		} {
			want := c.status
			if want == 404 && s.language != "nginx" { // to others that is a path as any
				want = 403
			}
			status, body, got := s.send(t, "GET", c.uri, "", c.credential)
			if got != nil || status != want {
				t.Errorf("%s: %d %s, want %d", what, status, body, want)
			}
			if s.passesBodies && !strings.Contains(body, `"code":20003`) {
				t.Errorf("%s: %s", what, body)
			}
		}
	})
}

// TestIdentityCannotBeSpoofed: what the service reads about its caller is never the caller's own.
func TestIdentityCannotBeSpoofed(t *testing.T) {
	each(t, nil, func(t *testing.T, s *guarded) { //nolint:thelper // it is a subtest
		token := s.token(t, client.PermissionChat)
		if _, err := s.manager.UpdateToken(t.Context(), token.ID, client.UpdateTokenParams{Name: new("U")}); err != nil {
			t.Fatal(err)
		}
		good := s.basic(token.Secret.Reveal())
		status, body, got := s.send(t, "GET", "/api/chat/tokens", "", good,
			"X-Tokenwire-Project: spoofed", "x-tokenwire-project: spoofed", "X-Tokenwire-Token-Id: spoofed", "X-TOKENWIRE-PERMISSIONS: management", "X-Tokenwire-Permissions: fax")
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		for name, want := range map[string]string{
			"X-Tokenwire-Project": s.tokenwire.ProjectID, "X-Tokenwire-Token-Id": token.ID, "X-Tokenwire-Permissions": "chat",
		} {
			if values := got.Header.Values(name); len(values) != 1 || values[0] != want {
				t.Errorf("%s is %q, want %q", name, values, want)
			}
		}
		for _, headers := range [][]string{
			{"X-Original-URI: /api/chat/tokens", "X-Original-Method: GET"}, {"X-Forwarded-Uri: /api/chat/tokens", "X-Forwarded-Method: GET"},
			{"X-Original-URI: /api/chat/tokens", "X-Forwarded-Uri: /api/chat/tokens"}, {"X-Original-Method: GET"}, {"X-Forwarded-Uri: /api/chat"},
			{"X-Original-URI: /api/chat/tokens", "X-Original-Method: GET", "X-Forwarded-Uri: /api/chat/tokens", "X-Forwarded-Method: GET"},
			{"Connection: close, X-Original-URI", "X-Original-URI: /api/chat/tokens"}, {"Connection: close, X-Forwarded-Uri"},
			{"X-HTTP-Method-Override: GET", "X-Rewrite-URL: /api/chat/tokens", "X-Original-URL: /api/chat/tokens"},
		} {
			status, body, got := s.send(t, "GET", "/api/fax/logs", "", append(headers, good)...)
			if got != nil || status != 403 {
				t.Errorf("%q: %d %s, want 403", headers, status, body)
			}
			if status, body, _ := s.send(t, "GET", "/api/chat/tokens", "", append(headers, good)...); status != 200 && status != 403 {
				t.Errorf("%q on the own path: %d %s", headers, status, body)
			}
		}
	})
}

// TestIdentityStandsAlone: the client can neither take the identity away, as headers of one connection only, nor put another beside it
// under a name that CGI, WSGI and PHP take for the same.
func TestIdentityStandsAlone(t *testing.T) {
	each(t, nil, func(t *testing.T, s *guarded) { //nolint:thelper // it is a subtest
		token := s.token(t, client.PermissionChat)
		want := map[string]string{"HTTP_X_TOKENWIRE_PROJECT": s.tokenwire.ProjectID, "HTTP_X_TOKENWIRE_TOKEN_ID": token.ID, "HTTP_X_TOKENWIRE_PERMISSIONS": "chat"}
		for _, headers := range [][]string{
			{"Connection: close, X-Tokenwire-Project, X-Tokenwire-Token-Id, X-Tokenwire-Permissions"},
			{"Connection: x-tokenwire-project", "Connection: X-TOKENWIRE-TOKEN-ID,x-tokenwire-permissions"},
			{"Connection: Upgrade, X-Tokenwire-Project", "Upgrade: websocket"},
			{"X_Tokenwire_Permissions: management", "X-Tokenwire_Project: evil", "x_tokenwire-token_id: evil"},
			{"X.Tokenwire.Permissions: management", "X-Tokenwire~Project: evil", "X-Tokenwire-Role: admin"},
			{"Connection: close, X_Tokenwire_Project, X-Tokenwire-Project", "X_Tokenwire_Project: evil"},
		} {
			status, body, got := s.send(t, "GET", "/api/chat/tokens", "", append(headers, s.basic(token.Secret.Reveal()))...)
			if status != 200 {
				t.Errorf("%q: %d %s", headers, status, body)
				continue
			}
			for name, values := range asCGI(got.Header) {
				if _, known := want[name]; strings.Contains(name, "TOKENWIRE") && !known && !s.passesUnknown {
					t.Errorf("%q: the service reads %s as %q", headers, name, values)
				}
			}
			for name, value := range want {
				if values := asCGI(got.Header)[name]; len(values) != 1 || values[0] != value {
					t.Errorf("%q: the service reads %s as %q, want %q", headers, name, values, value)
				}
			}
		}
	})
}

// asCGI is how headers look to who gets them as variables.
func asCGI(header http.Header) map[string][]string {
	variables := map[string][]string{}
	for name, values := range header {
		name = "HTTP_" + regexp.MustCompile("[^A-Z0-9]").ReplaceAllString(strings.ToUpper(name), "_")
		variables[name] = append(variables[name], values...)
	}
	return variables
}

// TestTokenWithoutPermissions: an empty header is none that the client could fill.
func TestTokenWithoutPermissions(t *testing.T) {
	each(t, nil, func(t *testing.T, s *guarded) { //nolint:thelper // it is a subtest
		token := s.token(t, client.PermissionChat)
		if _, err := s.manager.UpdateToken(t.Context(), token.ID, client.UpdateTokenParams{Permissions: client.NoPermissions()}); err != nil {
			t.Fatal(err)
		}
		status, body, got := s.send(t, "GET", "/api/chat/tokens", "", s.basic(token.Secret.Reveal()), "X-Tokenwire-Permissions: chat")
		if got != nil || status != 403 {
			t.Errorf("%d %s, want 403", status, body)
		}
	})
}

// TestDeletedAtOnce: the very next request of a token that was narrowed or deleted is refused.
func TestDeletedAtOnce(t *testing.T) {
	each(t, nil, func(t *testing.T, s *guarded) { //nolint:thelper // it is a subtest
		token := s.token(t, client.PermissionChat)
		ask := func() int {
			status, _, _ := s.send(t, "GET", "/api/chat/tokens", "", s.basic(token.Secret.Reveal()))
			return status
		}
		if status := ask(); status != 200 {
			t.Fatalf("%d before", status)
		}
		if _, err := s.manager.UpdateToken(t.Context(), token.ID, client.UpdateTokenParams{Permissions: client.SetPermissions(client.PermissionFax)}); err != nil {
			t.Fatal(err)
		}
		if status := ask(); status != 403 {
			t.Errorf("%d for a token that was narrowed", status)
		}
		if err := s.manager.DeleteToken(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		if status := ask(); status != 401 {
			t.Errorf("%d for a deleted token", status)
		}
	})
}

// TestPathTricks: a token for chat reaches nothing but chat, however its path is written.
func TestPathTricks(t *testing.T) {
	each(t, nil, func(t *testing.T, s *guarded) { //nolint:thelper // it is a subtest
		chat := s.basic(s.token(t, client.PermissionChat).Secret.Reveal())
		for _, uri := range []string{
			"/api/fax/logs", "/api/fax/logs?permission=chat", "/api/fax/logs?%70ermission=chat", "/api/fax/logs?x=/api/chat/tokens", "/api/fax/logs.json",
			"/api/chat/../fax/logs", "/api/chat/%2e%2e/fax/logs", "/api/chat/.%2E/fax/logs", "/api/chat%2f..%2ffax/logs", "/api/chat%2F../fax/logs",
			"/api/chat/..%2ffax/logs", "/api/chat/..%5cfax/logs", `/api/chat\..\fax\logs`, "/api/chat/%252e%252e/fax/logs", "/api/chat/..;/fax/logs",
			"//api/fax/logs", "/api//fax/logs", "/./api/fax/logs", "/api/%66ax/logs", "/api/FAX/logs", "/API/chat/tokens", "/api/chat;/../fax",
			"/api/chat/tokens/../../fax/logs", "/api/chat%00/../fax/logs", "/api/chat/tokens%0d%0aX: y", "/api/fax/logs#/api/chat", "/_tokenwire?permission=chat",
			"/_tokenwire/", "http://" + s.address + "/api/fax/logs",
		} {
			if status, body, got := s.send(t, "GET", uri, "", chat); got != nil || status < 400 {
				t.Errorf("%s: %d %s", uri, status, body)
			}
		}
		for _, uri := range []string{"/api/chat/tokens", "/api/chat/tokens/", "/api/%63hat/tokens", "/api/chat/tokens?a=../../fax"} {
			if status, body, got := s.send(t, "GET", uri, "", chat); status != 200 || got.RequestURI != uri {
				t.Errorf("%s: %d %s", uri, status, body)
			}
		}
	})
}

// TestFailsClosed: without an answer of tokenwire nobody is let through.
func TestFailsClosed(t *testing.T) {
	each(t, &servertest.Options{AuthFailuresPerMinute: 3}, func(t *testing.T, s *guarded) { //nolint:thelper // it is a subtest
		chat := s.basic(s.token(t, client.PermissionChat).Secret.Reveal())
		limited := 0
		for range 10 {
			if status, _, got := s.send(t, "GET", "/api/chat/tokens", "", s.basic("guess")); got != nil || status != 401 && status != s.limited {
				t.Errorf("a guess gets %d", status)
			} else if status == s.limited {
				limited++
			}
			if status, body, _ := s.send(t, "GET", "/api/chat/tokens", "", chat); status != 200 {
				t.Errorf("a good credential gets %d %s among bad ones", status, body)
			}
		}
		if limited == 0 {
			t.Error("guesses are not limited")
		}
		if err := s.tokenwire.Close(); err != nil {
			t.Fatal(err)
		}
		if status, body, got := s.send(t, "GET", "/api/chat/tokens", "", chat); got != nil || status != s.failed {
			t.Errorf("%d %s without tokenwire, want %d", status, body, s.failed)
		}
	})
}
