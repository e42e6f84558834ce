package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tokenwire/tokenwire/client"
)

func TestCreateToken(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(http.StatusOK, tokenBody))
	got, err := f.client(t).CreateToken(t.Context(), client.CreateTokenParams{
		Name:         "John <Doe>'s Token",
		Permissions:  []client.Permission{client.PermissionFax, "unheard-of"},
		SubprojectID: strings.ToUpper(subproject),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &client.Token{
		ID: tokenID, Name: "N", Permissions: []client.Permission{client.PermissionFax}, Secret: client.NewSecret(secret),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r := f.seen()[0]
	if r.method != http.MethodPost || r.path != tokensPath || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("request %s %s %s", r.method, r.path, r.header.Get("Content-Type"))
	}
	wantBody := map[string]any{
		"name": "John <Doe>'s Token", "permissions": []any{"fax", "unheard-of"}, "subproject_id": subproject,
	}
	if diff := cmp.Diff(wantBody, members(t, r.body)); diff != "" {
		t.Error(diff)
	}
}

// The server judges the name and the permissions; null would be another question than the caller's.
func TestCreateTokenSendsNoNull(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(http.StatusUnprocessableEntity, ""))
	_, err := f.client(t).CreateToken(t.Context(), client.CreateTokenParams{})
	if !errors.Is(err, client.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if got := f.seen()[0].body; got != `{"name":"","permissions":[]}` {
		t.Errorf("body %s", got)
	}
}

func TestUpdateTokenSendsWhatIsSet(t *testing.T) {
	t.Parallel()
	var empty []client.Permission
	for name, tc := range map[string]struct {
		params client.UpdateTokenParams
		want   string // "" if it is refused
	}{
		"nothing":             {client.UpdateTokenParams{}, `{}`},
		"name":                {client.UpdateTokenParams{Name: new("N")}, `{"name":"N"}`},
		"empty name":          {client.UpdateTokenParams{Name: new("")}, `{"name":""}`},
		"permissions":         {client.UpdateTokenParams{Permissions: client.SetPermissions("fax", "chat")}, `{"permissions":["fax","chat"]}`},
		"both":                {client.UpdateTokenParams{Name: new("N"), Permissions: client.SetPermissions("fax")}, `{"name":"N","permissions":["fax"]}`},
		"cleared":             {client.UpdateTokenParams{Permissions: client.NoPermissions()}, `{"permissions":[]}`},
		"set to nil":          {client.UpdateTokenParams{Permissions: client.SetPermissions(empty...)}, ""},
		"set to an empty one": {client.UpdateTokenParams{Permissions: client.SetPermissions([]client.Permission{}...)}, ""},
		"name not UTF-8":      {client.UpdateTokenParams{Name: new("\xff")}, ""},
		"permission not UTF8": {client.UpdateTokenParams{Permissions: client.SetPermissions("\xff")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.want == "" {
				_, err := serve(t).client(t).UpdateToken(t.Context(), tokenID, tc.params)
				if _, ok := errors.AsType[*client.ArgumentError](err); !ok {
					t.Errorf("got %v, want an ArgumentError", err)
				}
				return
			}
			f := serve(t, answer(http.StatusOK, tokenBody))
			if _, err := f.client(t).UpdateToken(t.Context(), tokenID, tc.params); err != nil {
				t.Fatal(err)
			}
			r := f.seen()[0]
			if r.method != http.MethodPatch || r.path != tokenPath || r.body != tc.want {
				t.Errorf("got %s %s %s, want %s", r.method, r.path, r.body, tc.want)
			}
		})
	}
}

// Absent fields are absent on the wire, and an empty list is there if, and only if, NoPermissions said so.
func TestUpdateTokenWireProperty(t *testing.T) {
	t.Parallel()
	var body string
	f := roundTripper(func(r *http.Request) (*http.Response, error) {
		buf := new(strings.Builder)
		if err := r.Write(buf); err != nil {
			return nil, err
		}
		_, body, _ = strings.Cut(buf.String(), "\r\n\r\n")
		return ok(tokenBody), nil
	})
	c, err := newDefault(client.WithSpace("example"), client.WithHTTPClient(&http.Client{Transport: f}))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var params client.UpdateTokenParams
		want := map[string]any{}
		if rapid.Bool().Draw(t, "has name") {
			name := rapid.String().Draw(t, "name")
			params.Name, want["name"] = &name, name
		}
		kind := rapid.SampledFrom([]string{"keep", "set", "clear"}).Draw(t, "permissions")
		set := rapid.SliceOf(rapid.SampledFrom(client.AllPermissions())).Draw(t, "set")
		switch kind {
		case "set":
			params.Permissions = client.SetPermissions(set...)
			list := []any{}
			for _, p := range set {
				list = append(list, string(p))
			}
			want["permissions"] = list
		case "clear":
			params.Permissions, want["permissions"] = client.NoPermissions(), []any{}
		}
		body = ""
		_, err := c.UpdateToken(context.Background(), tokenID, params)
		if kind == "set" && len(set) == 0 {
			if err == nil || body != "" {
				t.Fatalf("an empty set was sent: %s", body)
			}
			return
		}
		if err != nil {
			t.Fatalf("update: %v", err)
		}
		if diff := cmp.Diff(want, members(t, body)); diff != "" {
			t.Fatalf("%s", diff)
		}
	})
}

func TestSetPermissionsCopies(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(http.StatusOK, tokenBody))
	list := []client.Permission{client.PermissionFax}
	params := client.UpdateTokenParams{Permissions: client.SetPermissions(list...)}
	list[0] = client.PermissionManagement
	if _, err := f.client(t).UpdateToken(t.Context(), tokenID, params); err != nil {
		t.Fatal(err)
	}
	if got := f.seen()[0].body; got != `{"permissions":["fax"]}` {
		t.Errorf("body %s", got)
	}
}

func TestDeleteToken(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(http.StatusNoContent, ""))
	if err := remove().do(t.Context(), f.client(t)); err != nil {
		t.Fatal(err)
	}
	if r := f.seen()[0]; r.method != http.MethodDelete || r.path != tokenPath || r.body != "" {
		t.Errorf("request %s %s %q", r.method, r.path, r.body)
	}
}

func TestForAccount(t *testing.T) {
	t.Parallel()
	f := serve(t,
		answer(http.StatusOK, tokenBody), answer(http.StatusOK, tokenBody), answer(http.StatusNoContent, ""),
		answer(http.StatusNoContent, ""))
	own := f.client(t)
	branch := own.ForAccount(subproject)
	for _, call := range []call{create(), update(), remove()} {
		if err := call.do(t.Context(), branch); err != nil {
			t.Fatal(err)
		}
	}
	if err := remove().do(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	for i, r := range f.seen() {
		account := subproject
		if i == 3 {
			account = projectID
		}
		if !strings.Contains(r.path, "/Accounts/"+account+"/tokens") {
			t.Errorf("request %d goes to %s", i, r.path)
		}
		request := http.Request{Header: r.header}
		if user, _, _ := request.BasicAuth(); user != projectID {
			t.Errorf("request %d is authenticated as %s", i, user)
		}
	}
}

func TestIDsAreChecked(t *testing.T) {
	t.Parallel()
	wants := func(id, prefix string, err error) {
		t.Helper()
		_, ok := errors.AsType[*client.ArgumentError](err)
		if !ok || !strings.HasPrefix(err.Error(), prefix) || strings.Contains(err.Error(), secret) {
			t.Errorf("id %q: got %v, want an ArgumentError that begins with %q", id, err, prefix)
		}
	}
	c := serve(t).client(t)
	malformed := []string{"x", "../" + projectID, "{" + tokenID + "}", "urn:uuid:" + tokenID, secret, tokenID + "/.."}
	for _, id := range append(malformed, "") {
		_, err := c.UpdateToken(t.Context(), id, client.UpdateTokenParams{})
		wants(id, "update token: id: ", err)
		wants(id, "delete token: id: ", c.DeleteToken(t.Context(), id))
		for _, call := range []call{create(), update(), remove()} {
			wants(id, call.name+" token: account ID: ", call.do(t.Context(), c.ForAccount(id)))
		}
	}
	for _, id := range malformed {
		_, err := c.CreateToken(t.Context(), client.CreateTokenParams{SubprojectID: id})
		wants(id, "create token: SubprojectID: ", err)
	}
}

func TestAnswersThatAreNoToken(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":       "",
		"HTML":        "<html>",
		"null":        "null",
		"no members":  "{}",
		"no id":       `{"name":"N","permissions":[],"token":"` + secret + `"}`,
		"no secret":   `{"id":"` + tokenID + `","name":"N","permissions":[]}`,
		"id no UUID":  `{"id":"x","name":"N","permissions":[],"token":"` + secret + `"}`,
		"wrong types": `{"id":"` + tokenID + `","name":["` + secret + `"],"token":"` + secret + `"}`,
		"cut":         tokenBody[:len(tokenBody)-5],
		"too large":   strings.Repeat(" ", 16<<20) + tokenBody,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, answer(http.StatusOK, body))
			got, err := f.client(t).UpdateToken(t.Context(), tokenID, client.UpdateTokenParams{})
			if err == nil || got != nil {
				t.Fatalf("got %v, %v", got, err)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	const n = 20
	answers := make([]http.HandlerFunc, 0, 2*n)
	for range n {
		answers = append(answers, answer(http.StatusServiceUnavailable, ""), answer(http.StatusOK, tokenBody))
	}
	f := serve(t, answers...)
	c := f.client(t, client.WithRetries(10))
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			// The order of the answers is left to chance, so an unlucky call may see several failures.
			err := update().do(t.Context(), c.ForAccount(projectID))
			if err != nil && !errors.Is(err, client.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestAllPermissions(t *testing.T) {
	t.Parallel()
	want := "calling chat datasphere fax management messaging numbers pubsub storage tasking video"
	var got []string
	for _, p := range client.AllPermissions() {
		got = append(got, string(p))
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
