package server_test

import (
	"strings"
	"testing"
)

// TestTokenBodies is what create_token and update_token say to each kind of body. The contract lists the properties in
// alphabetical order, and the first that fails is reported.
func TestTokenBodies(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	const (
		ok      = ""
		blank   = "10000 name Name must be present"
		badPerm = "10003 permissions Permissions contain an invalid selection. Valid permissions are: calling, chat, datasphere, fax, " +
			"management, messaging, numbers, pubsub, storage, tasking, video"
	)
	long := strings.Repeat("é", 255)
	for _, c := range []struct {
		what           string
		body           string
		create, update string // "" is success, else code, attribute and message
	}{
		{"nothing", `{}`, blank, ok},
		{"a name alone", `{"name":"x"}`, "10000 permissions Permissions must be present", ok},
		{"permissions alone", `{"permissions":["fax"]}`, blank, ok},
		{"both", `{"name":"x","permissions":["fax"]}`, ok, ok},

		{"an empty name", `{"name":"","permissions":["fax"]}`, blank, blank},
		{"a blank name", `{"name":" \t\n\u000b\f\r","permissions":["fax"]}`, blank, blank},
		{"Unicode white space", `{"name":"\u0085\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000","permissions":["fax"]}`, blank, blank},
		{"white space around", `{"name":"  x  ","permissions":["fax"]}`, ok, ok},
		{"255 characters", `{"name":"` + long + `","permissions":["fax"]}`, ok, ok},
		{"256 characters", `{"name":"` + long + `x","permissions":["fax"]}`, "10000 name Name is too long (at most 255 characters)", "10000 name Name is too long (at most 255 characters)"},
		{"255 characters beyond the basic plane", `{"name":"` + strings.Repeat("🙂", 255) + `","permissions":["fax"]}`, ok, ok},
		{"NUL", `{"name":"a\u0000b","permissions":["fax"]}`, "10000 name Name must not contain the character NUL", "10000 name Name must not contain the character NUL"},
		{"null for a name", `{"name":null,"permissions":["fax"]}`, "10000 name Name must not be null", "10000 name Name must not be null"},
		{"a number for a name", `{"name":5,"permissions":["fax"]}`, "10000 name Name must be a single string", "10000 name Name must be a single string"},
		{"a list for a name", `{"name":["x"],"permissions":["fax"]}`, "10000 name Name must be a single string", "10000 name Name must be a single string"},

		{"no permission", `{"name":"x","permissions":[]}`, "10000 permissions Permissions must have at least 1 entry", ok},
		{"all eleven, twice", `{"name":"x","permissions":["video","calling","chat","datasphere","fax","management","messaging","numbers","pubsub","storage","tasking","video"]}`, ok, ok},
		{"a permission that does not exist", `{"name":"x","permissions":["fax","nope"]}`, badPerm, badPerm},
		{"a permission in capitals", `{"name":"x","permissions":["FAX"]}`, badPerm, badPerm},
		{"an empty permission", `{"name":"x","permissions":[""]}`, badPerm, badPerm},
		{"a number for a permission", `{"name":"x","permissions":[1]}`, badPerm, badPerm},
		{"null for a permission", `{"name":"x","permissions":[null]}`, badPerm, badPerm},
		{"a text for permissions", `{"name":"x","permissions":"fax"}`, "10000 permissions Permissions must be a list", "10000 permissions Permissions must be a list"},
		{"null for permissions", `{"name":"x","permissions":null}`, "10000 permissions Permissions must not be null", "10000 permissions Permissions must not be null"},
		{"101 permissions", `{"name":"x","permissions":["fax"` + strings.Repeat(`,"fax"`, 100) + `]}`, "10000 permissions Permissions must have at most 100 entries", "10000 permissions Permissions must have at most 100 entries"},

		{"name and permissions fail", `{"permissions":["nope"],"name":""}`, blank, blank},
		{"an unknown property and a name fail", `{"a":1,"name":"","permissions":["fax"]}`, blank, blank},
		{
			"an unknown property", `{"permisions":["fax"],"name":"x","permissions":["fax"]}`,
			`10000 permisions "permisions" is no property of this body; did you mean "permissions"? Its properties are: expires_at, name, permissions, subproject_id`,
			`10000 permisions "permisions" is no property of this body; did you mean "permissions"? Its properties are: expires_at, name, permissions`,
		},
		{
			"a property in another case", `{"Name":"x","name":"x","permissions":["fax"]}`,
			`10000 Name "Name" is no property of this body; did you mean "name"? Its properties are: expires_at, name, permissions, subproject_id`,
			`10000 Name "Name" is no property of this body; did you mean "name"? Its properties are: expires_at, name, permissions`,
		},
		{
			"a property of the answer", `{"id":"x","name":"x","permissions":["fax"]}`,
			`10000 id "id" is no property of this body. Its properties are: expires_at, name, permissions, subproject_id`,
			`10000 id "id" is no property of this body. Its properties are: expires_at, name, permissions`,
		},
		{"a list", `[]`, "10000 body The body must be an object", "10000 body The body must be an object"},
		{"null", `null`, "10000 body The body must be an object", "10000 body The body must be an object"},
		{"a text", `"name"`, "10000 body The body must be an object", "10000 body The body must be an object"},

		{"an expiry in the past", `{"name":"x","permissions":["fax"],"expires_at":"2001-01-01T00:00:00Z"}`, "10000 expires_at Expires at must be in the future", "10000 expires_at Expires at must be in the future"},
		{"an expiry that is no time", `{"name":"x","permissions":["fax"],"expires_at":"2099-02-30T00:00:00Z"}`, "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z", "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z"},
		{"an expiry beyond the year 9999", `{"name":"x","permissions":["fax"],"expires_at":"9999-12-31T23:59:59-01:00"}`, "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z", "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z"},
		{"an expiry with a zone that is none", `{"name":"x","permissions":["fax"],"expires_at":"2099-01-01T00:00:00+24:00"}`, "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z", "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z"},
		{"an expiry with a comma", `{"name":"x","permissions":["fax"],"expires_at":"2099-01-01T00:00:00,5Z"}`, "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z", "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z"},
		{"an expiry without a zone", `{"name":"x","permissions":["fax"],"expires_at":"2099-01-01T00:00:00"}`, "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z", "10000 expires_at Expires at must be a time such as 2026-11-23T09:30:00Z"},
		{"an expiry with a zone", `{"name":"x","permissions":["fax"],"expires_at":"2099-01-01T00:00:00.5+02:00"}`, ok, ok},
		{"null for the expiry", `{"name":"x","permissions":["fax"],"expires_at":null}`, ok, ok},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			checkBody(t, a, jsonCall("POST", tokensPath(a.ProjectID), c.body), c.create)
			victim := a.create(t, a.Project, "chat")
			before := a.read(t, a.Project, victim.TokenID)
			checkBody(t, a, jsonCall("PATCH", tokenPath(a.ProjectID, victim.TokenID), c.body), c.update)
			if after := a.read(t, a.Project, victim.TokenID); c.update != ok && !equal(before, after) {
				t.Errorf("a refused update has changed the token from %v to %v", before, after)
			}
		})
	}
}

// checkBody sends a call as the first project; want is "" for success, or the 422's code, attribute and message.
func checkBody(t *testing.T, a *api, c call, want string) {
	t.Helper()
	got := a.do(t, c.as(a.Project))
	if want == "" {
		got.want(t, 200)
		return
	}
	got.want(t, 422)
	said := got.text(t, "code") + " " + got.text(t, "attribute") + " " + got.text(t, "message")
	if said != want {
		t.Errorf("%s\n got %s\nwant %s", c.method, said, want)
	}
	if !strings.HasSuffix(got.text(t, "url"), "#"+got.text(t, "code")) {
		t.Errorf("the URL does not point to the code: %s", got.body)
	}
}

// TestForms is what forms add to that: how lists are written, and that a value which is no list has one value.
func TestForms(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, c := range []struct {
		what, body, want, permissions string
	}{
		{"repeated keys", "name=x&permissions=fax&permissions=chat", "", "[chat fax]"},
		{"brackets", "name=x&permissions[]=fax&permissions[]=chat", "", "[chat fax]"},
		{"escaped brackets", "name=x&permissions%5B%5D=fax&permissions%5B%5D=chat", "", "[chat fax]"},
		{"both", "name=x&permissions=fax&permissions[]=chat&permissions=fax", "", "[chat fax]"},
		{"one", "name=x&permissions=fax", "", "[fax]"},
		{"an empty name", "name=&permissions=fax", "10000 name Name must be present", ""},
		{"a name twice", "name=x&name=y&permissions=fax", "10000 name Name must be a single string", ""},
		{"a name as a list", "name[]=x&permissions=fax", "10000 name Name must be a single string", ""},
		{"an empty permission", "name=x&permissions=", "10003", ""},
		{"commas", "name=x&permissions=fax,chat", "10003", ""},
		{"an unknown key", "name=x&permissions=fax&nope=1", "10000 nope", ""},
		{"an unknown list", "name=x&permissions=fax&nope[]=1", "10000 nope[]", ""},
		{"no key", "=x&name=x&permissions=fax", `10000  "" is no property`, ""},
		{"invalid UTF-8", "name=%ff&permissions=fax", "10000 name Name must be valid UTF-8", ""},
		{"NUL", "name=a%00b&permissions=fax", "10000 name Name must not contain the character NUL", ""},
		{"JSON in a form", `{"name":"x"}`, "10000 name Name must be present", ""},
		{"nothing", "", "10000 name Name must be present", ""},
	} {
		got := a.do(t, formCall("POST", tokensPath(a.ProjectID), c.body).as(a.Project))
		if c.want == "" {
			if permissions := sprint(got.want(t, 200).object(t)["permissions"]); permissions != c.permissions {
				t.Errorf("%s: permissions %s, want %s", c.what, permissions, c.permissions)
			}
			continue
		}
		said := got.want(t, 422).text(t, "code") + " " + got.text(t, "attribute") + " " + got.text(t, "message")
		if !strings.HasPrefix(said, c.want) {
			t.Errorf("%s:\n got %s\nwant %s…", c.what, said, c.want)
		}
	}
	got := a.do(t, formCall("PATCH", tokenPath(a.ProjectID, a.TokenID), "").as(a.Project)).want(t, 200)
	if got.text(t, "token") != a.Token {
		t.Error("an empty form is no empty update")
	}
}

// TestSyntax is what cannot be read at all.
func TestSyntax(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	const good = `{"name":"x","permissions":["fax"]}`
	for _, c := range []struct {
		what, contentType, body string
		want                    int
		message                 string
	}{
		{"nothing", jsonType, "", 400, "The body is empty"},
		{"white space", jsonType, " \n", 400, "The body is empty"},
		{"half an object", jsonType, good[:10], 400, "not valid JSON"},
		{"two objects", jsonType, good + good, 400, "not valid JSON"},
		{"a duplicate name", jsonType, `{"name":"x","name":"y","permissions":["fax"]}`, 400, "duplicate"},
		{"invalid UTF-8", jsonType, "{\"name\":\"\xff\",\"permissions\":[\"fax\"]}", 400, "invalid UTF-8"},
		{"half a surrogate pair", jsonType, `{"name":"\ud800","permissions":["fax"]}`, 400, "surrogate"},
		{"deep nesting", jsonType, strings.Repeat("[", 30_000), 400, "not valid JSON"},
		{"a byte order mark", jsonType, "\ufeff" + good, 400, "not valid JSON"},
		{"a bad escape in a form", formType, "name=%zz", 400, "invalid escape"},
		{"a semicolon in a form", formType, "name=x;permissions=fax", 400, "semicolon"},

		{"no media type", "", good, 415, "Content-Type must be application/json or application/x-www-form-urlencoded"},
		{"another media type", "text/plain", good, 415, "Content-Type must be"},
		{"a multipart form", "multipart/form-data; boundary=x", good, 415, "Content-Type must be"},
		{"no media type at all", "nonsense", good, 415, "Content-Type must be"},
		{"another character set", jsonType + "; charset=latin1", good, 415, "UTF-8"},
		{"UTF-8", jsonType + "; charset=UTF-8", good, 200, ""},
		{"capitals", "Application/JSON", good, 200, ""},

		{"64 KiB", jsonType, good + strings.Repeat(" ", 65536-len(good)), 200, ""},
		{"one byte more", jsonType, good + strings.Repeat(" ", 65537-len(good)), 413, "larger than 65536 bytes"},
	} {
		got := a.do(t, call{method: "POST", path: tokensPath(a.ProjectID), contentType: c.contentType, body: c.body}.as(a.Project))
		if got.status != c.want || !strings.Contains(got.body, c.message) {
			t.Errorf("%s: %d %s, want %d with %q", c.what, got.status, got.body, c.want, c.message)
		}
	}
	compressed := jsonCall("POST", tokensPath(a.ProjectID), good)
	compressed.header = map[string][]string{"Content-Encoding": {"gzip"}}
	if got := a.do(t, compressed.as(a.Project)); got.status != 415 || !strings.Contains(got.body, "must not be compressed") {
		t.Errorf("a compressed body: %d %s", got.status, got.body)
	}
}
