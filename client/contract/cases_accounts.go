package contract

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const accountShape = "Compatibility surface: Account"

// accountCases is what accounts are, how they are made and found.
func accountCases() []Case {
	return []Case{
		documented("accounts.get.own", "the own account is top-level: it owns itself and is no subproject", accountShape, accountOwn),
		documented("accounts.get.subproject", "a subproject is owned by its parent", accountShape, accountChild),
		documented("accounts.get.uris", "the URIs of an account lie below its own", accountShape, accountURIs),
		documented("accounts.get.unknown", "an account that is not the caller's is answered 404", "decision 2", accountUnknown),
		documented("accounts.get.bad-id", "an account id that is no UUID is answered 400", "decision 4", accountBadID),
		documented("accounts.create", "a new subproject has the name, and a signing key that is shown once", accountShape, accountCreate),
		documented("accounts.create.invalid", "an account's name has 1 to 250 characters that are not all white space, and no NUL", "Compatibility surface", accountCreateInvalid),
		documented("accounts.create.unknown-property", "a property that the body does not have is refused by its name", "decision 9", accountUnknownProperty),
		documented("accounts.create.body", "broken JSON is answered 400, another media type 415, and more than 64 KiB 413", "openapi.yaml: create_subprojects", accountBody),
		documented("accounts.create.nested", "a subproject has no subprojects: 400", "Vocabulary: Subproject", accountNested),
		varying(documented("accounts.list", "the list has the own account and its subprojects, each as it is fetched", "Compatibility surface: List page", accountList)),
		documented("accounts.list.filter", "FriendlyName finds exactly that name, in the same case", "Compatibility surface: list_accounts", accountFilter),
		documented("accounts.list.subproject", "a subproject lists itself alone", "decision 2", accountListOfChild),
	}
}

func accountOf(id string) string { return accounts + "/" + id }

func accountOwn(t *trial) {
	own := t.own().project
	t.get(accountOf(own)).want(http.StatusOK).is("sid", own, "owner_account_sid", own, "subproject", false, "signing_key", nil)
}

func accountChild(t *trial) {
	child := t.subproject()
	t.get(accountOf(child)).want(http.StatusOK).is("sid", child, "owner_account_sid", t.own().project, "subproject", true, "signing_key", nil)
}

func accountURIs(t *trial) {
	for _, id := range []string{t.own().project, t.subproject()} {
		got := t.get(accountOf(id)).want(http.StatusOK).is("uri", accountOf(id))
		for member, name := range map[string]string{
			"available_phone_numbers": "AvailablePhoneNumbers", "applications": "Applications", "calls": "Calls", "conferences": "Conferences",
			"incoming_phone_numbers": "IncomingPhoneNumbers", "queues": "Queues", "recordings": "Recordings", "messages": "Messages",
			"transcriptions": "Transcriptions",
		} {
			got.is("subresource_uris."+member, accountOf(id)+"/"+name)
		}
		for _, member := range []string{
			"addresses", "authorized_connect_apps", "connect_apps", "keys", "notifications", "outgoing_caller_ids", "sandbox", "sip", "short_codes", "usage",
		} {
			got.is("subresource_uris."+member, nil)
		}
	}
}

func accountUnknown(t *trial) {
	t.get(accountOf(unknownID)).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	child, sibling := t.subprojects()
	k := t.createFor(child, "management")
	for _, id := range []string{t.own().project, sibling} {
		t.get(accountOf(id)).as(k.credential()).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	}
}

func accountBadID(t *trial) {
	for _, id := range badIDs() {
		t.get(accountOf(id)).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	}
}

func accountCreate(t *trial) {
	name := t.name() + " & Söhne"
	made := t.post(accounts).form("FriendlyName", name).want(http.StatusCreated)
	made.is("friendly_name", name, "owner_account_sid", t.own().project, "subproject", true)
	made.says("signing_key", "PSK")
	sid := made.member("sid")
	if t.suite.children = append(t.suite.children, sid); sid == t.own().project {
		t.fail(made.exchange, "the new account has the id of its parent")
	}
	fetched := t.get(accountOf(sid)).want(http.StatusOK)
	for _, member := range []string{"sid", "friendly_name", "date_created", "owner_account_sid", "subproject", "uri"} {
		fetched.is(member, made.lookup(member))
	}
	fetched.is("signing_key", nil)
	t.works(t.createFor(sid, "management").credential())
}

// badNames is the names that an account cannot have.
func badNames(t *trial) []string {
	return append(blanks(), t.long(251, "x"), t.name()+"\x00")
}

func accountCreateInvalid(t *trial) {
	for _, name := range badNames(t) {
		t.post(accounts).form("FriendlyName", name).want(http.StatusUnprocessableEntity).failed(http.StatusUnprocessableEntity, 10000).says("message", "FriendlyName")
		t.post(accounts).json(object{"FriendlyName": name}).want(http.StatusUnprocessableEntity).failed(http.StatusUnprocessableEntity, 10000)
	}
	for _, body := range []object{{}, {"FriendlyName": nil}, {"FriendlyName": 5}} {
		t.post(accounts).json(body).want(http.StatusUnprocessableEntity).failed(http.StatusUnprocessableEntity, 10000)
	}
}

func accountUnknownProperty(t *trial) {
	for _, name := range []string{"Status", "friendlyname"} {
		got := t.post(accounts).form("FriendlyName", t.name(), name, "x").want(http.StatusUnprocessableEntity)
		got.failed(http.StatusUnprocessableEntity, 10000).says("message", name)
	}
}

func accountBody(t *trial) {
	for _, path := range []string{accounts, accountOf(t.subproject())} {
		t.post(path).text(jsonType, `{"FriendlyName":`).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
		t.post(path).text("text/plain", "FriendlyName="+t.name()).want(http.StatusUnsupportedMediaType).failed(http.StatusUnsupportedMediaType, 10000)
		body := "FriendlyName=" + t.name()
		t.post(path).text(formType, body+strings.Repeat("x", maxBody)).want(http.StatusRequestEntityTooLarge).failed(http.StatusRequestEntityTooLarge, 10000)
	}
}

func accountNested(t *trial) {
	k := t.createFor(t.subproject(), "management")
	t.post(accounts).as(k.credential()).form("FriendlyName", t.name()).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10001)
}

func accountList(t *trial) {
	child, sibling := t.subprojects()
	listed := map[string]object{}
	for _, page := range t.walk(accounts, 1000, t.own().project, child, sibling) {
		for _, account := range page.list("accounts") {
			sid, _ := account["sid"].(string)
			listed[sid] = account
		}
	}
	for _, id := range []string{t.own().project, child, sibling} {
		got := t.get(accountOf(id)).want(http.StatusOK)
		if !same(listed[id], got.decoded) {
			t.fail(got.exchange, "in the list the account is %s", inJSON(listed[id]))
		}
	}
}

// named is the list of the accounts with a name.
func named(name string) string { return accounts + "?FriendlyName=" + url.QueryEscape(name) }

func accountFilter(t *trial) {
	child := t.subproject()
	name := t.name() + " & Söhne%_"
	t.rename(child, name)
	found := t.get(named(name)).want(http.StatusOK).is("page", 0, "next_page_uri", nil, "previous_page_uri", nil)
	if list := found.list("accounts"); len(list) != 1 || list[0]["sid"] != child {
		t.fail(found.exchange, "%d accounts are found, want the one that has this name", len(list))
	}
	for _, other := range []string{strings.ToUpper(name), name[:len(name)-1], name + "x", t.suite.name + "-%"} {
		if got := t.get(named(other)).want(http.StatusOK); len(got.list("accounts")) != 0 {
			t.fail(got.exchange, "accounts are found that have another name than %q", other)
		}
	}
}

func accountListOfChild(t *trial) {
	child := t.subproject()
	k := t.createFor(child, "management")
	got := t.get(accounts).as(k.credential()).want(http.StatusOK)
	if list := got.list("accounts"); len(list) != 1 || list[0]["sid"] != child {
		t.fail(got.exchange, "%d accounts are listed, want the subproject alone", len(list))
	}
}

// renameCases is what an update of an account promises.
func renameCases() []Case {
	const source = "Compatibility surface: update_account"
	return []Case{
		documented("accounts.update.form", "an account can be renamed by a form, and is found under its new name at once", source, renameForm),
		documented("accounts.update.json", "an account can be renamed by JSON", "decision 10", renameJSON),
		documented("accounts.update.rest-kept", "a new name changes nothing else, and date_updated goes not back", source, renameKeeps),
		documented("accounts.update.others-kept", "the new name of one account is not another's", source, renameOthers),
		documented("accounts.update.name", "a name has up to 250 characters, and comes back character by character", source, renameLong),
		documented("accounts.update.invalid", "a name that is blank, too long or has a NUL is refused, and the account stays", source, renameInvalid),
		documented("accounts.update.unknown", "an account that is not the caller's is answered 404, and an id that is no UUID 400", "decision 2", renameUnknown),
		documented("accounts.update.itself", "a subproject can rename itself", source, renameItself),
	}
}

// rename gives a subproject another name, by a form.
func (t *trial) rename(id, name string) {
	t.post(accountOf(id)).form("FriendlyName", name).want(http.StatusOK).is("sid", id, "friendly_name", name)
}

func renameForm(t *trial) {
	child, name := t.subproject(), t.name()
	t.rename(child, name)
	t.get(accountOf(child)).want(http.StatusOK).is("friendly_name", name)
	got := t.get(named(name)).want(http.StatusOK)
	if list := got.list("accounts"); len(list) != 1 || list[0]["sid"] != child {
		t.fail(got.exchange, "%d accounts have the new name, want 1", len(list))
	}
}

func renameJSON(t *trial) {
	child, name := t.subproject(), t.name()
	t.post(accountOf(child)).json(object{"FriendlyName": name}).want(http.StatusOK).is("friendly_name", name)
	t.get(accountOf(child)).want(http.StatusOK).is("friendly_name", name)
}

func renameKeeps(t *trial) {
	child := t.subproject()
	before := t.get(accountOf(child)).want(http.StatusOK)
	t.rename(child, t.name())
	after := t.get(accountOf(child)).want(http.StatusOK)
	for _, member := range []string{"sid", "status", "date_created", "owner_account_sid", "subproject", "uri", "subresource_uris"} {
		after.is(member, before.lookup(member))
	}
	if earlier, later := moment(before.member("date_updated")), moment(after.member("date_updated")); later.Before(earlier) || later.Before(moment(after.member("date_created"))) {
		t.fail(after.exchange, "date_updated went back from %v", earlier)
	}
}

func renameOthers(t *trial) {
	child, sibling := t.subprojects()
	before := t.get(accountOf(sibling)).want(http.StatusOK)
	t.rename(child, t.name())
	t.get(accountOf(sibling)).want(http.StatusOK).is("friendly_name", before.lookup("friendly_name"))
}

func renameLong(t *trial) {
	child := t.subproject()
	for _, name := range []string{t.long(250, "x"), t.long(250, "🙂"), t.name() + "  é\u0301 <&> 部署 "} {
		t.rename(child, name)
		t.get(accountOf(child)).want(http.StatusOK).is("friendly_name", name)
	}
}

func renameInvalid(t *trial) {
	child := t.subproject()
	before := t.get(accountOf(child)).want(http.StatusOK)
	for _, name := range badNames(t) {
		t.post(accountOf(child)).form("FriendlyName", name).want(http.StatusUnprocessableEntity).failed(http.StatusUnprocessableEntity, 10000)
	}
	t.post(accountOf(child)).json(object{"FriendlyName": t.name(), "Status": "x"}).want(http.StatusUnprocessableEntity).failed(http.StatusUnprocessableEntity, 10000)
	t.post(accountOf(child)).json(object{}).want(http.StatusUnprocessableEntity).failed(http.StatusUnprocessableEntity, 10000)
	after := t.get(accountOf(child)).want(http.StatusOK)
	if !slices.Equal(before.body, after.body) {
		t.fail(after.exchange, "a refused update has changed the account from %s", before.excerpt(t.suite))
	}
}

func renameUnknown(t *trial) {
	t.post(accountOf(unknownID)).form("FriendlyName", t.name()).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	t.post(accountOf("x")).form("FriendlyName", t.name()).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	child, sibling := t.subprojects()
	k := t.createFor(child, "management")
	t.post(accountOf(sibling)).as(k.credential()).form("FriendlyName", t.name()).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
}

func renameItself(t *trial) {
	child, name := t.subproject(), t.name()
	k := t.createFor(child, "management")
	t.post(accountOf(child)).as(k.credential()).form("FriendlyName", name).want(http.StatusOK).is("friendly_name", name)
	t.get(accountOf(child)).want(http.StatusOK).is("friendly_name", name)
}
