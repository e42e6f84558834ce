package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/servertest"
)

func (a *api) summary(t *testing.T, id string) map[string]any {
	t.Helper()
	return a.do(t, call{method: "GET", path: tokenPath(a.ProjectID, id)}.as(a.Project)).want(t, 200).object(t)
}

// TestTokenSummary: a token without its secret, in the list and alone.
func TestTokenSummary(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "video", "fax")
	got := a.summary(t, token.TokenID)
	for name, want := range map[string]any{
		"id": token.TokenID, "name": "Test", "permissions": []any{"fax", "video"}, "project_id": a.ProjectID,
		"secret_last_four": token.Token[46:], "last_used_at": nil, "expires_at": nil,
	} {
		if !equal(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	page := a.do(t, call{method: "GET", path: tokensPath(a.ProjectID) + "?Permission=video"}.as(a.Project)).want(t, 200).object(t)
	if listed := page["tokens"].([]any); len(listed) != 1 || !equal(listed[0], got) {
		t.Errorf("listed\n%v, fetched\n%v", listed, got)
	}
}

func TestTokenListFilters(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, body := range []string{
		`{"name":"Branch 1","permissions":["fax"]}`, `{"name":"Branch 2","permissions":["chat","fax"],"expires_at":"2098-01-01T00:00:00Z"}`,
		`{"name":"branch 3","permissions":["chat"]}`,
	} {
		a.do(t, jsonCall("POST", tokensPath(a.ProjectID), body).as(a.Project)).want(t, 200)
	}
	a.Advance(a.until(t, "2098-01-01T00:00:00Z"))
	for query, want := range map[string]int{
		"": 4, "?NamePrefix=Branch": 2, "?NamePrefix=%25": 0, "?Permission=fax": 2, "?Permission=chat&NamePrefix=Branch": 1,
		"?Expired=true": 1, "?Expired=false": 3, "?Expired=false&Permission=fax": 1,
	} {
		page := a.do(t, call{method: "GET", path: tokensPath(a.ProjectID) + query}.as(a.Project)).want(t, 200).object(t)
		if got := len(page["tokens"].([]any)); got != want {
			t.Errorf("%q finds %d tokens, want %d", query, got, want)
		}
	}
}

// until returns how far a time is ahead of the server's clock.
func (a *api) until(t *testing.T, at string) time.Duration {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Sub(a.Now())
}

// TestExpiry: an expired token answers like a deleted one, stays listable, and another token extends it.
func TestExpiry(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	path := tokensPath(a.ProjectID)
	expiry := a.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)
	created := a.do(t, jsonCall("POST", path, `{"name":"x","permissions":["management"],"expires_at":"`+expiry+`"}`).as(a.Project)).want(t, 200)
	token := servertest.Project{ProjectID: a.ProjectID, TokenID: created.text(t, "id"), Token: created.text(t, "token")}
	probe := call{method: "GET", path: path}.as(token)

	a.do(t, probe).want(t, 200)
	a.Advance(time.Hour)
	expired := a.do(t, probe).want(t, 401)
	unknown := a.do(t, call{method: "GET", path: path, user: a.ProjectID, pass: "PT" + token.Token[2:49] + "x"}).want(t, 401)
	if expired.body != unknown.body {
		t.Errorf("an expired token is told apart from an unknown one: %s and %s", expired.body, unknown.body)
	}
	if got := a.summary(t, token.TokenID); got["expires_at"] == nil {
		t.Error("an expired token has no expiry")
	}
	later := a.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, token.TokenID), `{"expires_at":"`+later+`"}`).as(a.Project)).want(t, 200)
	a.do(t, probe).want(t, 200)
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, token.TokenID), `{"expires_at":null}`).as(a.Project)).want(t, 200)
	a.Advance(1000 * time.Hour)
	a.do(t, probe).want(t, 200)
	if got := a.summary(t, token.TokenID); got["expires_at"] != nil {
		t.Errorf("the expiry was not removed: %v", got["expires_at"])
	}
}

// TestRotation: a new secret for the same id, with and without grace.
func TestRotation(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "management")
	rotate := func(body string) servertest.Project {
		c := call{method: "POST", path: tokenPath(a.ProjectID, token.TokenID) + "/rotate"}
		if body != "" {
			c = jsonCall(c.method, c.path, body)
		}
		got := a.do(t, c.as(a.Project)).want(t, 200)
		if got.text(t, "id") != token.TokenID || got.text(t, "name") != "Test" {
			t.Errorf("the rotated token is %s", got.body)
		}
		return servertest.Project{ProjectID: a.ProjectID, TokenID: token.TokenID, Token: got.text(t, "token")}
	}
	wantStatus := func(what string, p servertest.Project, status int) {
		if got := a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}.as(p)); got.status != status {
			t.Errorf("%s: %d, want %d", what, got.status, status)
		}
	}
	second := rotate("")
	wantStatus("the old secret", token, 401)
	wantStatus("the new secret", second, 200)
	if got := a.read(t, a.Project, token.TokenID); got["token"] != second.Token {
		t.Error("the update returns another secret than the rotation")
	}
	third := rotate(`{"grace_period_seconds":60}`)
	wantStatus("the old secret in its grace", second, 200)
	wantStatus("the new secret", third, 200)
	a.Advance(time.Minute)
	wantStatus("the old secret after its grace", second, 401)
	fourth := rotate(`{"grace_period_seconds":604800}`)
	wantStatus("the old secret in its grace", third, 200)
	a.do(t, call{method: "DELETE", path: tokenPath(a.ProjectID, token.TokenID)}.as(a.Project)).want(t, 204)
	wantStatus("the old secret of a deleted token", third, 401)
	wantStatus("the new secret of a deleted token", fourth, 401)
}

func TestRotationBodies(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	path := tokenPath(a.ProjectID, a.create(t, a.Project, "fax").TokenID) + "/rotate"
	for body, want := range map[string]string{
		`{"grace_period_seconds":-1}`:     "Grace period seconds must be from 0 to 604800",
		`{"grace_period_seconds":604801}`: "Grace period seconds must be from 0 to 604800",
		`{"grace_period_seconds":1.5}`:    "Grace period seconds must be a whole number",
		`{"grace_period_seconds":"60"}`:   "Grace period seconds must be a whole number",
		`{"grace_period_seconds":null}`:   "Grace period seconds must not be null",
		`{"grace":60}`:                    `"grace" is no property of this body. Its properties are: grace_period_seconds`,
	} {
		if got := a.do(t, jsonCall("POST", path, body).as(a.Project)).want(t, 422); got.text(t, "message") != want {
			t.Errorf("%s: %q, want %q", body, got.text(t, "message"), want)
		}
	}
	a.do(t, formCall("POST", path, "grace_period_seconds=x").as(a.Project)).want(t, 422)
	for _, c := range []call{
		{method: "POST", path: path}, formCall("POST", path, ""), formCall("POST", path, "grace_period_seconds=60"), jsonCall("POST", path, "{}"),
	} {
		a.do(t, c.as(a.Project)).want(t, 200)
	}
}

// TestExpiryInForms: an empty value is a form's way to say null.
func TestExpiryInForms(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "fax")
	path := tokenPath(a.ProjectID, token.TokenID)
	a.do(t, formCall("PATCH", path, "expires_at=2099-01-01T00:00:00Z").as(a.Project)).want(t, 200)
	for body, want := range map[string]int{
		"expires_at=null": 422, "expires_at=&expires_at=2098-01-01T00:00:00Z": 422, "name=": 422,
	} {
		a.do(t, formCall("PATCH", path, body).as(a.Project)).want(t, want)
	}
	if got := a.summary(t, token.TokenID)["expires_at"]; got != "2099-01-01T00:00:00Z" {
		t.Errorf("the expiry is %v", got)
	}
	a.do(t, formCall("PATCH", path, "expires_at=").as(a.Project)).want(t, 200)
	if got := a.summary(t, token.TokenID)["expires_at"]; got != nil {
		t.Errorf("the expiry is %v after it was removed", got)
	}
}

// TestOwnRotationIsRepeatable: a token that replaces its own secret, and loses the answer, gets it again with the old one - and
// that alone, with that key alone.
func TestOwnRotationIsRepeatable(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "management")
	path := tokenPath(a.ProjectID, token.TokenID) + "/rotate"
	rotate := withKey(call{method: "POST", path: path}, "key").as(token)
	first := a.do(t, rotate).want(t, 200)
	if again := a.do(t, rotate).want(t, 200); again.body != first.body {
		t.Errorf("first %s, again %s", first.body, again.body)
	}
	other := withKey(jsonCall("POST", path, `{"grace_period_seconds":60}`), "key").as(token)
	a.do(t, other).want(t, 422)
	for what, c := range map[string]call{
		"another key":       withKey(call{method: "POST", path: path}, "other").as(token),
		"no key":            call{method: "POST", path: path}.as(token),
		"another token":     withKey(call{method: "POST", path: tokenPath(a.ProjectID, a.TokenID) + "/rotate"}, "key").as(token),
		"another operation": withKey(jsonCall("POST", tokensPath(a.ProjectID), `{"name":"x","permissions":["fax"]}`), "key").as(token),
		"a read":            call{method: "GET", path: tokensPath(a.ProjectID)}.as(token),
	} {
		if got := a.do(t, c); got.status != http.StatusUnauthorized {
			t.Errorf("%s with the old secret: %d %s", what, got.status, got.body)
		}
	}
	renewed := servertest.Project{ProjectID: a.ProjectID, TokenID: token.TokenID, Token: first.text(t, "token")}
	a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}.as(renewed)).want(t, 200)
	a.do(t, call{method: "DELETE", path: tokenPath(a.ProjectID, token.TokenID)}.as(a.Project)).want(t, 204)
	a.do(t, rotate).want(t, 401) // a deleted token gets nothing
}

// TestRotationWithoutBody: a body in chunks does not say that it is empty before it ends.
func TestRotationWithoutBody(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	path := tokenPath(a.ProjectID, a.create(t, a.Project, "fax").TokenID) + "/rotate"
	chunked := func(body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n",
			path, basic(a.ProjectID, a.Token).Get("Authorization"), body)
	}
	if status, body := send(t, a.Server, chunked(""), false); status != http.StatusOK {
		t.Errorf("an empty body in chunks: %d %s", status, body)
	}
	if status, body := send(t, a.Server, chunked("2\r\n{}\r\n"), false); status != http.StatusUnsupportedMediaType {
		t.Errorf("a body in chunks without a media type: %d %s", status, body)
	}
}

// TestLastUse: it is there after a request, and a minute passes before it is recorded again.
func TestLastUse(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "fax")
	use := func() string {
		a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}.as(token)).want(t, 401) // it authenticates, and may not do this
		a.WaitForUsage()
		return sprint(a.summary(t, token.TokenID)["last_used_at"])
	}
	before := a.summary(t, token.TokenID)
	first := use()
	if first == "<nil>" {
		t.Fatal("the use of a token was not recorded")
	}
	a.Advance(59 * time.Second)
	if again := use(); again != first {
		t.Errorf("the use was recorded again within a minute: %s and %s", first, again)
	}
	a.Advance(time.Second)
	if later := use(); later == first {
		t.Error("the use was not recorded again after a minute")
	}
	if after := a.summary(t, token.TokenID); after["updated_at"] != before["updated_at"] {
		t.Error("the use of a token counts as an update")
	}
}
