package server_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

var allPermissions = []string{
	"calling", "chat", "datasphere", "fax", "management", "messaging", "numbers", "pubsub", "storage", "tasking", "video",
}

// protected is each operation that needs a credential, as a call on an account and one of its tokens. The status is that of
// success.
func protected() []struct {
	name   string
	status int
	call   func(account, token string) call
} {
	return []struct {
		name   string
		status int
		call   func(account, token string) call
	}{
		{"create_token", 200, func(account, _ string) call {
			return jsonCall("POST", tokensPath(account), `{"name":"x","permissions":["fax"]}`)
		}},
		{"update_token", 200, func(account, token string) call { return jsonCall("PATCH", tokenPath(account, token), `{"name":"y"}`) }},
		{"get_token", 200, func(account, token string) call { return call{method: "GET", path: tokenPath(account, token)} }},
		{"list_tokens", 200, func(account, _ string) call { return call{method: "GET", path: tokensPath(account)} }},
		{"rotate_token", 200, func(account, token string) call {
			return call{method: "POST", path: tokenPath(account, token) + "/rotate"}
		}},
		{"list_audit_events", 200, func(account, _ string) call {
			return call{method: "GET", path: compat + "/" + account + "/audit_events"}
		}},
		{"get_account", 200, func(account, _ string) call { return call{method: "GET", path: compat + "/" + account} }},
		{"update_account", 200, func(account, _ string) call { return formCall("POST", compat+"/"+account, "FriendlyName=x") }},
		{"delete_token", 204, func(account, token string) call { return call{method: "DELETE", path: tokenPath(account, token)} }},
	}
}

// unscoped is each protected operation whose path names no account: they act on the caller's.
func unscoped(token string) map[string]call {
	return map[string]call{
		"list_accounts":        {method: "GET", path: compat},
		"create_subprojects":   formCall("POST", compat, "FriendlyName=x"),
		"create_project_token": jsonCall("POST", native, `{"name":"x","permissions":["fax"]}`),
		"update_project_token": jsonCall("PATCH", native+"/"+token, `{"name":"y"}`),
		"delete_project_token": {method: "DELETE", path: native + "/" + token},
	}
}

// TestMatrixIsComplete makes sure that a new operation cannot be left out of the matrix.
func TestMatrixIsComplete(t *testing.T) {
	t.Parallel()
	tested, want := []string{"verify_token"}, []string(nil) // TestVerify goes through all credentials too
	for _, operation := range protected() {
		tested = append(tested, operation.name)
	}
	for name := range unscoped("") {
		tested = append(tested, name)
	}
	for _, item := range spec(t).Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.Security == nil {
				want = append(want, operation.OperationID)
			}
		}
	}
	slices.Sort(tested)
	slices.Sort(want)
	if !slices.Equal(tested, want) {
		t.Errorf("the matrix has the operations %v, the contract %v", tested, want)
	}
}

// TestMatrix is the whole policy on who may do what: a credential that is not good gets 401 whatever it asks for; a good one
// reaches its own account and its subprojects, and nothing else exists for it.
func TestMatrix(t *testing.T) {
	t.Parallel()
	for _, operation := range protected() {
		t.Run(operation.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, nil)
			own := a.Project
			child, stranger := a.subproject(t, own), a.stranger(t)
			accounts := map[string]servertest.Project{"own": own, "subproject": child, "stranger": stranger}
			for credential, good := range credentials(t, a, own) {
				for account, project := range accounts {
					want := operation.status
					switch {
					case !good.allowed:
						want = http.StatusUnauthorized
					case account == "stranger":
						want = http.StatusNotFound
					}
					c := operation.call(project.ProjectID, a.victim(t, project))
					c.header = good.header
					if got := a.do(t, c); got.status != want {
						t.Errorf("%s on the account %q: %d %s, want %d", credential, account, got.status, got.body, want)
					}
				}
			}
			for account, c := range map[string]call{
				"parent":     operation.call(own.ProjectID, own.TokenID),
				"unknown":    operation.call(unknownID, own.TokenID),
				"own, token": operation.call(child.ProjectID, own.TokenID),
			} {
				scoped := strings.Contains(c.path, own.TokenID)
				if account == "own, token" && !scoped {
					continue
				}
				if got := a.do(t, c.as(child)); got.status != http.StatusNotFound {
					t.Errorf("a subproject on %q: %d %s, want 404", account, got.status, got.body)
				}
			}
		})
	}
}

// victim makes a token of a project to act on.
func (a *api) victim(t *testing.T, project servertest.Project) string {
	t.Helper()
	return a.create(t, project, "fax").TokenID
}

type credential struct {
	allowed bool
	header  http.Header
}

func basic(user, pass string) http.Header {
	return authorization("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass)))
}

func authorization(values ...string) http.Header { return http.Header{"Authorization": values} }

// credentials is every kind of credential that a caller may have for a project.
func credentials(t *testing.T, a *api, p servertest.Project) map[string]credential {
	t.Helper()
	child, stranger := a.subproject(t, p), a.stranger(t)
	deleted := a.create(t, p, "management")
	a.do(t, call{method: "DELETE", path: tokenPath(p.ProjectID, deleted.TokenID)}.as(p)).want(t, 204)
	good := basic(p.ProjectID, p.Token).Get("Authorization")
	encoded := strings.TrimPrefix(good, "Basic ")
	table := map[string]credential{
		"management":                  {true, basic(p.ProjectID, p.Token)},
		"the scheme in lower case":    {true, authorization("basic " + encoded)},
		"the project in capitals":     {true, basic(strings.ToUpper(p.ProjectID), p.Token)},
		"no credential":               {},
		"an empty header":             {false, authorization("")},
		"another scheme":              {false, authorization("Bearer " + p.Token)},
		"no scheme":                   {false, authorization(encoded)},
		"no base64":                   {false, authorization("Basic !!!")},
		"base64 cut short":            {false, authorization(good[:len(good)-3])},
		"no colon":                    {false, authorization("Basic " + base64.StdEncoding.EncodeToString([]byte(p.ProjectID)))},
		"two headers":                 {false, authorization(good, good)},
		"the token alone":             {false, basic("", p.Token)},
		"the project alone":           {false, basic(p.ProjectID, "")},
		"exchanged":                   {false, basic(p.Token, p.ProjectID)},
		"the token's id":              {false, basic(p.ProjectID, p.TokenID)},
		"a token in capitals":         {false, basic(p.ProjectID, strings.ToUpper(p.Token))},
		"a token cut short":           {false, basic(p.ProjectID, p.Token[:49])},
		"a space after the token":     {false, basic(p.ProjectID, p.Token+" ")},
		"a project without hyphens":   {false, basic(strings.ReplaceAll(p.ProjectID, "-", ""), p.Token)},
		"an unknown project":          {false, basic(unknownID, p.Token)},
		"a stranger's project":        {false, basic(stranger.ProjectID, p.Token)},
		"a subproject's project":      {false, basic(child.ProjectID, p.Token)},
		"a subproject's token":        {false, basic(p.ProjectID, child.Token)},
		"a stranger's token":          {false, basic(p.ProjectID, stranger.Token)},
		"an unknown token":            {false, basic(p.ProjectID, "PT"+strings.Repeat("0", 48))},
		"a deleted token":             {false, basic(p.ProjectID, deleted.Token)},
		"a token with no permission":  {false, basic(p.ProjectID, a.powerless(t, p).Token)},
		"management and everything":   {true, basic(p.ProjectID, a.create(t, p, allPermissions...).Token)},
		"everything but management":   {false, basic(p.ProjectID, a.create(t, p, without(allPermissions, "management")...).Token)},
		"an expired token":            {false, basic(p.ProjectID, a.expired(t, p))},
		"a secret that was replaced":  {false, basic(p.ProjectID, a.replaced(t, p, 0))},
		"a replaced secret, in grace": {true, basic(p.ProjectID, a.replaced(t, p, 3600))},
	}
	for _, permission := range allPermissions {
		table["the permission "+permission+" alone"] = credential{
			permission == "management", basic(p.ProjectID, a.create(t, p, permission).Token),
		}
	}
	return table
}

func without(list []string, item string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == item })
}

func (a *api) powerless(t *testing.T, p servertest.Project) servertest.Project {
	t.Helper()
	token := a.create(t, p, "management")
	a.do(t, jsonCall("PATCH", tokenPath(p.ProjectID, token.TokenID), `{"permissions":[]}`).as(p)).want(t, 200)
	return token
}

// expired returns the secret of a token that has expired: the clock is set forward for it.
func (a *api) expired(t *testing.T, p servertest.Project) string {
	t.Helper()
	expiry := a.Now().Add(1e9).UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
	body := fmt.Sprintf(`{"name":"x","permissions":["management"],"expires_at":%q}`, expiry)
	secret := a.do(t, jsonCall("POST", tokensPath(p.ProjectID), body).as(p)).want(t, 200).text(t, "token")
	a.Advance(1e9)
	return secret
}

// replaced returns the old secret of a token that was rotated.
func (a *api) replaced(t *testing.T, p servertest.Project, grace int) string {
	t.Helper()
	token := a.create(t, p, "management")
	body := fmt.Sprintf(`{"grace_period_seconds":%d}`, grace)
	a.do(t, jsonCall("POST", tokenPath(p.ProjectID, token.TokenID)+"/rotate", body).as(p)).want(t, 200)
	return token.Token
}

// TestUnscopedOperations: without an account in the path, the credential decides alone.
func TestUnscopedOperations(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for credential, good := range credentials(t, a, a.Project) {
		for name := range unscoped("") {
			c := unscoped(a.victim(t, a.Project))[name]
			c.header = good.header
			got := a.do(t, c)
			if succeeded := got.status < 300; succeeded != good.allowed || !succeeded && got.status != http.StatusUnauthorized {
				t.Errorf("%s with %s: %d %s, want allowed %v", name, credential, got.status, got.body, good.allowed)
			}
		}
	}
}

// isNarrow tells a credential that is good, and lacks the permission management, from those that are bad.
func isNarrow(credential string) bool {
	return strings.HasPrefix(credential, "the permission") || strings.HasPrefix(credential, "everything but") || strings.Contains(credential, "no permission")
}

// TestUnauthorizedTellsNothing: whatever is wrong with a credential, the answer is the same, byte for byte. Only a token that
// lacks the permission is told so.
func TestUnauthorizedTellsNothing(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	said := map[string]string{}
	for credential, good := range credentials(t, a, a.Project) {
		if good.allowed {
			continue
		}
		c := call{method: "DELETE", path: tokenPath(a.ProjectID, unknownID), header: good.header}
		got := a.do(t, c).want(t, 401)
		if got.header.Get("WWW-Authenticate") != `Basic realm="tokenwire", charset="UTF-8"` {
			t.Errorf("%s: WWW-Authenticate is %q", credential, got.header.Get("WWW-Authenticate"))
		}
		lacks := isNarrow(credential)
		if lacks != strings.Contains(got.body, `lacks the permission \"management\"`) {
			t.Errorf("%s: %s", credential, got.body)
		}
		if !lacks {
			said[got.body] = credential
		}
	}
	if len(said) != 1 {
		t.Errorf("there are %d different answers to bad credentials: %v", len(said), said)
	}
}
