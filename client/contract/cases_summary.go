package contract

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// lifeSource is where list_tokens, get_token and rotate_token stand.
const lifeSource = "openapi.yaml: Token life"

// summaryCases is what a token is without its secret.
func summaryCases() []Case {
	return []Case{
		extension("ext.get.answer", "a token can be fetched, without its secret", lifeSource, getAnswer),
		extension("ext.get.subproject", "a subproject's token is fetched by its own path and its parent's, and by no other", lifeSource, getChild),
		extension("ext.get.unknown", "a token that does not exist is answered 404, and an id that is no UUID 400", lifeSource, getUnknown),
		extension("ext.get.auth", "fetching and listing tokens needs the permission management", lifeSource, getAuth),
		extension("ext.get.updated-at", "a change moves updated_at, and an update without changes does not", lifeSource, getUpdatedAt),
		extension("ext.get.last-used", "the use of a token is recorded, and is no change", lifeSource, getLastUsed),
	}
}

func getAnswer(t *trial) {
	k := t.create(compat, "video", "fax")
	got := t.get(compat.token(t, k.id)).want(http.StatusOK)
	got.is("id", k.id, "name", k.name, "permissions", []string{"fax", "video"}, "project_id", k.owner)
	got.is("secret_last_four", k.secret[len(k.secret)-4:], "last_used_at", nil, "expires_at", nil)
	if strings.Contains(string(got.body), k.secret) {
		t.fail(got.exchange, "the answer has the secret")
	}
	if created, updated := moment(got.member("created_at")), moment(got.member("updated_at")); updated.Before(created) {
		t.fail(got.exchange, "updated_at is before created_at")
	}
}

func getChild(t *trial) {
	child, sibling := t.subprojects()
	k := t.createFor(child, "management")
	for _, account := range []string{child, t.own().project} {
		t.get(tokenOf(account, k.id)).want(http.StatusOK).is("id", k.id, "project_id", child)
	}
	t.get(tokenOf(sibling, k.id)).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	own := t.create(compat, "fax")
	t.get(tokenOf(child, own.id)).as(k.credential()).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
}

func getUnknown(t *trial) {
	t.get(compat.token(t, unknownID)).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	for _, id := range badIDs() {
		t.get(compat.token(t, id)).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	}
}

func getAuth(t *trial) {
	k := t.create(compat, "fax")
	for _, c := range []credential{{}, k.credential()} {
		for _, path := range []string{compat.token(t, k.id), compat.tokens(t)} {
			t.get(path).as(c).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
		}
	}
}

func getUpdatedAt(t *trial) {
	k := t.create(compat, "fax")
	path := compat.token(t, k.id)
	first := t.get(path).want(http.StatusOK)
	t.patch(path).json(object{}).want(http.StatusOK)
	t.get(path).want(http.StatusOK).is("updated_at", first.lookup("updated_at"))
	t.patch(path).json(object{"name": t.name()}).want(http.StatusOK)
	last := t.get(path).want(http.StatusOK).is("created_at", first.lookup("created_at"))
	if !moment(last.member("updated_at")).After(moment(first.member("updated_at"))) {
		t.fail(last.exchange, "updated_at has not moved on from %s", first.member("updated_at"))
	}
}

func getLastUsed(t *trial) {
	k := t.create(compat, "management")
	path := compat.token(t, k.id)
	before := t.get(path).want(http.StatusOK).is("last_used_at", nil)
	t.works(k.credential())
	t.quietly(func() { // it is recorded after the answer
		var last *answer
		if !t.eventually(5*time.Second, func() bool {
			last = t.get(path).want(http.StatusOK)
			return last.lookup("last_used_at") != nil
		}) {
			t.fail(last.exchange, "the use of the token is not recorded after 5 seconds")
		}
		last.is("updated_at", before.lookup("updated_at"))
	})
}

// listCases is how tokens are found.
func listCases() []Case {
	return []Case{
		extension("ext.list.answer", "the list has each token as it is fetched, without its secret", lifeSource, listAnswer),
		extension("ext.list.accounts", "the list has the tokens of the account in the path and of its subprojects, and no other", lifeSource, listAccounts),
		extension("ext.list.deleted", "a deleted token is not listed, and a renamed one under its new name", lifeSource, listDeleted),
		extension("ext.list.refused", "a creation that was refused has made nothing", "openapi.yaml: order of checks", listRefused),
		extension("ext.list.name-prefix", "NamePrefix finds the names that begin so, in the same case, and has no wildcards", "openapi.yaml: NamePrefix", listNamePrefix),
		extension("ext.list.permission", "Permission finds the tokens that hold it", "openapi.yaml: Permission", listPermission),
		extension("ext.list.parameters", "a parameter that is out of bounds is answered 400, and named", "openapi.yaml: list_tokens", listParameters),
		extension("ext.list.unknown-account", "an account that is not the caller's is answered 404", "decision 2", listUnknown),
	}
}

// listed is the list of the own project's tokens whose names begin so.
func (t *trial) listed(prefix string) string {
	return compat.tokens(t) + "?NamePrefix=" + url.QueryEscape(prefix)
}

// find expects a list to have exactly these tokens.
func (t *trial) find(path string, tokens ...token) *answer {
	got := t.get(path).want(http.StatusOK)
	want := make([]string, 0, len(tokens))
	for _, k := range tokens {
		want = append(want, k.id)
	}
	slices.Sort(want)
	if ids := got.ids("tokens", "id"); !slices.Equal(ids, want) {
		t.fail(got.exchange, "the list has %v, want %v", ids, want)
	}
	return got
}

func listAnswer(t *trial) {
	k := t.create(compat, "fax", "video")
	fetched := t.get(compat.token(t, k.id)).want(http.StatusOK)
	found := t.find(t.listed(k.name), k).is("page", 0, "next_page_uri", nil, "previous_page_uri", nil, "tokens.0", fetched.decoded)
	if strings.Contains(string(found.body), k.secret) {
		t.fail(found.exchange, "the list has the secret")
	}
}

func listAccounts(t *trial) {
	child, sibling := t.subprojects()
	own, first, second := t.create(compat, "fax"), t.createFor(child, "management"), t.createFor(sibling, "fax")
	query := "?NamePrefix=" + t.suite.name
	t.find(compat.tokens(t)+query, own, first, second)
	t.find(tokensOf(child)+query, first)
	t.get(tokensOf(child)+query).as(first.credential()).want(http.StatusOK).is("tokens.0.id", first.id)
}

func listDeleted(t *trial) {
	k, kept := t.create(compat, "fax"), t.create(compat, "fax")
	t.find(t.listed(t.suite.name), k, kept)
	name := t.suite.name + "-renamed"
	t.patch(compat.token(t, kept.id)).json(object{"name": name}).want(http.StatusOK)
	t.delete(compat.token(t, k.id)).want(http.StatusNoContent)
	t.find(t.listed(name), kept)
	t.find(t.listed(k.name))
	t.find(t.listed(kept.name))
}

func listRefused(t *trial) {
	k := t.create(compat, "management")
	weak := t.create(compat, "fax").credential()
	name := t.suite.name + "-refused"
	body := object{"name": name, "permissions": []string{"fax"}}
	t.post(compat.tokens(t)).json(object{"name": name, "permissions": []string{"nope"}}).refuse(badPermission())
	t.post(native.tokens(t)).json(object{"name": name, "permissions": []string{"fax"}, "nope": 1}).refuse(invalid("nope"))
	t.post(compat.tokens(t)).as(weak).json(body).want(http.StatusUnauthorized)
	t.post(native.tokens(t)).as(weak).json(body).want(http.StatusUnauthorized)
	t.post(tokensOf(unknownID)).json(body).want(http.StatusNotFound)
	t.find(t.listed(name))
	t.find(t.listed(k.name), k)
}

func listNamePrefix(t *trial) {
	create := func(name string) token {
		return t.post(compat.tokens(t)).json(object{"name": t.suite.name + name, "permissions": []string{"fax"}}).want(http.StatusOK).token(t.own().project)
	}
	one, two, three := create("-Branch 1"), create("-Branch 2"), create("-branch_3%")
	t.find(t.listed(t.suite.name+"-Branch"), one, two)
	t.find(t.listed(t.suite.name+"-Branch 1"), one)
	t.find(t.listed(t.suite.name+"-branch_3%"), three)
	for _, prefix := range []string{"-BRANCH", "-%", "-Branch_1", "-_ranch"} {
		t.find(t.listed(t.suite.name + prefix))
	}
	t.find(t.listed(strings.TrimPrefix(one.name, "tokenwire"))) // in the middle is not at the beginning
}

func listPermission(t *trial) {
	both, one := t.create(compat, "fax", "video"), t.create(compat, "chat")
	t.find(t.listed(t.suite.name)+"&Permission=video", both)
	t.find(t.listed(t.suite.name)+"&Permission=chat", one)
	t.find(t.listed(t.suite.name) + "&Permission=pubsub")
}

func listParameters(t *trial) {
	for parameter, values := range map[string][]string{
		"Permission": {"nope", "FAX", ""}, "Expired": {"maybe", ""}, "NamePrefix": {"", strings.Repeat("x", 256)},
		"PageSize": {"0", "1001"}, "Page": {"-1"},
	} {
		t.quietly(func() { // in no order
			for _, value := range values {
				t.expectBad(compat.tokens(t)+"?"+parameter+"="+value, parameter)
			}
		})
	}
}

func listUnknown(t *trial) {
	t.get(tokensOf(unknownID)).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	t.get(tokensOf("x")).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
	child, sibling := t.subprojects()
	k := t.createFor(child, "management")
	for _, account := range []string{t.own().project, sibling} {
		t.get(tokensOf(account)).as(k.credential()).want(http.StatusNotFound).failed(http.StatusNotFound, 20404)
	}
}

// tokenPageCases is what the list of tokens promises about its pages.
func tokenPageCases() []Case {
	return []Case{
		extension("ext.pages.links", "the links lead through every token once, to the end and back, and keep the filter", lifeSource, tokenPagesLinks),
		extension("ext.pages.stable", "tokens that come and go between two pages neither repeat nor hide another", pagePromise, tokenPagesStable),
		extension("ext.pages.token-foreign", "a PageToken is good for its own list, account, filter and caller alone", "openapi.yaml: PageToken", tokenPagesForeign),
	}
}

func tokenPagesLinks(t *trial) {
	for range 7 {
		t.create(compat, "fax")
	}
	t.create(compat, "chat")
	t.walkBothWays(t.listed(t.suite.name)+"&Permission=fax", "tokens", "id")
}

func tokenPagesStable(t *trial) {
	var made []token
	for range 6 {
		made = append(made, t.create(compat, "fax"))
	}
	page := t.get(t.listed(t.suite.name) + "&PageSize=2").want(http.StatusOK)
	walked := page.ids("tokens", "id")
	if len(walked) != 2 {
		t.fail(page.exchange, "the first page has %d tokens, want 2", len(walked))
	}
	t.delete(compat.token(t, walked[0])).want(http.StatusNoContent)
	t.delete(compat.token(t, walked[1])).want(http.StatusNoContent)
	late := t.create(compat, "fax")
	for range maxWalk {
		next, more := page.lookup("next_page_uri").(string)
		if !more {
			break
		}
		page = t.get(next).want(http.StatusOK)
		walked = append(walked, page.ids("tokens", "id")...)
	}
	walked = slices.DeleteFunc(walked, func(id string) bool { return id == late.id }) // it may be seen, or not
	want := make([]string, 0, len(made))
	for _, k := range made {
		want = append(want, k.id)
	}
	slices.Sort(want)
	if !slices.Equal(walked, want) {
		t.fail(page.exchange, "the pages lead through %v, want each of %v once", walked, want)
	}
}

func tokenPagesForeign(t *trial) {
	child := t.subproject()
	for range 2 {
		t.create(compat, "fax")
		t.createFor(child, "management")
	}
	query := "?NamePrefix=" + t.suite.name + "&PageSize=1"
	token := t.get(compat.tokens(t) + query).want(http.StatusOK).pageToken()
	query += "&Page=1&PageToken=" + token
	t.refusePage(tokensOf(child)+query, t.own())
	t.refusePage(compat.tokens(t)+query+"&Permission=fax", t.own())
	t.refusePage(accounts+"?PageSize=1&Page=1&PageToken="+token, t.own())
	t.refusePage(accountOf(t.own().project)+"/audit_events?PageSize=1&Page=1&PageToken="+token, t.own())
	t.get(compat.tokens(t)+query).want(http.StatusOK).is("page", 1)
}
