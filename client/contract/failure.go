package contract

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxShown bounds each text of a failure, in bytes.
	maxShown = 2000
	// maxExcerpt bounds an answer within a sentence.
	maxExcerpt = 200
)

// Failure is how a server broke a promise. What looks like a secret is masked in all of it.
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
	failure := &Failure{Message: shown(message)}
	if ex != nil {
		failure.Request, failure.Answer = ex.call.curl(s), ex.describe()
	}
	return failure
}

// mask hides secrets, whole ones and pieces of them.
func mask(text string) string {
	text = regexp.MustCompile(`(?i)\b(PT)[0-9a-f]{8,}`).ReplaceAllString(text, "${1}…")
	text = regexp.MustCompile(`(?i)\b[0-9a-f]{40,}`).ReplaceAllString(text, "…") // a secret without its prefix
	return regexp.MustCompile(`\b(PSK)[0-9a-f]{8,}`).ReplaceAllString(text, "${1}…")
}

// shown masks a text first and cuts it then: a secret that was cut looks like none.
func shown(text string) string { return cut(mask(text), maxShown) }

func cut(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	end := limit
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:end], len(text))
}

// excerpt is the body within a sentence.
func (ex *exchange) excerpt() string {
	return cut(mask(strings.TrimSpace(string(ex.body))), maxExcerpt)
}

// describe shows an answer as HTTP does.
func (ex *exchange) describe() string {
	lines := []string{fmt.Sprintf("HTTP %d %s", ex.status, http.StatusText(ex.status))}
	for _, name := range documentedHeaders() {
		for _, value := range ex.header.Values(name) {
			lines = append(lines, name+": "+shown(value))
		}
	}
	if len(ex.body) > 0 {
		lines = append(lines, "", shown(strings.TrimSpace(string(ex.body))))
	}
	return strings.Join(lines, "\n")
}

// curl returns a line that repeats the request.
func (c *call) curl(s *suite) string {
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

// quote writes a text for a shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(shown(text), "'", `'\''`) + "'"
}
