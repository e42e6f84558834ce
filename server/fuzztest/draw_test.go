package fuzztest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// valid draws a request that must succeed. It reports false when there is nothing yet that it could be about.
func (g *generator) valid(op *operation) (*draft, bool) {
	d := &draft{op: op, method: op.method, segments: make(map[string]string), header: make(http.Header), how: "valid"}
	d.want = slices.DeleteFunc(slices.Clone(op.documented), func(status int) bool { return status >= http.StatusMultipleChoices })
	if !g.choose(d) {
		return nil, false
	}
	for _, param := range op.in(openapi3.ParameterInQuery) {
		if g.chance(3) {
			g.drawQuery(d, param)
		}
	}
	if op.id == verifyToken && len(d.query) == 0 && d.caller.manages() && g.chance(2) {
		d.original(pick(g, []string{"/api/project/tokens", "/2010-04-01/Accounts/" + d.account + ".json?a=%2F..", "/api/laml/2010-04-01/Accounts/"}))
	}
	if op.takes("Idempotency-Key") && g.chance(3) {
		d.key = g.newKey()
		d.header.Set("Idempotency-Key", d.key)
	}
	if op.body != nil {
		g.drawBody(d, op.bodyNeeded || !g.chance(3))
	}
	return d, true
}

// verifyToken is the operation that any good credential may call.
const verifyToken = "verify_token"

// original lets the request ask about another.
func (d *draft) original(uri string) {
	d.header.Set("X-Original-Method", "GET")
	d.header.Set("X-Original-URI", uri)
}

// choose draws who calls, and what is in the path.
func (g *generator) choose(d *draft) bool {
	p := g.pool
	if d.op.sandbox {
		return g.chooseWorld(d)
	}
	if !d.op.secured {
		return true
	}
	d.caller = p.root
	callers := p.filter(func(t *token) bool {
		return (t.manages() || d.op.id == verifyToken) && (t.project == p.main() || d.op.id != "create_subprojects")
	})
	if len(callers) > 0 && g.chance(3) {
		d.caller = pick(g, callers)
	}
	d.account = d.caller.project
	if d.account == p.main() && (d.op.takes("AccountSid") || d.op.takes("Sid")) && g.chance(2) {
		d.account = pick(g, p.projects)
	}
	d.owner = d.account
	d.segments["AccountSid"], d.segments["Sid"] = d.account, d.account
	if d.op.takes("token_id") {
		tokens := p.below(d.account)
		if len(tokens) == 0 {
			return false
		}
		d.token = pick(g, tokens)
		d.segments["token_id"] = d.token.id
	}
	d.header.Set("Authorization", basic(d.caller.project, d.caller.secret))
	return true
}

// chooseWorld draws a project of the sandbox. What a journal says is best read in the project that everything happens in.
func (g *generator) chooseWorld(d *draft) bool {
	if !d.op.takes("project_id") {
		return true
	}
	harmless := d.op.method == http.MethodGet || d.op.id == "clear_sandbox_journal"
	switch {
	case harmless && g.chance(8):
		d.world = g.pool.main()
	case len(g.pool.worlds) == 0:
		return false
	default:
		d.world = pick(g, g.pool.worlds)
	}
	d.segments["project_id"] = d.world
	return true
}

// drawQuery leaves two parameters out: a page token comes from a link, and AtLeast would wait for calls.
func (g *generator) drawQuery(d *draft, param *openapi3.Parameter) {
	switch {
	case param.Name == "PageToken", param.Name == "AtLeast":
	case d.op.id == verifyToken:
		if len(d.caller.permissions) > 0 {
			d.ask(param.Name, pick(g, d.caller.permissions))
		}
	case param.Name == "TokenId" && len(g.pool.tokens) > 0:
		d.ask(param.Name, pick(g, g.pool.tokens).id)
	default:
		d.ask(param.Name, g.value(param.Schema.Value))
	}
}

// newKey draws an idempotency key that was not used yet.
func (g *generator) newKey() string {
	g.pool.keys++
	key := fmt.Sprintf("%d-", g.pool.keys)
	if g.chance(10) {
		return key + strings.Repeat("!", 255-len(key))
	}
	return key + pick(g, []string{"~", `"a,b"`, "%00", "key"})
}

// drawBody draws the body, with what the schema does not say about it.
func (g *generator) drawBody(d *draft, wanted bool) {
	if d.hasBody = wanted; !wanted {
		return
	}
	d.header.Set("Content-Type", pick(g, d.op.mediaTypes))
	d.owner = d.account
	switch d.op.id {
	case "create_sandbox_fault":
		d.value = g.fault()
		return
	case "set_sandbox_clock":
		d.value = pick(g, []map[string]any{{"now": g.time(1900, 2150)}, {"advance_seconds": g.rng.Int64N(86400)}})
		return
	}
	object := g.object(d.op.body)
	d.value = object
	if at, given := object["expires_at"].(string); given && at != "" {
		object["expires_at"] = g.time(3100, 9998) // the future, for long
	}
	if _, given := object["subproject_id"]; given {
		g.chooseOwner(d)
	}
	if _, given := object["snapshot_id"]; given {
		delete(object, "snapshot_id")
		if kept := g.pool.snapshots[d.world]; len(kept) > 0 {
			object["snapshot_id"] = pick(g, kept)
		}
	}
}

// chooseOwner names the subproject that is to have the token, where the caller has one and the path allows it.
func (g *generator) chooseOwner(d *draft) {
	delete(d.object(), "subproject_id")
	switch {
	case d.account != g.pool.main(): // the path names it
		if d.caller.project == g.pool.main() {
			d.object()["subproject_id"] = d.account
		}
	case len(g.pool.projects) > 1:
		d.owner = pick(g, g.pool.projects[1:])
		d.object()["subproject_id"] = d.owner
	}
}

// fault draws a fault that the contract documents. It is set in a world that nobody calls.
func (g *generator) fault() map[string]any {
	op := pick(g, slices.DeleteFunc(slices.Clone(g.all), func(op *operation) bool { return !op.secured }))
	fault := map[string]any{"operation": op.id}
	errors := slices.DeleteFunc(slices.Clone(op.documented), func(status int) bool { return status < http.StatusBadRequest })
	switch g.rng.IntN(3) {
	case 0:
		fault["status"] = int64(pick(g, errors))
	case 1:
		connections := []string{"close_before_answer", "lose_answer"}
		if !slices.Contains(op.documented, http.StatusNoContent) { // there is nothing in such an answer
			connections = append(connections, "close_in_answer")
		}
		fault["connection"] = pick(g, connections)
	default:
		fault["delay_milliseconds"] = g.rng.Int64N(30000) + 1
	}
	if g.chance(3) {
		fault["times"] = pick(g, []any{nil, int64(1), int64(1_000_000)})
	}
	return fault
}

// vary writes a valid request in another way that the contract allows.
func (g *generator) vary(d *draft) {
	g.writeBody(d)
	if d.op.compat() && d.uri == "" && g.chance(10) {
		path, query, asked := strings.Cut(d.target(), "?")
		if g.chance(2) {
			path = strings.TrimPrefix(path, "/api/laml")
		}
		if g.chance(2) {
			path += ".json"
		}
		if d.uri = path; asked {
			d.uri += "?" + query
		}
	}
	if d.token != nil && d.uri == "" && g.chance(10) {
		d.segments["token_id"] = pick(g, []string{strings.ToUpper(d.token.id), strings.ReplaceAll(d.token.id, "-", "%2D")})
	}
	if d.hasBody && g.chance(8) {
		d.header.Set("Content-Type", d.mediaType()+pick(g, []string{"; charset=utf-8", ";charset=UTF-8", " ; charset=\"utf-8\"", "; x=y"}))
	}
	if !d.op.secured && g.chance(4) {
		d.header.Set("Authorization", pick(g, []string{"Basic", "Bearer x", basic("x", "y"), "\xff"}))
	}
	if g.chance(10) {
		d.header.Set("X-Request-Id", pick(g, []string{"a", "a b", strings.Repeat("x", 128), strings.Repeat("x", 129), "é"}))
	}
	switch {
	case d.op.body == nil && d.method != http.MethodGet && g.chance(10):
		junk := pick(g, []string{"{", "\xff", "name=x"})
		d.hasBody, d.raw = true, &junk
	case d.method == http.MethodGet && g.chance(12):
		d.method = http.MethodHead
	case g.chance(60):
		d.method, d.want = http.MethodOptions, []int{http.StatusNoContent}
	}
}

// follow draws a link of an earlier page.
func (g *generator) follow() (*draft, bool) {
	links := slices.DeleteFunc(slices.Clone(g.pool.links), func(l link) bool { return l.project != g.pool.main() })
	if len(links) == 0 {
		return nil, false
	}
	chosen := pick(g, links)
	u, err := url.Parse(chosen.uri)
	if err != nil {
		return nil, false // the contract's pattern is wider
	}
	d := &draft{
		op: chosen.op, method: http.MethodGet, uri: u.RequestURI(), header: make(http.Header),
		how: "a link of a page", want: []int{http.StatusOK}, caller: g.pool.root,
	}
	d.header.Set("Authorization", basic(d.caller.project, d.caller.secret))
	return d, true
}

// again draws a creation that was sent already: its answer must be the same.
func (g *generator) again() (*draft, bool) {
	if len(g.pool.repeats) == 0 {
		return nil, false
	}
	chosen := pick(g, g.pool.repeats)
	d := *chosen.draft
	d.how, d.repeated, d.want = "sent again with its Idempotency-Key", &chosen, []int{chosen.status}
	return &d, true
}
