package guard_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/guard"
)

const (
	sid     = "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11"
	account = "/api/laml/2010-04-01/Accounts/" + sid
)

func signalWire(t *testing.T) *guard.Rules {
	t.Helper()
	rules, err := guard.SignalWire()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func parse(t *testing.T, file string) *guard.Rules {
	t.Helper()
	rules, err := guard.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// found is what Find says, in one line.
func found(rules *guard.Rules, request string) string {
	method, uri, _ := strings.Cut(request, " ")
	need, err := rules.Find(method, uri)
	switch {
	case errors.Is(err, guard.ErrNoRule):
		return "no rule"
	case errors.Is(err, guard.ErrAmbiguous):
		return "ambiguous"
	case err != nil:
		return err.Error()
	}
	return strings.TrimSpace(strings.Join(need.AnyOf, "|") + " " + need.Account)
}

func TestSignalWire(t *testing.T) {
	t.Parallel()
	rules := signalWire(t)
	for request, want := range map[string]string{
		"POST " + account + "/Calls":                             "calling " + sid,
		"GET " + account + "/Calls.json":                         "calling " + sid,
		"HEAD " + account + "/Calls/":                            "calling " + sid,
		"GET " + account + "/Calls/x/Recordings.json?Page=1":     "calling " + sid,
		"POST /2010-04-01/Accounts/" + sid + "/Messages.json":    "messaging " + sid,
		"POST " + account + "/Messages":                          "messaging " + sid,
		"GET " + account + "/Messages/x/Media/y":                 "messaging " + sid,
		"POST " + account + "/Faxes":                             "fax " + sid,
		"GET " + account + "/IncomingPhoneNumbers":               "numbers " + sid,
		"GET " + account + "/AvailablePhoneNumbers/US/Local":     "numbers " + sid,
		"GET " + account + "/Conferences":                        "calling " + sid,
		"GET " + account + "/Queues/x/Members":                   "calling " + sid,
		"GET " + account + "/Applications":                       "calling|messaging|fax " + sid,
		"PATCH " + account + "/tokens/x":                         "management " + sid,
		"GET " + account + ".json":                               "management " + sid,
		"GET /api/laml/2010-04-01/Accounts":                      "management",
		"POST /api/calling/calls":                                "calling",
		"GET /api/fabric/resources":                              "calling|messaging|fax|video",
		"GET /api/video/rooms":                                   "video",
		"POST /api/chat/tokens":                                  "chat",
		"POST /api/pubsub/tokens":                                "pubsub",
		"GET /api/datasphere/documents":                          "datasphere",
		"GET /api/relay/rest/phone_numbers/search?areacode=206":  "numbers",
		"POST /api/project/tokens":                               "management",
		"GET /api/%70roject/tokens":                              "management", // a service decodes it too
		"GET /api/relay/rest/verified_caller_ids/%2B12065550100": "calling",
		"GET /api/relay/rest/lookup/phone_number/%2B12065550100": "no rule", // the documentation does not say
		"GET /":                                               "no rule",
		"GET /api/laml/2010-04-01":                            "no rule",
		"GET " + account + "/Unheard":                         "no rule",
		"GET " + account + "/CallsX":                          "no rule",
		"GET /x" + account + "/Calls":                         "no rule",
		"GET " + account + "/calls":                           "ambiguous",
		"GET /api/LAML/2010-04-01/Accounts/" + sid + "/Calls": "ambiguous",
		"GET /api/LAML/2010-04-01/Accounts.json":              "ambiguous", // its end fits, and makes nothing good
		"GET " + account + "/Calls.xml":                       "ambiguous",
		"GET " + account + "/Calls.json.json":                 "ambiguous",
		"GET " + account + "/Calls/../Messages":               "ambiguous",
		"GET " + account + "/Calls/%2e%2E/Messages":           "ambiguous",
		"GET " + account + "/Calls/.%2e/Messages":             "ambiguous",
		"GET " + account + "/Calls/./x":                       "ambiguous",
		"GET " + account + "/Calls%2f..%2fMessages":           "ambiguous",
		"GET " + account + "/Calls%5c..%5cMessages":           "ambiguous",
		"GET " + account + `/Calls\..\Messages`:               "ambiguous",
		"GET " + account + "/Calls/%252e%252e/Messages":       "ambiguous",
		"GET " + account + "//Calls":                          "ambiguous",
		"GET /" + account + "/Calls":                          "ambiguous",
		"GET " + account + "/Calls//":                         "ambiguous",
		"GET " + account + "/Calls;x=/../Messages":            "ambiguous",
		"GET " + account + "/Calls%3b":                        "ambiguous",
		"GET " + account + "/Calls%00":                        "ambiguous",
		"GET " + account + "/Calls%0a":                        "ambiguous",
		"GET " + account + "/Calls%20":                        "ambiguous",
		"GET " + account + "/%20Calls":                        "ambiguous",
		"GET " + account + "/Calls%7f":                        "ambiguous",
		"GET " + account + "/Calls\x7f":                       "ambiguous",
		"GET " + account + "/Call\u00e9":                      "ambiguous", // nothing but ASCII, unless it is escaped
		"GET " + account + "/Call%c3%a9":                      "no rule",
		"GET " + account + "/Calls.":                          "ambiguous",
		"GET " + account + "/Calls%3f/../Messages":            "ambiguous",
		"GET " + account + "/Calls#/Messages":                 "ambiguous",
		"GET " + account + "/Calls%zz":                        "ambiguous",
		"GET " + account + "/Calls%2":                         "ambiguous",
		"GET " + account + "/Calls/%ff":                       "ambiguous",
		"GET " + account + "/Call%c5%bf":                      "ambiguous", // a long s, which some systems take for an s
		"GET http://example.com" + account + "/Calls":         "ambiguous",
		"GET Calls":                 "ambiguous",
		"GET ":                      "ambiguous",
		"get " + account + "/Calls": "ambiguous",
		" " + account + "/Calls":    "ambiguous",
		strings.Repeat("X", 20) + " " + account + "/Calls":             "calling " + sid, // the longest method
		strings.Repeat("X", 21) + " " + account + "/Calls":             "ambiguous",
		"GET?x " + account + "/Calls":                                  "ambiguous",
		"GET " + account + "/Calls?x=/../Messages&y=%2f%2e%2e#z":       "calling " + sid, // a query is no path
		"GET /api/laml/2010-04-01/Accounts/anything/Calls":             "calling anything",
		"GET /api/laml/2010-04-01/Accounts/" + sid + "/Calls/x%2By%40": "calling " + sid,
	} {
		if got := found(rules, request); got != want {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	rules := parse(t, `
rules:
  - {path: /reports/daily, methods: [GET], any_of: [numbers, management]}
  - {path: /reports/daily, methods: [POST], permission: management}
  - {path: "/reports/{name}/**", permission: numbers}
  - {path: /whoami, permission: none}
  - {path: /api/admin/**, permission: management}
  - {path: /api/**, permission: messaging}
`)
	for request, want := range map[string]string{
		"GET /reports/daily":        "numbers|management",
		"HEAD /reports/daily":       "numbers|management",
		"POST /reports/daily":       "management",
		"DELETE /reports/daily":     "numbers", // the third is about every method
		"GET /reports/weekly":       "numbers",
		"GET /reports/weekly/a/b":   "numbers",
		"GET /reports":              "no rule",
		"GET /whoami":               "",
		"GET /api":                  "messaging",
		"GET /api/x":                "messaging",
		"GET /api/admin":            "management",
		"GET /api/admin/":           "management",
		"GET /api/admin.json":       "management",
		"GET /api/ADMIN":            "ambiguous",
		"GET /api/admin.xml":        "ambiguous",
		"GET /api/Admin/users":      "ambiguous",
		"GET /api/admin%2fusers":    "ambiguous",
		"GET /api/administrators":   "messaging",
		"GET " + account + "/Calls": "messaging", // the shipped rules were not asked for
	} {
		if got := found(rules, request); got != want {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
	both := parse(t, "signalwire_rules: true\nrules:\n  - {path: '/2010-04-01/Accounts/{AccountSid}/Faxes/**', permission: management}\n")
	for request, want := range map[string]string{
		"GET " + account + "/Calls": "calling " + sid,
		"GET " + account + "/Faxes": "management " + sid, // one's own come first
	} {
		if got := found(both, request); got != want {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
	parse(t, "---\nrules:\n  - {path: /x, permission: fax}\n...\n# and no more\n")
	if got := found(parse(t, `rules: [{path: "/**", permission: fax}]`), "GET /"); got != "fax" {
		t.Errorf("/** gives / %s", got)
	}
}

func TestFileMistakes(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"rules:" + strings.Repeat("\n  - {path: /x, permission: fax}", 1001): "there are 1001 rules in it: 1000 are the most",
		"":                                       "there is no rule in it",
		"rules: []":                              "there is no rule in it",
		"rules: 7":                               "not a file of rules: line 1: there is a number where there must be a list of rules",
		"rules: [/x]":                            "line 1: there is a text where there must be a rule, such as {path: ",
		"- {path: /x, permission: fax}":          "line 1: there is a list where there must be an object with a list named rules",
		"hello":                                  "line 1: there is a text where there must be an object",
		"signalwire_rules: maybe":                "line 1: there is a text where there must be true or false",
		"rulez: []":                              `line 1: "rulez" is nothing that the file has, which is: rules, signalwire_rules`,
		"a: 1\nb: 2\nc: 3\nd: 4\ne: 5":           "line 3: \"c\" is nothing that the file has, which is: rules, signalwire_rules; and 2 more",
		"rules: [":                               "not a file of rules: line 1: did not find",
		"rules:\n  - {path: /x, permision: fax}": `line 2: "permision" is nothing that a rule has, which is: path, methods, permission, any_of`,
		"rules:\n  - {path: /x, any_of: fax}":    "line 2: there is a text where there must be a list, such as [calling, fax]",
		"rules:\n  - {path: [], permission: fax}":                                               "line 2: there is a list where there must be a text",
		"rules:\n  - {path: x, permission: fax}":                                                `rule 1, "x": it must begin with a slash`,
		"rules:\n  - {path: /x}":                                                                "needs either permission or any_of",
		"rules:\n  - {path: /x, permission: fax, any_of: [chat]}":                               "needs either permission or any_of",
		"rules:\n  - {path: /x, permission: voice}":                                             `"voice" is no permission; these are: calling, chat, datasphere, fax, management, messaging, numbers, pubsub, storage, tasking, video; for none`,
		"rules:\n  - {path: /x, any_of: [none]}":                                                "write permission: none",
		"rules:\n  - {path: /x, methods: [get], permission: fax}":                               "must be in capitals",
		"rules:\n  - {path: /x, methods: [HEAD], permission: fax}":                              "HEAD goes with GET",
		"rules:\n  - {path: /x, methods: [], permission: fax}":                                  `rule 1, "/x": methods is empty`,
		"rules:\n  - {path: /x, methods: , permission: fax}":                                    `rule 1, "/x": methods is empty`,
		"rules:\n  - {path: /x, methods: GET, permission: fax}":                                 `rule 1, "/x": methods must be a list, such as [GET, POST]`,
		"rules:\n  - {path: /x, permission: fax}\n---\nrules:\n  - {path: /y, permission: fax}": "only one document",
		"rules:\n  - {path: /x, permission: fax}\n---\n}":                                       "only one document",
		"---\n---\nrules:\n  - {path: /x, permission: fax}":                                     "only one document",
		"rules:\n  - {path: /**/x, permission: fax}":                                            "must be plain text",
		"rules:\n  - {path: /x*, permission: fax}":                                              "must be plain text",
		"rules:\n  - {path: //x, permission: fax}":                                              "must be plain text",
		"rules:\n  - {path: /../x, permission: fax}":                                            "must be plain text",
		"rules:\n  - {path: /%2e/x, permission: fax}":                                           "must be plain text",
		"rules:\n  - {path: '/{x', permission: fax}":                                            "must be a name in braces",
		"rules:\n  - {path: '/{x}.json', permission: fax}":                                      "must be a name in braces",
		"rules:\n  - {path: '/x/{AccountSID}', permission: fax}":                                `"{AccountSID}" must be written {AccountSid}`,
		"rules:\n  - {path: '/x/{account_sid}', permission: fax}":                               `"{account_sid}" must be written {AccountSid}`,
		"rules:\n  - {path: '/move/{AccountSid}/to/{AccountSid}', permission: fax}":             "{AccountSid} can stand in a path once: only one is checked",
	} {
		if _, err := guard.Parse([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", file, err, want)
		}
	}
}

// TestNamedPermissions: those that a mistake is answered with are those that there are.
func TestNamedPermissions(t *testing.T) {
	t.Parallel()
	_, err := guard.Parse([]byte("rules: [{path: /x, permission: sms}]"))
	if err == nil {
		t.Fatal("sms is a permission")
	}
	var all []string
	for _, permission := range client.AllPermissions() {
		all = append(all, string(permission))
	}
	if !strings.Contains(err.Error(), "; these are: "+strings.Join(all, ", ")+"; ") {
		t.Errorf("the error is %v", err)
	}
}

// TestUnreachable: a rule that says what no request gets is refused, whether one rule before it or several of them take it all.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules []string
		want  string // "": they are all reached
	}{
		{[]string{"/x/** [GET]", "/x/** [POST]", "/x/admin [GET, POST]"}, `rule 3, "/x/admin", is never reached with GET: rule 1, "/x/**"`},
		{[]string{"/x/** [POST]", "/x/admin [GET, POST]"}, `rule 2, "/x/admin", is never reached with POST: rule 1, "/x/**"`},
		{[]string{"/x [GET]", "/x [POST]", "/x"}, ""}, // for the other methods
		{[]string{"/x [GET]", "/x", "/x [POST]"}, `rule 3, "/x", is never reached with POST: rule 2`},
		{[]string{"/x [GET]", "/x", "/x"}, `rule 3, "/x", is never reached: rule 2`},
		{[]string{"/y", "/y.json"}, `rule 2, "/y.json", is never reached: rule 1, "/y"`},
		{[]string{"/y.json", "/y"}, ""},
		{[]string{"/y", "/y.json/**"}, ""}, // for what is below it
		{[]string{"/y/**", "/y.json/**"}, ""},
		{[]string{"/y/**", "/y.json"}, "is never reached"},
		{[]string{"/y", "/{a}/x", "/y.json/x"}, `rule 3, "/y.json/x", is never reached: rule 2`},
		{[]string{"/z/{a}", "/z.json/admin"}, ""},
		{[]string{"/x", "/x.xml"}, `rule 2, "/x.xml", is never reached: rule 1, "/x"`},
		{[]string{"/x.xml", "/x"}, ""},
		{[]string{"/x.xml", "/x.json"}, ""},
		{[]string{"/x/a", "/X/A"}, `rule 2, "/X/A", is never reached: rule 1, "/x/a"`},
		{[]string{"/x/**", "/X/A"}, "is never reached"},
		{[]string{"/X/**", "/x.json"}, "is never reached"},
		{[]string{"/x", "/x/{a}/**", "/x/**"}, `rule 3, "/x/**", is never reached: rule`},
		{[]string{"/x", "/x/{a}", "/x/{a}/{b}/**", "/{c}/**"}, ""},
		{[]string{"/x", "/x/{a}", "/x/{a}/{b}/c", "/x/**"}, ""},
		{[]string{"/x", "/x/{a}", "/x/{a}/{b}/{c}/**", "/x/**"}, ""}, // for /x/1/2
		{[]string{"/{a}", "/{a}/{b}/**", "/", "/**"}, `rule 4, "/**", is never reached`},
		{[]string{"/{a}", "/{a}/{b}/**", "/**"}, ""}, // for /
		{[]string{"/**", "/x"}, `rule 2, "/x", is never reached: rule 1, "/**"`},
		{[]string{"/{a}", "/{b} [GET]"}, "is never reached with GET"},
		{[]string{"/x [GET, POST]", "/x [POST]"}, "is never reached with POST"},
		{[]string{"/x [GET]", "/x"}, ""},
		{[]string{"/{a}/b", "/a/{b}"}, ""},
		{[]string{"/x/y", "/x/**"}, ""},
		{[]string{"/2010-04-01/Accounts/**", "/api/laml/2010-04-01/accounts"}, "is never reached"},
	} {
		lines := []string{"rules:"}
		for _, rule := range c.rules {
			path, methods, limited := strings.Cut(rule, " ")
			if limited {
				methods = ", methods: " + methods
			}
			lines = append(lines, "  - {path: '"+path+"', permission: fax"+methods+"}")
		}
		if _, err := guard.Parse([]byte(strings.Join(lines, "\n"))); err != nil != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.rules, err, c.want)
		}
	}
}

// TestUnreachableIsExact: of rules drawn at random the last one is refused if and only if no path reaches it.
func TestUnreachableIsExact(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	paths := []string{"/"}
	for from, more := 0, 3; more > 0; more-- {
		known := paths[from:]
		from = len(paths)
		for _, path := range known {
			for _, segment := range []string{"x", "X", "x.json", "X.json", "x.json.json", "y", "other"} {
				paths = append(paths, strings.TrimSuffix(path, "/")+"/"+segment)
			}
		}
	}
	draw := func(permission string) string {
		path := strings.Repeat("/?", random.IntN(3)) + []string{"/", "/**"}[random.IntN(2)]
		for strings.Contains(path, "?") {
			path = strings.Replace(path, "?", []string{"x", "X", "x.json", "y", "{a}"}[random.IntN(5)], 1)
		}
		methods := []string{"", "methods: [GET], ", "methods: [POST], "}[random.IntN(3)]
		return "  - {path: '" + path + "', " + methods + "permission: " + permission + "}\n"
	}
	refused := 0
	for range 2000 {
		earlier, last := draw("chat")+draw("chat"), draw("fax")
		before, err := guard.Parse([]byte("rules:\n" + earlier))
		if err != nil {
			continue
		}
		alone := parse(t, "rules:\n"+last)
		reaches := slices.ContainsFunc(paths, func(path string) bool {
			return slices.ContainsFunc([]string{"GET ", "POST ", "PUT "}, func(method string) bool {
				return found(alone, method+path) == "fax" && found(before, method+path) == "no rule"
			})
		})
		if _, err := guard.Parse([]byte("rules:\n" + earlier + last)); err != nil == reaches {
			t.Errorf("%s%s: %v, but it is reached: %v", earlier, last, err, reaches)
		}
		if !reaches {
			refused++
		}
	}
	if refused < 100 {
		t.Errorf("only %d rules were refused", refused)
	}
}
