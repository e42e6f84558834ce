package server_test

import (
	"net/http"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

func (a *api) events(t *testing.T, p servertest.Project, query string) []map[string]any {
	t.Helper()
	page := a.do(t, call{method: "GET", path: compat + "/" + p.ProjectID + "/audit_events" + query}.as(p)).want(t, 200).object(t)
	events := []map[string]any{}
	for _, event := range page["audit_events"].([]any) {
		events = append(events, event.(map[string]any))
	}
	return events
}

// TestAuditTrail: each change leaves an event that says who, what, from where, and by which request.
func TestAuditTrail(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "fax")
	path := tokenPath(a.ProjectID, token.TokenID)
	for _, step := range []struct {
		call    call
		action  string
		changes map[string]any
	}{
		{jsonCall("PATCH", path, `{"name":"New"}`), "token.updated", map[string]any{"name": map[string]any{"old": "Test", "new": "New"}}},
		{
			jsonCall("PATCH", path, `{"permissions":["video","chat"],"expires_at":"2099-01-01T00:00:00Z"}`), "token.updated",
			map[string]any{
				"permissions": map[string]any{"old": []any{"fax"}, "new": []any{"chat", "video"}},
				"expires_at":  map[string]any{"old": nil, "new": "2099-01-01T00:00:00Z"},
			},
		},
		{jsonCall("PATCH", path, `{"permissions":[]}`), "token.updated", map[string]any{"permissions": map[string]any{"old": []any{"chat", "video"}, "new": []any{}}}},
		{call{method: "POST", path: path + "/rotate"}, "token.rotated", map[string]any{}},
		{call{method: "DELETE", path: path}, "token.deleted", map[string]any{}},
		{formCall("POST", compat+"/"+a.ProjectID, "FriendlyName=New"), "account.updated", map[string]any{"name": map[string]any{"old": "Default", "new": "New"}}},
		{formCall("POST", compat, "FriendlyName=Branch"), "account.created", map[string]any{"name": map[string]any{"old": nil, "new": "Branch"}}},
		{jsonCall("POST", native, `{"name":"x","permissions":["fax"]}`), "token.created", map[string]any{
			"name": map[string]any{"old": nil, "new": "x"}, "permissions": map[string]any{"old": nil, "new": []any{"fax"}},
		}},
	} {
		step.call.header = http.Header{"X-Request-Id": {"request-of-" + step.action}}
		a.do(t, step.call.as(a.Project))
		got := a.events(t, a.Project, "?PageSize=1")[0]
		if got["action"] != step.action || !equal(got["changes"], step.changes) {
			t.Errorf("%s %s left %v %v, want %s %v", step.call.method, step.call.path, got["action"], got["changes"], step.action, step.changes)
		}
		want := map[string]any{"project_id": a.ProjectID, "token_id": a.TokenID, "address": "127.0.0.1", "request_id": "request-of-" + step.action}
		if !equal(got["actor"], want) {
			t.Errorf("%s was done by %v, want %v", step.action, got["actor"], want)
		}
	}
	first := a.events(t, a.Project, "?PageSize=1000")
	if operator := first[len(first)-1]["actor"]; !equal(operator, map[string]any{"project_id": nil, "token_id": nil, "address": nil, "request_id": nil}) {
		t.Errorf("the project was made by %v, want the operator", operator)
	}
}

// TestAuditLeavesOut: what was refused, and what changed nothing, is no event.
func TestAuditLeavesOut(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	before := len(a.events(t, a.Project, ""))
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{}`).as(a.Project)).want(t, 200)
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"name":""}`).as(a.Project)).want(t, 422)
	a.do(t, call{method: "DELETE", path: tokenPath(a.ProjectID, unknownID)}.as(a.Project)).want(t, 404)
	a.do(t, call{method: "DELETE", path: tokenPath(a.ProjectID, a.TokenID)}).want(t, 401)
	if after := len(a.events(t, a.Project, "")); after != before {
		t.Errorf("there are %d events, want %d", after, before)
	}
}

func TestAuditFilters(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	child := a.subproject(t, a.Project)
	token := a.create(t, child, "fax")
	a.Advance(1e9)
	between := a.Now().UTC().Format("2006-01-02T15:04:05.999999Z")
	a.do(t, call{method: "DELETE", path: tokenPath(child.ProjectID, token.TokenID)}.as(a.Project)).want(t, 204)
	for query, want := range map[string]int{
		"": 6, "?Action=token.deleted": 1, "?TokenId=" + token.TokenID: 2, "?Action=token.created&TokenId=" + token.TokenID: 1,
		"?From=" + between: 1, "?Until=" + between: 5, "?From=" + between + "&Until=" + between: 0,
	} {
		if got := len(a.events(t, a.Project, query)); got != want {
			t.Errorf("%q finds %d events, want %d", query, got, want)
		}
	}
	if got := len(a.events(t, child, "")); got != 4 {
		t.Errorf("the subproject sees %d events, want the 4 of its own", got)
	}
	if got := len(a.events(t, a.stranger(t), "")); got != 2 {
		t.Errorf("a stranger sees %d events, want the 2 of its own", got)
	}
}
