package contract_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/client/contract"
)

// TestCheckAnswer: one answer is held against the contract, and what is not documented is named.
func TestCheckAnswer(t *testing.T) {
	t.Parallel()
	jsonHeader := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"a"}}
	for _, test := range []struct {
		name, method, uri string
		status            int
		body              string
		want              string // what the difference says; "" when there is none
	}{
		{"documented", "GET", "/healthz?x=1", 200, `{"status":"ok"}`, ""},
		{"status", "GET", "/healthz", 202, `{"status":"ok"}`, "202 is not documented"},
		{"property", "GET", "/healthz", 200, `{"status":"ok","x":1}`, "does not fit its schema"},
		{"no JSON", "GET", "/healthz", 200, `{"status":"ok"`, "no JSON"},
		{"header", "PUT", "/healthz", 405, `{}`, "Allow is missing"},
		{"HEAD", "HEAD", "/healthz", 200, "", ""},
		{"no operation", "GET", "/nothing", 200, `{}`, "no such operation"},
		{"no method that is known", "BREW", "/healthz", 200, `{}`, "no such operation"},
		{"native error", "GET", "/api/project%2F/nothing", 404, `{"error":"Not Found"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := contract.CheckAnswer(test.method, test.uri, test.status, jsonHeader, []byte(test.body))
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
