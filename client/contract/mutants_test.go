package contract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// mutant is a server that is broken in one way.
type mutant struct {
	name    string   // what is broken
	cases   []string // the ids of the cases that must fail, each of them
	handler breaker
}

// breaker wraps the real handler, and so what is asked and answered; broken in mutants_store_test.go gets at the store as
// well. The project is the one that the suite is run with.
type breaker func(next http.Handler, own servertest.Project) http.Handler

func mutants() []mutant {
	return slices.Concat(answerMutants(), errorMutants(), listMutants(), requestMutants(), orderMutants(), storeMutants(), lifeMutants(), verifyMutants())
}

// TestREADME: the numbers that the README gives are these.
func TestREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := 0
	for _, c := range contract.Cases() {
		if !c.Extension {
			documented++
		}
	}
	for _, want := range []string{
		fmt.Sprintf("%d cases: id", len(contract.Cases())), fmt.Sprintf("the %d that SignalWire documents", documented),
		fmt.Sprintf("the %d on what a tokenwire has", len(contract.Cases())-documented), fmt.Sprintf("against %d servers", len(mutants())),
	} {
		if !bytes.Contains(readme, []byte(want)) {
			t.Errorf("the README does not say %q", want)
		}
	}
}

// TestMutants: the suite catches every broken server, by the cases that are about what is broken.
func TestMutants(t *testing.T) {
	t.Parallel()
	all := mutants()
	if len(all) < 60 {
		t.Errorf("there are %d mutants, want 60 at least", len(all))
	}
	shared := servertest.New(t, &servertest.Options{InMemory: true, WrapStore: breakable})
	t.Run("each", func(t *testing.T) { // so that the shared server outlives them
		t.Parallel()
		for _, m := range all {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				m.mustBeCaught(t, shared)
			})
		}
	})
}

func (m mutant) mustBeCaught(t *testing.T, shared *servertest.Server) {
	t.Helper()
	report, err := contract.Run(t.Context(), m.start(t, shared))
	if err != nil {
		t.Fatalf("the suite could not run: %v", err)
	}
	failed := map[string]*contract.Failure{}
	for _, result := range report.Failed() {
		failed[result.ID] = result.Failure
	}
	for _, id := range m.cases {
		if failed[id] == nil {
			t.Errorf("%s passes", id)
		} else if strings.Contains(failed[id].Message, "the case itself failed") {
			t.Errorf("%s: %s", id, failed[id])
		}
	}
	for id, failure := range failed {
		expectNoSecret(t, id, failure)
	}
}

// expectNoSecret expects a failure to be fit for a log that others read.
func expectNoSecret(t *testing.T, id string, failure *contract.Failure) {
	t.Helper()
	if secretPattern.MatchString(failure.String()) {
		t.Errorf("%s shows a secret:\n%s", id, failure)
	}
}

// secretPattern is what must be masked: secrets, with and without their prefix, signing keys, and what encodes a credential.
var secretPattern = regexp.MustCompile(`(?i)PT[0-9a-f]{9}|PSK[0-9a-f]{9}|[0-9a-f]{40}|basic [a-z0-9+/]{20}`)

// start starts the mutant, and returns how the suite reaches it.
func (m mutant) start(t *testing.T, shared *servertest.Server) contract.Config {
	t.Helper()
	own, err := shared.NewProject(m.name)
	if err != nil {
		t.Fatal(err)
	}
	broken := httptest.NewServer(m.handler(shared.Handler(), own))
	t.Cleanup(broken.Close)
	return contract.Config{BaseURL: broken.URL, ProjectID: own.ProjectID, Token: own.Token, Extensions: true, Only: m.cases}
}

// TestMutantsNameCases keeps the table honest: each mutant names cases that exist.
func TestMutantsNameCases(t *testing.T) {
	t.Parallel()
	known, names := map[string]bool{}, map[string]bool{}
	for _, c := range contract.Cases() {
		known[c.ID] = true
	}
	for _, m := range mutants() {
		if names[m.name] || len(m.cases) == 0 || m.handler == nil {
			t.Errorf("%s stands there twice, names no case, or is not broken", m.name)
		}
		names[m.name] = true
		for _, id := range m.cases {
			if !known[id] {
				t.Errorf("%s names the case %s, which does not exist", m.name, id)
			}
		}
	}
}

// matcher says which requests a mutant gets wrong.
type matcher func(*http.Request) bool

const (
	anyPath     = `.`
	tokensPath  = `/tokens(\.json)?$`
	tokenPath   = `/tokens/[^/]+$`
	rotatePath  = `/rotate$`
	accountList = `/Accounts(\.json)?$`
	accountPath = `/Accounts/[^/]+$`
	auditPath   = `/audit_events$`
)

// on matches a method, or any if it is empty, and a path.
func on(method, path string) matcher {
	pattern := regexp.MustCompile(path)
	return func(r *http.Request) bool {
		return (method == "" || r.Method == method) && pattern.MatchString(r.URL.Path)
	}
}

// recorded is an answer that is not sent yet.
type recorded struct {
	status int
	header http.Header
	body   []byte
}

func record(handler http.Handler, r *http.Request) *recorded {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	return &recorded{recorder.Code, recorder.Header(), recorder.Body.Bytes()}
}

func (a *recorded) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// object changes the body, if it is an object.
func (a *recorded) object(change func(map[string]any)) {
	var object map[string]any
	if json.Unmarshal(a.body, &object) == nil && object != nil {
		change(object)
		a.body = encode(object)
	}
}

func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// refusal is an answer that the real server did not give.
func refusal(status, code int) *recorded {
	return &recorded{
		status: status,
		header: http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"mutant"}, "Www-Authenticate": {`Basic realm="mutant"`}},
		body:   encode(map[string]any{"code": code, "message": "mutant", "more_info": "https://example.com/#1", "status": status}),
	}
}

// answers breaks answers.
func answers(matches matcher, change func(*http.Request, *recorded)) breaker {
	return func(next http.Handler, _ servertest.Project) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !matches(r) {
				next.ServeHTTP(w, r)
				return
			}
			asked := r.Clone(r.Context()) // the real server rewrites paths
			a := record(next, r)
			change(asked, a)
			a.send(w)
		})
	}
}

// status gives answers with one status another one.
func status(matches matcher, from, to int) breaker {
	return answers(matches, func(_ *http.Request, a *recorded) {
		if a.status == from {
			a.status = to
			a.object(func(object map[string]any) {
				if object["status"] == float64(from) {
					object["status"] = to // so that the body agrees
				}
			})
		}
	})
}

// members breaks the bodies of answers with this status.
func members(matches matcher, status int, change func(map[string]any)) breaker {
	return answers(matches, func(_ *http.Request, a *recorded) {
		if a.status == status {
			a.object(change)
		}
	})
}

// set and drop break one member of the bodies of answers with this status.
func set(matches matcher, status int, name string, value any) breaker {
	return members(matches, status, func(object map[string]any) { object[name] = value })
}

func drop(matches matcher, status int, name string) breaker {
	return members(matches, status, func(object map[string]any) { delete(object, name) })
}

// requests makes the server understand requests as others.
func requests(matches matcher, change func(*http.Request)) breaker {
	return func(next http.Handler, _ servertest.Project) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if matches(r) {
				change(r)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// readBody returns the body of a request, which can be read again.
func readBody(r *http.Request) []byte {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	setBody(r, body)
	return body
}

func setBody(r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// bodies makes the server understand bodies in JSON as others.
func bodies(matches matcher, change func(map[string]any)) breaker {
	return requests(matches, func(r *http.Request) {
		body := readBody(r)
		var object map[string]any
		if len(body) > 64<<10 || json.Unmarshal(body, &object) != nil || object == nil {
			return
		}
		change(object)
		setBody(r, encode(object))
	})
}

// query makes the server understand queries as others.
func query(matches matcher, change func(map[string][]string)) breaker {
	return requests(matches, func(r *http.Request) {
		values := r.URL.Query()
		change(values)
		r.URL.RawQuery = values.Encode()
	})
}

// ignore makes the server not see a parameter.
func ignore(matches matcher, parameter string) breaker {
	return query(matches, func(values map[string][]string) { delete(values, parameter) })
}
