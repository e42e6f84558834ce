package contract

import (
	"net/http"
	"slices"
	"strings"
)

// maxBody is the size of the largest body, in bytes.
const maxBody = 64 << 10

// bodyCases is how a body may be written, on each surface.
func bodyCases() []Case {
	const mediaTypes, syntax, size = "openapi.yaml: UnsupportedMediaType", "openapi.yaml: BadRequest", "openapi.yaml: ContentTooLarge"
	return slices.Concat(
		onBoth("body.syntax", "a body that is no JSON, more than one value, or says a thing twice, is answered 400", syntax, bodySyntax),
		onBoth("body.media-type", "a body of another media type, or of none, is answered 415", mediaTypes, bodyMediaType),
		onBoth("body.charset", "JSON in UTF-8 is accepted, however the media type is written, and no other character set", mediaTypes, bodyCharset),
		onBoth("body.compressed", "a compressed body is answered 415", mediaTypes, bodyCompressed),
		onBoth("body.size", "a body of 64 KiB is accepted, and one of a byte more is answered 413", size, bodySize),
		[]Case{documented("native.body.form", "the native surface accepts no forms", "Native surface", nativeForm)},
	)
}

// good is the body of a creation that succeeds.
func good(t *trial) string { return `{"name":"` + t.name() + `","permissions":["fax"]}` }

func bodySyntax(t *trial, s surface) {
	k := t.create(s, "fax")
	body := good(t)
	for _, text := range []string{
		"", " \n", body[:20], body + body, `{"name":"` + t.name() + `",` + body[1:], "nonsense", "{\"name\":\"\xff\",\"permissions\":[\"fax\"]}",
	} {
		t.post(s.tokens(t)).text(jsonType, text).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
		t.patch(s.token(t, k.id)).text(jsonType, text).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	}
	t.expect(s, k)
}

func bodyMediaType(t *trial, s surface) {
	k := t.create(s, "fax")
	for _, mediaType := range []string{"", "text/plain", "multipart/form-data; boundary=x", "nonsense"} {
		t.post(s.tokens(t)).text(mediaType, good(t)).want(http.StatusUnsupportedMediaType).failed(http.StatusUnsupportedMediaType, 10000)
		t.patch(s.token(t, k.id)).text(mediaType, "{}").want(http.StatusUnsupportedMediaType).failed(http.StatusUnsupportedMediaType, 10000)
	}
}

func bodyCharset(t *trial, s surface) {
	for _, mediaType := range []string{jsonType + "; charset=utf-8", jsonType + ";charset=UTF-8", "Application/JSON"} {
		t.post(s.tokens(t)).text(mediaType, good(t)).want(http.StatusOK)
	}
	t.post(s.tokens(t)).text(jsonType+"; charset=latin1", good(t)).want(http.StatusUnsupportedMediaType).failed(http.StatusUnsupportedMediaType, 10000)
}

func bodyCompressed(t *trial, s surface) {
	t.post(s.tokens(t)).with("Content-Encoding", "gzip").text(jsonType, good(t)).want(http.StatusUnsupportedMediaType).failed(http.StatusUnsupportedMediaType, 10000)
}

func bodySize(t *trial, s surface) {
	fill := func(size int) string {
		body := good(t)
		return body + strings.Repeat(" ", size-len(body))
	}
	t.post(s.tokens(t)).text(jsonType, fill(maxBody)).want(http.StatusOK)
	t.post(s.tokens(t)).text(jsonType, fill(maxBody+1)).want(http.StatusRequestEntityTooLarge).failed(http.StatusRequestEntityTooLarge, 10000)
	t.patch(s.token(t, unknownID)).text(jsonType, fill(maxBody+1)).want(http.StatusRequestEntityTooLarge).failed(http.StatusRequestEntityTooLarge, 10000)
}

func nativeForm(t *trial) {
	k := t.create(native, "fax")
	t.post(native.tokens(t)).form("name", t.name(), "permissions", "fax").want(http.StatusUnsupportedMediaType).failed(http.StatusUnsupportedMediaType, 0)
	t.patch(native.token(t, k.id)).form("name", t.name()).want(http.StatusUnsupportedMediaType).failed(http.StatusUnsupportedMediaType, 0)
	t.expect(native, k)
}

// formCases is what forms add, on the surface that accepts them.
func formCases() []Case {
	return []Case{
		documented("compat.form.create", "a token can be created by a form", createBody, formCreate),
		documented("compat.form.lists", "in a form a list is a repeated key, with or without brackets", "decision 10", formLists),
		documented("compat.form.update", "a token can be updated by a form, and what is absent is kept", "decision 10", formUpdate),
		documented("compat.form.empty", "an empty form is an update that changes nothing, and a creation that lacks its name", "decision 10", formEmpty),
		documented("compat.form.single", "a value that is no list stands once in a form, and without brackets", "decision 10", formSingle),
		documented("compat.form.invalid", "a form is held against the same schema: blank names, permissions and unknown keys", "decision 10", formInvalid),
		documented("compat.form.syntax", "a form with a malformed escape is answered 400", "openapi.yaml: BadRequest", formSyntax),
	}
}

func formCreate(t *trial) {
	name := t.name() + " a+b&c=d é"
	k := t.post(compat.tokens(t)).form("name", name, "permissions", "management").want(http.StatusOK).is("name", name, "permissions", []string{"management"}).token(t.own().project)
	t.works(k.credential())
	t.expect(compat, k)
}

func formLists(t *trial) {
	for _, keys := range [][2]string{{"permissions", "permissions"}, {"permissions[]", "permissions[]"}, {"permissions", "permissions[]"}} {
		got := t.post(compat.tokens(t)).form("name", t.name(), keys[0], "fax", keys[1], "chat", keys[0], "fax").want(http.StatusOK)
		got.is("permissions", []string{"chat", "fax"})
	}
	body := "name=" + t.name() + "&permissions[]=video&permissions[]=fax" // brackets need no escape
	t.post(compat.tokens(t)).text(formType, body).want(http.StatusOK).is("permissions", []string{"fax", "video"})
}

func formUpdate(t *trial) {
	k := t.create(compat, "fax", "video")
	k.name = t.name()
	t.patch(compat.token(t, k.id)).form("name", k.name).want(http.StatusOK)
	t.expect(compat, k)
	k.permissions = []string{"chat"}
	t.patch(compat.token(t, k.id)).form("permissions[]", "chat").want(http.StatusOK)
	t.expect(compat, k)
}

func formEmpty(t *trial) {
	k := t.create(compat, "fax")
	t.patch(compat.token(t, k.id)).text(formType, "").want(http.StatusOK).is("token", k.secret)
	t.post(compat.tokens(t)).text(formType, "").refuse(missing("name"))
	t.expect(compat, k)
}

func formSingle(t *trial) {
	t.post(compat.tokens(t)).form("name", t.name(), "name", t.name(), "permissions", "fax").refuse(invalid("name"))
	t.post(compat.tokens(t)).form("name[]", t.name(), "permissions", "fax").refuse(invalid("name"))
}

func formInvalid(t *trial) {
	t.post(compat.tokens(t)).form("name", " ", "permissions", "fax").refuse(missing("name"))
	t.post(compat.tokens(t)).form("name", t.name(), "permissions", "fax,chat").refuse(badPermission())
	t.post(compat.tokens(t)).form("name", t.name(), "permissions", "").refuse(badPermission())
	t.post(compat.tokens(t)).form("name", t.name(), "permissions", "fax", "nope", "1").refuse(invalid("nope"))
	t.post(compat.tokens(t)).form("name", t.name()+"\x00", "permissions", "fax").refuse(invalid("name"))
}

func formSyntax(t *trial) {
	t.post(compat.tokens(t)).text(formType, "name=%zz&permissions=fax").want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
}
