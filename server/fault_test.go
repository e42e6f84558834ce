package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// control is a call of the control surface on a project.
func control(method string, p servertest.Project, path, body string) call {
	c := call{method: method, path: "/_sandbox/projects/" + p.ProjectID + path}
	if body != "" {
		c.contentType, c.body = jsonType, body
	}
	return c
}

// TestFaultsAnswerAsDocumented sets each documented error of each operation as a fault, by its status and its code, and gets
// exactly the example in the contract.
func TestFaultsAnswerAsDocumented(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	calls := unscoped(a.TokenID)
	calls["verify_token"] = call{method: "GET", path: verifyPath}
	for _, operation := range protected() {
		calls[operation.name] = operation.call(a.ProjectID, a.TokenID)
	}
	tried := 0
	for _, item := range spec(t).Paths.Map() {
		for _, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				code, err := strconv.Atoi(status)
				if err != nil || code < 400 || operation.Security != nil {
					continue
				}
				for code, example := range documentedExamples(response.Value) {
					tried++
					a.do(t, control("POST", a.Project, "/faults", `{"operation":"`+operation.OperationID+`","status":`+status+code+`}`)).want(t, 201)
					got := a.do(t, calls[operation.OperationID].as(a.Project)) // which holds it against the contract
					body := strings.NewReplacer(a.URL+"/docs", "http://127.0.0.1:8080/docs", got.header.Get("X-Request-Id"), "019377c5-7a4e-7c1f-8f0a-2f1f6a6d7b10").Replace(got.body)
					var value any
					if err := json.Unmarshal([]byte(body), &value); err != nil || strconv.Itoa(got.status) != status || !equal(value, example) {
						t.Errorf("%s with a fault %s%s: %d %v, want %v (%v)", operation.OperationID, status, code, got.status, value, example, err)
					}
					for name, header := range response.Value.Headers {
						if want := header.Value.Example; want != nil && name != "X-Request-Id" && got.header.Get(name) != sprint(want) {
							t.Errorf("%s with a fault %s: %s is %q, want %v", operation.OperationID, status, name, got.header.Get(name), want)
						}
					}
				}
			}
		}
	}
	if calls, err := a.Journal(a.Project); err != nil || len(calls) != tried || slices.ContainsFunc(calls, func(c servertest.Call) bool { return c.Fault == [16]byte{} }) {
		t.Errorf("%d errors are documented, and %d calls met a fault (%v)", tried, len(calls), err)
	}
}

// documentedExamples returns the example that stands for each code, in alphabetical order, by what asks for that code.
func documentedExamples(response *openapi3.Response) map[string]any {
	examples := make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(response.Content[jsonType].Examples)) {
		value := response.Content[jsonType].Examples[name].Value.Value
		object, _ := value.(map[string]any)
		if list, ok := object["errors"].([]any); ok {
			object, _ = list[0].(map[string]any)
		}
		code := ""
		if given, ok := object["code"]; ok {
			code = `,"code":"` + sprint(given) + `"`
		}
		if _, ok := examples[code]; !ok {
			examples[code] = value
		}
	}
	return examples
}

// TestFaultTimes: the next N calls, one after the other, of that operation and that project alone.
func TestFaultTimes(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	other := a.stranger(t)
	update := func(p servertest.Project) call {
		return jsonCall("PATCH", tokenPath(p.ProjectID, p.TokenID), "{}").as(p)
	}
	first := a.do(t, control("POST", a.Project, "/faults", `{"operation":"update_token","status":503,"times":2}`)).want(t, 201).object(t)
	a.do(t, control("POST", a.Project, "/faults", `{"operation":"update_token","status":422,"code":"10003","times":null}`)).want(t, 201)
	bad := update(a.Project)
	bad.pass = "wrong"
	a.do(t, bad).want(t, 401) // a credential that is not good meets no fault
	a.do(t, update(a.Project)).want(t, 503)
	list := a.do(t, control("GET", a.Project, "/faults", "")).want(t, 200).object(t)["faults"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["id"] != first["id"] || list[0].(map[string]any)["times"] != 1.0 {
		t.Errorf("after one of two calls the faults are %v", list)
	}
	a.do(t, update(a.Project)).want(t, 503)
	for range 3 {
		if got := a.do(t, update(a.Project)).want(t, 422); got.text(t, "code") != "10003" || got.text(t, "url") != a.URL+"/docs/errors#10003" {
			t.Errorf("got %s, want 10003 with a link to this server", got.body)
		}
	}
	a.do(t, update(other)).want(t, 200)
	a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}.as(a.Project)).want(t, 200)
	a.do(t, control("DELETE", a.Project, "/faults", "")).want(t, 204)
	a.do(t, update(a.Project)).want(t, 200)
}

// TestFaultRefusals: what the contract does not know is refused, with what it knows.
func TestFaultRefusals(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for body, want := range map[string]string{
		`{"operation":"nope","status":503}`:                                   "Operation must be one of: create_project_token, create_subprojects, create_token,",
		`{"operation":"get_health","status":500}`:                             "Operation must be one of: ",
		`{"operation":"get_account"}`:                                         "A fault needs delay_milliseconds, status or connection",
		`{"operation":"get_account","status":422}`:                            "Status 422 is not documented for get_account. Documented are: 400 10000, 400 10001, 400 21481, 401 20003, 404 20404, 405 10001, 429 20429, 500 20504, 503 20001",
		`{"operation":"get_account","status":400,"code":"20003"}`:             "Status 400 20003 is not documented for get_account.",
		`{"operation":"get_account","code":"20003"}`:                          "A fault needs",
		`{"operation":"get_account","code":"20003","delay_milliseconds":1}`:   "Code needs a status",
		`{"operation":"get_account","status":503,"connection":"lose_answer"}`: "Connection and status exclude each other",
		`{"operation":"get_account","connection":"explode"}`:                  "Connection must be one of: close_before_answer, close_in_answer, lose_answer",
		`{"operation":"delete_token","connection":"close_in_answer"}`:         "Connection close_in_answer needs an answer with a body, and delete_token has none; use lose_answer",
		`{"operation":"delete_project_token","connection":"close_in_answer"}`: "Connection close_in_answer needs",
		`{"operation":"get_account","status":200}`:                            "Status must be from 400 to 599",
		`{"operation":"get_account","status":503,"times":0}`:                  "Times must be from 1 to 1000000",
		`{"operation":"get_account","delay_milliseconds":30001}`:              "Delay milliseconds must be from 1 to 30000",
		`{"operation":"get_account","state":503}`:                             `"state" is no property of this body; did you mean "status"?`,
		`{"status":503}`: "Operation must be present",
	} {
		if got := a.do(t, control("POST", a.Project, "/faults", body)).want(t, 422).text(t, "message"); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", body, got, want)
		}
	}
	if err := a.AddFault(a.Project, servertest.Fault{Operation: "get_account", Status: 418}); err == nil || !strings.Contains(err.Error(), "Documented are: 400") {
		t.Errorf("AddFault: %v", err)
	}
	a.do(t, jsonCall("POST", "/_sandbox/projects/"+unknownID+"/faults", `{"operation":"get_account","status":503}`)).want(t, 404)
}

// TestBrokenConnections: what the client sees, and whether the change was made.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	for connection, want := range map[string]struct {
		applied bool
		status  int // of the beginning of an answer
	}{
		"close_before_answer": {false, 0}, "lose_answer": {true, 0}, "close_in_answer": {true, 200},
	} {
		a := start(t, nil)
		a.do(t, control("POST", a.Project, "/faults", `{"operation":"update_token","connection":"`+connection+`"}`)).want(t, 201)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, a.URL+tokenPath(a.ProjectID, a.TokenID), strings.NewReader(`{"name":"New"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = basic(a.ProjectID, a.Token)
		request.Header.Set("Content-Type", jsonType)
		status := 0
		response, err := a.client.Do(request)
		if err == nil {
			status = response.StatusCode
			_, err = io.ReadAll(response.Body)
			_ = response.Body.Close()
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v, want a connection that was closed", connection, err)
		}
		applied := a.read(t, a.Project, a.TokenID)["name"] == "New"
		if status != want.status || applied != want.applied {
			t.Errorf("%s: status %d and applied %v, want %+v", connection, status, applied, want)
		}
		calls, err := a.Journal(a.Project)
		if err != nil || len(calls) != 2 || calls[0].Status != want.status || calls[0].Fault == [16]byte{} {
			t.Errorf("%s: the journal has %+v (%v)", connection, calls, err)
		}
	}
}

// TestDelays: a call waits, and is then carried out, also when the client has not waited.
func TestDelays(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	if err := a.AddFault(a.Project, servertest.Fault{Operation: "update_token", Delay: 50 * time.Millisecond, Times: 1}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"name":"Late"}`).as(a.Project)).want(t, 200)
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("the call took %v, and its delay was 50 ms", took)
	}
	gone := a.create(t, a.Project, "fax")
	for operation, c := range map[string]call{
		"update_token": jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"name":"Later"}`),
		"delete_token": {method: "DELETE", path: tokenPath(a.ProjectID, gone.TokenID)},
	} {
		if err := a.ClearJournal(a.Project); err != nil {
			t.Fatal(err)
		}
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		answered := a.delayed(t, ctx, operation, time.Second, c)
		hangUp()
		if err := <-answered; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the client did not hang up: %v", operation, err)
		}
		calls, err := a.WaitForCalls(t.Context(), a.Project, operation, 1)
		if err != nil || calls[0].Status/100 != 2 || calls[0].Why != "" || calls[0].Fault == [16]byte{} {
			t.Errorf("%s: the journal has %+v (%v)", operation, calls, err)
		}
	}
	if name := a.read(t, a.Project, a.TokenID)["name"]; name != "Later" {
		t.Errorf("the update was not carried out: the name is %v", name)
	}
	a.do(t, call{method: "GET", path: tokenPath(a.ProjectID, gone.TokenID)}.as(a.Project)).want(t, 404)
}

// delayed sends a call that waits for so long, and returns when it does.
func (a *api) delayed(t *testing.T, ctx context.Context, operation string, delay time.Duration, c call) <-chan error { //nolint:revive // the test comes first, as everywhere
	t.Helper()
	if err := a.AddFault(a.Project, servertest.Fault{Operation: operation, Delay: delay, Times: 1}); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, c.method, a.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = basic(a.ProjectID, a.Token)
	request.Header.Set("Content-Type", jsonType)
	answered := make(chan error, 1)
	go func() {
		response, err := a.client.Do(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			err = errors.Join(err, response.Body.Close())
		}
		if err == nil && response.StatusCode != http.StatusOK {
			err = errors.New(response.Status)
		}
		answered <- err
	}()
	for len(a.do(t, control("GET", a.Project, "/faults", "")).object(t)["faults"].([]any)) > 0 { // until it is used up
		if t.Context().Err() != nil {
			t.Fatal("the call did not arrive")
		}
	}
	return answered
}

// TestDelaysEndWithTheServer: who stops a server does not wait for a delay.
func TestDelaysEndWithTheServer(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	answered := a.delayed(t, t.Context(), "get_account", 30*time.Second, call{method: "GET", path: compat + "/" + a.ProjectID})
	began := time.Now()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the server stopped after %v", took)
	}
	if err := <-answered; err == nil || !strings.HasPrefix(err.Error(), "503") {
		t.Errorf("the call was answered %v, want 503", err)
	}
}

// TestDelaysAreNotTheClients: a body may arrive as long after a delay as without one.
func TestDelaysAreNotTheClients(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{ReadHeaderTimeout: 500 * time.Millisecond, ReadTimeout: 500 * time.Millisecond})
	body := `{"name":"Late"` + strings.Repeat(" ", 60_000) + `}`
	if err := <-a.delayed(t, t.Context(), "update_token", time.Second, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), body)); err != nil {
		t.Errorf("a large body after a delay: %v", err)
	}
}

// TestHeadBreaksToo: an answer without a body is lost where it would break in its body.
func TestHeadBreaksToo(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	a.do(t, control("POST", a.Project, "/faults", `{"operation":"get_account","connection":"close_in_answer","times":null}`)).want(t, 201)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, a.URL+compat+"/"+a.ProjectID, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = basic(a.ProjectID, a.Token)
	response, err := a.client.Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("HEAD with an answer that breaks: %v", err)
	}
}

// TestBrokenConnectionsAreLogged: with the status that the client saw.
func TestBrokenConnectionsAreLogged(t *testing.T) {
	t.Parallel()
	log := &safeBuffer{}
	a := start(t, &servertest.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	for connection, status := range map[string]string{"close_before_answer": "status=0", "lose_answer": "status=0", "close_in_answer": "status=200"} {
		a.do(t, control("POST", a.Project, "/faults", `{"operation":"update_token","connection":"`+connection+`"}`)).want(t, 201)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, a.URL+tokenPath(a.ProjectID, a.TokenID), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = basic(a.ProjectID, a.Token)
		request.Header.Set("Content-Type", jsonType)
		request.Header.Set("X-Request-Id", connection)
		if response, err := a.client.Do(request); err == nil {
			_ = response.Body.Close()
		}
		if _, err := a.WaitForCalls(t.Context(), a.Project, "update_token", 1); err != nil {
			t.Fatal(err)
		}
		if !inOneLine(log.String(), "request_id="+connection, status+" ", "broken_off=true") {
			t.Errorf("%s is not logged with %s:\n%s", connection, status, log)
		}
		if err := a.ClearJournal(a.Project); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFaultBounds: those of the contract, for Go callers too.
func TestFaultBounds(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for _, c := range []struct {
		times int
		delay time.Duration
		want  string
	}{
		{1, 0, ""}, {0, 0, ""}, {1_000_000, 30 * time.Second, ""}, {1, time.Millisecond, ""},
		{-1, 0, "Times must be from 1 to 1000000; 0 means every call"}, {1_000_001, 0, "Times must"}, {1 << 33, 0, "Times must"},
		{1, -1, "Delay must be from 1 ms to 30 s"}, {1, time.Microsecond, "Delay must"}, {1, 30*time.Second + 1, "Delay must"},
	} {
		err := a.AddFault(a.Project, servertest.Fault{Operation: "get_account", Status: 503, Times: c.times, Delay: c.delay})
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("times %d, delay %v: %v, want %q", c.times, c.delay, err, c.want)
		}
	}
}
