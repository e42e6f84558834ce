package server_test

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestAccountLife creates, fetches, renames and lists accounts as an SDK does.
func TestAccountLife(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	created := a.do(t, formCall("POST", compat, form("FriendlyName", "Branch & Söhne")).as(a.Project)).want(t, 201).object(t)
	sid := created["sid"].(string)
	if !regexp.MustCompile(`^PSK[0-9a-f]{32}$`).MatchString(sprint(created["signing_key"])) {
		t.Errorf("a new subproject has the signing key %v", created["signing_key"])
	}
	if created["friendly_name"] != "Branch & Söhne" || created["owner_account_sid"] != a.ProjectID || created["subproject"] != true {
		t.Errorf("the new account is %v", created)
	}
	if uri := compat + "/" + sid; created["uri"] != uri || created["subresource_uris"].(map[string]any)["calls"] != uri+"/Calls" {
		t.Errorf("the URIs of the new account are %v and %v", created["uri"], created["subresource_uris"])
	}

	created["signing_key"] = nil // it is shown once
	fetched := a.do(t, call{method: "GET", path: compat + "/" + sid}.as(a.Project)).want(t, 200).object(t)
	if !equal(fetched, created) {
		t.Errorf("fetched\n%v, created\n%v", fetched, created)
	}
	a.Advance(time.Hour)
	renamed := a.do(t, jsonCall("POST", compat+"/"+sid, `{"FriendlyName":"Renamed"}`).as(a.Project)).want(t, 200).object(t)
	if renamed["friendly_name"] != "Renamed" || renamed["date_updated"] == created["date_updated"] || renamed["date_created"] != created["date_created"] {
		t.Errorf("the renamed account is %v", renamed)
	}

	own := a.do(t, call{method: "GET", path: compat + "/" + a.ProjectID}.as(a.Project)).want(t, 200).object(t)
	if own["owner_account_sid"] != a.ProjectID || own["subproject"] != false {
		t.Errorf("the own account is %v", own)
	}
	for query, want := range map[string]int{"": 2, "?FriendlyName=Renamed": 1, "?FriendlyName=renamed": 0, "?FriendlyName=Rename": 0} {
		page := a.do(t, call{method: "GET", path: compat + query}.as(a.Project)).want(t, 200).object(t)
		if got := len(page["accounts"].([]any)); got != want {
			t.Errorf("the list with %q has %d accounts, want %d", query, got, want)
		}
	}
}

// TestAccountDates: RFC 2822, in UTC.
func TestAccountDates(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	account := a.do(t, call{method: "GET", path: compat + "/" + a.ProjectID}.as(a.Project)).want(t, 200)
	date, err := time.Parse(time.RFC1123Z, account.text(t, "date_created"))
	if err != nil || !strings.HasSuffix(account.text(t, "date_created"), " +0000") {
		t.Fatalf("date_created is %q: %v", account.text(t, "date_created"), err)
	}
	if age := a.Now().Sub(date); age < 0 || age > time.Hour {
		t.Errorf("the account is %v old", age)
	}
}

// TestAccountBodies: accounts' 422 has the shape of the other errors.
func TestAccountBodies(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for body, want := range map[string]string{
		"":                          "FriendlyName must be present",
		"FriendlyName=":             "FriendlyName must be present",
		"FriendlyName=+%09":         "FriendlyName must be present",
		"FriendlyName=a%00":         "FriendlyName must not contain the character NUL",
		"FriendlyName=%ff":          "FriendlyName must be valid UTF-8",
		"FriendlyName=a&x=1":        `"x" is no property of this body. Its properties are: FriendlyName`,
		"FriendlyName=a&Status=x":   `"Status" is no property of this body. Its properties are: FriendlyName`,
		"FriendlyName=a&Friendly=b": `"Friendly" is no property of this body. Its properties are: FriendlyName`,
		form("FriendlyName", strings.Repeat("é", 251)): "FriendlyName is too long (at most 250 characters)",
	} {
		for _, path := range []string{compat, compat + "/" + a.ProjectID} {
			got := a.do(t, formCall("POST", path, body).as(a.Project)).want(t, 422).object(t)
			if got["message"] != want || got["code"] != 10000.0 || got["status"] != 422.0 {
				t.Errorf("%q: %v, want %q", body, got, want)
			}
		}
	}
	a.do(t, formCall("POST", compat, form("FriendlyName", strings.Repeat("é", 250))).as(a.Project)).want(t, 201)
}

// TestSubprojectsHaveNoSubprojects: one level of nesting.
func TestSubprojectsHaveNoSubprojects(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	child := a.subproject(t, a.Project)
	got := a.do(t, formCall("POST", compat, "FriendlyName=x").as(child)).want(t, 400).object(t)
	if got["code"] != 10001.0 {
		t.Errorf("the code is %v, want 10001", got["code"])
	}
	page := a.do(t, call{method: "GET", path: compat}.as(child)).want(t, 200).object(t)
	if accounts := page["accounts"].([]any); len(accounts) != 1 || accounts[0].(map[string]any)["sid"] != child.ProjectID {
		t.Errorf("a subproject lists %v", accounts)
	}
}
