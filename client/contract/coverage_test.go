package contract_test

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tokenwire/tokenwire"
	"github.com/tokenwire/tokenwire/client/contract"
)

// contractDoc reads openapi.yaml.
func contractDoc(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(tokenwire.OpenAPI()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// promised is every answer of every operation that can be had from outside, such as "create_token 200".
func promised(t *testing.T) []string {
	t.Helper()
	notFromOutside := []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	notClaimed := []string{"Documentation", "Sandbox"} // pages for people, and the tools of a test server
	var all []string
	for _, item := range contractDoc(t).Paths.Map() {
		for _, operation := range item.Operations() {
			if slices.Contains(notClaimed, operation.Tags[0]) {
				continue
			}
			for code := range operation.Responses.Map() {
				status, err := strconv.Atoi(code)
				// What has no such method is 405; no operation is answered so.
				if err == nil && !slices.Contains(notFromOutside, status) && status != http.StatusMethodNotAllowed {
					all = append(all, operation.OperationID+" "+code)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// operations finds what a request means.
type operations []struct {
	pattern *regexp.Regexp
	item    *openapi3.PathItem
}

func operationsOf(doc *openapi3.T) operations {
	var all operations
	for template, item := range doc.Paths.Map() {
		pattern := regexp.MustCompile(`\\\{[^/]+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), "[^/]+")
		all = append(all, struct {
			pattern *regexp.Regexp
			item    *openapi3.PathItem
		}{regexp.MustCompile("^" + pattern + "$"), item})
	}
	return all
}

// find returns the operation that a request means, and nil when it means none.
func (all operations) find(method, path string) *openapi3.Operation {
	for _, one := range all {
		if one.pattern.MatchString(strings.TrimSuffix(path, ".json")) {
			return one.item.GetOperation(method)
		}
	}
	return nil
}

// expectEverything expects every answer that the contract promises to have been given.
func (w *watcher) expectEverything() {
	w.t.Helper()
	for _, answer := range promised(w.t) {
		if !w.answered[answer] {
			w.t.Errorf("no case has provoked the answer %s", answer)
		}
	}
}

// finished expects a case that is no extension to have used none: SignalWire has to understand it.
func (w *watcher) finished(result contract.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !result.Extension && w.extended != "" {
		w.t.Errorf("%s uses the extension %s", result.ID, w.extended)
	}
	w.extended = ""
}
