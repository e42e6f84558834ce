package contract

import (
	"net/http"
	"slices"
	"strings"
)

// reachCases is who reaches whose tokens.
func reachCases() []Case {
	const source = "decision 2"
	return []Case{
		documented("reach.parent", "a parent creates, changes and deletes its subprojects' tokens, by their path and by its own", source, reachParent),
		documented("reach.native-parent", "on the native surface a parent reaches its subprojects' tokens", source, reachNativeParent),
		documented("reach.subproject", "a subproject creates, changes and deletes its own tokens", source, reachChild),
		documented("reach.subproject-of-parent", "a subproject does not reach its parent's tokens, by any path", source, reachUp),
		documented("reach.siblings", "a subproject does not reach another's tokens, nor makes one for it", source, reachSibling),
		documented("reach.wrong-path", "by the path of a subproject a parent reaches that subproject's tokens alone", source, reachWrongPath),
		documented("reach.unknown-account", "an account that does not exist is answered 404, whatever is asked of it", source, reachUnknown),
		documented("reach.bad-account", "an account id that is no UUID is answered 400", "decision 4", reachBadAccount),
		documented("reach.capitals", "UUIDs in a path may be in capitals", "openapi.yaml: AccountSid", reachCapitals),
	}
}

func reachParent(t *trial) {
	child := t.subproject()
	k := t.createFor(child, "management")
	for _, account := range []string{child, t.own().project} {
		k.name = t.name()
		t.patch(tokenOf(account, k.id)).json(object{"name": k.name}).want(http.StatusOK).is("id", k.id, "name", k.name, "token", k.secret)
	}
	t.works(k.credential())
	other := t.createFor(child, "management")
	t.delete(tokenOf(child, k.id)).want(http.StatusNoContent)
	t.delete(tokenOf(t.own().project, other.id)).want(http.StatusNoContent)
	t.fails(k.credential())
	t.fails(other.credential())
}

func reachNativeParent(t *trial) {
	k := t.createFor(t.subproject(), "management")
	k.name = t.name()
	t.patch(native.token(t, k.id)).json(object{"name": k.name}).want(http.StatusOK).is("name", k.name)
	t.delete(native.token(t, k.id)).want(http.StatusNoContent)
	t.fails(k.credential())
}

func reachChild(t *trial) {
	child := t.subproject()
	boss := t.createFor(child, "management").credential()
	for _, tokens := range []string{tokensOf(child), nativeBase} {
		k := t.post(tokens).as(boss).json(object{"name": t.name(), "permissions": []string{"management"}}).want(http.StatusOK).token(child)
		t.works(k.credential())
		t.patch(tokens+"/"+k.id).as(boss).json(object{"permissions": []string{"fax"}}).want(http.StatusOK).is("name", k.name)
		t.fails(k.credential())
		t.delete(tokens + "/" + k.id).as(boss).want(http.StatusNoContent)
	}
}

// refuseTo expects every way of a caller to a token to be answered 404, and the token to stay as it is.
func refuseTo(t *trial, caller credential, k token, accounts ...string) {
	paths := []string{nativeBase + "/" + k.id}
	for _, account := range accounts {
		paths = append(paths, tokenOf(account, k.id))
	}
	for _, path := range paths {
		t.patch(path).as(caller).json(object{"name": t.name()}).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
		t.delete(path).as(caller).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	}
	t.expect(compat, k)
}

func reachUp(t *trial) {
	child := t.subproject()
	boss := t.createFor(child, "management").credential()
	refuseTo(t, boss, t.create(compat, "fax"), child, t.own().project)
	body := object{"name": t.name(), "permissions": []string{"fax"}}
	t.post(tokensOf(t.own().project)).as(boss).json(body).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
}

func reachSibling(t *trial) {
	child, sibling := t.subprojects()
	boss := t.createFor(child, "management").credential()
	refuseTo(t, boss, t.createFor(sibling, "fax"), child, sibling)
	body := object{"name": t.name(), "permissions": []string{"fax"}, "subproject_id": sibling}
	t.post(tokensOf(child)).as(boss).json(body).refuse(badSubproject())
	t.post(tokensOf(child)).json(body).refuse(badSubproject()) // nor does its parent, by the path of the first
}

func reachWrongPath(t *trial) {
	child, sibling := t.subprojects()
	own, other := t.create(compat, "fax"), t.createFor(sibling, "fax")
	for _, k := range []token{own, other} {
		t.patch(tokenOf(child, k.id)).json(object{"name": t.name()}).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
		t.delete(tokenOf(child, k.id)).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
		t.expect(compat, k)
	}
}

func reachUnknown(t *trial) {
	k := t.create(compat, "fax")
	t.post(tokensOf(unknownID)).json(object{"name": t.name(), "permissions": []string{"fax"}}).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	t.patch(tokenOf(unknownID, k.id)).json(object{"name": t.name()}).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	t.delete(tokenOf(unknownID, k.id)).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	t.expect(compat, k)
}

func reachBadAccount(t *trial) {
	k := t.create(compat, "fax")
	for _, id := range badIDs() {
		t.post(tokensOf(id)).json(object{"name": t.name(), "permissions": []string{"fax"}}).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
		t.delete(tokenOf(id, k.id)).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	}
	t.expect(compat, k)
}

func reachCapitals(t *trial) {
	k := t.create(compat, "fax")
	t.patch(tokenOf(strings.ToUpper(k.owner), strings.ToUpper(k.id))).json(object{}).want(http.StatusOK).is("id", k.id)
	t.delete(native.token(t, strings.ToUpper(k.id))).want(http.StatusNoContent)
}

// orderCases sends requests with two things wrong: the check that comes first gives the answer.
func orderCases() []Case {
	one := func(first, second string, status, code int, call func(*trial) *call) Case {
		return documented("order."+first+"-before-"+second, "of two things wrong, the "+first+" gives the answer before the "+second, "decision 1",
			func(t *trial) { call(t).want(status).failed(status, code) })
	}
	big := strings.Repeat("x", maxBody+1)
	weak := func(t *trial) credential { return t.create(compat, "fax").credential() }
	bad := func(t *trial) string { return compat.token(t, "no-uuid") }
	return slices.Concat([]Case{
		one("route", "method", 404, 20404, func(t *trial) *call { return t.call("BREW", "/nothing") }),
		one("route", "credential", 404, 20404, func(t *trial) *call { return t.post(accountOf("x") + "/nothing").as(t.unknown()) }),
		one("method", "credential", 405, 10001, func(t *trial) *call { return t.call(http.MethodPut, bad(t)).as(t.unknown()) }),
		one("credential", "media-type", 401, 20003, func(t *trial) *call { return t.post(compat.tokens(t)).as(t.unknown()).text("text/plain", "x") }),
		one("credential", "parameters", 401, 20003, func(t *trial) *call { return t.patch(bad(t)).as(t.unknown()).json(object{}) }),
		one("credential", "schema", 401, 20003, func(t *trial) *call { return t.post(compat.tokens(t)).as(t.unknown()).json(object{}) }),
		one("credential", "existence", 401, 20003, func(t *trial) *call { return t.delete(tokenOf(unknownID, unknownID)).as(t.unknown()) }),
		one("permission", "media-type", 401, 20003, func(t *trial) *call { return t.post(tokensOf("x")).as(weak(t)).text("text/plain", big) }),
		one("permission", "parameters", 401, 20003, func(t *trial) *call { return t.patch(bad(t)).as(weak(t)).json(object{}) }),
		one("permission", "schema", 401, 20003, func(t *trial) *call { return t.post(compat.tokens(t)).as(weak(t)).json(object{}) }),
		one("permission", "existence", 401, 20003, func(t *trial) *call { return t.delete(tokenOf(unknownID, unknownID)).as(weak(t)) }),
	}, laterOrderCases(one, big, bad))
}

func laterOrderCases(one func(first, second string, status, code int, call func(*trial) *call) Case, big string, bad func(*trial) string) []Case {
	state := func(t *trial) object {
		return object{"name": t.name(), "permissions": []string{"fax"}, "subproject_id": unknownID}
	}
	return []Case{
		one("media-type", "size", 415, 10000, func(t *trial) *call { return t.post(tokensOf("x")).text("text/plain", big) }),
		one("media-type", "parameters", 415, 10000, func(t *trial) *call { return t.patch(bad(t)).text("text/plain", "{}") }),
		one("size", "parameters", 413, 10000, func(t *trial) *call { return t.post(tokensOf("x")).text(jsonType, big) }),
		one("syntax", "schema", 400, 10000, func(t *trial) *call { return t.post(compat.tokens(t)).text(jsonType, `{"name":1`) }),
		one("syntax", "existence", 400, 10000, func(t *trial) *call { return t.patch(tokenOf(unknownID, unknownID)).text(jsonType, `{`) }),
		one("parameters", "schema", 400, 10000, func(t *trial) *call { return t.patch(bad(t)).json(object{"name": 1}) }),
		one("existence", "state", 404, 20404, func(t *trial) *call { return t.post(tokensOf(unknownID)).json(state(t)) }),
		documented("order.schema-before-existence", "of two things wrong, the schema gives the answer before the existence", "decision 1", func(t *trial) {
			t.post(tokensOf(unknownID)).json(object{"name": 1}).refuse(invalid("name"))
			t.patch(compat.token(t, unknownID)).json(object{"name": 1}).refuse(invalid("name"))
			t.patch(native.token(t, unknownID)).json(object{"name": 1}).refuse(invalid("name"))
		}),
		documented("order.native", "the native surface has the same order", "decision 1", func(t *trial) {
			t.call(http.MethodPut, native.token(t, "x")).as(t.unknown()).want(http.StatusMethodNotAllowed).failed(http.StatusMethodNotAllowed, 0)
			t.patch(native.token(t, "x")).as(t.unknown()).text("text/plain", big).want(http.StatusUnauthorized)
			t.patch(native.token(t, "x")).text("text/plain", big).want(http.StatusUnsupportedMediaType)
			t.patch(native.token(t, "x")).text(jsonType, big).want(http.StatusRequestEntityTooLarge)
			t.patch(native.token(t, "x")).json(object{"name": 1}).want(http.StatusBadRequest)
		}),
	}
}
