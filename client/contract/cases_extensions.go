package contract

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// idempotencyCases is what an Idempotency-Key promises.
func idempotencyCases() []Case {
	const source = "openapi.yaml: Idempotency-Key"
	return slices.Concat(
		onExtension("idempotency.same", "the same request with the same key gets the same answer, and makes nothing more", source, idempotencySame),
		onExtension("idempotency.other-request", "another request with the same key is answered 422", source, idempotencyOther),
		onExtension("idempotency.other-key", "the same request with another key is another change", source, idempotencyOtherKey),
		[]Case{
			extension("ext.idempotency.rotate", "a rotation with the same key returns the same secret", source, idempotencyRotate),
			extension("ext.idempotency.project", "a key is a project's own: a subproject's is another", source, idempotencyProject),
			extension("ext.idempotency.refused", "a request that was refused does not use its key up", source, idempotencyRefused),
			extension("ext.idempotency.invalid", "a key has 1 to 255 visible characters of ASCII: else 400", source, idempotencyInvalid),
		},
	)
}

func (t *trial) keyed(c *call, key string) *call {
	return c.with("Idempotency-Key", t.suite.name+"-"+t.id+"-"+key)
}

func idempotencySame(t *trial, s surface) {
	body := object{"name": t.name(), "permissions": []string{"fax"}}
	k := t.keyed(t.post(s.tokens(t)).json(body), "a").want(http.StatusOK).token(t.own().project)
	t.keyed(t.post(s.tokens(t)).json(body), "a").want(http.StatusOK).is("id", k.id, "token", k.secret, "name", k.name, "permissions", k.permissions)
	t.find(t.listed(k.name), k)
	t.expect(s, k)
}

func idempotencyOther(t *trial, s surface) {
	body := object{"name": t.name(), "permissions": []string{"fax"}}
	k := t.keyed(t.post(s.tokens(t)).json(body), "a").want(http.StatusOK).token(t.own().project)
	for _, other := range []object{{"name": t.name(), "permissions": []string{"fax"}}, {"name": k.name, "permissions": []string{"chat"}}} {
		t.keyed(t.post(s.tokens(t)).json(other), "a").refuse(invalid("Idempotency-Key"))
	}
	t.find(t.listed(t.suite.name), k)
}

func idempotencyOtherKey(t *trial, s surface) {
	body := object{"name": t.name(), "permissions": []string{"fax"}}
	first := t.keyed(t.post(s.tokens(t)).json(body), "a").want(http.StatusOK).token(t.own().project)
	got := t.keyed(t.post(s.tokens(t)).json(body), "b").want(http.StatusOK)
	if second := got.token(t.own().project); second.id == first.id || second.secret == first.secret {
		t.fail(got.exchange, "another key has got the same token")
	}
}

func idempotencyRotate(t *trial) {
	k := t.create(compat, "management")
	path := compat.token(t, k.id) + "/rotate"
	first := t.keyed(t.post(path), "a").want(http.StatusOK).token(k.owner)
	t.keyed(t.post(path), "a").want(http.StatusOK).is("token", first.secret, "id", k.id)
	t.works(first.credential())
	t.keyed(t.post(path).json(object{"grace_period_seconds": 5}), "a").refuse(invalid("Idempotency-Key"))
	t.expect(compat, first)
}

func idempotencyProject(t *trial) {
	boss := t.createFor(t.subproject(), "management")
	body := object{"name": t.name(), "permissions": []string{"fax"}}
	first := t.keyed(t.post(nativeBase).json(body), "a").want(http.StatusOK).token(t.own().project)
	got := t.keyed(t.post(nativeBase).as(boss.credential()).json(body), "a").want(http.StatusOK)
	if got.member("id") == first.id || got.member("token") == first.secret {
		t.fail(got.exchange, "a subproject has got its parent's answer")
	}
}

func idempotencyRefused(t *trial) {
	name := t.name()
	t.keyed(t.post(compat.tokens(t)).json(object{"name": name, "permissions": []string{"nope"}}), "a").refuse(badPermission())
	t.keyed(t.post(compat.tokens(t)).json(object{"name": name, "permissions": []string{"fax"}}), "a").want(http.StatusOK)
}

func idempotencyInvalid(t *trial) {
	for _, key := range []string{"", "with space", strings.Repeat("x", 256), "ä"} {
		t.post(compat.tokens(t)).json(object{"name": t.name(), "permissions": []string{"fax"}}).with("Idempotency-Key", key).
			want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000).says("message", "Idempotency-Key")
	}
}

// auditCases is what the audit trail promises.
func auditCases() []Case {
	const source = "openapi.yaml: Audit trail"
	return []Case{
		extension("ext.audit.life", "each change of a token leaves an event, newest first, with its values before and after", source, auditLife),
		extension("ext.audit.actor", "an event says who made the change, and by which request", source, auditActor),
		extension("ext.audit.account", "a new name of an account leaves an event", source, auditAccount),
		extension("ext.audit.nothing", "what was refused, and what changed nothing, leaves no event", source, auditNothing),
		extension("ext.audit.secrets", "no event has a secret", source, auditSecrets),
		extension("ext.audit.filters", "events are found by action, by token and by time", source, auditFilters),
		extension("ext.audit.links", "the links lead through every event once, to the end and back", source, auditLinks),
		extension("ext.audit.accounts", "a subproject sees its own events, and an account that is not the caller's is answered 404", source, auditAccounts),
		extension("ext.audit.parameters", "a parameter that is out of bounds is answered 400, and named", source, auditParameters),
		extension("ext.audit.auth", "the audit trail needs the permission management", source, auditAuth),
	}
}

// events is the trail of one token.
func (t *trial) events(k token) string {
	return accountOf(t.own().project) + "/audit_events?TokenId=" + k.id
}

// actions expects the trail to have these actions, newest first.
func (a *answer) actions(want ...string) *answer {
	if got := a.ids("audit_events", "action"); !slices.Equal(got, want) {
		a.trial.fail(a.exchange, "the events are %v, want %v", got, want)
	}
	return a
}

func auditLife(t *trial) {
	k := t.create(compat, "fax")
	name := t.name()
	t.patch(compat.token(t, k.id)).json(object{"name": name}).want(http.StatusOK)
	t.patch(native.token(t, k.id)).json(object{"permissions": []string{"video", "chat"}, "expires_at": farTime}).want(http.StatusOK)
	t.post(compat.token(t, k.id) + "/rotate").want(http.StatusOK)
	t.delete(compat.token(t, k.id)).want(http.StatusNoContent)
	got := t.get(t.events(k)).want(http.StatusOK).actions("token.deleted", "token.rotated", "token.updated", "token.updated", "token.created")
	got.is(
		"audit_events.4.changes", object{"name": object{"old": nil, "new": k.name}, "permissions": object{"old": nil, "new": []string{"fax"}}},
		"audit_events.3.changes", object{"name": object{"old": k.name, "new": name}},
		"audit_events.2.changes", object{
			"permissions": object{"old": []string{"fax"}, "new": []string{"chat", "video"}}, "expires_at": object{"old": nil, "new": farTime},
		},
		"audit_events.1.changes", object{}, "audit_events.0.changes", object{},
	)
	for i, event := range got.list("audit_events") {
		if event["project_id"] != k.owner || event["token_id"] != k.id {
			t.fail(got.exchange, "event %d is of another token", i)
		}
	}
}

func auditActor(t *trial) {
	boss := t.create(compat, "management")
	id := t.suite.name + "-request"
	k := t.post(compat.tokens(t)).as(boss.credential()).with("X-Request-Id", id).json(object{"name": t.name(), "permissions": []string{"fax"}}).
		want(http.StatusOK).token(t.own().project)
	got := t.get(t.events(k)).want(http.StatusOK).actions("token.created")
	const actor = "audit_events.0.actor."
	got.is(actor+"project_id", boss.owner, actor+"token_id", boss.id, actor+"request_id", id)
	got.member(actor + "address")
}

func auditAccount(t *trial) {
	child := t.subproject()
	one, two := t.name(), t.name()
	t.rename(child, one)
	t.rename(child, two)
	got := t.get(accountOf(child) + "/audit_events?Action=account.updated&PageSize=1").want(http.StatusOK).actions("account.updated")
	got.is("audit_events.0.project_id", child, "audit_events.0.token_id", nil, "audit_events.0.changes", object{"name": object{"old": one, "new": two}})
}

func auditNothing(t *trial) {
	k := t.create(compat, "fax")
	t.patch(compat.token(t, k.id)).json(object{}).want(http.StatusOK)
	t.patch(compat.token(t, k.id)).json(object{"name": ""}).refuse(missing("name"))
	t.delete(compat.token(t, k.id)).as(k.credential()).want(http.StatusUnauthorized)
	t.get(compat.token(t, k.id)).want(http.StatusOK)
	t.get(t.events(k)).want(http.StatusOK).actions("token.created")
}

func auditSecrets(t *trial) {
	k := t.create(compat, "fax")
	rotated := t.rotate(k, 60)
	got := t.get(t.events(k)).want(http.StatusOK).actions("token.rotated", "token.created")
	for _, secret := range []string{k.secret, rotated.secret, t.own().secret} {
		if strings.Contains(string(got.body), secret) {
			t.fail(got.exchange, "the trail has a secret")
		}
	}
}

func auditFilters(t *trial) {
	k, other := t.create(compat, "fax"), t.create(compat, "fax")
	t.patch(compat.token(t, k.id)).json(object{"name": t.name()}).want(http.StatusOK)
	t.get(t.events(k)+"&Action=token.updated").want(http.StatusOK).actions("token.updated").is("audit_events.0.token_id", k.id)
	t.get(t.events(other)).want(http.StatusOK).actions("token.created").is("audit_events.0.token_id", other.id)
	t.get(t.events(token{id: unknownID})).want(http.StatusOK).actions()
	between := t.get(t.events(k)).want(http.StatusOK).actions("token.updated", "token.created").member("audit_events.0.created_at")
	t.quietly(func() {
		at := url.QueryEscape(between)
		t.get(t.events(k) + "&From=" + at).want(http.StatusOK).actions("token.updated")
		t.get(t.events(k) + "&Until=" + at).want(http.StatusOK).actions("token.created")
	})
}

func auditLinks(t *trial) {
	k := t.create(compat, "fax")
	for range 6 {
		t.patch(compat.token(t, k.id)).json(object{"name": t.name()}).want(http.StatusOK)
	}
	t.walkBothWays(t.events(k), "audit_events", "id")
}

func auditAccounts(t *trial) {
	child, sibling := t.subprojects()
	boss, own := t.createFor(child, "management"), t.create(compat, "fax")
	trail := accountOf(child) + "/audit_events?TokenId="
	t.get(trail + boss.id).as(boss.credential()).want(http.StatusOK).actions("token.created")
	t.get(t.events(boss)).want(http.StatusOK).actions("token.created") // its parent sees it too
	t.get(trail + own.id).as(boss.credential()).want(http.StatusOK).actions()
	for _, account := range []string{t.own().project, sibling, unknownID} {
		t.get(accountOf(account)+"/audit_events").as(boss.credential()).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	}
}

func auditParameters(t *trial) {
	for _, query := range [][2]string{
		{"Action", "nope"}, {"TokenId", "x"}, {"From", "yesterday"}, {"Until", "2026-11-23"}, {"PageSize", "0"}, {"Page", "-1"},
	} {
		t.expectBad(accountOf(t.own().project)+"/audit_events?"+query[0]+"="+query[1], query[0])
	}
	t.get(accountOf("x")+"/audit_events").want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
}

func auditAuth(t *trial) {
	path := accountOf(t.own().project) + "/audit_events"
	for _, c := range []credential{{}, t.create(compat, "fax").credential()} {
		t.get(path).as(c).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
	}
}

// probeCases is what load balancers ask.
func probeCases() []Case {
	return []Case{
		extension("ext.probes", "the probes are answered 200 without a credential, and have no other method", "openapi.yaml: Probes", func(t *trial) {
			for _, path := range []string{"/healthz", "/readyz"} {
				t.get(path).as(credential{}).want(http.StatusOK).is("status", "ok")
				t.call(http.MethodHead, path).as(credential{}).want(http.StatusOK)
				t.post(path).want(http.StatusMethodNotAllowed).failed(http.StatusMethodNotAllowed, 10001)
				t.get(path+".json").want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
			}
		}),
	}
}
