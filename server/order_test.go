package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

func sprint(value any) string { return fmt.Sprint(value) }

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

const unknownID = "7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42"

// TestOrderOfChecks sends requests with two things wrong: the check that comes first gives the answer.
func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	weak := a.create(t, a.Project, "fax")
	big := strings.Repeat("x", 70_000)
	own, nobody := a.Project, servertest.Project{ProjectID: a.ProjectID, Token: "PT" + strings.Repeat("0", 48)}
	badID := strings.Replace(tokenPath(a.ProjectID, "x"), "tokens/x", "tokens/no-uuid", 1)
	for _, c := range []struct {
		first, second string
		call          call
		status        int
		says          string
	}{
		{"route", "authentication", call{method: "POST", path: compat + "/x/nothing"}.as(nobody), 404, "20404"},
		{"route", "method", call{method: "BREW", path: "/nothing"}, 404, "20404"},
		{"method", "authentication", call{method: "PUT", path: badID}.as(nobody), 405, "10001"},
		{"authentication", "permission", jsonCall("PATCH", badID, "{}").as(nobody), 401, "Authentication failed"},
		{"authentication", "media type", call{method: "POST", path: tokensPath("x"), body: big}, 401, "Authentication failed"},
		{"permission", "media type", call{method: "POST", path: tokensPath("x"), body: big}.as(weak), 401, `lacks the permission \"management\"`},
		{"permission", "existence", jsonCall("PATCH", tokenPath(unknownID, unknownID), "{}").as(weak), 401, "lacks"},
		{"media type", "size", call{method: "POST", path: tokensPath("x"), contentType: "text/plain", body: big}.as(own), 415, "Content-Type"},
		{"media type", "parameters", call{method: "PATCH", path: badID, contentType: "text/plain", body: "{}"}.as(own), 415, "Content-Type"},
		{"size", "syntax", jsonCall("POST", tokensPath("x"), big).as(own), 413, "65536"},
		{"syntax", "schema", jsonCall("POST", tokensPath(a.ProjectID), `{"name":1`).as(own), 400, "not valid JSON"},
		{"parameters", "schema", jsonCall("PATCH", badID, `{"name":1}`).as(own), 400, "token_id must be a UUID"},
		{"schema", "existence of the account", jsonCall("POST", tokensPath(unknownID), `{"name":1}`).as(own), 422, "single string"},
		{"schema", "existence of the token", jsonCall("PATCH", tokenPath(a.ProjectID, unknownID), `{"name":1}`).as(own), 422, "single string"},
		{"existence of the account", "state", jsonCall("POST", tokensPath(unknownID), `{"name":"x","permissions":["fax"],"subproject_id":"`+unknownID+`"}`).as(own), 404, "20404"},
		{"existence of the token", "state", jsonCall("PATCH", tokenPath(a.ProjectID, unknownID), `{"expires_at":"2001-01-01T00:00:00Z"}`).as(own), 404, "20404"},
	} {
		got := a.do(t, c.call)
		if got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s before %s: %d %s, want %d with %q", c.first, c.second, got.status, got.body, c.status, c.says)
		}
	}
}

// TestPathParameters: what is no UUID is 400, whoever's it could be; a UUID may be written in capitals.
func TestPathParameters(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, id := range []string{
		"x", "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c1", "1bd1a9c75b1f4b0e9d570d2b1a5e3c11", "{1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11}",
		"urn:uuid:1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11", "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c1g", "%00", "%2e%2e", "%ff", "' OR 1=1",
	} {
		escaped := strings.ReplaceAll(id, " ", "%20")
		for _, c := range []struct {
			call call
			says string
		}{
			{jsonCall("POST", tokensPath(escaped), `{"name":"x","permissions":["fax"]}`), "AccountSid must be a UUID"},
			{jsonCall("PATCH", tokenPath(a.ProjectID, escaped), "{}"), "token_id must be a UUID"},
			{call{method: "DELETE", path: tokenPath(a.ProjectID, escaped)}, "token_id must be a UUID"},
			{call{method: "GET", path: compat + "/" + escaped}, "Sid must be a UUID"},
		} {
			if got := a.do(t, c.call.as(a.Project)); got.status != 400 || !strings.Contains(got.body, c.says) {
				t.Errorf("%s %s: %d %s, want 400 with %q", c.call.method, c.call.path, got.status, got.body, c.says)
			}
		}
	}
	a.do(t, jsonCall("PATCH", tokenPath(strings.ToUpper(a.ProjectID), strings.ToUpper(a.TokenID)), "{}").as(a.Project)).want(t, 200)
}

// TestRoutes: paths and methods that the contract does not have, and those that HTTP adds to it.
func TestRoutes(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/api", 404, ""},
		{"POST", tokensPath(a.ProjectID) + "/", 404, ""},
		{"POST", tokensPath(a.ProjectID) + ".jsonx", 404, ""},
		{"POST", native + ".json", 404, ""},
		{"DELETE", tokenPath(a.ProjectID, a.TokenID) + "/x", 404, ""},
		{"DELETE", native + "/" + a.TokenID + "/", 404, ""},
		{"GET", compat + "//tokens", 404, ""},
		{"GET", "/healthz.json", 404, ""},
		{"PUT", tokensPath(a.ProjectID), 405, "OPTIONS, GET, HEAD, POST"},
		{"PUT", tokenPath(a.ProjectID, a.TokenID), 405, "OPTIONS, DELETE, GET, HEAD, PATCH"},
		{"POST", "/healthz", 405, "OPTIONS, GET, HEAD"},
		{"GET", native, 405, "OPTIONS, POST"},
		{"HEAD", native, 405, "OPTIONS, POST"},
		{"OPTIONS", tokenPath(a.ProjectID, a.TokenID), 204, "OPTIONS, DELETE, GET, HEAD, PATCH"},
		{"OPTIONS", "/nothing", 404, ""},
		{"HEAD", "/healthz", 200, ""},
		{"HEAD", "/readyz", 200, ""},
		{"GET", "/healthz", 200, ""},
		{"GET", "/healthz?%zz", 200, ""},
		{"GET", "/readyz?a;b", 200, ""},
		{"GET", "/openapi.json?%", 200, ""},
		{"GET", "/readyz", 200, ""},
		{"TRACE", "/healthz", 405, "OPTIONS, GET, HEAD"},
	} {
		got := a.do(t, call{method: c.method, path: c.path}.as(a.Project))
		if got.status != c.status || !sameMethods(got.header.Get("Allow"), c.allow) {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.method, c.path, got.status, got.header.Get("Allow"), c.status, c.allow)
		}
	}
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID)+".json", "{}").as(a.Project)).want(t, 200)
	a.do(t, formCall("POST", tokensPath(a.ProjectID)+".json", "name=x&permissions=fax").as(a.Project)).want(t, 200)
	a.do(t, call{method: "GET", path: compat + ".json"}.as(a.Project)).want(t, 200)

	// The vendor's npm client leaves /api/laml out.
	a.do(t, call{method: "GET", path: "/2010-04-01/Accounts.json"}.as(a.Project)).want(t, 200)
	a.do(t, jsonCall("PATCH", strings.TrimPrefix(tokenPath(a.ProjectID, a.TokenID), "/api/laml"), "{}").as(a.Project)).want(t, 200)
	a.do(t, call{method: "GET", path: "/2010-04-01/Nothing"}.as(a.Project)).want(t, 404)
	a.do(t, call{method: "GET", path: "/2010-04-01/project/tokens"}.as(a.Project)).want(t, 404)
}

func sameMethods(a, b string) bool {
	set := func(text string) map[string]bool {
		methods := map[string]bool{}
		for method := range strings.SplitSeq(text, ", ") {
			methods[method] = true
		}
		return methods
	}
	return equal(set(a), set(b))
}

// TestAnswersHaveNothingMore: a documented answer has the documented properties and no other (decision 13).
func TestAnswersHaveNothingMore(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, c := range []call{
		jsonCall("POST", tokensPath(a.ProjectID), `{"name":"x","permissions":["fax"],"expires_at":"2099-01-01T00:00:00Z"}`),
		jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), "{}"),
		jsonCall("POST", native, `{"name":"x","permissions":["fax"]}`),
		jsonCall("PATCH", native+"/"+a.TokenID, "{}"),
	} {
		var members map[string]json.RawMessage
		got := a.do(t, c.as(a.Project)).want(t, 200)
		if err := json.Unmarshal([]byte(got.body), &members); err != nil || len(members) != 4 {
			t.Errorf("%s %s: %s, want exactly id, name, permissions and token", c.method, c.path, got.body)
		}
	}
	deleted := a.do(t, jsonCall("DELETE", tokenPath(a.ProjectID, a.create(t, a.Project, "fax").TokenID), `{"ignored":`).as(a.Project))
	if deleted.want(t, http.StatusNoContent).body != "" {
		t.Errorf("the answer to a deletion has a body: %q", deleted.body)
	}
}
