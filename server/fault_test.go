package server_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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

// TestFaultsAnswerAsDocumented sets each documented error of each operation as a fault, and gets exactly that.
func TestFaultsAnswerAsDocumented(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	calls := unscoped(a.TokenID)
	for _, operation := range protected() {
		calls[operation.name] = operation.call(a.ProjectID, a.TokenID)
	}
	for _, item := range spec(t).Paths.Map() {
		for _, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				code, err := strconv.Atoi(status)
				if err != nil || code < 400 || operation.Security != nil {
					continue
				}
				c := calls[operation.OperationID]
				a.do(t, control("POST", a.Project, "/faults", `{"operation":"`+operation.OperationID+`","status":`+status+`}`)).want(t, 201)
				got := a.do(t, c.as(a.Project)) // which holds it against the contract, headers included
				if got.status != code {
					t.Errorf("%s with a fault %d: %d", operation.OperationID, code, got.status)
				}
			}
		}
	}
	if calls, err := a.Journal(a.Project); err != nil || slices.ContainsFunc(calls, func(c servertest.Call) bool { return c.Fault == [16]byte{} }) {
		t.Errorf("a call was carried out in place of its fault (%v)", err)
	}
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

// TestDelays: a call waits, and is then carried out; who hangs up meanwhile has changed nothing.
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
}
