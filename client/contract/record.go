package contract

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// recordingVersion is the form of a Recording.
const recordingVersion = 1

// Recording is what a server answered, with a stable placeholder for whatever is another in each run: ids, secrets, dates, the
// random part of names, page tokens. Two recordings of one server are equal, but where its behaviour is not.
type Recording struct {
	Version    int            `json:"version"`
	Extensions bool           `json:"extensions"`
	Cases      []RecordedCase `json:"cases"`
}

// RecordedCase is what was said in one case, in order.
type RecordedCase struct {
	ID        string             `json:"id"`
	Exchanges []RecordedExchange `json:"exchanges"`
}

// RecordedExchange is a request and its answer.
type RecordedExchange struct {
	// Request is the method, the path and the body.
	Request string `json:"request"`
	Status  int    `json:"status"`
	// Headers is the headers that the contract documents.
	Headers map[string]string `json:"headers"`
	// Body is the decoded body, or its text when it is no JSON.
	Body any `json:"body"`
}

// Difference is something that two servers answer differently.
type Difference struct {
	// Case is the id, and Exchange the number of the request within the case, from 1.
	Case     string `json:"case"`
	Exchange int    `json:"exchange"`
	Request  string `json:"request"`
	// What is the status, a header, or a path within the body.
	What string `json:"what"`
	// Recorded and Current are the two values, as JSON; "nothing" where there is none.
	Recorded string `json:"recorded"`
	Current  string `json:"current"`
}

// String returns the difference in one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s, request %d (%s): %s was %s and is %s", d.Case, d.Exchange, cut(d.Request, maxExcerpt), d.What, d.Recorded, d.Current)
}

// Write writes a recording as JSON, which [ReadRecording] reads.
func (r Recording) Write(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// ReadRecording reads a recording.
func ReadRecording(r io.Reader) (Recording, error) {
	var recording Recording
	if err := json.NewDecoder(r).Decode(&recording); err != nil {
		return recording, fmt.Errorf("no recording: %w", err)
	}
	if recording.Version != recordingVersion {
		return recording, errors.New("no recording, or one of another version of this program")
	}
	return recording, nil
}

// Comparison is how two recordings differ.
type Comparison struct {
	// Differences is in the order of the current recording.
	Differences []Difference
	// Compared is how many cases both have, and Unrecorded how many the earlier one lacks.
	Compared, Unrecorded int
}

// Compare returns how the current answers differ from the recorded ones, in the cases that both have. When it has compared
// none, that there are no differences says nothing.
func Compare(recorded, current Recording) Comparison {
	earlier := map[string]RecordedCase{}
	for _, c := range recorded.Cases {
		earlier[c.ID] = c
	}
	var c Comparison
	for _, now := range current.Cases {
		before, ok := earlier[now.ID]
		if !ok {
			c.Unrecorded++
			continue
		}
		c.Compared++
		for i := range max(len(before.Exchanges), len(now.Exchanges)) {
			found := compareExchange(before.Exchanges, now.Exchanges, i)
			for _, d := range found {
				d.Case, d.Exchange = now.ID, i+1
				c.Differences = append(c.Differences, d)
			}
			if len(found) > 0 && (i >= len(before.Exchanges) || i >= len(now.Exchanges)) {
				break // one of them ended the case here
			}
		}
	}
	return c
}

func compareExchange(recorded, current []RecordedExchange, i int) []Difference {
	switch {
	case i >= len(current):
		return []Difference{{Request: recorded[i].Request, What: "the request", Recorded: "sent", Current: "not reached"}}
	case i >= len(recorded):
		return []Difference{{Request: current[i].Request, What: "the request", Recorded: "not reached", Current: "sent"}}
	}
	before, now := recorded[i], current[i]
	var differences []Difference
	add := func(what string, was, is any) {
		differences = append(differences, Difference{Request: now.Request, What: what, Recorded: orNothing(was), Current: orNothing(is)})
	}
	if before.Status != now.Status {
		add("status", before.Status, now.Status)
	}
	for _, name := range documentedHeaders() {
		was, had := before.Headers[name]
		is, has := now.Headers[name]
		if had != has || was != is {
			add("header "+name, present(was, had), present(is, has))
		}
	}
	compareValues("body", plain(before.Body), plain(now.Body), add)
	return differences
}

// nothing stands for a value that is not there.
type nothing struct{}

func present(text string, ok bool) any {
	if !ok {
		return nothing{}
	}
	return text
}

func orNothing(value any) string {
	if _, ok := value.(nothing); ok {
		return "nothing"
	}
	return cut(inJSON(value), maxExcerpt)
}

// compareValues reports the innermost values that differ.
func compareValues(path string, was, is any, add func(what string, was, is any)) {
	before, ok := was.(map[string]any)
	now, same := is.(map[string]any)
	if ok && same {
		for _, name := range slices.Sorted(maps.Keys(union(before, now))) {
			compareValues(path+"."+name, member(before, name), member(now, name), add)
		}
		return
	}
	beforeList, ok := was.([]any)
	nowList, same := is.([]any)
	if ok && same && len(beforeList) == len(nowList) {
		for i := range beforeList {
			compareValues(path+"."+strconv.Itoa(i), beforeList[i], nowList[i], add)
		}
		return
	}
	if !reflect.DeepEqual(was, is) {
		add(path, was, is)
	}
}

func union(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func member(object map[string]any, name string) any {
	if value, ok := object[name]; ok {
		return value
	}
	return nothing{}
}

const (
	// maxRecorded bounds the bodies that are recorded, in bytes: no answer is larger but a long list, which is not recorded.
	maxRecorded = 64 << 10
	// maxDepth bounds how deep the values in them may be. A documented answer has four levels.
	maxDepth = 32
	// maxRecording bounds all bodies of a recording together. That of every case has about 1 MB.
	maxRecording = 16 << 20
)

// recorder writes down what is said in a case. A nil recorder writes nothing.
type recorder struct {
	*normaliser
	recorded RecordedCase
}

func newRecorder(s *suite, id string) *recorder {
	n := &normaliser{suite: s, id: id, numbers: map[string]string{}, counts: map[string]int{}}
	return &recorder{n, RecordedCase{ID: id, Exchanges: []RecordedExchange{}}}
}

// done returns what was said.
func (r *recorder) done() *RecordedCase {
	if r == nil {
		return nil
	}
	return &r.recorded
}

// add writes down a request and its answer.
func (r *recorder) add(ex *exchange) {
	if r == nil {
		return
	}
	request := ex.call.method + " " + r.text(short(ex.call.path, maxShown))
	if ex.call.body != nil {
		request += " " + r.text(cut(*ex.call.body, maxShown))
	}
	r.recorded.Exchanges = append(r.recorded.Exchanges, RecordedExchange{
		Request: request, Status: ex.status, Headers: r.headers(ex), Body: r.body(ex),
	})
}

// body is what is kept of a body. One that no server sends that keeps to the contract is kept as its length and its hash.
func (r *recorder) body(ex *exchange) any {
	if len(ex.body) > min(maxRecorded, r.suite.room) || deeper(ex.decoded, maxDepth) {
		hash := sha256.Sum256(ex.body)
		return fmt.Sprintf("<%d bytes, SHA-256 %x…>", len(ex.body), hash[:16])
	}
	r.suite.room -= len(ex.body)
	if ex.decoded == nil {
		return r.text(string(ex.body))
	}
	return r.value("", ex.decoded)
}

// deeper reports whether a value has more levels than so many.
func deeper(value any, levels int) bool {
	if levels < 0 {
		return true
	}
	inside := func(one any) bool { return deeper(one, levels-1) }
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, inside)
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(value)), inside)
	}
	return false
}

// normaliser replaces what is another in each run, the same value by the same placeholder within a case.
type normaliser struct {
	suite   *suite
	id      string            // the case
	numbers map[string]string // the placeholder of a value
	counts  map[string]int    // how many of a kind there are
}

func (n *normaliser) placeholder(kind, value string) string {
	value = strings.ToLower(value)
	if known, ok := n.numbers[value]; ok {
		return known
	}
	n.counts[kind]++
	n.numbers[value] = fmt.Sprintf("<%s-%d>", kind, n.counts[kind])
	return n.numbers[value]
}

// variable is a kind of text that is another in each run. Without a name it is a time.
type variable struct {
	kind    string
	pattern *regexp.Regexp
}

func variables(run string) []variable {
	return []variable{
		{"error-codes", regexp.MustCompile(`\bhttps?://[^\s"#]+#`)},
		{"run", regexp.MustCompile(`(?i)(tokenwire)?` + regexp.QuoteMeta(strings.TrimPrefix(run, "tokenwire")))},
		{"page-token", regexp.MustCompile(`\bPA[A-Za-z0-9_-]{20,}`)},
		{"secret", regexp.MustCompile(`(?i)\bPT[0-9a-f]{48}\b`)},
		{"signing-key", regexp.MustCompile(`\bPSK[0-9a-f]{32}\b`)},
		{"id", regexp.MustCompile(`(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)},
		{"", regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}\b`)},
		{"", regexp.MustCompile(`\b20[0-8][0-9]-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z`)},
	}
}

// text replaces whatever a text holds.
func (n *normaliser) text(text string) string {
	for _, rule := range n.suite.variable {
		text = rule.pattern.ReplaceAllStringFunc(text, func(found string) string {
			switch {
			case rule.kind == "":
				return "<time>"
			case rule.kind == "run":
				return "<run>"
			case rule.kind == "error-codes": // each server has a list of its own
				return "<error-codes>#"
			case strings.EqualFold(found, n.suite.config.ProjectID):
				return "<project>"
			case strings.EqualFold(found, unknownID):
				return "<unknown>"
			}
			return n.placeholder(rule.kind, found)
		})
	}
	return n.suite.secrets.text(strings.ReplaceAll(text, n.suite.base, "<base-url>"))
}

// isEarlier reports whether a name is one that a subproject has from another case or another run.
func (n *normaliser) isEarlier(name string) bool {
	if !isOurs(name) {
		return false
	}
	rest, current := strings.CutPrefix(name, n.suite.name)
	named := regexp.MustCompile(`^-([a-z]+(\.[a-z0-9-]+)+)-[0-9]`).FindStringSubmatch(rest)
	return !current || rest == "-subproject" || named != nil && named[1] != n.id
}

// object replaces whatever the names and the values of an object hold.
func (n *normaliser) object(given map[string]any) map[string]any {
	object := make(map[string]any, len(given))
	for _, member := range slices.Sorted(maps.Keys(given)) {
		name := n.text(member)
		for _, taken := object[name]; taken; _, taken = object[name] {
			name += "~" // two names that differ in what is hidden
		}
		object[name] = n.value(member, given[member])
	}
	return object
}

// value replaces whatever the texts of a value hold.
func (n *normaliser) value(name string, value any) any {
	if name == "last_used_at" { // it is recorded after the answer: some time or other
		return "<last_used_at>"
	}
	switch value := value.(type) {
	case string:
		switch {
		case name == "secret_last_four" || name == "address":
			return "<" + name + ">"
		case n.isEarlier(value):
			return "<earlier-name>"
		}
		return n.text(value)
	case []any:
		list := make([]any, 0, len(value))
		for _, item := range value {
			list = append(list, n.value(name, item))
		}
		return list
	case map[string]any:
		return n.object(value)
	case float64:
		if digits := inJSON(value); n.suite.secrets.text(digits) != digits {
			return "<secret>"
		}
	}
	return value
}

func (n *normaliser) headers(ex *exchange) map[string]string {
	headers := map[string]string{}
	for _, name := range documentedHeaders() {
		values := ex.header.Values(name)
		if len(values) == 0 {
			continue
		}
		headers[name] = n.text(cut(strings.Join(values, ", "), maxShown))
		switch name {
		case "X-Request-Id", "Retry-After":
			headers[name] = "<" + name + ">"
		case "Allow":
			methods := strings.Split(headers[name], ", ")
			slices.Sort(methods)
			headers[name] = strings.Join(methods, ", ")
		}
	}
	return headers
}
