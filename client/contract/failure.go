package contract

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxShown bounds each text of a failure, in bytes.
	maxShown = 2000
	// maxReported bounds each part of a failure, which is made of such texts.
	maxReported = 16 << 10
	// maxExcerpt bounds an answer within a sentence.
	maxExcerpt = 200
)

// Failure is how a server broke a promise. What is secret, or looks like it, is masked in all of it.
type Failure struct {
	// Message is the difference: what was expected, and what came.
	Message string `json:"message"`
	// Request is a line for a shell that repeats the request; the run's own credential is taken from SIGNALWIRE_PROJECT_ID
	// and SIGNALWIRE_API_TOKEN. It is empty when no request is to blame.
	Request string `json:"request,omitempty"`
	// Answer is the answer: status, the headers that matter, and the body, cut when it is long.
	Answer string `json:"answer,omitempty"`
}

// String returns the failure on several lines.
func (f *Failure) String() string {
	var lines []string
	for _, part := range []struct{ name, text string }{{"difference", f.Message}, {"request", f.Request}, {"answer", f.Answer}} {
		if part.text != "" {
			lines = append(lines, part.name+":\n  "+strings.ReplaceAll(strings.TrimSpace(part.text), "\n", "\n  "))
		}
	}
	return strings.Join(lines, "\n")
}

func newFailure(s *suite, ex *exchange, message string) *Failure {
	failure := &Failure{Message: s.secrets.shown(message, maxShown)}
	if ex != nil {
		failure.Request, failure.Answer = ex.call.curl(s), ex.describe(s)
	}
	return failure
}

// cut shortens a text, and says so.
func cut(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes)", short(text, limit), len(text))
}

// short is the beginning of a text.
func short(text string, limit int) string {
	end := min(limit, len(text))
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// excerpt is the body within a sentence.
func (ex *exchange) excerpt(s *suite) string {
	return s.secrets.shown(strings.TrimSpace(string(ex.body)), maxExcerpt)
}

// describe shows an answer as HTTP does.
func (ex *exchange) describe(s *suite) string {
	lines := []string{fmt.Sprintf("HTTP %d %s", ex.status, http.StatusText(ex.status))}
	for _, name := range documentedHeaders() {
		for _, value := range ex.header.Values(name) {
			lines = append(lines, name+": "+s.secrets.shown(value, maxShown))
		}
	}
	if len(ex.body) > 0 {
		lines = append(lines, "", s.secrets.shown(strings.TrimSpace(string(ex.body)), maxShown))
	}
	return strings.Join(lines, "\n")
}

// curl returns a line that repeats the request.
func (c *call) curl(s *suite) string {
	quote := func(text string) string { // for a shell
		return "'" + strings.ReplaceAll(s.secrets.shown(text, maxShown), "'", `'\''`) + "'"
	}
	words := []string{"curl", "-i"}
	switch {
	case c.method == http.MethodHead:
		words = append(words, "--head")
	case c.method != http.MethodGet:
		words = append(words, "-X", c.method)
	}
	words = append(words, quote(s.base+c.path))
	switch {
	case c.credential == s.own():
		words = append(words, `-u "$SIGNALWIRE_PROJECT_ID:$SIGNALWIRE_API_TOKEN"`)
	case c.credential != (credential{}):
		words = append(words, "-u", quote(c.credential.project+":"+c.credential.secret))
	}
	for _, name := range slices.Sorted(maps.Keys(c.header)) {
		for _, value := range c.header[name] {
			if name == "Authorization" && strings.HasPrefix(strings.ToLower(value), "basic ") {
				value = "Basic …" // it encodes a secret
			}
			words = append(words, "-H", quote(name+": "+value))
		}
	}
	if c.body != nil {
		words = append(words, "--data-binary", quote(*c.body))
	}
	return strings.Join(words, " ")
}
