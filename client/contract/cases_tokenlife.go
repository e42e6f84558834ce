package contract

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// shortLife is how long a token lives, or a secret after a rotation, in a case that sees its end.
	shortLife = 2 * time.Second
	// patience is how much longer a case waits for that end. The clocks may differ by as much.
	patience = 4 * time.Second
	// farTime is a time that comes after every run.
	farTime = "2099-12-31T23:59:59Z"
)

// expiryCases is what expires_at promises.
func expiryCases() []Case {
	const source = "openapi.yaml: expires_at"
	return slices.Concat(
		onExtension("expiry.create", "a token can be created with an expiry, which is shown, and works until then", source, expiryCreate),
		onExtension("expiry.update", "an update sets the expiry and removes it, and keeps it when it says nothing", source, expiryUpdate),
		onExtension("expiry.invalid", "an expiry that has passed, or is no time, is refused", source, expiryInvalid),
		[]Case{
			extension("ext.expiry.end", "an expired token is answered 401, stays listed as expired, and can be extended", source, expiryEnd),
			extension("ext.expiry.list", "Expired tells the tokens that have expired from those that have not", "openapi.yaml: Expired", expiryList),
			extension("ext.expiry.existence", "a token that does not exist is answered 404, before an expiry that has passed is refused", "decision 1", expiryExistence),
		},
	)
}

// onExtension makes a case of an extension for each surface.
func onExtension(id, statement, source string, run func(*trial, surface)) []Case {
	cases := onBoth(id, statement, source, run)
	for i := range cases {
		cases[i].ID, cases[i].Extension = "ext."+cases[i].ID, true
	}
	return cases
}

func expiryCreate(t *trial, s surface) {
	body := object{"name": t.name(), "permissions": []string{"management"}, "expires_at": farTime}
	k := t.post(s.tokens(t)).json(body).want(http.StatusOK).token(t.own().project)
	t.get(compat.token(t, k.id)).want(http.StatusOK).is("expires_at", farTime)
	t.works(k.credential())
	body = object{"name": t.name(), "permissions": []string{"management"}, "expires_at": nil}
	k = t.post(s.tokens(t)).json(body).want(http.StatusOK).token(t.own().project)
	t.get(compat.token(t, k.id)).want(http.StatusOK).is("expires_at", nil)
}

func expiryUpdate(t *trial, s surface) {
	k := t.create(s, "fax")
	for _, step := range []struct {
		body object
		want any
	}{
		{object{"expires_at": farTime}, farTime},
		{object{"name": k.name}, farTime},
		{object{}, farTime},
		{object{"expires_at": "2098-01-01T02:00:00.5+02:00"}, "2098-01-01T00:00:00.5Z"},
		{object{"expires_at": nil}, nil},
	} {
		t.patch(s.token(t, k.id)).json(step.body).want(http.StatusOK).is("name", k.name, "permissions", k.permissions)
		t.get(compat.token(t, k.id)).want(http.StatusOK).is("expires_at", step.want)
	}
}

func expiryInvalid(t *trial, s surface) {
	k := t.create(s, "fax")
	for _, at := range []any{"2001-01-01T00:00:00Z", "2099-02-30T00:00:00Z", "2099-01-01T00:00:00", "2099-01-01", "soon", "", 5} {
		t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": []string{"fax"}, "expires_at": at}).refuse(invalid("expires_at"))
		t.patch(s.token(t, k.id)).json(object{"expires_at": at, "name": t.name()}).refuse(invalid("expires_at"))
	}
	t.get(compat.token(t, k.id)).want(http.StatusOK).is("expires_at", nil, "name", k.name)
}

// mortal makes a token that soon expires, by the server's clock.
func (t *trial) mortal() token {
	var k token
	t.quietly(func() { // its expiry is another one each time
		now := t.serverTime()
		body := object{"name": t.name(), "permissions": []string{"management"}, "expires_at": now.Add(shortLife).UTC().Format(time.RFC3339)}
		k = t.post(compat.tokens(t)).json(body).want(http.StatusOK).token(t.own().project)
	})
	return k
}

// serverTime is what the server says the time is, to a second.
func (t *trial) serverTime() time.Time {
	at, err := http.ParseTime(t.get(accountOf(t.own().project)).want(http.StatusOK).header.Get("Date"))
	if err != nil {
		return time.Now()
	}
	return at
}

// dies expects a credential to stop working soon.
func (t *trial) dies(c credential, why string) {
	t.quietly(func() {
		var last *answer
		if !t.eventually(shortLife+patience, func() bool {
			last = t.probe(c).send()
			return last.status == http.StatusUnauthorized
		}) {
			t.fail(last.exchange, "status %d, want 401: %s", last.status, why)
		}
	})
	t.fails(c)
}

func expiryEnd(t *trial) {
	k := t.mortal()
	t.dies(k.credential(), "the token has expired")
	unknown := t.probe(t.unknown()).want(http.StatusUnauthorized)
	t.fails(k.credential()).is("message", unknown.lookup("message"))
	t.find(t.listed(k.name), k)
	t.find(t.listed(k.name)+"&Expired=true", k)
	t.find(t.listed(k.name) + "&Expired=false")
	t.patch(compat.token(t, k.id)).json(object{"expires_at": farTime}).want(http.StatusOK)
	t.works(k.credential())
	t.patch(compat.token(t, k.id)).json(object{"expires_at": nil}).want(http.StatusOK)
	t.get(compat.token(t, k.id)).want(http.StatusOK).is("expires_at", nil)
	t.works(k.credential())
}

func expiryList(t *trial) {
	body := object{"name": t.name(), "permissions": []string{"fax"}, "expires_at": farTime}
	k := t.post(compat.tokens(t)).json(body).want(http.StatusOK).token(t.own().project)
	never := t.create(compat, "fax")
	t.find(t.listed(t.suite.name)+"&Expired=false", k, never)
	t.find(t.listed(t.suite.name) + "&Expired=true")
}

func expiryExistence(t *trial) {
	for _, s := range []surface{compat, native} {
		t.patch(s.token(t, unknownID)).json(object{"expires_at": "2001-01-01T00:00:00Z"}).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	}
}

// rotationCases is what rotate_token promises.
func rotationCases() []Case {
	const source = "openapi.yaml: rotate_token"
	return []Case{
		extension("ext.rotate.answer", "a rotated token has a new secret, and the rest as before", source, rotateAnswer),
		extension("ext.rotate.old-dies", "without a grace period the old secret stops at once, and the new one works", source, rotateKills),
		extension("ext.rotate.grace", "in its grace period the old secret works beside the new one, and dies with the token", source, rotateGrace),
		extension("ext.rotate.grace-end", "after its grace period the old secret stops", source, rotateGraceEnd),
		extension("ext.rotate.body", "the body may be left out, empty, JSON or a form", source, rotateBody),
		extension("ext.rotate.invalid", "a grace period is a whole number from 0 to 604800 seconds, and the body has no other property", source, rotateInvalid),
		extension("ext.rotate.unknown", "a token that is not the caller's is answered 404, an id that is no UUID 400", source, rotateUnknown),
		extension("ext.rotate.auth", "a rotation needs the permission management, and without it nothing happens", source, rotateAuth),
		extension("ext.rotate.itself", "a token may rotate itself", source, rotateItself),
	}
}

// rotate gives a token a new secret and returns the token with it.
func (t *trial) rotate(k token, grace int) token {
	got := t.post(compat.token(t, k.id) + "/rotate").json(object{"grace_period_seconds": grace}).want(http.StatusOK)
	got.is("id", k.id, "name", k.name, "permissions", k.permissions)
	rotated := got.token(k.owner)
	if rotated.secret == k.secret {
		t.fail(got.exchange, "the secret is the old one")
	}
	return rotated
}

func rotateAnswer(t *trial) {
	k := t.rotate(t.create(compat, "fax", "video"), 0)
	t.expect(compat, k)
	t.expect(native, k)
	t.get(compat.token(t, k.id)).want(http.StatusOK).is("secret_last_four", k.secret[len(k.secret)-4:])
}

func rotateKills(t *trial) {
	first := t.create(compat, "management")
	t.works(first.credential())
	second := t.rotate(first, 0)
	t.fails(first.credential())
	t.works(second.credential())
}

func rotateGrace(t *trial) {
	first := t.create(compat, "management")
	second := t.rotate(first, 3600)
	t.works(first.credential())
	t.works(second.credential())
	t.delete(compat.token(t, first.id)).want(http.StatusNoContent)
	t.fails(first.credential())
	t.fails(second.credential())
}

func rotateGraceEnd(t *trial) {
	first := t.create(compat, "management")
	second := t.rotate(first, 1)
	t.works(first.credential())
	t.dies(first.credential(), "the grace period is over")
	t.works(second.credential())
}

func rotateBody(t *trial) {
	path := compat.token(t, t.create(compat, "fax").id) + "/rotate"
	for _, c := range []*call{t.post(path), t.post(path).json(object{}), t.post(path).text(formType, ""), t.post(path).form("grace_period_seconds", "60")} {
		c.want(http.StatusOK)
	}
	t.post(path).text("text/plain", "60").want(http.StatusUnsupportedMediaType).failed(http.StatusUnsupportedMediaType, 10000)
	t.post(path).text(jsonType, "{").want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	t.post(path).text(jsonType, "{}"+strings.Repeat(" ", maxBody)).want(http.StatusRequestEntityTooLarge).failed(http.StatusRequestEntityTooLarge, 10000)
}

func rotateInvalid(t *trial) {
	k := t.create(compat, "fax")
	path := compat.token(t, k.id) + "/rotate"
	for _, grace := range []any{-1, 604801, 1.5, "60", nil, true} {
		t.post(path).json(object{"grace_period_seconds": grace}).refuse(invalid("grace_period_seconds"))
	}
	t.post(path).json(object{"grace": 60}).refuse(invalid("grace"))
	t.expect(compat, k)
	t.rotate(k, 604800)
}

func rotateUnknown(t *trial) {
	t.post(compat.token(t, unknownID)+"/rotate").want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	t.post(compat.token(t, "x")+"/rotate").want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	k, boss := t.create(compat, "fax"), t.createFor(t.subproject(), "management")
	t.post(tokenOf(boss.owner, k.id)+"/rotate").as(boss.credential()).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	t.expect(compat, k)
}

func rotateAuth(t *trial) {
	k := t.create(compat, "fax")
	for _, c := range []credential{{}, k.credential()} {
		t.post(compat.token(t, k.id)+"/rotate").as(c).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
	}
	t.expect(compat, k)
}

func rotateItself(t *trial) {
	k := t.create(compat, "management")
	got := t.post(compat.token(t, k.id) + "/rotate").as(k.credential()).want(http.StatusOK)
	t.fails(k.credential())
	t.works(got.token(k.owner).credential())
}
