package contract

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

const authentication = "Authentication"

// authCases is who is let in.
func authCases() []Case {
	return slices.Concat(
		onBoth("auth.missing", "without a credential every operation on tokens is answered 401, with WWW-Authenticate", authentication, authMissing),
		onBoth("auth.permission", "without the permission management every operation on tokens is answered 401, and nothing happens", authentication, authPermission),
		onBoth("auth.bad-secret", "with a secret that is none every operation on tokens is answered 401, and nothing happens", authentication, authBadSecret),
		[]Case{
			documented("auth.management-alone", "management is enough, and all other permissions together are not", authentication, authManagement),
			documented("auth.permission-named", "who lacks a permission is told which", "decision 3", authPermissionNamed),
			documented("auth.secret-case", "a secret is compared character by character: in capitals it is none", "Vocabulary: secret", authSecretCase),
			documented("auth.secret-whole", "a secret is compared as a whole: cut short, or with more behind it, it is none", "Vocabulary: secret", authSecretWhole),
			documented("auth.project", "a secret is good for its own project alone", authentication, authProject),
			documented("auth.project-case", "the Project ID is a UUID, and may be in capitals", "openapi.yaml: basicAuth", authProjectCase),
			documented("auth.scheme", "the scheme is Basic, in any case, and no other", authentication, authScheme),
			documented("auth.malformed", "a credential that cannot be read is answered 401", authentication, authMalformed),
			documented("auth.identical", "401 is the same, byte for byte, whatever is wrong with a credential", "decision 3", authIdentical),
			documented("auth.accounts", "the operations on accounts are answered 401 without a credential, and without the permission", authentication, authAccounts),
		},
	)
}

// operations is each operation on a token of a surface, as one that would succeed.
func operations(t *trial, s surface, id string) []*call {
	return []*call{
		t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": []string{"fax"}}),
		t.patch(s.token(t, id)).json(object{"name": t.name()}),
		t.delete(s.token(t, id)),
	}
}

// refuseAll expects each operation to be answered 401, and the token to stay as it is.
func refuseAll(t *trial, s surface, c credential) {
	k := t.create(s, "fax")
	for _, operation := range operations(t, s, k.id) {
		operation.as(c).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
	}
	t.expect(s, k)
}

func authMissing(t *trial, s surface) { refuseAll(t, s, credential{}) }

func authPermission(t *trial, s surface) { refuseAll(t, s, t.create(s, "fax").credential()) }

func authBadSecret(t *trial, s surface) { refuseAll(t, s, t.unknown()) }

// unknown is a credential of the own project that nobody has.
func (t *trial) unknown() credential {
	return credential{t.own().project, "PT" + strings.Repeat("0", 48)}
}

func authManagement(t *trial) {
	t.works(t.create(compat, "management").credential())
	t.works(t.create(compat, allPermissions()...).credential())
	others := slices.DeleteFunc(allPermissions(), func(permission string) bool { return permission == "management" })
	t.fails(t.create(compat, others...).credential())
}

func authPermissionNamed(t *trial) {
	t.fails(t.create(compat, "fax").credential()).says("message", "management")
}

func authSecretCase(t *trial) {
	k := t.create(compat, "management")
	t.fails(credential{k.owner, strings.ToUpper(k.secret)})
	t.fails(credential{k.owner, strings.ToLower(k.secret)})
	t.works(k.credential())
}

func authSecretWhole(t *trial) {
	k := t.create(compat, "management")
	for _, secret := range []string{k.secret[:49], k.secret + "0", k.secret + " ", k.secret[2:], ""} {
		t.fails(credential{k.owner, secret})
	}
	t.fails(credential{k.owner, k.id}) // the id is no secret
}

func authProject(t *trial) {
	child, sibling := t.subprojects()
	own, other := t.create(compat, "management"), t.createFor(child, "management")
	t.fails(credential{child, own.secret})
	t.fails(credential{own.owner, other.secret})
	t.fails(credential{sibling, other.secret})
	t.fails(credential{unknownID, own.secret})
	t.get(accountOf(own.owner)).as(credential{"", own.secret}).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
	t.works(own.credential())
	t.works(other.credential())
}

func authProjectCase(t *trial) {
	own := t.own()
	t.get(accounts+"/"+own.project).as(credential{strings.ToUpper(own.project), own.secret}).want(http.StatusOK).is("sid", own.project)
	t.get(accounts+"/"+strings.ToUpper(own.project)).want(http.StatusOK).is("sid", own.project)
}

// encoded is a credential as it stands in the header.
func (c credential) encoded() string {
	return base64.StdEncoding.EncodeToString([]byte(c.project + ":" + c.secret))
}

func authScheme(t *trial) {
	k := t.create(compat, "management").credential()
	send := func(value string) *call {
		return t.probe(k).as(credential{}).with("Authorization", value)
	}
	send("Basic " + k.encoded()).want(http.StatusOK)
	send("basic " + k.encoded()).want(http.StatusOK)
	for _, value := range []string{"Bearer " + k.secret, "Bearer " + k.encoded(), k.encoded()} {
		send(value).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
	}
}

func authMalformed(t *trial) {
	k := t.create(compat, "management").credential()
	for _, value := range []string{
		"Basic", "Basic !!!", "Basic " + base64.StdEncoding.EncodeToString([]byte(k.secret)), "Basic " + credential{k.secret, k.project}.encoded(),
	} {
		t.probe(k).as(credential{}).with("Authorization", value).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
	}
}

func authIdentical(t *trial) {
	deleted, child := t.create(compat, "management"), t.createFor(t.subproject(), "management")
	t.delete(compat.token(t, deleted.id)).want(http.StatusNoContent)
	path := accounts + "/" + t.own().project
	first := t.get(path).as(t.unknown()).want(http.StatusUnauthorized)
	for what, c := range map[string]credential{
		"no credential": {}, "an unknown project": {unknownID, t.own().secret}, "a deleted token": deleted.credential(),
		"a token of a subproject": {t.own().project, child.secret}, "a Project ID that is no UUID": {"x", t.own().secret},
	} {
		t.quietly(func() { // in no order
			got := t.get(path).as(c).want(http.StatusUnauthorized)
			if !bytes.Equal(got.body, first.body) || !slices.Equal(got.header.Values("Www-Authenticate"), first.header.Values("Www-Authenticate")) {
				t.fail(got.exchange, "the answer to %s differs from that to an unknown secret: %s", what, first.excerpt(t.suite))
			}
		})
	}
}

func authAccounts(t *trial) {
	child := t.subproject()
	name := t.suite.name + "-refused"
	for _, c := range []credential{{}, t.create(compat, "fax").credential()} {
		for _, operation := range []*call{
			t.get(accounts), t.post(accounts).form("FriendlyName", name), t.get(accounts + "/" + child),
			t.post(accounts+"/"+child).form("FriendlyName", name),
		} {
			operation.as(c).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
		}
	}
	t.quietly(func() {
		if got := t.get(accounts + "?FriendlyName=" + name).want(http.StatusOK); len(got.list("accounts")) > 0 {
			t.fail(got.exchange, "a call that was answered 401 has made or renamed an account")
		}
	})
}
