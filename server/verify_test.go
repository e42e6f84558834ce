package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/guard"
	"github.com/tokenwire/tokenwire/server/servertest"
)

const verifyPath = "/api/tokens/verify"

// original is what a gateway asks about a request: nginx, by its headers.
func original(method, uri string) call {
	return call{method: "GET", path: verifyPath, header: http.Header{"X-Original-Method": {method}, "X-Original-Uri": {uri}}}
}

// identity is what an answer says about the caller.
func (got answer) identity() [3]string {
	return [3]string{got.header.Get("X-Tokenwire-Project"), got.header.Get("X-Tokenwire-Token-Id"), got.header.Get("X-Tokenwire-Permissions")}
}

// TestVerify: every kind of credential, with and without a permission to ask for.
func TestVerify(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]*servertest.Options{"SQLite": nil, "memory": {InMemory: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, options)
			refusal := a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}).want(t, 401)
			for credential, good := range credentials(t, a, a.Project) {
				for query, allowed := range map[string]bool{"": good.allowed || isNarrow(credential), "?permission=management": good.allowed} {
					got := a.do(t, call{method: "GET", path: verifyPath + query, header: good.header})
					switch {
					case allowed:
						if got.want(t, 204); got.body != "" || got.identity()[0] != a.ProjectID || got.header.Get("X-Tokenwire-Token-Id") == "" {
							t.Errorf("%s%s: %v %q", credential, query, got.identity(), got.body)
						}
						if manages := slices.Contains(strings.Split(got.identity()[2], ","), "management"); manages != good.allowed {
							t.Errorf("%s%s may do %q", credential, query, got.identity()[2])
						}
						continue
					case isNarrow(credential):
						if got.want(t, 403); got.object(t)["code"] != 20003.0 || got.text(t, "message") != `This API token lacks the permission "management"` {
							t.Errorf("%s%s: %s", credential, query, got.body)
						}
					default:
						if got.want(t, 401); got.body != refusal.body || got.header.Get("WWW-Authenticate") != refusal.header.Get("WWW-Authenticate") {
							t.Errorf("%s%s: %s", credential, query, got.body)
						}
					}
					if got.identity() != [3]string{} {
						t.Errorf("%s%s is refused, and named: %v", credential, query, got.identity())
					}
				}
			}
		})
	}
}

// TestVerifyIdentity: the headers are those of the token, also as it was changed just now.
func TestVerifyIdentity(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "messaging", "calling")
	ask := call{method: "GET", path: verifyPath}.as(token)
	for range 2 { // the second is from memory
		if got := a.do(t, ask).want(t, 204).identity(); got != [3]string{a.ProjectID, token.TokenID, "calling,messaging"} {
			t.Errorf("the identity is %v", got)
		}
	}
	a.do(t, call{method: "HEAD", path: verifyPath}.as(token)).want(t, 204)
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, token.TokenID), `{"permissions":["fax"]}`).as(a.Project)).want(t, 200)
	if got := a.do(t, ask).want(t, 204).identity(); got[2] != "fax" {
		t.Errorf("the identity is %v after the change", got)
	}
	a.do(t, call{method: "GET", path: verifyPath + "?permission=calling"}.as(token)).want(t, 403)
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, token.TokenID), `{"permissions":[]}`).as(a.Project)).want(t, 200)
	if got, ok := a.do(t, ask).want(t, 204).header["X-Tokenwire-Permissions"]; !ok || got[0] != "" {
		t.Errorf("a token that may do nothing has the header %q", got)
	}
	a.do(t, call{method: "DELETE", path: tokenPath(a.ProjectID, token.TokenID)}.as(a.Project)).want(t, 204)
	a.do(t, ask).want(t, 401)
}

// TestVerifyParameter: what is wrong with the question itself.
func TestVerifyParameter(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, query := range []string{"permission=", "permission=voice", "permission=FAX", "permission=fax&permission=fax", "permission=fax;x", "permission=%zz"} {
		a.do(t, call{method: "GET", path: verifyPath + "?" + query}.as(a.Project)).want(t, 400)
		a.do(t, call{method: "GET", path: verifyPath + "?" + query}).want(t, 401) // first things first
	}
	for _, query := range []string{"permissions=fax", "Permission=fax", "permission[]=fax", "perm=fax", "x"} { // what was meant to be asked?
		asked := call{method: "GET", path: verifyPath + "?" + query}.as(a.Project)
		a.do(t, asked).want(t, 400)
		asked.header = http.Header{"X-Original-Method": {"POST"}, "X-Original-Uri": {"/api/project/tokens"}}
		a.do(t, asked).want(t, 204) // the path is, and the query is the client's
	}
	a.do(t, call{method: "POST", path: verifyPath}.as(a.Project)).want(t, 405)
	a.do(t, call{method: "GET", path: verifyPath + "/"}.as(a.Project)).want(t, 404)
}

// TestVerifyOriginal: the rules decide about an original request, and what is not plain is refused.
func TestVerifyOriginal(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	child, stranger := a.subproject(t, a.Project), a.stranger(t)
	sms, all := a.create(t, a.Project, "messaging"), a.create(t, a.Project, allPermissions...)
	messages := func(project string) string { return compat + "/" + project + "/Messages" }
	pair := func(values ...string) call {
		c := call{method: "GET", path: verifyPath, header: http.Header{}}
		for named := range slices.Chunk(values, 2) {
			c.header.Add(named[0], named[1])
		}
		return c
	}
	url := func(method, uri string) call { return pair("X-Original-Method", method, "X-Original-Url", uri) }
	own := messages(a.ProjectID)
	for what, c := range map[string]struct {
		call   call
		status int
	}{
		"a rule":                        {original("POST", own).as(sms), 204},
		"with a query":                  {original("GET", own+".json?To=%2B1").as(sms), 204},
		"in Twilio's way":               {original("GET", strings.TrimPrefix(own, "/api/laml")+".json").as(sms), 204},
		"in capitals":                   {original("GET", messages(strings.ToUpper(a.ProjectID))).as(sms), 204},
		"Traefik's and Caddy's headers": {pair("X-Forwarded-Method", "GET", "X-Forwarded-Uri", own).as(sms), 204},
		"another permission":            {original("POST", compat+"/"+a.ProjectID+"/Calls").as(sms), 403},
		"no rule":                       {original("GET", "/other").as(all), 403},
		"a trick":                       {original("GET", own+"/../Calls").as(sms), 403},
		"no credential":                 {original("GET", own), 401},

		"a subproject's account":           {original("GET", messages(child.ProjectID)).as(sms), 204},
		"a parent's account":               {original("GET", messages(a.ProjectID)).as(a.create(t, child, "messaging")), 403},
		"a stranger's account":             {original("GET", messages(stranger.ProjectID)).as(sms), 403},
		"an account that there is not":     {original("GET", messages(unknownID)).as(sms), 403},
		"an account that is no id":         {original("GET", messages("x")).as(sms), 403},
		"a stranger's, without permission": {original("GET", messages(stranger.ProjectID)).as(a.create(t, a.Project, "fax")), 403},

		"no method":                       {pair("X-Original-Uri", own).as(all), 403},
		"no path":                         {pair("X-Original-Method", "GET").as(all), 403},
		"an empty path":                   {pair("X-Original-Method", "GET", "X-Original-Uri", "").as(all), 403},
		"an empty method":                 {pair("X-Original-Method", "", "X-Original-Uri", own).as(all), 403},
		"two paths":                       {pair("X-Original-Method", "GET", "X-Original-Uri", own, "X-Original-Uri", own).as(all), 403},
		"two methods":                     {pair("X-Original-Method", "GET", "X-Original-Method", "GET", "X-Original-Uri", own).as(all), 403},
		"half of each pair":               {pair("X-Original-Method", "GET", "X-Forwarded-Uri", own).as(all), 403},
		"both pairs":                      {pair("X-Original-Method", "GET", "X-Original-Uri", own, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", own).as(sms), 204},
		"another path":                    {pair("X-Original-Method", "GET", "X-Original-Uri", own, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/api/fax/logs").as(all), 403},
		"another method":                  {pair("X-Original-Method", "GET", "X-Original-Uri", own, "X-Forwarded-Method", "POST", "X-Forwarded-Uri", own).as(all), 403},
		"a stray half":                    {pair("X-Original-Method", "GET", "X-Original-Uri", own, "X-Forwarded-Uri", own).as(all), 403},
		"ingress-nginx's headers":         {url("GET", "https://Example.com:8443"+own).as(sms), 204},
		"by an IPv6 address":              {url("GET", "http://[::1]:8080"+own+"?a=b").as(sms), 204},
		"a URL that is a path":            {url("GET", own).as(sms), 204},
		"a URL that needs another":        {url("GET", "https://example.com/api/fax/logs").as(sms), 403},
		"a URL without a rule":            {url("GET", "https://example.com/other").as(all), 403},
		"a URL with a trick":              {url("GET", "https://example.com"+own+"/../Calls").as(all), 403},
		"a URL without a path":            {url("GET", "https://example.com").as(all), 403},
		"a URL without a host":            {url("GET", "https://"+own).as(all), 403},
		"a URL of another scheme":         {url("GET", "ftp://example.com"+own).as(all), 403},
		"a URL without a scheme":          {url("GET", "//example.com"+own).as(all), 403},
		"a host with a question mark":     {url("GET", "https://a?b"+own).as(all), 403},
		"a host with a number sign":       {url("GET", "https://a#b"+own).as(all), 403},
		"a host with a backslash":         {url("GET", `https://a\b`+own).as(all), 403},
		"a host with a user":              {url("GET", "https://a@b"+own).as(all), 403},
		"a host with an escape":           {url("GET", "https://a%2fb"+own).as(all), 403},
		"a host that is a URL":            {url("GET", "https://http://a"+own).as(all), 403},
		"a method without a URL":          {pair("X-Original-Method", "GET", "X-Original-Url", "").as(all), 403},
		"a URL without a method":          {pair("X-Original-Url", "https://example.com"+own).as(all), 403},
		"a URL with another's method":     {pair("X-Forwarded-Method", "GET", "X-Original-Url", "https://example.com"+own).as(all), 403},
		"two URLs":                        {pair("X-Original-Method", "GET", "X-Original-Url", own, "X-Original-Url", own).as(all), 403},
		"a URL and the same path":         {pair("X-Original-Method", "GET", "X-Original-Url", "https://example.com"+own, "X-Original-Uri", own).as(sms), 204},
		"a URL and another path":          {pair("X-Original-Method", "GET", "X-Original-Url", "https://example.com"+own, "X-Original-Uri", "/api/fax/logs").as(all), 403},
		"a URL and both pairs":            {pair("X-Original-Method", "GET", "X-Original-Url", "https://example.com"+own, "X-Original-Uri", own, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", own).as(sms), 204},
		"a URL, and otherwise told":       {pair("X-Original-Method", "GET", "X-Original-Url", "https://example.com"+own, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/api/fax/logs").as(all), 403},
		"the client's, in a URL":          {with(url("GET", "https://example.com/api/fax/logs?permission=messaging"), "?permission=messaging").as(sms), 403},
		"only a rewritten path":           {pair("X-Rewrite-Url", own).as(all), 403},
		"an empty rewritten path":         {pair("X-Rewrite-Url", "").as(all), 403},
		"a method, and rewritten":         {pair("X-Original-Method", "GET", "X-Rewrite-Url", own).as(all), 403},
		"rewritten to another path":       {pair("X-Original-Method", "GET", "X-Original-Uri", own, "X-Rewrite-Url", "/api/fax/logs").as(all), 403},
		"rewritten to the same":           {pair("X-Original-Method", "GET", "X-Original-Uri", own, "X-Rewrite-Url", own).as(sms), 204},
		"rewritten, and a permission":     {with(pair("X-Rewrite-Url", own), "?permission=messaging").as(sms), 403},
		"a permission beats it":           {with(original("GET", "/other"), "?permission=messaging").as(sms), 204},
		"and still must be there":         {with(original("GET", own), "?permission=fax").as(sms), 403},
		"the client's permission":         {with(original("GET", "/api/fax/logs?permission=messaging"), "?permission=messaging").as(sms), 403},
		"the client's, written otherwise": {with(original("GET", "/api/fax/logs?%70ermission=messaging"), "?permission=messaging").as(sms), 403},
		"the client's, unreadable":        {with(original("GET", "/api/fax/logs?a;permission=messaging"), "?permission=messaging").as(sms), 403},
		"another query of the client":     {with(original("GET", "/api/fax/logs?a=b"), "?permission=messaging").as(sms), 204},
	} {
		if got := a.do(t, c.call); got.status != c.status {
			t.Errorf("%s: %d %s, want %d", what, got.status, got.body, c.status)
		}
	}
}

func with(c call, query string) call {
	c.path += query
	return c
}

// TestVerifyForeignAccounts: an account of somebody else's looks like one that there is not.
func TestVerifyForeignAccounts(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	stranger := a.stranger(t)
	theirs := a.do(t, original("GET", compat+"/"+stranger.ProjectID).as(a.Project)).want(t, 403)
	if nobodys := a.do(t, original("GET", compat+"/"+unknownID).as(a.Project)).want(t, 403); nobodys.body != theirs.body {
		t.Errorf("%s and %s", theirs.body, nobodys.body)
	}
}

// TestVerifyOwnRules: the rules are those of the configuration.
func TestVerifyOwnRules(t *testing.T) {
	t.Parallel()
	rules, err := guard.Parse([]byte(`rules: [{path: /whoami, permission: none}, {path: /reports/**, methods: [GET], permission: fax}]`))
	if err != nil {
		t.Fatal(err)
	}
	a := start(t, &servertest.Options{Guard: rules})
	fax, chat := a.create(t, a.Project, "fax"), a.create(t, a.Project, "chat")
	for what, c := range map[string]struct {
		call   call
		status int
	}{
		"any credential":   {original("GET", "/whoami").as(chat), 204},
		"the permission":   {original("GET", "/reports/1").as(fax), 204},
		"another":          {original("GET", "/reports/1").as(chat), 403},
		"another method":   {original("POST", "/reports/1").as(fax), 403},
		"a shipped rule":   {original("GET", "/api/fax/logs").as(fax), 403},
		"no credential":    {original("GET", "/whoami"), 401},
		"no original path": {call{method: "GET", path: verifyPath}.as(chat), 204},
	} {
		if got := a.do(t, c.call); got.status != c.status {
			t.Errorf("%s: %d %s, want %d", what, got.status, got.body, c.status)
		}
	}
}

// TestVerifyNeedsNoDatabase: who is remembered is not looked up, and neither is the own account in a path.
func TestVerifyNeedsNoDatabase(t *testing.T) {
	t.Parallel()
	a, watch := watched(t, nil)
	for range 5 {
		a.do(t, call{method: "GET", path: verifyPath}.as(a.Project)).want(t, 204)
		a.do(t, original("GET", compat+"/"+a.ProjectID).as(a.Project)).want(t, 204)
	}
	if asked := watch.asked.Load(); asked != 1 {
		t.Errorf("the store was asked %d times, want once", asked)
	}
}

// TestVerifyBehindAGateway: an attacker who comes from the same address as everybody else locks nobody out.
func TestVerifyBehindAGateway(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{AuthFailuresPerMinute: 5})
	guess := a.Project
	guess.Token = "PT" + strings.Repeat("0", 48)
	ask := call{method: "GET", path: verifyPath}
	limited := false
	for range 20 {
		got := a.do(t, ask.as(guess))
		limited = limited || got.status == http.StatusTooManyRequests
		if got.status != http.StatusUnauthorized && got.status != http.StatusTooManyRequests {
			t.Errorf("a guess gets %d", got.status)
		}
		a.do(t, ask.as(a.Project)).want(t, 204)
	}
	if !limited {
		t.Error("guesses are not limited")
	}
	a.do(t, ask.as(a.create(t, a.Project, "fax"))).want(t, 204) // nor one that was never seen before
}
