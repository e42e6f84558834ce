package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// fuzzed is a server for one fuzz target; it is called without a connection.
func fuzzed(f *testing.F) *servertest.Server {
	f.Helper()
	return servertest.New(f, nil)
}

// serve answers one request, and fails the test on a 5xx and on an answer that the contract does not have.
func serve(t *testing.T, s *servertest.Server, method, path, body string, header http.Header) int {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body)).WithContext(t.Context())
	request.Method, request.Header = method, header
	target, err := request.URL.Parse(path)
	if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return 0 // net/http refuses it before the handler
	}
	request.URL, request.RequestURI = target, path
	recorder := httptest.NewRecorder()
	s.Handler().ServeHTTP(recorder, request)
	if recorder.Code >= 500 {
		t.Errorf("%s %q: %d %s", method, path, recorder.Code, recorder.Body)
	}
	text := recorder.Body.String()
	if method == http.MethodHead {
		text = "" // net/http does not send it
	}
	checkContract(t, request, answer{recorder.Code, recorder.Header(), text})
	return recorder.Code
}

// FuzzAuthorization: no header but the right one lets anybody in.
func FuzzAuthorization(f *testing.F) {
	s := fuzzed(f)
	good := basic(s.ProjectID, s.Token).Get("Authorization")
	for _, seed := range []string{
		"", "Basic", "Basic ", "basic x", "Bearer x", "Basic " + strings.Repeat("A", 10_000), "Basic Og==", "Basic Ojo6Og==",
		good + "=", good[:len(good)-1], " " + good, "Basic\t" + good[6:], "Digest username=\"x\"", "Basic /w==", "Basic AAAA", "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		status := serve(t, s, http.MethodGet, tokensPath(s.ProjectID), "", http.Header{"Authorization": {value}})
		if user, pass, ok := (&http.Request{Header: http.Header{"Authorization": {value}}}).BasicAuth(); ok && pass == s.Token && strings.EqualFold(user, s.ProjectID) {
			return
		}
		if status != http.StatusUnauthorized {
			t.Errorf("%q: %d, want 401", value, status)
		}
	})
}

// FuzzForm: whatever the form, it is done or refused.
func FuzzForm(f *testing.F) {
	s := fuzzed(f)
	for _, seed := range []string{
		"", "name=x&permissions=fax", "name=x&permissions[]=fax&permissions%5B%5D=chat", "name=x&name=y", "name[]=x", "=", "&&&", "%", "%zz",
		"name=%ff", "name=%00", "a;b", "permissions=", "[]=x", "permissions[][]=x", "grace_period_seconds=1e3", "expires_at=2099-01-01T00:00:00Z",
		"FriendlyName=x", "subproject_id=x", "name=+", "\xff=\xff", strings.Repeat("a=b&", 1000),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{tokensPath(s.ProjectID), compat, tokenPath(s.ProjectID, unknownID) + "/rotate"} {
			header := basic(s.ProjectID, s.Token)
			header.Set("Content-Type", formType)
			serve(t, s, http.MethodPost, path, body, header)
		}
	})
}

// FuzzRequest: any method, path, media type and body.
func FuzzRequest(f *testing.F) {
	s := fuzzed(f)
	own := tokenPath(s.ProjectID, s.TokenID)
	for _, seed := range []struct {
		method, path, mediaType, body string
		loggedIn                      bool
	}{
		{"PATCH", own, jsonType, `{}`, true},
		{"PATCH", own, jsonType, `{"name":"x","permissions":["management"]}`, true},
		{"PATCH", own, jsonType, `{"expires_at":null}`, true},
		{"PATCH", own + ".json", formType, `name=x`, true},
		{"POST", tokensPath(s.ProjectID), jsonType, `{"name":"\ud800"}`, true},
		{"POST", tokensPath(s.ProjectID), "application/json; charset=x", strings.Repeat("[", 1000), true},
		{"POST", native, jsonType, `{"name":1e999,"permissions":{}}`, true},
		{"DELETE", native + "/%2e%2e/x", "", "", true},
		{"GET", tokensPath(s.ProjectID) + "?Page=1&PageSize=1&PageToken=PAAA&Expired=true&Permission=fax&NamePrefix=%25", "", "", true},
		{"GET", compat + "/" + s.ProjectID + "/audit_events?From=2026-01-01T00:00:00Z&Action=token.created", "", "", true},
		{"GET", compat + "?%zz", "", "", true},
		{"HEAD", "/readyz", "", "", false},
		{"OPTIONS", own, "", "", false},
		{"BREW", "/", "message/coffeepot", "\x00", false},
		{"PATCH", own, jsonType, `{}`, false},
		{"GET", compat + "//" + s.ProjectID, "", "", true},
	} {
		f.Add(seed.method, seed.path, seed.mediaType, seed.body, seed.loggedIn)
	}
	f.Fuzz(func(t *testing.T, method, path, mediaType, body string, loggedIn bool) {
		header := http.Header{}
		if loggedIn {
			header = basic(s.ProjectID, s.Token)
		}
		header.Set("Content-Type", mediaType)
		serve(t, s, method, path, body, header)
	})
}
