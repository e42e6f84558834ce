package server_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// TestJournalSaysWhy: in plain words, also where the answer must not.
func TestJournalSaysWhy(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	other := a.stranger(t)
	gone := a.create(t, a.Project, "management")
	a.do(t, call{method: "DELETE", path: tokenPath(a.ProjectID, gone.TokenID)}.as(a.Project)).want(t, 204)
	expiry := a.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	expiring := a.do(t, jsonCall("POST", native, `{"name":"x","permissions":["fax"],"expires_at":"`+expiry+`"}`).as(a.Project)).want(t, 200)
	rotated := a.create(t, a.Project, "management")
	a.do(t, jsonCall("POST", tokenPath(a.ProjectID, rotated.TokenID)+"/rotate", `{"grace_period_seconds":60}`).as(a.Project)).want(t, 200)
	weak := a.create(t, a.Project, "fax")
	a.Advance(2 * time.Hour)
	list := call{method: "GET", path: compat + "/" + a.ProjectID}
	wrongUser := list
	wrongUser.user, wrongUser.pass = "me", a.Token
	twice := list
	twice.header = http.Header{"Authorization": {"Basic x", "Basic y"}}
	bearer := list
	bearer.header = http.Header{"Authorization": {"Bearer " + a.Token}}
	for _, c := range []struct {
		call call
		want string
	}{
		{list, "The request has no Authorization header"},
		{twice, "The request has more than one Authorization header"},
		{bearer, "The Authorization header is not Basic"},
		{wrongUser, "The user name must be a Project ID"},
		{list.as(servertest.Project{ProjectID: a.ProjectID, Token: "x"}), "The password is no API token: "},
		{list.as(servertest.Project{ProjectID: a.ProjectID, Token: other.Token}), "The API token belongs to project " + other.ProjectID},
		{list.as(gone), "No token has this secret: it never existed, was deleted, or was replaced"},
		{list.as(servertest.Project{ProjectID: a.ProjectID, Token: expiring.text(t, "token")}), "The token " + expiring.text(t, "id") + " expired at " + expiry},
		{list.as(rotated), "The secret of token " + rotated.TokenID + " was replaced by a rotation, and its grace period is over"},
		{list.as(weak), `This API token lacks the permission "management"`},
		{jsonCall("POST", native, `{"permisions":["fax"],"name":""}`).as(a.Project), `Name must be present; Permissions must be present; "permisions" is no property of this body; did you mean "permissions"? Its properties are: `},
		{call{method: "DELETE", path: native + "/" + unknownID}.as(a.Project), "The account, or the token, is not there, or belongs to a project"},
		{call{method: "GET", path: compat + "/" + a.ProjectID + "/Calls"}.as(a.Project), compat + "/" + a.ProjectID + "/Calls is no path of the contract"},
		{list.as(a.Project), ""},
	} {
		a.do(t, c.call)
		calls, err := a.Journal(a.Project)
		if err != nil {
			t.Fatal(err)
		}
		if got := calls[len(calls)-1].Why; !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s %s: %q, want %q", c.call.method, c.call.path, got, c.want)
		}
	}
}

// TestJournalSaysWhichFault: a call that failed by a fault says so, and one that it has only delayed did not fail.
func TestJournalSaysWhichFault(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, c := range []struct{ fault, body, want string }{
		{`"status":503`, "{}", "A fault of this sandbox: the answer was the documented error 503 20001, and the call was not carried out"},
		{`"status":422,"code":"10003"`, "{}", "A fault of this sandbox: the answer was the documented error 422 10003, and the call was not carried out"},
		{`"connection":"close_before_answer"`, "{}", "A fault of this sandbox: the connection was closed before the call was carried out"},
		{`"connection":"close_in_answer"`, "{}", "A fault of this sandbox: the call was carried out, and the connection closed in its answer"},
		{`"connection":"lose_answer"`, "{}", "A fault of this sandbox: the call was carried out, and the connection closed before its answer"},
		{`"connection":"lose_answer"`, `{"name":""}`, "A fault of this sandbox: the call was carried out, and the connection closed before its answer; Name must be present"},
		{`"delay_milliseconds":1`, "{}", ""},
	} {
		a.do(t, control("POST", a.Project, "/faults", `{"operation":"update_token",`+c.fault+`}`)).want(t, 201)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, a.URL+tokenPath(a.ProjectID, a.TokenID), strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = basic(a.ProjectID, a.Token)
		request.Header.Set("Content-Type", jsonType)
		if response, err := a.client.Do(request); err == nil {
			_ = response.Body.Close()
		}
		calls, err := a.WaitForCalls(t.Context(), a.Project, "update_token", 1)
		if err != nil || calls[0].Why != c.want {
			t.Errorf("%s: %+v (%v), want %q", c.fault, calls, err, c.want)
		}
		if err := a.ClearJournal(a.Project); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJournalSaysWhatWasLost: a credential that was narrowed, or taken away, while its request was on the way.
func TestJournalSaysWhatWasLost(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{WrapStore: func(s store.Store) store.Store { return narrowing{s} }})
	weak, gone := a.create(t, a.Project, "management"), a.create(t, a.Project, "management")
	for _, c := range []struct {
		token servertest.Project
		name  string
		want  string
	}{
		{weak, "narrow", "The token " + weak.TokenID + ` lost the permission "management" while the request was on the way`},
		{gone, "delete", "No token has this secret: it never existed, was deleted, or was replaced by a rotation"},
	} {
		a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, c.token.TokenID), `{"name":"`+c.name+`"}`).as(c.token)).want(t, 401)
		calls, err := a.Journal(a.Project)
		if err != nil || calls[len(calls)-1].Why != c.want {
			t.Errorf("the journal says %q (%v), want %q", calls[len(calls)-1].Why, err, c.want)
		}
	}
}

// narrowing takes from a token what it needs, when it is given a name that says so.
type narrowing struct{ store.Store }

// UpdateToken narrows or deletes the token first.
func (s narrowing) UpdateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change) (store.Token, error) {
	var err error
	switch {
	case update.Name != nil && *update.Name == "narrow":
		_, err = s.Store.UpdateToken(ctx, account, id, store.TokenUpdate{Permissions: &[]string{"fax"}}, store.Change{At: change.At})
	case update.Name != nil && *update.Name == "delete":
		err = s.DeleteToken(ctx, account, id, store.Change{At: change.At})
	}
	if err != nil {
		return store.Token{}, err
	}
	return s.Store.UpdateToken(ctx, account, id, update, change)
}

// TestJournalHasNoSecrets: neither those of requests nor those of answers.
func TestJournalHasNoSecrets(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	created := a.create(t, a.Project, "fax")
	c := jsonCall("PATCH", tokenPath(a.ProjectID, created.TokenID)+"?x="+a.Token, `{"name":"`+created.Token+`"}`).as(a.Project)
	c.header = http.Header{"X-Token": {created.Token}}
	a.do(t, c).want(t, 200)
	journal := a.do(t, control("GET", a.Project, "/journal", "")).want(t, 200)
	for _, unwanted := range []string{created.Token, a.Token, basic(a.ProjectID, a.Token).Get("Authorization")} {
		if strings.Contains(journal.body, unwanted) {
			t.Errorf("the journal has %q:\n%s", unwanted, journal.body)
		}
	}
	if !strings.Contains(journal.body, `"Basic `+a.ProjectID+`:…"`) || !strings.Contains(journal.body, `PT…`) {
		t.Errorf("the journal does not show that there was a credential:\n%s", journal.body)
	}
}

// TestJournalHasNoSecretsInDisguise: a secret is masked in whatever form and place it comes, and the rest can be read.
func TestJournalHasNoSecretsInDisguise(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	basicAuth := strings.TrimPrefix(basic(a.ProjectID, a.Token).Get("Authorization"), "Basic ")
	alone := base64.StdEncoding.EncodeToString([]byte(a.Token))
	child := a.do(t, formCall("POST", compat, "FriendlyName=x").as(a.Project)).want(t, 201)
	update := func(body string) call { return jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), body) }
	for name, c := range map[string]call{
		"capitals":                {method: "GET", path: compat + "/" + strings.ToUpper(a.Token)},
		"percent in the path":     {method: "GET", path: compat + "/%50" + a.Token[1:]},
		"percent in the query":    {method: "GET", path: compat + "?FriendlyName=%50" + a.Token[1:]},
		"percent twice":           {method: "GET", path: compat + "?FriendlyName=%2550" + a.Token[1:]},
		"percent in a form":       formCall("POST", compat, "FriendlyName=P%54"+a.Token[2:]),
		"JSON escapes":            update(`{"name":"\u0050` + a.Token[1:] + `"}`),
		"JSON escapes in a name":  update(`{"P\u0054` + a.Token[2:] + `":1}`),
		"base64 in the path":      {method: "GET", path: compat + "/" + base64.RawURLEncoding.EncodeToString([]byte(a.Token))},
		"base64 in the query":     {method: "GET", path: compat + "?FriendlyName=" + url.QueryEscape(basicAuth)},
		"base64 in the body":      update(`{"name":"` + basicAuth + `"}`),
		"Proxy-Authorization":     {method: "GET", path: compat, header: http.Header{"Proxy-Authorization": {"Basic " + basicAuth}}},
		"X-Authorization":         {method: "GET", path: compat, header: http.Header{"X-Authorization": {"Basic " + basicAuth}}},
		"Cookie":                  {method: "GET", path: compat, header: http.Header{"Cookie": {"session=" + basicAuth}}},
		"a credential of another": {method: "GET", path: compat, header: http.Header{"X-Api-Key": {"hunter2"}, "X-Client-Secret": {"hunter2"}}},
		"base64 in any header":    {method: "GET", path: compat, header: http.Header{"X-Anything": {"x " + alone}}},
		"the name of a header":    {method: "GET", path: compat, header: http.Header{"X-" + a.Token: {"x"}}},
	} {
		c.header = maps.Clone(c.header)
		if c.header == nil {
			c.header = http.Header{}
		}
		c.header["Idempotency-Key"], c.header["X-Request-Id"] = []string{"a-key"}, []string{"a-request"}
		a.do(t, c.as(a.Project))
		calls, err := a.Journal(a.Project)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v", calls[len(calls)-1])
		for _, unwanted := range []string{a.Token[2:], basicAuth[20:100], basicAuth[60:100], alone[4:40], base64.RawURLEncoding.EncodeToString([]byte(a.Token))[4:40], "hunter2"} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(unwanted)) {
				t.Errorf("%s: the journal has %q: %s", name, unwanted, text)
			}
		}
		if !strings.Contains(text, "Idempotency-Key:[a-key]") || !strings.Contains(text, "X-Request-Id:[a-request]") || !strings.Contains(text, "Basic "+a.ProjectID) {
			t.Errorf("%s: the journal lacks what is no secret: %s", name, text)
		}
	}
	calls, err := a.Journal(a.Project)
	if err != nil || strings.Contains(calls[0].AnswerBody, child.text(t, "signing_key")) || !strings.Contains(calls[0].AnswerBody, `"PSK…"`) {
		t.Errorf("the journal has the signing key: %s (%v)", calls[0].AnswerBody, err)
	}
	a.do(t, call{method: "GET", path: compat + "/" + a.ProjectID})
	if calls, err = a.Journal(a.Project); err != nil || calls[len(calls)-1].AnswerHeader.Get("WWW-Authenticate") == "…" {
		t.Errorf("the journal lacks the challenge of a 401 (%v)", err)
	}
}

// TestJournalCutsBehindSecrets: the end of a body that is too large is no secret that was cut.
func TestJournalCutsBehindSecrets(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, size := range []int{20, 49, 50} {
		body := "begin" + strings.Repeat(" ", 64<<10-size-5) + a.Token + strings.Repeat(" ", 1000)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, tokenPath(a.ProjectID, a.TokenID), io.MultiReader(strings.NewReader(body)))
		request.Header = basic(a.ProjectID, a.Token)
		request.Header.Set("Content-Type", jsonType)
		recorder := httptest.NewRecorder()
		a.Handler().ServeHTTP(recorder, request)
		calls, err := a.Journal(a.Project)
		if err != nil || recorder.Code != 413 {
			t.Fatalf("%d (%v)", recorder.Code, err)
		}
		if noted := calls[len(calls)-1].RequestBody; strings.Contains(noted, a.Token[:20]) || !strings.HasPrefix(noted, "begin") {
			t.Errorf("%d characters of a secret are in the journal, or the rest is not", size)
		}
	}
}

// TestJournalOrderAndWaiting: calls have numbers in order, filters choose, and a wait ends with the call that it waits for.
func TestJournalOrderAndWaiting(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	other := a.stranger(t)
	get := call{method: "GET", path: compat + "/" + a.ProjectID}.as(a.Project)
	list := call{method: "GET", path: compat}.as(a.Project)
	a.do(t, get)
	a.do(t, list)
	a.do(t, get)
	read := func(query string) []string {
		var found []string
		object := a.do(t, control("GET", a.Project, "/journal"+query, "")).want(t, 200).object(t)
		for _, entry := range object["calls"].([]any) {
			found = append(found, fmt.Sprint(entry.(map[string]any)["number"], entry.(map[string]any)["operation"]))
		}
		return append(found, fmt.Sprint(object["timed_out"]))
	}
	for query, want := range map[string]string{
		"":                       "[1get_account 2list_accounts 3get_account false]",
		"?Operation=get_account": "[1get_account 3get_account false]",
		"?After=2":               "[3get_account false]",
		"?Operation=list_accounts&AtLeast=1&WaitSeconds=1": "[2list_accounts false]",
		"?Operation=list_accounts&AtLeast=2&WaitSeconds=1": "[2list_accounts true]",
	} {
		if got := fmt.Sprint(read(query)); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	waited := make(chan string, 1)
	go func() { waited <- fmt.Sprint(read("?Operation=create_subprojects&AtLeast=1&WaitSeconds=30")) }()
	a.do(t, formCall("POST", compat, "FriendlyName=x").as(other)) // another world's wakes nobody
	a.do(t, formCall("POST", compat, "FriendlyName=x").as(a.Project))
	if got := <-waited; got != "[4create_subprojects false]" {
		t.Errorf("after the wait: %s", got)
	}
	a.do(t, control("DELETE", a.Project, "/journal", "")).want(t, 204)
	a.do(t, get)
	if got := fmt.Sprint(read("")); got != "[5get_account false]" {
		t.Errorf("after the journal was cleared: %s", got)
	}
	if calls, err := a.WaitForCalls(t.Context(), a.Project, "get_account", 1); err != nil || len(calls) != 1 {
		t.Errorf("WaitForCalls: %v (%v)", calls, err)
	}
}

// TestJournalKeepsBodies: also that of a request which was refused before its body was read.
func TestJournalKeepsBodies(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	c := jsonCall("POST", native, `{"name":"unread"}`)
	c.user, c.pass = a.ProjectID, "wrong"
	a.do(t, c).want(t, 401)
	a.do(t, jsonCall("POST", native, strings.Repeat(" ", 70_000)).as(a.Project)).want(t, 413)
	calls, err := a.Journal(a.Project)
	if err != nil || calls[0].RequestBody != `{"name":"unread"}` || !strings.Contains(calls[0].AnswerBody, "Unauthorized") {
		t.Errorf("the journal has %+v (%v)", calls[0], err)
	}
}
