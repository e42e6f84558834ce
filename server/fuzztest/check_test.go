package fuzztest_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/tokenwire/tokenwire/client/contract"
)

// check returns what is wrong with an answer, or "".
func check(d *draft, got answer) string {
	if got.status >= http.StatusInternalServerError {
		return fmt.Sprintf("status %d", got.status)
	}
	if got.header.Get("X-Request-Id") == "" {
		return "there is no X-Request-Id"
	}
	if err := contract.CheckAnswer(d.method, d.target(), got.status, got.header, []byte(got.body)); err != nil {
		return err.Error()
	}
	if d.want != nil && !slices.Contains(d.want, got.status) {
		return fmt.Sprintf("status %d for a request that is %q, want %v", got.status, d.how, d.want)
	}
	if d.repeated != nil && got.body != d.repeated.body {
		return "the answer is not the one that the first of these requests got:\n  " + d.repeated.body
	}
	return ""
}

// stable reports whether the answer to a GET must be the same when nothing has changed: a clock goes on, and a journal has the
// latest call only when its connection is done with.
func (d *draft) stable() bool {
	return d.method == http.MethodGet && d.op.method == http.MethodGet && d.broken == 0 &&
		d.op.id != "read_sandbox_clock" && d.op.id != "read_sandbox_journal"
}

// lastUse is recorded after the answer, and only now and then.
var lastUse = regexp.MustCompile(`"last_used_at":("[^"]*"|null)`)

// differs compares the answers to two GETs.
func differs(first, second answer) string {
	if lastUse.ReplaceAllString(first.body, "") == lastUse.ReplaceAllString(second.body, "") {
		return ""
	}
	return "the same GET was answered differently just before:\n  " + first.body
}
