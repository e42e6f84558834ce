package contract

import (
	"net/http"
	"slices"
	"strings"
)

// httpCases is what the contract says about HTTP itself: paths, methods and headers.
func httpCases() []Case {
	const paths, ids = "openapi.yaml: Paths", "openapi.yaml: X-Request-Id"
	return []Case{
		documented("http.json-suffix", ".json at the end of a compat path is accepted and means nothing", "decision 11", httpSuffix),
		documented("http.json-suffix-native", ".json at the end of a native path is no path: it is answered 404", "decision 11", httpNativeSuffix),
		documented("http.short-path", "/api/laml may be left out of a compat path", paths, httpShort),
		documented("http.no-path", "a path that the contract does not have is answered 404", paths, httpNoPath),
		documented("http.no-method", "a method that a path does not have is answered 405, with those that it has", paths, httpNoMethod),
		documented("http.head", "HEAD is answered as GET is, without the body", paths, httpHead),
		documented("http.options", "OPTIONS is answered 204 with the methods of the path, and needs no credential", paths, httpOptions),
		documented("http.request-id", "every answer has an X-Request-Id, and each its own", ids, httpRequestID),
		documented("http.request-id-kept", "a harmless X-Request-Id of a request is kept, and any other replaced", ids, httpRequestIDKept),
	}
}

func httpSuffix(t *trial) {
	k := t.post(compat.tokens(t)+".json").form("name", t.name(), "permissions", "fax").want(http.StatusOK).token(t.own().project)
	t.patch(compat.token(t, k.id)+".json").json(object{}).want(http.StatusOK).is("token", k.secret)
	t.delete(compat.token(t, k.id) + ".json").want(http.StatusNoContent)
	t.patch(compat.token(t, k.id)).json(object{}).want(http.StatusNotFound)
	t.get(accountOf(t.own().project)+".json").want(http.StatusOK).is("sid", t.own().project)
	t.get(accounts+".json?FriendlyName="+t.suite.name).want(http.StatusOK).is("accounts", []any{})
}

func httpNativeSuffix(t *trial) {
	t.post(nativeBase+".json").json(object{"name": t.name(), "permissions": []string{"fax"}}).want(http.StatusNotFound).failed(http.StatusNotFound, 0)
}

func httpShort(t *trial) {
	short := func(path string) string { return strings.TrimPrefix(path, "/api/laml") }
	t.get(short(accounts)+".json?FriendlyName="+t.suite.name).want(http.StatusOK).is("accounts", []any{})
	t.get(short(accountOf(t.own().project))).want(http.StatusOK).is("sid", t.own().project)
	k := t.create(compat, "fax")
	t.patch(short(compat.token(t, k.id))).json(object{}).want(http.StatusOK).is("token", k.secret)
	t.get("/2010-04-01/Nothing").want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
}

func httpNoPath(t *trial) {
	for _, path := range []string{
		"/api", "/api/laml", accounts + "/", compat.tokens(t) + "/", compat.tokens(t) + ".jsonx", accountOf(t.own().project) + "/nothing", compat.token(t, unknownID) + "/nothing",
		"/api/project/nothing", native.token(t, unknownID) + "/nothing",
	} {
		t.get(path).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	}
}

// expectAllow expects the methods to be among those that the answer allows. Extensions may add others.
func (a *answer) expectAllow(methods ...string) {
	allowed := strings.Split(a.header.Get("Allow"), ", ")
	for _, method := range methods {
		if !slices.Contains(allowed, method) {
			a.trial.fail(a.exchange, "Allow is %q, want %s in it", a.header.Get("Allow"), method)
		}
	}
	if slices.Contains(allowed, http.MethodPut) {
		a.trial.fail(a.exchange, "Allow is %q, and PUT is not in the contract", a.header.Get("Allow"))
	}
}

func methodsOf(t *trial) map[string][]string {
	return map[string][]string{
		accounts:                      {"GET", "HEAD", "POST"},
		accountOf(t.own().project):    {"GET", "HEAD", "POST"},
		compat.tokens(t):              {"POST"},
		compat.token(t, unknownID):    {"DELETE", "PATCH"},
		nativeBase:                    {"POST"},
		native.token(t, unknownID):    {"DELETE", "PATCH"},
		compat.tokens(t) + ".json":    {"POST"},
		"/2010-04-01/Accounts.json":   {"GET", "HEAD", "POST"},
		compat.token(t, "not-a-uuid"): {"DELETE", "PATCH"},
	}
}

func httpNoMethod(t *trial) {
	for _, path := range sorted(methodsOf(t)) {
		got := t.call(http.MethodPut, path).want(http.StatusMethodNotAllowed).failed(http.StatusMethodNotAllowed, 10001)
		got.expectAllow(methodsOf(t)[path]...)
	}
	t.delete(accountOf(unknownID)).want(http.StatusMethodNotAllowed).failed(http.StatusMethodNotAllowed, 10001)
	t.get(nativeBase).want(http.StatusMethodNotAllowed).failed(http.StatusMethodNotAllowed, 10001)
	t.call("BREW", nativeBase).want(http.StatusMethodNotAllowed).failed(http.StatusMethodNotAllowed, 10001)
}

func httpHead(t *trial) {
	path := accountOf(t.own().project)
	got, head := t.get(path).want(http.StatusOK), t.call(http.MethodHead, path).want(http.StatusOK)
	if head.header.Get("Content-Type") != got.header.Get("Content-Type") {
		t.fail(head.exchange, "Content-Type is %q, and that of GET %q", head.header.Get("Content-Type"), got.header.Get("Content-Type"))
	}
	t.call(http.MethodHead, accountOf(unknownID)).want(http.StatusNotFound)
	t.call(http.MethodHead, path).as(credential{}).want(http.StatusUnauthorized)
	t.call(http.MethodHead, nativeBase).want(http.StatusMethodNotAllowed).expectAllow("POST")
}

func httpOptions(t *trial) {
	for _, path := range sorted(methodsOf(t)) {
		t.call(http.MethodOptions, path).as(credential{}).want(http.StatusNoContent).expectAllow(append(methodsOf(t)[path], "OPTIONS")...)
	}
	t.call(http.MethodOptions, "/nothing").want(http.StatusNotFound)
}

func httpRequestID(t *trial) {
	seen := map[string]bool{}
	for _, c := range []*call{
		t.get(accountOf(t.own().project)), t.get(accountOf(unknownID)), t.get("/nothing"), t.call(http.MethodPut, accounts),
		t.get(accounts).as(credential{}), t.patch(native.token(t, "x")).json(object{}), t.call(http.MethodOptions, accounts),
		t.post(compat.tokens(t)).json(object{}), t.post(compat.tokens(t)).text("text/plain", ""), t.delete(native.token(t, t.create(native, "fax").id)),
	} {
		got := c.send()
		id := got.header.Get("X-Request-Id")
		if id == "" || seen[id] {
			t.fail(got.exchange, "X-Request-Id is %q, want one that no other answer has", id)
		}
		seen[id] = true
	}
}

func httpRequestIDKept(t *trial) {
	path := accountOf(t.own().project)
	for _, id := range []string{"a", "my_request-1.2", strings.Repeat("x", 128)} {
		if got := t.get(path).with("X-Request-Id", id).want(http.StatusOK); got.header.Get("X-Request-Id") != id {
			t.fail(got.exchange, "X-Request-Id is %q, want the request's own", got.header.Get("X-Request-Id"))
		}
	}
	for _, id := range []string{"with space", strings.Repeat("x", 129), "ä", `"quoted"`} {
		if got := t.get(path).with("X-Request-Id", id).want(http.StatusOK); got.header.Get("X-Request-Id") == id || got.header.Get("X-Request-Id") == "" {
			t.fail(got.exchange, "X-Request-Id is %q, want a new one", got.header.Get("X-Request-Id"))
		}
	}
}
