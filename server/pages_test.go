package server_test

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// list is a list of the API: where it is, what its items are under, and what identifies one.
type list struct{ path, items, id string }

func lists(account string) []list {
	return []list{
		{compat, "accounts", "sid"},
		{tokensPath(account), "tokens", "id"},
		{compat + "/" + account + "/audit_events", "audit_events", "id"},
	}
}

// page is a page of a list.
type page struct {
	ids            []string
	uri            string
	next, previous string // "" is null
	number         float64
}

func (a *api) page(t *testing.T, l list, path string) page {
	t.Helper()
	got := a.do(t, call{method: "GET", path: path}.as(a.Project)).want(t, 200).object(t)
	p := page{number: got["page"].(float64), uri: got["uri"].(string)}
	p.next, _ = got["next_page_uri"].(string)
	p.previous, _ = got["previous_page_uri"].(string)
	for _, item := range got[l.items].([]any) {
		p.ids = append(p.ids, item.(map[string]any)[l.id].(string))
	}
	return p
}

// TestPages walks each list to its end and back.
func TestPages(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for range 7 {
		a.do(t, formCall("POST", compat, "FriendlyName=x").as(a.Project)).want(t, 201)
		a.create(t, a.Project, "fax")
	}
	for _, l := range lists(a.ProjectID) {
		all := a.page(t, l, l.path+"?PageSize=1000").ids
		if len(all) < 8 {
			t.Fatalf("%s has only %d items", l.path, len(all))
		}
		var pages []page
		var walked []string
		for path := l.path + "?PageSize=3"; path != ""; path = pages[len(pages)-1].next {
			pages = append(pages, a.page(t, l, path))
			walked = append(walked, pages[len(pages)-1].ids...)
			if got := pages[len(pages)-1].number; got != float64(len(pages)-1) {
				t.Errorf("%s: page %d says that it is page %v", l.path, len(pages)-1, got)
			}
		}
		if !equal(walked, all) {
			t.Errorf("%s: the links lead through %v, want %v", l.path, walked, all)
		}
		for i := len(pages) - 1; i > 0; i-- {
			back := a.page(t, l, pages[i].previous)
			if !equal(back.ids, pages[i-1].ids) || back.number != float64(i-1) || back.next == "" || (back.previous == "") != (i == 1) {
				t.Errorf("%s: back from page %d comes %+v, want the ids %v", l.path, i, back, pages[i-1].ids)
			}
		}
		if pages[0].previous != "" {
			t.Errorf("%s: the first page has the previous page %s", l.path, pages[0].previous)
		}
		for number, want := range map[int][]string{1: all[3:6], 1000: nil} {
			got := a.page(t, l, l.path+"?PageSize=3&Page="+strconv.Itoa(number))
			if !equal(got.ids, want) || number == 1000 && got.next != "" {
				t.Errorf("%s: page %d without a token is %+v, want %v", l.path, number, got, want)
			}
		}
	}
}

// TestPageTokens: a token fits the list, the account and the filters that it was made for, and nothing else.
func TestPageTokens(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	child := a.subproject(t, a.Project)
	for range 3 {
		a.create(t, a.Project, "fax")
		a.create(t, child, "fax")
	}
	own := tokensPath(a.ProjectID)
	next := a.page(t, list{own, "tokens", "id"}, own+"?PageSize=1").next
	query, err := url.ParseQuery(next[strings.Index(next, "?")+1:])
	if err != nil {
		t.Fatal(err)
	}
	token := query.Get("PageToken")
	if !strings.HasPrefix(token, "PA") {
		t.Errorf("the token is %s, and the vendor's begin with PA", token)
	}
	flipped := token[:len(token)-5] + "AAAAA"
	stranger := a.stranger(t)
	for what, c := range map[string]call{
		"another list":        {method: "GET", path: compat + "?Page=1&PageSize=1&PageToken=" + token},
		"another account":     {method: "GET", path: tokensPath(child.ProjectID) + "?Page=1&PageToken=" + token},
		"another filter":      {method: "GET", path: own + "?Page=1&Permission=fax&PageToken=" + token},
		"another page":        {method: "GET", path: own + "?Page=2&PageToken=" + token},
		"a forged token":      {method: "GET", path: own + "?Page=1&PageToken=" + flipped},
		"the vendor's form":   {method: "GET", path: own + "?Page=1&PageToken=PA" + unknownID},
		"no token":            {method: "GET", path: own + "?Page=1&PageToken=x"},
		"no prefix":           {method: "GET", path: own + "?Page=1&PageToken=" + token[2:]},
		"no base64":           {method: "GET", path: own + "?Page=1&PageToken=PA%21%21"},
		"nothing":             {method: "GET", path: own + "?Page=1&PageToken="},
		"a long text":         {method: "GET", path: own + "?Page=1&PageToken=" + token + strings.Repeat("A", 200)},
		"a line break":        {method: "GET", path: own + "?Page=1&PageToken=" + token[:9] + "%0A" + token[9:]},
		"a line at the end":   {method: "GET", path: own + "?Page=1&PageToken=" + token + "%0D%0A"},
		"an empty ciphertext": {method: "GET", path: own + "?Page=1&PageToken=PA"},
	} {
		got := a.do(t, c.as(a.Project)).want(t, 400).object(t)
		if got["code"] != 21481.0 {
			t.Errorf("%s: code %v, want 21481", what, got["code"])
		}
	}
	foreign := tokensPath(stranger.ProjectID) + "?Page=1&PageToken=" + token
	if got := a.do(t, call{method: "GET", path: foreign}.as(stranger)).want(t, 400).object(t); got["code"] != 21481.0 {
		t.Errorf("a stranger's token: code %v, want 21481", got["code"])
	}
	accounts := a.page(t, list{compat, "accounts", "sid"}, compat+"?PageSize=1").next // its path names no account
	a.do(t, call{method: "GET", path: accounts}.as(a.Project)).want(t, 200)
	if got := a.do(t, call{method: "GET", path: accounts}.as(stranger)).want(t, 400).object(t); got["code"] != 21481.0 {
		t.Errorf("a stranger's token of the accounts: code %v, want 21481", got["code"])
	}
	a.do(t, call{method: "GET", path: own + "?PageSize=2&PageToken=" + token}.as(a.Project)).want(t, 200)
}

// TestPagesWhileEntriesGo: a link in front of which nothing is left leads on to what there is, and a page's own URI is that page.
func TestPagesWhileEntriesGo(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	var ids []string
	for range 9 {
		ids = append(ids, a.create(t, a.Project, "fax").TokenID)
	}
	l := list{tokensPath(a.ProjectID), "tokens", "id"}
	filter := l.path + "?Permission=fax&PageSize=3"
	second := a.page(t, l, a.page(t, l, filter).next)
	for _, id := range ids[:3] {
		a.do(t, call{method: "DELETE", path: tokenPath(a.ProjectID, id)}.as(a.Project)).want(t, 204)
	}
	if again := a.page(t, l, second.uri); !slices.Equal(again.ids, ids[3:6]) {
		t.Errorf("the URI of the second page leads to %v, want %v", again.ids, ids[3:6])
	}
	empty := a.page(t, l, second.previous)
	if len(empty.ids) != 0 || empty.next == "" {
		t.Fatalf("in front of everything there is %v, and then %q", empty.ids, empty.next)
	}
	if first := a.page(t, l, empty.next); !slices.Equal(first.ids, ids[3:6]) {
		t.Errorf("the page after that has %v, want %v", first.ids, ids[3:6])
	}
}

// TestQueryParameters: out of bounds is 400 and names the parameter.
func TestQueryParameters(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	events := compat + "/" + a.ProjectID + "/audit_events"
	for path, want := range map[string]string{
		compat + "?PageSize=0":                               "PageSize must be a whole number from 1 to 1000",
		compat + "?PageSize=1001":                            "PageSize must be a whole number from 1 to 1000",
		compat + "?PageSize=":                                "PageSize must be a whole number from 1 to 1000",
		compat + "?PageSize=1.5":                             "PageSize must be a whole number from 1 to 1000",
		compat + "?PageSize=99999999999999999999":            "PageSize must be a whole number from 1 to 1000",
		compat + "?PageSize=1&PageSize=2":                    "PageSize must be given once",
		compat + "?Page=-1":                                  "Page must be a whole number from 0 to 2000000000",
		compat + "?Page=x":                                   "Page must be a whole number from 0 to 2000000000",
		compat + "?FriendlyName=":                            "FriendlyName must have 1 to 250 characters in UTF-8, none of them NUL",
		compat + "?FriendlyName=" + strings.Repeat("x", 251): "FriendlyName must have 1 to 250 characters in UTF-8, none of them NUL",
		compat + "?PageToken=" + strings.Repeat("x", 201):    "The PageToken is invalid. Follow the links of the list",
		compat + "?FriendlyName=a%00b":                       "FriendlyName must have 1 to 250 characters in UTF-8, none of them NUL",
		compat + "?FriendlyName=a%ff":                        "FriendlyName must have 1 to 250 characters in UTF-8, none of them NUL",
		compat + "?PageSize=%zz":                             "The query of the URL is malformed: invalid escape",
		tokensPath(a.ProjectID) + "?Permission=nope":         "Permission must be one of: calling, chat",
		tokensPath(a.ProjectID) + "?Expired=maybe":           "Expired must be true or false",
		tokensPath(a.ProjectID) + "?NamePrefix=":             "NamePrefix must have 1 to 255 characters in UTF-8, none of them NUL",
		events + "?Action=nope":                              "Action must be one of: account.created",
		events + "?TokenId=x":                                "TokenId must be a UUID",
		events + "?From=yesterday":                           "From must be a time such as 2026-11-23T09:30:00Z",
		events + "?Until=2026-11-23":                         "Until must be a time such as 2026-11-23T09:30:00Z",
	} {
		got := a.do(t, call{method: "GET", path: path}.as(a.Project)).want(t, 400)
		if !strings.HasPrefix(got.text(t, "message"), want) {
			t.Errorf("%s: %q, want %q", path, got.text(t, "message"), want)
		}
	}
	a.do(t, call{method: "GET", path: compat + "?Unknown=1&PageSize=1000"}.as(a.Project)).want(t, 200)
}
