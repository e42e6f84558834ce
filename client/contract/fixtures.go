package contract

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// unknownID is the UUID of nothing.
const unknownID = "7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42"

// surface is one of the two places at which the contract has the operations on tokens.
type surface string

const (
	compat surface = "compat"
	native surface = "native"
)

func (s surface) tokens(t *trial) string {
	if s == native {
		return nativeBase
	}
	return tokensOf(t.own().project)
}

func (s surface) token(t *trial, id string) string { return s.tokens(t) + "/" + id }

func (s surface) other() surface {
	if s == native {
		return compat
	}
	return native
}

func tokensOf(account string) string    { return accounts + "/" + account + "/tokens" }
func tokenOf(account, id string) string { return tokensOf(account) + "/" + id }

// onBoth makes a case for each surface.
func onBoth(id, statement, source string, run func(*trial, surface)) []Case {
	var cases []Case
	for _, s := range []surface{compat, native} {
		cases = append(cases, Case{
			ID: string(s) + "." + id, Statement: statement, Source: source, run: func(t *trial) { run(t, s) },
		})
	}
	return cases
}

// documented and extension make a case.
func documented(id, statement, source string, run func(*trial)) Case {
	return Case{ID: id, Statement: statement, Source: source, run: run}
}

func extension(id, statement, source string, run func(*trial)) Case {
	return Case{ID: id, Statement: statement, Source: source, Extension: true, run: run}
}

// varying is a case whose answers depend on what else the server holds.
func varying(c Case) Case {
	c.varies = true
	return c
}

// token is a token that a case has made.
type token struct {
	id, name, secret string
	owner            string
	permissions      []string
}

func (k token) credential() credential { return credential{k.owner, k.secret} }

// as reads the token in an answer.
func (a *answer) token(owner string) token {
	k := token{id: a.member("id"), name: a.member("name"), secret: a.member("token"), owner: owner}
	permissions, _ := a.lookup("permissions").([]any)
	for _, permission := range permissions {
		k.permissions = append(k.permissions, fmt.Sprint(permission))
	}
	return k
}

// create makes a token of the own project.
func (t *trial) create(s surface, permissions ...string) token {
	return t.post(s.tokens(t)).json(object{"name": t.name(), "permissions": permissions}).want(http.StatusOK).token(t.own().project)
}

// createFor makes a token of a subproject.
func (t *trial) createFor(account string, permissions ...string) token {
	return t.post(tokensOf(account)).json(object{"name": t.name(), "permissions": permissions}).want(http.StatusOK).token(account)
}

// read returns a token as it is, by an update that changes nothing.
func (t *trial) read(s surface, id string) *answer {
	return t.patch(s.token(t, id)).json(object{}).want(http.StatusOK)
}

// expect expects a token to be as it was.
func (t *trial) expect(s surface, want token) {
	t.read(s, want.id).is("id", want.id, "name", want.name, "token", want.secret, "permissions", want.permissions)
}

// probe asks for the account of a credential, which needs the permission management.
func (t *trial) probe(c credential) *call { return t.get(accounts + "/" + c.project).as(c) }

// works and fails expect a credential to be good, or not.
func (t *trial) works(c credential) { t.probe(c).want(http.StatusOK).is("sid", c.project) }

func (t *trial) fails(c credential) *answer {
	return t.probe(c).want(http.StatusUnauthorized).failed(http.StatusUnauthorized, 20003)
}

// failed expects the body of an error that is no 422 of a token.
func (a *answer) failed(status, code int) *answer {
	if strings.HasPrefix(a.call.path, "/api/project/") {
		return a.is("error", reason(status))
	}
	return a.is("code", code, "status", status).explains("more_info", strconv.Itoa(code))
}

// explains expects the URL of a list of error codes, at the entry of this one. Whose list it is does not matter.
func (a *answer) explains(path, code string) *answer {
	text := a.member(path)
	if link, err := url.Parse(text); err != nil || !link.IsAbs() || link.Fragment != code {
		a.trial.fail(a.exchange, "%s is %q, want an absolute URL that ends in #%s", path, text, code)
	}
	return a
}

// reason is the reason phrase of a status, in the words of the current HTTP specification.
func reason(status int) string {
	if status == http.StatusRequestEntityTooLarge {
		return "Content Too Large"
	}
	return http.StatusText(status)
}

// flaw is what is wrong with a property: how each surface calls it.
type flaw struct{ attribute, compatCode, nativeCode string }

func missing(attribute string) flaw { return flaw{attribute, "10000", "missing_required_parameter"} }
func invalid(attribute string) flaw { return flaw{attribute, "10000", "invalid_parameter"} }

func badPermission() flaw { return flaw{"permissions", "10003", "invalid_auth_token_permissions"} }
func badSubproject() flaw { return flaw{"subproject_id", "10004", "invalid_subproject_id"} }

// refuse sends a call on tokens, and expects a 422 on account of these properties, in this order.
func (c *call) refuse(flaws ...flaw) *answer {
	got := c.want(http.StatusUnprocessableEntity)
	if !strings.HasPrefix(c.path, "/api/project/") {
		first := flaws[0]
		got.is("type", "validation_error", "attribute", first.attribute, "code", first.compatCode)
		return got.explains("url", first.compatCode)
	}
	if entries := got.list("errors"); len(entries) != len(flaws) {
		c.trial.fail(got.exchange, "%d entries, want %d: one for each property that failed", len(entries), len(flaws))
	}
	for i, f := range flaws {
		entry := fmt.Sprintf("errors.%d.", i)
		got.is(entry+"type", "validation_error", entry+"attribute", f.attribute, entry+"code", f.nativeCode)
		got.explains(entry+"url", f.nativeCode)
	}
	return got
}

// message is where a 422 of a surface has its text.
func (s surface) message() string {
	if s == native {
		return "errors.0.message"
	}
	return "message"
}

// isOurs reports whether a subproject has a name that this package gives.
func isOurs(name string) bool {
	return strings.HasPrefix(name, namePrefix) && regexp.MustCompile("^"+namePrefix+"[0-9a-f]{8}-").MatchString(name)
}

// subprojects returns two subprojects that this suite has made, in this run or in an earlier one.
func (t *trial) subprojects() (string, string) {
	s := t.suite
	t.quietly(func() {
		if len(s.children) < 2 {
			s.children = t.findSubprojects()
		}
		for len(s.children) < 2 {
			made := t.post(accounts).form("FriendlyName", s.name+"-subproject").want(http.StatusCreated)
			s.children = append(s.children, made.member("sid"))
		}
	})
	return s.children[0], s.children[1]
}

func (t *trial) subproject() string {
	child, _ := t.subprojects()
	return child
}

// findSubprojects looks for what earlier runs have left, on the first pages.
func (t *trial) findSubprojects() []string {
	const maxPages = 20
	var found []string
	path := accounts + "?PageSize=1000"
	for range maxPages {
		page := t.get(path).want(http.StatusOK)
		for _, account := range page.list("accounts") {
			name, _ := account["friendly_name"].(string)
			sid, isText := account["sid"].(string)
			if isText && account["subproject"] == true && account["owner_account_sid"] == t.own().project && isOurs(name) && len(found) < 2 {
				found = append(found, sid)
			}
		}
		next, more := page.lookup("next_page_uri").(string)
		if !more || len(found) == 2 {
			break
		}
		path = next
	}
	return found
}

// eventually repeats a question until it is answered with yes, for so long.
func (t *trial) eventually(limit time.Duration, question func() bool) bool {
	for deadline := time.Now().Add(limit); ; wait(t.ctx, 50*time.Millisecond) {
		if question() {
			return true
		}
		if time.Now().After(deadline) || t.ctx.Err() != nil {
			return false
		}
	}
}
