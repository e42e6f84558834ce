package server_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	yaml "github.com/oasdiff/yaml3"

	"github.com/tokenwire/tokenwire"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// TestDocumentIsServed: as it was written, and the same in JSON.
func TestDocumentIsServed(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	text := a.do(t, call{method: "GET", path: "/openapi.yaml"}).want(t, 200).body
	if text != tokenwire.OpenAPI() {
		t.Error("/openapi.yaml is not the contract")
	}
	var written any
	if err := yaml.Unmarshal([]byte(text), &written); err != nil {
		t.Fatal(err)
	}
	inJSON, err := json.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal(inJSON, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(a.do(t, call{method: "GET", path: "/openapi.json"}).want(t, 200).body), &got); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"info", "paths", "components", "x-error-codes"} {
		if !equal(want.(map[string]any)[part], got.(map[string]any)[part]) {
			t.Errorf("%s of /openapi.json is not that of /openapi.yaml", part)
		}
	}
	a.do(t, call{method: "HEAD", path: "/openapi.yaml"}).want(t, 200)
}

// TestDocsPages: whatever a page names is there, and comes with the headers that keep the page to itself.
func TestDocsPages(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, page := range []string{"/docs", "/docs/errors"} {
		got := a.do(t, call{method: "GET", path: page}).want(t, 200)
		for name, want := range map[string]string{"Content-Type": "text/html", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", page, name, got.header.Get(name), want)
			}
		}
		policy := got.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %q", page, policy)
		}
		links := regexp.MustCompile(`(?:src|href)="([^"#]+)`).FindAllStringSubmatch(got.body, -1)
		if len(links) < 4 {
			t.Errorf("%s has the links %v", page, links)
		}
		for _, link := range links {
			a.do(t, call{method: "GET", path: link[1]}).want(t, 200)
		}
	}
	for _, unknown := range []string{"/docs/assets/nope.js", "/docs/assets/..%2Findex.html", "/docs/assets/swagger-ui.js.gz"} {
		a.do(t, call{method: "GET", path: unknown}).want(t, 404)
	}
}

// TestErrorCatalogue: it has each code that the contract knows, with the statuses that examples show, and no other.
func TestErrorCatalogue(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	known := map[string][]string{}
	note := func(code any, status string) {
		if key := fmt.Sprint(code); !slices.Contains(known[key], status) {
			known[key] = append(known[key], status)
		}
	}
	for _, item := range spec(t).Paths.Map() {
		for _, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				if status < "400" {
					continue
				}
				for _, example := range response.Value.Content[jsonType].Examples {
					body := example.Value.Value.(map[string]any)
					if list, ok := body["errors"].([]any); ok {
						for _, entry := range list {
							note(entry.(map[string]any)["code"], status)
						}
					} else if body["code"] != nil {
						note(body["code"], status)
					}
				}
			}
		}
	}
	for _, schema := range []string{"ValidationError", "NativeValidationError"} {
		for _, code := range spec(t).Components.Schemas[schema].Value.Properties["code"].Value.Enum {
			note(code, "422")
		}
	}
	var document struct {
		Codes []struct {
			Code     string
			Statuses []int
		} `yaml:"x-error-codes"`
	}
	if err := yaml.Unmarshal([]byte(tokenwire.OpenAPI()), &document); err != nil {
		t.Fatal(err)
	}
	page := a.do(t, call{method: "GET", path: "/docs/errors"}).want(t, 200).body
	for _, entry := range document.Codes {
		want := known[entry.Code]
		slices.Sort(want)
		if got := strings.Trim(fmt.Sprint(entry.Statuses), "[]"); got != strings.Join(want, " ") {
			t.Errorf("the catalogue has %s with %s; the contract answers it with %v", entry.Code, got, want)
		}
		if !strings.Contains(page, `<section id="`+entry.Code+`">`) {
			t.Errorf("the page has no entry %s", entry.Code)
		}
		delete(known, entry.Code)
	}
	if len(known) > 0 {
		t.Errorf("the catalogue lacks %v", known)
	}
}

// TestErrorsLinkToTheCatalogue: at the server's own URL or the one that it was told, and never at one from the request.
func TestErrorsLinkToTheCatalogue(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"", "https://tokens.example.com/base"} {
		a := start(t, &servertest.Options{PublicURL: public})
		want := a.URL
		if public != "" {
			want = public
		}
		c := call{method: "GET", path: compat, header: map[string][]string{"X-Forwarded-Host": {"evil.example"}}}
		if got := a.do(t, c).want(t, 401).text(t, "more_info"); got != want+"/docs/errors#20003" {
			t.Errorf("more_info is %s, want it below %s", got, want)
		}
		if got := a.do(t, jsonCall("POST", tokensPath(a.ProjectID), "{}").as(a.Project)).want(t, 422).text(t, "url"); got != want+"/docs/errors#10000" {
			t.Errorf("url is %s, want it below %s", got, want)
		}
		if got := a.do(t, jsonCall("POST", native, "{}").as(a.Project)).want(t, 422).body; !strings.Contains(got, want+"/docs/errors#missing_required_parameter") {
			t.Errorf("the native error is %s", got)
		}
	}
}
