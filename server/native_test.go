package server_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestNativeErrors: the native surface has its own bodies, and reports every property that failed.
func TestNativeErrors(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	weak := a.create(t, a.Project, "fax")
	const good = `{"name":"x","permissions":["fax"]}`
	for _, c := range []struct {
		what   string
		call   call
		status int
		says   string
	}{
		{"no such token", jsonCall("PATCH", native+"/"+unknownID, "{}").as(a.Project), 404, "Not Found"},
		{"a stranger's token", call{method: "DELETE", path: native + "/" + a.stranger(t).TokenID}.as(a.Project), 404, "Not Found"},
		{"no credential", jsonCall("POST", native, good), 401, "Unauthorized"},
		{"a missing permission", jsonCall("POST", native, good).as(weak), 401, "Unauthorized"},
		{"no UUID", call{method: "DELETE", path: native + "/x"}.as(a.Project), 400, "Bad Request"},
		{"no JSON", jsonCall("POST", native, "{").as(a.Project), 400, "Bad Request"},
		{"a form", formCall("POST", native, "name=x&permissions=fax").as(a.Project), 415, "Unsupported Media Type"},
		{"a large body", jsonCall("POST", native, good+strings.Repeat(" ", 70_000)).as(a.Project), 413, "Content Too Large"},
		{"another method", call{method: "PUT", path: native}, 405, "Method Not Allowed"},
		{"another path", call{method: "PUT", path: native + "/x/y"}, 404, "Not Found"},
	} {
		got := a.do(t, c.call)
		if got.status != c.status || strings.TrimSpace(got.body) != fmt.Sprintf(`{"error":%q}`, c.says) {
			t.Errorf("%s: %d %s, want %d %s", c.what, got.status, got.body, c.status, c.says)
		}
	}
}

func TestNativeValidation(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, c := range []struct {
		body string
		want []string // code and attribute of each entry, in order
	}{
		{`{}`, []string{"missing_required_parameter name", "missing_required_parameter permissions"}},
		{`{"name":" ","permissions":["nope"]}`, []string{"missing_required_parameter name", "invalid_auth_token_permissions permissions"}},
		{`{"name":null,"permissions":[]}`, []string{"invalid_parameter name", "invalid_parameter permissions"}},
		{
			`{"zz":1,"aa":1,"subproject_id":"x","permissions":["fax"],"name":"x","expires_at":"soon"}`,
			[]string{"invalid_parameter expires_at", "invalid_parameter subproject_id", "invalid_parameter aa", "invalid_parameter zz"},
		},
		{`{"name":"x","permissions":["fax"],"subproject_id":"` + unknownID + `"}`, []string{"invalid_subproject_id subproject_id"}},
		{
			`{"name":"x","permissions":["fax"],"subproject_id":"` + unknownID + `","expires_at":"2001-01-01T00:00:00Z"}`,
			[]string{"invalid_parameter expires_at", "invalid_subproject_id subproject_id"},
		},
		{`[]`, []string{"invalid_parameter body"}},
	} {
		got := a.do(t, jsonCall("POST", native, c.body).as(a.Project)).want(t, 422)
		var said []string
		for _, entry := range got.object(t)["errors"].([]any) {
			field := entry.(map[string]any)
			said = append(said, sprint(field["code"])+" "+sprint(field["attribute"]))
			if field["type"] != "validation_error" || !strings.HasSuffix(sprint(field["url"]), "#"+sprint(field["code"])) {
				t.Errorf("%s: entry %v", c.body, field)
			}
		}
		if !equal(said, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.body, said, c.want)
		}
	}
}

// TestManyUnknownProperties: the first hundred of them are named, in alphabetical order, behind those that the body should have had.
func TestManyUnknownProperties(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	var body strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&body, `,"%04d":1`, i)
	}
	got := a.do(t, jsonCall("POST", native, "{"+body.String()[1:]+"}").as(a.Project)).want(t, 422)
	entries := got.object(t)["errors"].([]any)
	if len(entries) != 102 {
		t.Fatalf("%d errors", len(entries))
	}
	for i, want := range map[int]string{0: "name", 1: "permissions", 2: "0000", 101: "0099"} {
		if got := sprint(entries[i].(map[string]any)["attribute"]); got != want {
			t.Errorf("error %d is about %s, want %s", i, got, want)
		}
	}
}

// TestSurfacesShareTheirTokens: what one surface creates the other changes and deletes.
func TestSurfacesShareTheirTokens(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	child := a.subproject(t, a.Project)
	id := a.do(t, jsonCall("POST", native, `{"name":"x","permissions":["fax"],"subproject_id":"`+child.ProjectID+`"}`).as(a.Project)).want(t, 200).text(t, "id")
	a.do(t, jsonCall("PATCH", tokenPath(child.ProjectID, id), `{"name":"y"}`).as(child)).want(t, 200)
	if got := a.do(t, jsonCall("PATCH", native+"/"+id, `{"permissions":["chat"]}`).as(a.Project)).want(t, 200); got.text(t, "name") != "y" {
		t.Errorf("the update has lost the name: %s", got.body)
	}
	a.do(t, call{method: "DELETE", path: native + "/" + id}.as(child)).want(t, 204)
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, id), "{}").as(a.Project)).want(t, 404)
}
