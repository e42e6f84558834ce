package fuzztest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// fracture is a way to break a valid request, and the status that it gets by the contract's order of checks.
type fracture struct {
	status int
	how    string
	// apply breaks the request, and reports false, having done nothing, where it cannot.
	apply func(*generator, *draft) bool
}

func fractures() []fracture {
	return slices.Concat(credentialFractures(), verificationFractures(), pathFractures(), parameterFractures(), bodyFractures())
}

// breakOnce breaks a request in one way. Any documented status may be what it gets; those that have many reasons are likelier.
func (g *generator) breakOnce(d *draft) {
	statuses := slices.DeleteFunc(slices.Clone(d.op.documented), func(status int) bool {
		return status < http.StatusBadRequest || status >= http.StatusInternalServerError || status == http.StatusTooManyRequests
	})
	if len(statuses) == 0 {
		return
	}
	status := max(pick(g, statuses), pick(g, statuses))
	if g.chance(2) {
		status = pick(g, statuses)
	}
	fitting := slices.DeleteFunc(fractures(), func(f fracture) bool { return f.status != status })
	for range 10 {
		if f := pick(g, fitting); g.breakBy(d, f) {
			return
		}
	}
}

func (g *generator) breakBy(d *draft, f fracture) bool {
	before := d.want
	d.want = []int{f.status}
	if !f.apply(g, d) {
		d.want = before // it is as it was
		return false
	}
	if d.broken++; d.broken == 1 {
		d.how = ""
	}
	d.how = strings.TrimPrefix(d.how+", "+f.how, ", ")
	return true
}

// garble breaks a request in several ways at once. Nothing is known of its answer but that the contract has it.
func (g *generator) garble(d *draft) {
	for range g.between(2, 4) {
		g.breakBy(d, pick(g, fractures()))
	}
	if text := g.writeBody(d); text != "" && g.chance(2) {
		flipped := []byte(text)
		flipped[g.rng.IntN(len(flipped))] ^= 1 << g.rng.IntN(8)
		text = string(flipped)
		d.raw = &text
	}
	if g.chance(6) {
		path := d.target()
		at := g.rng.IntN(len(path)) + 1
		d.uri = path[:at] + pick(g, []string{"/", "//", "%2F", "..", "/../", "%00", ".json", "%20", "&", "="}) + path[at:]
	}
	d.want, d.broken, d.how = nil, d.broken+1, "several faults: "+d.how
}

// credentialFractures are the ways to be refused before anything else is looked at.
func credentialFractures() []fracture {
	with := func(how string, header func(*generator, *draft) string) fracture {
		return fracture{http.StatusUnauthorized, how, func(g *generator, d *draft) bool {
			value := ""
			if d.caller != nil {
				value = header(g, d)
			}
			if value == "" {
				return false
			}
			d.header.Del("Idempotency-Key") // a token may ask for its own rotation with the secret that it had
			d.header.Set("Authorization", value)
			return true
		}}
	}
	of := func(tokens []*token, g *generator) string {
		if len(tokens) == 0 {
			return ""
		}
		t := pick(g, tokens)
		return basic(t.project, t.secret)
	}
	return []fracture{
		{http.StatusUnauthorized, "no credential", func(_ *generator, d *draft) bool {
			if d.caller == nil {
				return false
			}
			d.header.Del("Authorization")
			return true
		}},
		{http.StatusUnauthorized, "two credentials", func(_ *generator, d *draft) bool {
			if d.caller == nil {
				return false
			}
			d.header["Authorization"] = append(d.header["Authorization"], d.header["Authorization"]...)
			return true
		}},
		with("a malformed credential", func(g *generator, d *draft) string {
			good := basic(d.caller.project, d.caller.secret)
			return pick(g, []string{"Basic", "Basic !", "Bearer " + d.caller.secret, good[:len(good)-5], good + "x", d.caller.secret, "\xff", "Basic Og=="})
		}),
		with("a wrong secret", func(g *generator, d *draft) string { return basic(d.caller.project, g.secret()) }),
		with("a secret in upper case", func(_ *generator, d *draft) string { return basic(d.caller.project, strings.ToUpper(d.caller.secret)) }),
		with("another project's secret", func(g *generator, d *draft) string { return basic(g.pool.stranger, d.caller.secret) }),
		with("the secret of a token that was deleted", func(g *generator, _ *draft) string { return of(g.pool.dead, g) }),
		with("a secret that was replaced", func(g *generator, _ *draft) string { return of(g.pool.stale, g) }),
		with("the credential of a token that may not", func(g *generator, d *draft) string {
			if d.op.id == verifyToken {
				return "" // it may
			}
			return of(g.pool.filter(func(t *token) bool { return !t.manages() }), g)
		}),
	}
}

// verificationFractures ask about what the caller may not do.
func verificationFractures() []fracture {
	ask := func(how string, change func(*generator, *draft) bool) fracture {
		return fracture{http.StatusForbidden, how, func(g *generator, d *draft) bool { return d.op.id == verifyToken && change(g, d) }}
	}
	return []fracture{
		ask("a permission that the token lacks", func(g *generator, d *draft) bool {
			lacking := slices.DeleteFunc([]string{"fax", "storage", "tasking", "video"}, func(p string) bool { return slices.Contains(d.caller.permissions, p) })
			if len(lacking) == 0 {
				return false
			}
			d.without("permission")
			d.query = append(d.query, field{"permission", pick(g, lacking)})
			return true
		}),
		ask("an original request that nobody may send", func(g *generator, d *draft) bool {
			d.without("permission")
			d.original(pick(g, []string{
				"/", "/elsewhere", "/api/project/../chat", "/api//project/tokens", "/api/PROJECT/tokens", "/api/project%2ftokens", "x", "/api/project/%zz", "/%00",
				"/2010-04-01/Accounts/" + g.pool.stranger, "/2010-04-01/Accounts/" + g.uuid(), "/2010-04-01/Accounts/x",
			}))
			return true
		}),
		ask("headers that contradict each other", func(g *generator, d *draft) bool {
			d.original("/api/project/tokens")
			name := pick(g, []string{"X-Original-Method", "X-Original-Uri", "X-Original-Url", "X-Forwarded-Method", "X-Forwarded-Uri", "X-Rewrite-Url"})
			d.header[name] = append(d.header[name], pick(g, []string{"", "/api/chat", "GET"}))
			return true
		}),
	}
}

// pathFractures name what does not exist, in one way or another.
func pathFractures() []fracture {
	return []fracture{
		{http.StatusNotFound, "an unknown id in the path", func(g *generator, d *draft) bool {
			name := g.pathParameter(d)
			if name != "" {
				d.segments[name] = pick(g, g.unknownIDs(name))
			}
			return name != ""
		}},
		{http.StatusNotFound, "a call from elsewhere", func(g *generator, d *draft) bool {
			if !d.op.sandbox {
				return false
			}
			if d.method == http.MethodGet || g.chance(2) { // a page of another site may ask, and cannot read the answer
				d.host = pick(g, []string{"example.com", "localhost.example.com", "192.0.2.1:80", "127.0.0.1.example.com"})
			} else {
				d.header.Set("Sec-Fetch-Site", pick(g, []string{"cross-site", "same-site"}))
			}
			return true
		}},
		{http.StatusBadRequest, "an id in the path that is none", func(g *generator, d *draft) bool {
			name := g.pathParameter(d)
			if name != "" {
				id := g.uuid()
				d.segments[name] = pick(g, []string{
					"x", id[:35], id + "0", "%7B" + id + "%7D", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""), strings.Repeat("a", 36), "%00", "%FF", "a%2Fb",
					"%C3%A4", strings.Repeat("9", 3000), "g" + id[1:],
				})
			}
			return name != ""
		}},
		{http.StatusMethodNotAllowed, "another method", func(g *generator, d *draft) bool {
			d.method = pick(g, slices.DeleteFunc([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "BREW", "get"}, func(method string) bool {
				return slices.Contains(d.op.methods, method) || method == http.MethodHead && slices.Contains(d.op.methods, http.MethodGet)
			}))
			return true
		}},
		{http.StatusBadRequest, "a subproject that is to have subprojects", func(g *generator, d *draft) bool {
			callers := g.pool.filter(func(t *token) bool { return t.manages() && t.project != g.pool.main() })
			if d.op.id != "create_subprojects" || len(callers) == 0 {
				return false
			}
			d.caller = pick(g, callers)
			d.header.Set("Authorization", basic(d.caller.project, d.caller.secret))
			return true
		}},
	}
}

// pathParameter draws a parameter in the path, or "".
func (g *generator) pathParameter(d *draft) string {
	params := d.op.in(openapi3.ParameterInPath)
	if len(params) == 0 {
		return ""
	}
	return pick(g, params).Name
}

// unknownIDs are ids that the caller cannot reach: of what was deleted, of somebody else's, and of nothing at all.
func (g *generator) unknownIDs(name string) []string {
	ids := []string{g.uuid(), "00000000-0000-0000-0000-000000000000"}
	switch name {
	case "token_id":
		for _, t := range g.pool.dead {
			ids = append(ids, t.id)
		}
		ids = append(ids, g.pool.main())
	case "project_id":
		ids = append(ids, g.pool.lost...)
	default:
		ids = append(ids, g.pool.stranger, g.pool.root.id)
	}
	return ids
}

// parameterFractures break one parameter of the query, or the one in the header.
func parameterFractures() []fracture {
	return []fracture{
		{http.StatusBadRequest, "a parameter out of its bounds", func(g *generator, d *draft) bool {
			params := d.op.in(openapi3.ParameterInQuery)
			if len(params) == 0 {
				return false
			}
			param := pick(g, params)
			d.without(param.Name)
			d.query = append(d.query, field{param.Name, pick(g, g.badTexts(param.Schema.Value))})
			return true
		}},
		{http.StatusBadRequest, "a parameter that is given twice", func(g *generator, d *draft) bool {
			if len(d.query) == 0 {
				return false
			}
			d.query = append(d.query, pick(g, d.query))
			return true
		}},
		{http.StatusBadRequest, "a page token that is none", func(g *generator, d *draft) bool {
			if !d.op.takes("PageToken") {
				return false
			}
			d.query = append(d.query, field{"PageToken", pick(g, []string{"x", "PA", "PAAAAA", "PA%0A", "PA" + g.secret(), ""})})
			return true
		}},
		{http.StatusBadRequest, "a malformed query", func(g *generator, d *draft) bool {
			if len(d.op.params) == 0 { // it does not look at the query
				return false
			}
			d.query = append(d.query, pick(g, []field{{"a", "%zz"}, {"%", "x"}, {"a", "b;c"}}))
			return true
		}},
		{http.StatusBadRequest, "an idempotency key that is none", func(g *generator, d *draft) bool {
			if !d.op.takes("Idempotency-Key") {
				return false
			}
			d.header.Set("Idempotency-Key", pick(g, []string{"", "a b", strings.Repeat("x", 256), "é", "\xff"}))
			if g.chance(5) {
				d.header["Idempotency-Key"] = []string{"a", "b"}
			}
			return true
		}},
		{http.StatusUnprocessableEntity, "an idempotency key of another request", func(g *generator, d *draft) bool {
			if !d.op.takes("Idempotency-Key") || len(g.pool.repeats) == 0 || d.caller.project != g.pool.main() || d.raw != nil {
				return false
			}
			d.header.Set("Idempotency-Key", pick(g, g.pool.repeats).draft.key)
			for _, name := range []string{"name", "FriendlyName"} {
				if _, given := d.object()[name]; given {
					g.pool.keys++
					d.object()[name] = fmt.Sprintf("another request %d", g.pool.keys)
				}
			}
			return true
		}},
	}
}

// badTexts are texts that a parameter must not have, escaped.
func (g *generator) badTexts(schema *openapi3.Schema) []string {
	bad := []string{"", "%00", "%FF"}
	switch {
	case schema.Type.Is(openapi3.TypeInteger):
		bad = append(bad, "x", "1.5", "1e1", "0x1", "%201", fmt.Sprintf("%.0f", *schema.Min-1), fmt.Sprintf("%.0f", *schema.Max+1), strings.Repeat("9", 400))
	case schema.Type.Is(openapi3.TypeBoolean):
		bad = append(bad, "TRUE", "1", "yes", "null")
	case len(schema.Enum) > 0:
		bad = append(bad, strings.ToUpper(plain(schema.Enum[0])), "nothing", plain(schema.Enum[0])+"%20")
	case schema.Format == "uuid":
		bad = append(bad, "x", g.uuid()+"0")
	case schema.Format == "date-time":
		bad = append(bad, "now", "2026-11-24", "2026-13-01T00:00:00Z", "2026-11-24T25:00:00Z", "2026-11-24t00:00:00z", "99999-01-01T00:00:00Z", "2026-11-24T00:00:00+99:99")
	default:
		bad = append(bad, strings.Repeat("%C3%A4", int(*schema.MaxLength)+1))
	}
	return bad
}
