package fuzztest_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// field is a part of a query.
type field struct{ name, value string } // value is escaped

// draft is a request that is being drawn, with what is known of it.
type draft struct {
	op       *operation
	method   string
	uri      string            // unless it is empty, it stands for path, segments and query
	segments map[string]string // the parameters in the path, escaped
	query    []field
	header   http.Header
	host     string
	hasBody  bool
	value    any     // what the body is to say
	raw      *string // the body, once it is written
	chunked  bool

	how    string // what it is
	broken int    // how often it was broken
	want   []int  // the statuses of the answer; nil when nothing is known

	caller   *token  // whose credential is good
	account  string  // in the path
	owner    string  // of the token that is to be created
	token    *token  // in the path
	world    string  // in the path
	key      string  // Idempotency-Key
	repeated *repeat // of which it is the repetition
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// mediaType is what the body is written in.
func (d *draft) mediaType() string { return d.header.Get("Content-Type") }

// object returns the body if it is an object.
func (d *draft) object() map[string]any {
	object, _ := d.value.(map[string]any)
	return object
}

// grace reports whether a rotation leaves the old secret for a while.
func (d *draft) grace() bool {
	seconds, given := d.object()["grace_period_seconds"]
	return given && seconds != int64(0)
}

// writeBody makes the text of the body, once.
func (g *generator) writeBody(d *draft) string {
	if d.raw == nil && d.hasBody {
		text := ""
		if object, ok := d.value.(map[string]any); ok && strings.HasPrefix(d.mediaType(), formType) {
			text = g.encodeForm(object)
		} else {
			text = g.encodeJSON(d.value)
		}
		d.raw = &text
	}
	if d.raw == nil {
		return ""
	}
	return *d.raw
}

// body returns the text of the body that was written.
func (d *draft) body() string {
	if d.raw == nil {
		return ""
	}
	return *d.raw
}

// target returns path and query.
func (d *draft) target() string {
	if d.uri != "" {
		return d.uri
	}
	path := d.op.path
	for name, segment := range d.segments {
		path = strings.ReplaceAll(path, "{"+name+"}", segment)
	}
	if len(d.query) == 0 {
		return path
	}
	pairs := make([]string, 0, len(d.query))
	for _, f := range d.query {
		pairs = append(pairs, f.name+"="+f.value)
	}
	return path + "?" + strings.Join(pairs, "&")
}

// without takes a parameter out of the query.
func (d *draft) without(name string) {
	d.query = slices.DeleteFunc(d.query, func(f field) bool { return f.name == name })
}

func (d *draft) ask(name string, value any) {
	d.query = append(d.query, field{name, url.QueryEscape(plain(value))})
}

// curl returns a line that repeats the request, up to what a shell cannot have: a body with NUL. The credentials are of no worth.
func (d *draft) curl(base string) string {
	words := []string{"curl", "-i", "-X", d.method}
	if d.method == http.MethodHead {
		words = []string{"curl", "--head"}
	}
	words = append(words, quote(base+d.target()))
	if d.host != "" {
		words = append(words, "-H", quote("Host: "+d.host))
	}
	for _, name := range slices.Sorted(maps.Keys(d.header)) {
		for _, value := range d.header[name] {
			words = append(words, "-H", quote(name+": "+value))
		}
	}
	if d.chunked {
		words = append(words, "-H", quote("Transfer-Encoding: chunked"))
	}
	if d.hasBody {
		words = append(words, "--data-binary", quote(d.body()))
	}
	return strings.Join(words, " ")
}

// cut keeps a failure readable.
func cut(text string, limit int) string {
	if len(text) > limit {
		return fmt.Sprintf("%s… (%d bytes)", text[:limit], len(text))
	}
	return text
}

func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
