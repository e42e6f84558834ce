package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"pgregory.net/rapid"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// TestAbsentFieldsAreKept is a law: after any sequence of updates a token has, for each property, the value that was sent
// last.
func TestAbsentFieldsAreKept(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "fax")
	model := a.read(t, a.Project, token.TokenID)
	rapid.Check(t, func(rt *rapid.T) {
		body := map[string]any{}
		if rapid.Bool().Draw(rt, "has a name") {
			body["name"] = rapid.StringMatching(`[a-zA-Z0-9 é🙂]{0,20}[a-z]`).Draw(rt, "name")
			model["name"] = body["name"]
		}
		if rapid.Bool().Draw(rt, "has permissions") {
			drawn := rapid.SliceOfN(rapid.SampledFrom(allPermissions), 0, 14).Draw(rt, "permissions")
			body["permissions"] = drawn
			set := []any{}
			for _, permission := range allPermissions { // they are in alphabetical order
				if len(without(drawn, permission)) != len(drawn) {
					set = append(set, permission)
				}
			}
			model["permissions"] = set
		}
		text, err := json.Marshal(body)
		if err != nil {
			rt.Fatal(err)
		}
		got := a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, token.TokenID), string(text)).as(a.Project)).want(t, 200).object(t)
		if !equal(got, model) {
			rt.Fatalf("after %s the token is %v, want %v", text, got, model)
		}
	})
}

// TestEffectIsImmediate: the request after a change sees it (decision 12).
func TestEffectIsImmediate(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	probe := call{method: "GET", path: tokensPath(a.ProjectID)}
	token := a.create(t, a.Project, "management")
	path := tokenPath(a.ProjectID, token.TokenID)

	a.do(t, probe.as(token)).want(t, 200)
	a.do(t, jsonCall("PATCH", path, `{"permissions":["fax"]}`).as(token)).want(t, 200) // it narrows itself
	a.do(t, probe.as(token)).want(t, 401)
	a.do(t, jsonCall("PATCH", path, `{"permissions":["management"]}`).as(token)).want(t, 401)
	a.do(t, jsonCall("PATCH", path, `{"permissions":["management"]}`).as(a.Project)).want(t, 200)
	a.do(t, probe.as(token)).want(t, 200)
	a.do(t, call{method: "DELETE", path: path}.as(token)).want(t, 204) // it deletes itself
	a.do(t, probe.as(token)).want(t, 401)
	a.do(t, call{method: "DELETE", path: path}.as(a.Project)).want(t, 404)
	a.do(t, jsonCall("PATCH", path, "{}").as(a.Project)).want(t, 404)
}

// TestSubprojectTokens: who owns a token, which credential it is, and from where it is reached (decision 2).
func TestSubprojectTokens(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	own, stranger := a.Project, a.stranger(t)
	child, sibling := a.subproject(t, own), a.subproject(t, own)
	foreign := a.subproject(t, stranger)
	body := func(subproject string) string {
		return `{"name":"x","permissions":["management"],"subproject_id":"` + subproject + `"}`
	}
	created := a.do(t, jsonCall("POST", tokensPath(own.ProjectID), body(child.ProjectID)).as(own)).want(t, 200)
	token := servertest.Project{ProjectID: child.ProjectID, TokenID: created.text(t, "id"), Token: created.text(t, "token")}

	a.do(t, jsonCall("PATCH", tokenPath(child.ProjectID, token.TokenID), "{}").as(token)).want(t, 200)
	a.do(t, jsonCall("PATCH", tokenPath(child.ProjectID, token.TokenID), "{}").as(own)).want(t, 200)
	a.do(t, jsonCall("PATCH", tokenPath(own.ProjectID, token.TokenID), "{}").as(own)).want(t, 200)
	a.do(t, jsonCall("PATCH", tokenPath(sibling.ProjectID, token.TokenID), "{}").as(own)).want(t, 404)
	a.do(t, jsonCall("PATCH", tokenPath(child.ProjectID, token.TokenID), "{}").as(stranger)).want(t, 404)
	a.do(t, call{method: "GET", path: tokensPath(own.ProjectID)}.as(servertest.Project{ProjectID: own.ProjectID, Token: token.Token})).want(t, 401)

	a.do(t, jsonCall("POST", tokensPath(child.ProjectID), body(child.ProjectID)).as(own)).want(t, 200)
	for what, c := range map[string]call{
		"the account itself":      jsonCall("POST", tokensPath(own.ProjectID), body(own.ProjectID)).as(own),
		"a stranger":              jsonCall("POST", tokensPath(own.ProjectID), body(stranger.ProjectID)).as(own),
		"a stranger's subproject": jsonCall("POST", tokensPath(own.ProjectID), body(foreign.ProjectID)).as(own),
		"nobody":                  jsonCall("POST", tokensPath(own.ProjectID), body(unknownID)).as(own),
		"another subproject":      jsonCall("POST", tokensPath(child.ProjectID), body(sibling.ProjectID)).as(own),
		"the parent":              jsonCall("POST", tokensPath(child.ProjectID), body(own.ProjectID)).as(child),
		"a subproject itself":     jsonCall("POST", tokensPath(child.ProjectID), body(child.ProjectID)).as(child),
	} {
		got := a.do(t, c).want(t, 422)
		if got.text(t, "code") != "10004" || got.text(t, "attribute") != "subproject_id" {
			t.Errorf("%s as owner: %s", what, got.body)
		}
	}
	if got := a.do(t, jsonCall("POST", tokensPath(own.ProjectID), body("x")).as(own)).want(t, 422); got.text(t, "code") != "10000" {
		t.Errorf("an owner that is no UUID: %s", got.body)
	}
}

// TestRevocationStopsRequestsOnTheWay: who is revoked while it sends a body changes nothing with it, and learns no secret.
func TestRevocationStopsRequestsOnTheWay(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, c := range []struct{ method, path, begin, end string }{
		{"POST", tokensPath(a.ProjectID), `{"name":"survivor",`, `"permissions":["management"]}`},
		{"PATCH", tokenPath(a.ProjectID, a.TokenID), `{`, `}`},
	} {
		revoked := a.create(t, a.Project, "management")
		reader, writer := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), c.method, a.URL+c.path, reader)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = basic(revoked.ProjectID, revoked.Token)
		request.Header.Set("Content-Type", jsonType)
		answered := make(chan int, 1)
		go func() {
			response, err := a.client.Do(request)
			if err != nil {
				answered <- 0
				return
			}
			answered <- response.StatusCode
			_ = response.Body.Close()
		}()
		if _, err := io.WriteString(writer, c.begin); err != nil {
			t.Fatal(err)
		}
		for a.summary(t, revoked.TokenID)["last_used_at"] == nil { // until the server has authenticated it
			a.WaitForUsage()
		}
		a.do(t, call{method: "DELETE", path: tokenPath(a.ProjectID, revoked.TokenID)}.as(a.Project)).want(t, 204)
		if _, err := io.WriteString(writer, c.end); err != nil {
			t.Fatal(err)
		}
		_ = writer.Close()
		if status := <-answered; status != http.StatusUnauthorized {
			t.Errorf("%s by a token that was deleted meanwhile: %d", c.method, status)
		}
	}
}
