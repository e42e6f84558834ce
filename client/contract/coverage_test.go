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
	var all []string
	for _, item := range contractDoc(t).Paths.Map() {
		for _, operation := range item.Operations() {
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

// operationOf names the operation that a request means, and "" when it means none.
func operationOf(doc *openapi3.T, method, path string) string {
	for template, item := range doc.Paths.Map() {
		pattern := "^" + regexp.MustCompile(`\\\{[^/]+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + `$`
		if operation := item.GetOperation(method); operation != nil && regexp.MustCompile(pattern).MatchString(strings.TrimSuffix(path, ".json")) {
			return operation.OperationID
		}
	}
	return ""
}

// expectEverything expects every answer that the contract promises to have been given.
func (w *watcher) expectEverything() {
	w.t.Helper()
	doc, given := contractDoc(w.t), map[string]bool{}
	for seen := range w.answered {
		given[operationOf(doc, seen.method, seen.path)+" "+strconv.Itoa(seen.status)] = true
	}
	for _, answer := range promised(w.t) {
		if !given[answer] {
			w.t.Errorf("no case has provoked the answer %s", answer)
		}
	}
}
