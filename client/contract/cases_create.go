package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	createBody = "Compatibility surface: create body"
	tokenShape = "Compatibility surface: Token"
)

// allPermissions is the eleven, in alphabetical order.
func allPermissions() []string {
	return []string{"calling", "chat", "datasphere", "fax", "management", "messaging", "numbers", "pubsub", "storage", "tasking", "video"}
}

// createCases is what a creation promises, on each surface.
func createCases() []Case {
	return slices.Concat(
		onBoth("create.answer", "a new token has the name and the permissions that were asked for, an id and a secret", tokenShape, createAnswer),
		onBoth("create.authenticates", "a new token authenticates at once, and keeps doing so", "decision 12", createAuthenticates),
		onBoth("create.again", "the same creation twice makes two tokens, with two secrets", "openapi.yaml: create_token", createAgain),
		onBoth("create.name-unicode", "a name comes back character by character, whatever its script, spaces around it included", createBody, createUnicode),
		onBoth("create.name-255", "a name has at most 255 characters, however many bytes they take", "decision 5", createLongName),
		onBoth("create.name-blank", "an empty name, and one of white space alone, are refused", "decision 5", createBlankName),
		onBoth("create.name-missing", "a creation without a name is refused", createBody, createWithoutName),
		onBoth("create.name-type", "a name that is null or no text is refused", createBody, createNameType),
		onBoth("create.name-nul", "a name with the character NUL is refused", "decision 5", createNUL),
		onBoth("create.permissions-set", "permissions are a set: duplicates collapse, and answers are in alphabetical order", "decision 7", createSet),
		onBoth("create.permissions-all", "there are eleven permissions, and a token may have them all", "Vocabulary: permission", createAll),
		onBoth("create.permissions-none", "a creation with an empty list of permissions is refused", createBody, createNone),
		onBoth("create.permissions-missing", "a creation without permissions is refused", createBody, createWithoutPermissions),
		onBoth("create.permissions-unknown", "a permission that does not exist is refused, also among good ones", "Errors: 10003", createUnknownPermission),
		onBoth("create.permissions-case", "permissions are in lower case: FAX is none", "Vocabulary: permission", createPermissionCase),
		onBoth("create.permissions-type", "permissions that are no list are refused", createBody, createPermissionsType),
		onBoth("create.unknown-property", "a property that the body does not have is refused by its name", "decision 9", createUnknownProperty),
		onBoth("create.property-case", "the names of properties are in lower case: Name is none", "decision 9", createPropertyCase),
		onBoth("create.no-object", "a body that is no object is refused as a whole", createBody, createNoObject),
		onBoth("create.several-flaws", "of several flaws the compat surface reports the first, the native one each", "decision 6", createSeveralFlaws),
		onBoth("create.subproject", "a token made for a subproject is the subproject's, and no credential of its parent", "decision 2", createForSubproject),
		onBoth("create.subproject-foreign", "a token can be made for a subproject of the caller alone", "Errors: 10004", createForForeigner),
		onBoth("create.subproject-syntax", "a subproject_id that is no UUID is refused", createBody, createForNothing),
	)
}

func createAnswer(t *trial, s surface) {
	name := t.name()
	got := t.post(s.tokens(t)).json(object{"name": name, "permissions": []string{"fax", "messaging"}}).want(http.StatusOK)
	got.is("name", name, "permissions", []string{"fax", "messaging"})
	if k := got.token(t.own().project); k.secret == t.own().secret || k.id == t.own().project {
		t.fail(got.exchange, "the new token has the secret or the id of another")
	}
}

func createAuthenticates(t *trial, s surface) {
	k := t.create(s, "management")
	t.works(k.credential())
	t.works(k.credential())
	t.expect(s, k)
}

func createAgain(t *trial, s surface) {
	body := object{"name": t.name(), "permissions": []string{"management"}}
	first := t.post(s.tokens(t)).json(body).want(http.StatusOK).token(t.own().project)
	got := t.post(s.tokens(t)).json(body).want(http.StatusOK)
	if second := got.token(t.own().project); second.id == first.id || second.secret == first.secret {
		t.fail(got.exchange, "the second token has the id or the secret of the first")
	}
	t.works(first.credential())
	t.expect(s, first)
}

func createUnicode(t *trial, s surface) {
	for _, rest := range []string{"Søren & Ωmega", "部署 🙂👩‍👩‍👧", "e\u0301 is no é", `<b>"quoted"</b> \ /`, "  around  ", "Ünïcode ÄÖÜ ß"} {
		name := t.name() + rest
		k := t.post(s.tokens(t)).json(object{"name": name, "permissions": []string{"fax"}}).want(http.StatusOK).is("name", name).token(t.own().project)
		t.expect(s, k)
	}
	name := "  " + t.name()
	t.post(s.tokens(t)).json(object{"name": name, "permissions": []string{"fax"}}).want(http.StatusOK).is("name", name)
}

func createLongName(t *trial, s surface) {
	for _, r := range []string{"x", "é", "🙂"} {
		name := t.long(255, r)
		t.post(s.tokens(t)).json(object{"name": name, "permissions": []string{"fax"}}).want(http.StatusOK).is("name", name)
	}
	t.post(s.tokens(t)).json(object{"name": t.long(256, "x"), "permissions": []string{"fax"}}).refuse(invalid("name"))
}

// blanks is white space, of ASCII and beyond.
func blanks() []string { return []string{"", " ", " \t\n", "\u00a0\u2003\u3000"} }

func createBlankName(t *trial, s surface) {
	for _, blank := range blanks() {
		t.post(s.tokens(t)).json(object{"name": blank, "permissions": []string{"fax"}}).refuse(missing("name")).is(s.message(), "Name must be present")
	}
}

func createWithoutName(t *trial, s surface) {
	t.post(s.tokens(t)).json(object{"permissions": []string{"fax"}}).refuse(missing("name"))
}

func createNameType(t *trial, s surface) {
	for _, name := range []any{nil, 5, true, []string{t.name()}, object{"name": t.name()}} {
		t.post(s.tokens(t)).json(object{"name": name, "permissions": []string{"fax"}}).refuse(invalid("name"))
	}
}

func createNUL(t *trial, s surface) {
	t.post(s.tokens(t)).json(object{"name": t.name() + "\x00", "permissions": []string{"fax"}}).refuse(invalid("name"))
}

func createSet(t *trial, s surface) {
	body := object{"name": t.name(), "permissions": []string{"video", "fax", "calling", "fax", "video"}}
	k := t.post(s.tokens(t)).json(body).want(http.StatusOK).is("permissions", []string{"calling", "fax", "video"}).token(t.own().project)
	t.expect(s, k)
}

func createAll(t *trial, s surface) {
	mixed := slices.Concat(allPermissions()[6:], allPermissions()[:6])
	t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": mixed}).want(http.StatusOK).is("permissions", allPermissions())
	for _, permission := range allPermissions() {
		t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": []string{permission}}).want(http.StatusOK).is("permissions", []string{permission})
	}
}

func createNone(t *trial, s surface) {
	t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": []string{}}).refuse(invalid("permissions"))
}

func createWithoutPermissions(t *trial, s surface) {
	t.post(s.tokens(t)).json(object{"name": t.name()}).refuse(missing("permissions"))
}

func createUnknownPermission(t *trial, s surface) {
	for _, permissions := range [][]any{{"nope"}, {"fax", "nope"}, {""}, {"fax", 1}, {nil}, {"fax "}} {
		got := t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": permissions}).refuse(badPermission())
		got.says(s.message(), strings.Join(allPermissions(), ", "))
	}
}

func createPermissionCase(t *trial, s surface) {
	for _, permission := range []string{"FAX", "Fax"} {
		t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": []string{permission}}).refuse(badPermission())
	}
}

func createPermissionsType(t *trial, s surface) {
	for _, permissions := range []any{nil, "fax", 5, object{"fax": true}} {
		t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": permissions}).refuse(invalid("permissions"))
	}
}

func createUnknownProperty(t *trial, s surface) {
	for _, property := range []string{"permisions", "id", "token"} {
		body := object{"name": t.name(), "permissions": []string{"fax"}, property: "x"}
		t.post(s.tokens(t)).json(body).refuse(invalid(property)).says(s.message(), property)
	}
}

func createPropertyCase(t *trial, s surface) {
	t.post(s.tokens(t)).json(object{"Name": t.name(), "name": t.name(), "permissions": []string{"fax"}}).refuse(invalid("Name"))
}

func createNoObject(t *trial, s surface) {
	for _, body := range []any{[]any{}, nil, "name", 1} {
		t.post(s.tokens(t)).json(body).refuse(invalid("body"))
	}
}

func createSeveralFlaws(t *trial, s surface) {
	t.post(s.tokens(t)).json(object{}).refuse(missing("name"), missing("permissions"))
	t.post(s.tokens(t)).json(object{"name": " ", "permissions": []string{"nope"}, "zz": 1, "aa": 1}).refuse(
		missing("name"), badPermission(), invalid("aa"), invalid("zz"))
	t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": []string{"nope"}, "subproject_id": "x"}).refuse(
		badPermission(), invalid("subproject_id"))
}

func createForSubproject(t *trial, s surface) {
	child := t.subproject()
	body := object{"name": t.name(), "permissions": []string{"management"}, "subproject_id": child}
	k := t.post(s.tokens(t)).json(body).want(http.StatusOK).token(child)
	t.works(k.credential())
	t.fails(credential{t.own().project, k.secret})
	t.expect(s, k) // its parent's path reaches it
}

func createForForeigner(t *trial, s surface) {
	for _, owner := range []string{unknownID, t.own().project} {
		t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": []string{"fax"}, "subproject_id": owner}).refuse(badSubproject())
	}
}

func createForNothing(t *trial, s surface) {
	for _, owner := range []any{"x", "", strings.ReplaceAll(unknownID, "-", ""), nil, 5} {
		body := object{"name": t.name(), "permissions": []string{"fax"}, "subproject_id": owner}
		got := t.post(s.tokens(t)).json(body).refuse(invalid("subproject_id"))
		if got.member(s.message()) == "" {
			t.fail(got.exchange, "the refusal of %s says nothing", fmt.Sprint(owner))
		}
	}
}
