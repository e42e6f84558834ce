package contract

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const pagePromise = "Compatibility surface: List page"

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// moment reads a date of an answer, and returns the zero time for what is none: the schema has seen to that.
func moment(text string) time.Time {
	for _, layout := range []string{time.RFC1123Z, time.RFC3339Nano} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}

// maxWalk bounds how many pages a walk visits.
const maxWalk = 50

// walk visits the pages of a list by their links, from the first on. It keeps of the accounts no more than their ids, but all
// of those that are named whole.
func (t *trial) walk(path string, size int, whole ...string) []*answer {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	var pages []*answer
	path += separator + "PageSize=" + strconv.Itoa(size)
	for range maxWalk {
		page := t.get(path).want(http.StatusOK).is("page", len(pages), "page_size", size)
		pages = append(pages, page)
		page.forget(whole)
		next, more := page.lookup("next_page_uri").(string)
		if !more {
			return pages
		}
		path = next
	}
	t.fail(pages[len(pages)-1].exchange, "the list does not end after %d pages", maxWalk)
	return nil
}

// forget drops what a walk through many pages has no use for.
func (a *answer) forget(whole []string) {
	a.body = bytes.Clone(a.body[:min(len(a.body), 2*maxShown)])
	page, _ := a.decoded.(object)
	for _, member := range page {
		entries, _ := member.([]any)
		for i, entry := range entries {
			one, ok := entry.(object)
			if sid, _ := one["sid"].(string); ok && !slices.Contains(whole, sid) {
				entries[i] = object{"id": one["id"], "sid": one["sid"]}
			}
		}
	}
}

// ids returns what identifies the items of a page, in order.
func (a *answer) ids(items, id string) []string {
	ids := []string{}
	for _, item := range a.list(items) {
		text, _ := item[id].(string)
		ids = append(ids, text)
	}
	return ids
}

// walkBothWays visits a list of at least three items in three pages or more, to the end and back, and expects each item once.
func (t *trial) walkBothWays(path, items, id string) {
	var all []string
	for _, page := range t.walk(path, 1000) {
		all = append(all, page.ids(items, id)...)
	}
	if len(all) < 3 {
		t.fail(nil, "the list has %d items, want 3 at least", len(all))
	}
	size := min(max(1, len(all)/3), 1000)
	pages := t.walk(path, size)
	var walked []string
	for i, page := range pages {
		ids := page.ids(items, id)
		if last := i == len(pages)-1; len(ids) > size || len(ids) < size && !last || len(ids) == 0 {
			t.fail(page.exchange, "page %d has %d items, want %d, or fewer on the last page", i, len(ids), size)
		}
		walked = append(walked, ids...)
	}
	if !slices.Equal(walked, all) {
		t.fail(pages[len(pages)-1].exchange, "the links lead through %v, want each item once and in order: %v", walked, all)
	}
	pages[0].is("previous_page_uri", nil)
	t.leadBack(pages, items, id)
}

// leadBack follows the links of each page to the page before it, to the first and to itself.
func (t *trial) leadBack(pages []*answer, items, id string) {
	for i := len(pages) - 1; i > 0; i-- {
		for _, link := range []string{"previous_page_uri", "first_page_uri", "uri"} {
			number := map[string]int{"previous_page_uri": i - 1, "uri": i}[link]
			got := t.get(pages[i].member(link)).want(http.StatusOK).is("page", number)
			if !slices.Equal(got.ids(items, id), pages[number].ids(items, id)) {
				t.fail(got.exchange, "%s of page %d leads to another page than %d", link, i, number)
			}
			if (got.lookup("previous_page_uri") == nil) != (number == 0) || (got.lookup("next_page_uri") == nil) != (number == len(pages)-1) {
				t.fail(got.exchange, "page %d of %d has a link too many or lacks one", number, len(pages))
			}
		}
	}
}

// accountPageCases is what the list of accounts promises about its pages.
func accountPageCases() []Case {
	return []Case{
		varying(documented("pages.links", "the links lead through every item once, to the end and back", pagePromise, pagesLinks)),
		varying(documented("pages.number", "Page without a token skips pages, and beyond the end is an empty page", "Compatibility surface: list_accounts", pagesNumber)),
		varying(documented("pages.default", "a page has 50 items when nothing is said, and begins at 0", "Compatibility surface: list_accounts", pagesDefault)),
		documented("pages.size", "PageSize is a whole number from 1 to 1000", "Compatibility surface: list_accounts", pagesSize),
		documented("pages.bounds", "Page is a whole number from 0; a filter is a text of bounded length without NUL", "openapi.yaml: parameters", pagesBounds),
		documented("pages.filter", "the links keep the filter", pagePromise, pagesFilter),
		documented("pages.token-invalid", "a PageToken that no link had is answered 400 with the code 21481", "Errors: 21481", pagesForged),
		documented("pages.token-foreign", "a PageToken is good for its own list, page, filter and caller alone", "openapi.yaml: PageToken", pagesForeign),
	}
}

func pagesLinks(t *trial) {
	t.subprojects()
	t.walkBothWays(accounts, "accounts", "sid")
}

func pagesNumber(t *trial) {
	t.subprojects()
	pages := t.walk(accounts, 1000)
	all := pages[0].ids("accounts", "sid")
	second := t.get(accounts+"?PageSize=1&Page=1").want(http.StatusOK).is("page", 1, "page_size", 1)
	if got := second.ids("accounts", "sid"); !slices.Equal(got, all[1:2]) {
		t.fail(second.exchange, "page 1 has %v, want the second item, %s", got, all[1])
	}
	t.get(accounts+"?PageSize=1000&Page=2000000").want(http.StatusOK).is("accounts", []any{}, "next_page_uri", nil, "page", 2000000)
}

func pagesDefault(t *trial) {
	got := t.get(accounts).want(http.StatusOK).is("page", 0, "page_size", 50, "previous_page_uri", nil)
	if n := len(got.list("accounts")); n == 0 || n > 50 {
		t.fail(got.exchange, "%d accounts are listed, want 1 to 50", n)
	}
	t.get(accounts+"?PageSize=1000&Unknown=1").want(http.StatusOK).is("page_size", 1000)
}

// expectBad expects a query to be refused with a message that names the parameter.
func (t *trial) expectBad(path, parameter string) {
	t.get(path).want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000).says("message", parameter)
}

func pagesSize(t *trial) {
	for _, size := range []string{"0", "1001", "-1", "1.5", "x", "", "99999999999999999999"} {
		t.expectBad(accounts+"?PageSize="+size, "PageSize")
	}
	t.expectBad(accounts+"?PageSize=1&PageSize=2", "PageSize")
	for _, size := range []int{1, 1000} {
		t.get(named(t.suite.name)+"&PageSize="+strconv.Itoa(size)).want(http.StatusOK).is("page_size", size)
	}
}

func pagesBounds(t *trial) {
	for _, page := range []string{"-1", "x", "", "1.5"} {
		t.expectBad(accounts+"?Page="+page, "Page")
	}
	for _, name := range []string{"", strings.Repeat("x", 251), "a%00b", "%ff"} {
		t.expectBad(accounts+"?FriendlyName="+name, "FriendlyName")
	}
	t.get(accounts+"?PageSize=%zz").want(http.StatusBadRequest).failed(http.StatusBadRequest, 10000)
}

// twins gives two subprojects one name, which nothing else has.
func (t *trial) twins() string {
	child, sibling := t.subprojects()
	name := t.name() + " & Söhne"
	t.rename(child, name)
	t.rename(sibling, name)
	return name
}

func pagesFilter(t *trial) {
	pages := t.walk(named(t.twins()), 1)
	if len(pages) != 2 {
		t.fail(pages[len(pages)-1].exchange, "there are %d pages of one account each, want 2: two accounts have this name", len(pages))
	}
	back := t.get(pages[1].member("previous_page_uri")).want(http.StatusOK)
	if !slices.Equal(back.ids("accounts", "sid"), pages[0].ids("accounts", "sid")) {
		t.fail(back.exchange, "the link back leads to another page")
	}
}

// pageToken returns the token of the link to the next page.
func (a *answer) pageToken() string {
	_, query, _ := strings.Cut(a.member("next_page_uri"), "?")
	values, err := url.ParseQuery(query)
	if token := values.Get("PageToken"); err == nil && strings.HasPrefix(token, "PA") {
		return token
	}
	a.trial.fail(a.exchange, "next_page_uri has no PageToken that begins with PA")
	return ""
}

func (t *trial) refusePage(path string, c credential) {
	t.get(path).as(c).want(http.StatusBadRequest).failed(http.StatusBadRequest, 21481)
}

func pagesForged(t *trial) {
	list := named(t.twins()) + "&PageSize=1"
	token := t.get(list).want(http.StatusOK).pageToken()
	flipped := token[:len(token)-5] + "AAAAA"
	for _, forged := range []string{flipped, "PA" + unknownID, "PA", "", "x", strings.Repeat("x", 201), token + "%0A", token[2:], "PA%21%21", strings.ToUpper(token)} {
		t.refusePage(list+"&Page=1&PageToken="+forged, t.own())
	}
	t.get(list+"&Page=1&PageToken="+token).want(http.StatusOK).is("page", 1)
}

func pagesForeign(t *trial) {
	name := t.twins()
	token := t.get(named(name) + "&PageSize=1").want(http.StatusOK).pageToken()
	t.refusePage(named(name)+"&PageSize=1&Page=2&PageToken="+token, t.own())
	t.refusePage(named(name+"x")+"&PageSize=1&Page=1&PageToken="+token, t.own())
	t.refusePage(accounts+"?PageSize=1&Page=1&PageToken="+token, t.own())
	k := t.createFor(t.subproject(), "management")
	t.refusePage(named(name)+"&PageSize=1&Page=1&PageToken="+token, k.credential())
}
