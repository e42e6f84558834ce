package contract

import (
	"net/http"
	"slices"
)

const updateBody = "Compatibility surface: update body"

// updateCases is what an update promises, on each surface.
func updateCases() []Case {
	return slices.Concat(
		onBoth("update.name", "a new name is in the answer and in the next one", updateBody, updateName),
		onBoth("update.absent-permissions-kept", "an update without permissions keeps them", updateBody, updateKeepsPermissions),
		onBoth("update.absent-name-kept", "an update without a name keeps it", "decision 8", updateKeepsName),
		onBoth("update.both", "an update can change the name and the permissions together", updateBody, updateBoth),
		onBoth("update.nothing", "{} changes nothing, and returns the token with its secret", "decision 8", updateNothing),
		onBoth("update.secret-kept", "no update changes the id or the secret, and the secret goes on working", tokenShape, updateKeepsSecret),
		onBoth("update.others-kept", "an update of one token leaves another as it is", "openapi.yaml: update_token", updateKeepsOthers),
		onBoth("update.permissions-replaced", "permissions are replaced as a whole, by a set", "decision 7", updateSet),
		onBoth("update.permissions-none", "an empty list of permissions leaves a token that may do nothing", "decision 7", updateNone),
		onBoth("update.effect", "the request after a change of permissions sees it, both ways", "decision 12", updateEffect),
		onBoth("update.itself", "a token may narrow itself, and cannot take that back", "decision 12", updateItself),
		onBoth("update.name-invalid", "a name that is blank, too long, null, no text or has a NUL is refused, and the token stays", "decision 5", updateBadName),
		onBoth("update.permissions-invalid", "permissions that do not exist, are null or no list are refused, and the token stays", updateBody, updateBadPermissions),
		onBoth("update.unknown-property", "a property that the body does not have is refused by its name; an owner is none", "decision 9", updateUnknownProperty),
		onBoth("update.half-good", "an update with a good name and bad permissions changes neither", "openapi.yaml: order of checks", updateHalfGood),
		onBoth("update.no-object", "a body that is no object is refused as a whole", updateBody, updateNoObject),
		onBoth("update.unknown-token", "a token that does not exist is answered 404", "Compatibility surface", updateUnknown),
		onBoth("update.bad-id", "an id that is no UUID is answered 400", "decision 4", updateBadID),
	)
}

func updateName(t *trial, s surface) {
	k := t.create(s, "fax")
	k.name = t.name() + " é🙂"
	t.patch(s.token(t, k.id)).json(object{"name": k.name}).want(http.StatusOK).is("name", k.name)
	t.expect(s, k)
}

func updateKeepsPermissions(t *trial, s surface) {
	k := t.create(s, "calling", "fax", "video")
	k.name = t.name()
	t.patch(s.token(t, k.id)).json(object{"name": k.name}).want(http.StatusOK).is("permissions", k.permissions)
	t.expect(s, k)
}

func updateKeepsName(t *trial, s surface) {
	k := t.create(s, "fax")
	k.permissions = []string{"chat", "video"}
	t.patch(s.token(t, k.id)).json(object{"permissions": k.permissions}).want(http.StatusOK).is("name", k.name, "permissions", k.permissions)
	t.expect(s, k)
}

func updateBoth(t *trial, s surface) {
	k := t.create(s, "fax")
	k.name, k.permissions = t.name(), []string{"chat"}
	t.patch(s.token(t, k.id)).json(object{"name": k.name, "permissions": k.permissions}).want(http.StatusOK).is("name", k.name, "permissions", k.permissions)
	t.expect(s, k)
}

func updateNothing(t *trial, s surface) {
	k := t.create(s, "fax", "management")
	for range 2 {
		t.expect(s, k)
	}
	t.works(k.credential())
}

func updateKeepsSecret(t *trial, s surface) {
	k := t.create(s, "management")
	for _, body := range []object{{"name": t.name()}, {"permissions": []string{"fax", "management"}}} {
		t.patch(s.token(t, k.id)).json(body).want(http.StatusOK).is("id", k.id, "token", k.secret)
		t.works(k.credential())
	}
}

func updateKeepsOthers(t *trial, s surface) {
	one, other := t.create(s, "fax"), t.create(s, "fax")
	t.patch(s.token(t, one.id)).json(object{"name": t.name(), "permissions": []string{"video"}}).want(http.StatusOK)
	t.expect(s, other)
}

func updateSet(t *trial, s surface) {
	k := t.create(s, "fax", "storage")
	k.permissions = []string{"chat", "video"}
	t.patch(s.token(t, k.id)).json(object{"permissions": []string{"video", "chat", "video"}}).want(http.StatusOK).is("permissions", k.permissions)
	t.expect(s, k)
}

func updateNone(t *trial, s surface) {
	k := t.create(s, "management")
	t.patch(s.token(t, k.id)).json(object{"permissions": []string{}}).want(http.StatusOK).is("permissions", []string{})
	t.fails(k.credential())
	k.permissions = []string{}
	t.read(s, k.id).is("permissions", k.permissions, "token", k.secret)
}

func updateEffect(t *trial, s surface) {
	k := t.create(s, "management")
	t.works(k.credential())
	t.patch(s.token(t, k.id)).json(object{"permissions": []string{"fax"}}).want(http.StatusOK)
	t.fails(k.credential())
	t.patch(s.token(t, k.id)).json(object{"permissions": []string{"management"}}).want(http.StatusOK)
	t.works(k.credential())
}

func updateItself(t *trial, s surface) {
	k := t.create(s, "management")
	self := k.credential()
	t.patch(s.token(t, k.id)).as(self).json(object{"permissions": []string{"fax"}}).want(http.StatusOK).is("permissions", []string{"fax"})
	t.patch(s.token(t, k.id)).as(self).json(object{"permissions": []string{"management"}}).want(http.StatusUnauthorized)
	k.permissions = []string{"fax"}
	t.expect(s, k)
}

func updateBadName(t *trial, s surface) {
	k := t.create(s, "fax")
	for _, blank := range blanks() {
		t.patch(s.token(t, k.id)).json(object{"name": blank}).refuse(missing("name")).is(s.message(), "Name must be present")
	}
	for _, name := range []any{t.long(256, "x"), nil, 5, []string{"x"}, t.name() + "\x00"} {
		t.patch(s.token(t, k.id)).json(object{"name": name}).refuse(invalid("name"))
	}
	t.expect(s, k)
}

func updateBadPermissions(t *trial, s surface) {
	k := t.create(s, "fax")
	for _, permissions := range [][]any{{"nope"}, {"fax", "nope"}, {"FAX"}, {""}, {1}} {
		t.patch(s.token(t, k.id)).json(object{"permissions": permissions}).refuse(badPermission())
	}
	for _, permissions := range []any{nil, "fax", object{}} {
		t.patch(s.token(t, k.id)).json(object{"permissions": permissions}).refuse(invalid("permissions"))
	}
	t.expect(s, k)
}

func updateUnknownProperty(t *trial, s surface) {
	k := t.create(s, "fax")
	for _, property := range []string{"permisions", "subproject_id", "token", "Name"} {
		t.patch(s.token(t, k.id)).json(object{"name": t.name(), property: unknownID}).refuse(invalid(property)).says(s.message(), property)
	}
	t.expect(s, k)
}

func updateHalfGood(t *trial, s surface) {
	k := t.create(s, "fax")
	t.patch(s.token(t, k.id)).json(object{"name": t.name(), "permissions": []string{"nope"}}).refuse(badPermission())
	t.patch(s.token(t, k.id)).json(object{"name": "", "permissions": []string{"chat"}}).refuse(missing("name"))
	t.expect(s, k)
}

func updateNoObject(t *trial, s surface) {
	k := t.create(s, "fax")
	for _, body := range []any{[]any{}, nil, "name"} {
		t.patch(s.token(t, k.id)).json(body).refuse(invalid("body"))
	}
	t.expect(s, k)
}

func updateUnknown(t *trial, s surface) {
	t.patch(s.token(t, unknownID)).json(object{}).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	t.patch(s.token(t, t.own().project)).json(object{"name": t.name()}).want(http.StatusNotFound) // a UUID, and of no token
}

// badIDs is what is no UUID, as it is written in a path.
func badIDs() []string {
	return []string{"x", unknownID[:35], "7a1d5f0e2c574f0e8d0b3a6f2f0c9b42", unknownID[:35] + "g", "%7B" + unknownID + "%7D"}
}

func updateBadID(t *trial, s surface) {
	for _, id := range badIDs() {
		t.patch(s.token(t, id)).json(object{}).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	}
}
