package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// trial is a case that is being run. Its first step that fails ends it, as with testing.T.
type trial struct {
	suite    *suite
	ctx      context.Context //nolint:containedctx // a trial is one run of a case, as a testing.T is of a test
	id       string
	failure  *Failure
	recorder *recorder // nil: nothing is recorded
	quiet    bool      // what is sent now does not belong into a recording
	names    int
}

// object is a JSON object.
type object = map[string]any

// fail ends the case. The exchange is the one to blame, or nil.
func (t *trial) fail(ex *exchange, format string, args ...any) {
	t.failure = newFailure(t.suite, ex, fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// quietly runs steps whose number depends on the server's state or on time.
func (t *trial) quietly(steps func()) {
	before := t.quiet
	t.quiet = true
	defer func() { t.quiet = before }()
	steps()
}

// name returns a new name for what this case makes.
func (t *trial) name() string {
	t.names++
	return fmt.Sprintf("%s-%s-%d", t.suite.name, t.id, t.names)
}

// long returns a name with so many characters, all of the rest being r.
func (t *trial) long(characters int, r string) string {
	name := t.suite.name + "-"
	return name + strings.Repeat(r, characters-len(name))
}

func (t *trial) own() credential { return t.suite.own() }

// call prepares a request with the run's own credential.
func (t *trial) call(method, path string) *call {
	return &call{trial: t, method: method, path: path, credential: t.own(), header: http.Header{}}
}

func (t *trial) get(path string) *call { return t.call(http.MethodGet, path) }

func (t *trial) post(path string) *call { return t.call(http.MethodPost, path) }

func (t *trial) patch(path string) *call { return t.call(http.MethodPatch, path) }

func (t *trial) delete(path string) *call { return t.call(http.MethodDelete, path) }

// as sends the call with another credential.
func (c *call) as(other credential) *call {
	c.credential = other
	return c
}

// with adds a header.
func (c *call) with(name, value string) *call {
	c.header[http.CanonicalHeaderKey(name)] = append(c.header[http.CanonicalHeaderKey(name)], value)
	return c
}

// text gives the call a body as it is. Without a media type there is no such header.
func (c *call) text(mediaType, body string) *call {
	if mediaType != "" {
		c.header.Set("Content-Type", mediaType)
	}
	c.body = &body
	return c
}

// json gives the call a body in JSON.
func (c *call) json(body any) *call {
	text, err := json.Marshal(body)
	if err != nil {
		c.trial.fail(nil, "the case itself failed: %v", err)
	}
	return c.text(jsonType, string(text))
}

// form gives the call a form, from names and values in turn.
func (c *call) form(pairs ...string) *call {
	var fields []string
	for pair := range slices.Chunk(pairs, 2) {
		fields = append(fields, url.QueryEscape(pair[0])+"="+url.QueryEscape(pair[1]))
	}
	return c.text(formType, strings.Join(fields, "&"))
}

// answer is what came back in a trial.
type answer struct {
	*exchange
	trial *trial
}

// send sends the call, whatever the status of the answer.
func (c *call) send() *answer {
	t := c.trial
	got, err := t.suite.exchange(t.ctx, c)
	if err != nil {
		t.failure = &Failure{Message: "there is no answer: " + err.Error(), Request: c.curl(t.suite)}
		runtime.Goexit()
	}
	if !t.quiet {
		t.recorder.add(got)
	}
	return &answer{got, t}
}

// want sends the call, and expects this status and an answer that the contract documents.
func (c *call) want(status int) *answer {
	got := c.send()
	if got.status != status {
		c.trial.fail(got.exchange, "status %d, want %d", got.status, status)
	}
	if difference := c.trial.suite.spec.check(got.exchange); difference != "" {
		c.trial.fail(got.exchange, "%s", difference)
	}
	return got
}

// is expects members of the body, by their paths, to have these values: names and values in turn.
func (a *answer) is(pairs ...any) *answer {
	for pair := range slices.Chunk(pairs, 2) {
		path := fmt.Sprint(pair[0])
		if got := a.lookup(path); !same(got, pair[1]) {
			a.trial.fail(a.exchange, "%s is %s, want %s", path, inJSON(got), inJSON(pair[1]))
		}
	}
	return a
}

// member returns a text of the body.
func (a *answer) member(path string) string {
	text, ok := a.lookup(path).(string)
	if !ok {
		a.trial.fail(a.exchange, "%s is %s, want a text", path, inJSON(a.lookup(path)))
	}
	return text
}

// list returns the objects of a list in the body.
func (a *answer) list(path string) []object {
	items, ok := a.lookup(path).([]any)
	if !ok {
		a.trial.fail(a.exchange, "%s is %s, want a list", path, inJSON(a.lookup(path)))
	}
	objects := make([]object, 0, len(items))
	for _, item := range items {
		one, ok := item.(object)
		if !ok {
			a.trial.fail(a.exchange, "%s holds %s, want objects", path, inJSON(item))
		}
		objects = append(objects, one)
	}
	return objects
}

// says expects the member to contain a text.
func (a *answer) says(path, text string) {
	if got := a.member(path); !strings.Contains(got, text) {
		a.trial.fail(a.exchange, "%s is %q, want %q in it", path, got, text)
	}
}

// same compares what JSON decoded with a value of the case.
func same(got, want any) bool {
	return reflect.DeepEqual(plain(got), plain(want))
}

// plain returns a value as encoding/json would decode it.
func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return value
	}
	var decoded any
	if json.Unmarshal(text, &decoded) != nil {
		return value
	}
	return decoded
}

func inJSON(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // people read it
	if encoder.Encode(value) != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(text.String())
}
