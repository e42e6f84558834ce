package contract

import (
	"net/http"
	"slices"
	"strings"
)

const verifyPath = "/api/tokens/verify"

// verifyCases is what gateways and services rely on. Which rules a server has for original requests is its operator's business.
func verifyCases() []Case {
	const source = "openapi.yaml: Guarding"
	return []Case{
		extension("ext.verify.identity", "a good credential is answered 204, with its project, its token and its permissions", source, verifyIdentity),
		extension("ext.verify.nothing", "a token that may do nothing may ask about itself", source, verifyNothing),
		extension("ext.verify.permission", "who lacks the permission that is asked for gets 403, and is told which", source, verifyPermission),
		extension("ext.verify.credential", "a bad credential gets the 401 of every operation, whatever it asks", source, verifyCredential),
		extension("ext.verify.invalid", "what is asked for must be a permission, once: else 400", source, verifyInvalid),
		extension("ext.verify.changes", "a change of the token, and its end, show at once", source, verifyChanges),
		extension("ext.verify.original", "headers about the original request that are not whole, or contradict each other, get 403", source, verifyOriginal),
		extension("ext.verify.tricks", "an original path that can be read in more than one way gets 403", source, verifyTricks),
	}
}

func (t *trial) verify(k token, query string) *call {
	return t.get(verifyPath + query).as(k.credential())
}

// identifies expects the headers to say that it is this token.
func (a *answer) identifies(k token) {
	for name, want := range map[string]string{
		"X-Tokenwire-Project": k.owner, "X-Tokenwire-Token-Id": k.id, "X-Tokenwire-Permissions": strings.Join(k.permissions, ","),
	} {
		if got := a.header.Values(name); len(got) != 1 || got[0] != want {
			a.trial.fail(a.exchange, "the header %s is %q, want %q", name, got, want)
		}
	}
}

func verifyIdentity(t *trial) {
	k, other := t.create(compat, "messaging", "fax", "calling"), t.createFor(t.subproject(), "management")
	for range 2 { // what the server remembers is no other
		t.verify(k, "").want(http.StatusNoContent).identifies(k)
		t.verify(other, "?permission=management").want(http.StatusNoContent).identifies(other)
	}
	t.call(http.MethodHead, verifyPath).as(k.credential()).want(http.StatusNoContent).identifies(k)
}

func verifyNothing(t *trial) {
	k := t.create(compat, "fax")
	k.permissions = nil
	t.patch(compat.token(t, k.id)).json(object{"permissions": []string{}}).want(http.StatusOK)
	t.verify(k, "").want(http.StatusNoContent).identifies(k)
	t.verify(k, "?permission=fax").want(http.StatusForbidden).failed(http.StatusForbidden, 20003)
}

func verifyPermission(t *trial) {
	k := t.create(compat, "fax", "management")
	for _, permission := range allPermissions() {
		ask := t.verify(k, "?permission="+permission)
		if slices.Contains(k.permissions, permission) {
			ask.want(http.StatusNoContent).identifies(k)
			continue
		}
		got := ask.want(http.StatusForbidden)
		got.failed(http.StatusForbidden, 20003).says("message", permission)
		if got.header.Get("X-Tokenwire-Token-Id") != "" {
			t.fail(got.exchange, "who is refused is identified")
		}
	}
}

func verifyCredential(t *trial) {
	k := t.create(compat, "fax")
	want := t.get(accounts).as(t.unknown()).want(http.StatusUnauthorized)
	for _, c := range []credential{{}, t.unknown(), {t.own().project, strings.ToUpper(k.secret)}, {unknownID, k.secret}} {
		for _, query := range []string{"", "?permission=fax", "?permission=nothing"} {
			got := t.get(verifyPath+query).as(c).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
			if string(got.body) != string(want.body) {
				t.fail(got.exchange, "the answer differs from that of another operation: %s", want.excerpt(t.suite))
			}
		}
	}
}

func verifyInvalid(t *trial) {
	for _, query := range []string{"permission=", "permission=voice", "permission=FAX", "permission=management&permission=management"} {
		t.get(verifyPath+"?"+query).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000).says("message", "permission")
	}
	t.post(verifyPath).want(http.StatusMethodNotAllowed).failed(http.StatusMethodNotAllowed, 10001)
}

func verifyChanges(t *trial) {
	k := t.create(compat, "fax")
	t.verify(k, "?permission=fax").want(http.StatusNoContent).identifies(k)
	t.patch(compat.token(t, k.id)).json(object{"permissions": []string{"chat"}}).want(http.StatusOK)
	t.verify(k, "?permission=fax").want(http.StatusForbidden).failed(http.StatusForbidden, 20003)
	t.verify(k, "?permission=chat").want(http.StatusNoContent)
	k.permissions = []string{"chat"}
	rotated := t.rotate(k, 0)
	t.verify(k, "").want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
	t.verify(rotated, "").want(http.StatusNoContent).identifies(rotated)
	t.delete(compat.token(t, k.id)).want(http.StatusNoContent)
	t.verify(rotated, "").want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
}

func verifyOriginal(t *trial) {
	const path = "/api/project/tokens"
	for _, headers := range [][]string{
		{"X-Original-URI", path}, {"X-Original-Method", "GET"}, {"X-Original-URI", path, "X-Forwarded-Method", "GET"},
		{"X-Original-Method", "GET", "X-Original-URI", path, "X-Original-URI", path},
		{"X-Forwarded-Method", "GET", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", path},
		{"X-Original-Method", "GET", "X-Original-URI", path, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/elsewhere"},
		{"X-Original-Method", "GET", "X-Original-URI", path, "X-Forwarded-Method", "POST", "X-Forwarded-Uri", path},
		{"X-Original-URL", "https://example.com" + path}, {"X-Rewrite-URL", path}, {"X-Original-Method", "GET", "X-Rewrite-URL", path},
		{"X-Original-Method", "GET", "X-Original-URI", path, "X-Original-URL", "https://example.com/elsewhere"},
		{"X-Original-Method", "GET", "X-Original-URL", "https://a?b" + path}, {"X-Original-Method", "GET", "X-Original-URL", "https://example.com"},
	} {
		ask := t.get(verifyPath)
		for pair := range slices.Chunk(headers, 2) {
			ask.with(pair[0], pair[1])
		}
		ask.want(http.StatusForbidden).failed(http.StatusForbidden, 20003)
	}
	t.get(verifyPath+"?permission=management").with("X-Original-Method", "GET").with("X-Original-URI", path+"?permission=management").
		want(http.StatusForbidden).failed(http.StatusForbidden, 20003)
}

func verifyTricks(t *trial) {
	for _, path := range []string{
		"/api/project/../tokens", "/api/project/%2e%2e/tokens", "/api/project/./tokens", "/api//project", "//api/project", "/api/project%2ftokens",
		"/api/project%5ctokens", `/api/project\tokens`, "/api/project;x/tokens", "/api/project/%252e%252e", "/api/project%00", "/api/project/%zz", "api/project",
	} {
		t.get(verifyPath).with("X-Original-Method", "GET").with("X-Original-URI", path).want(http.StatusForbidden).failed(http.StatusForbidden, 20003)
	}
}
