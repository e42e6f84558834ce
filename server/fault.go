package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/sandbox"
)

// documentedError is an error that the contract has an example of.
type documentedError struct {
	status int
	code   string // "" where the body has none
	body   []byte
	header map[string]string
}

// exampleRequestID is the request id in the contract's examples. A fault answers with the real one, and with the real URL.
const exampleRequestID = "019377c5-7a4e-7c1f-8f0a-2f1f6a6d7b10"

// loadDocumentedErrors reads the errors of an operation, in the order of their statuses and codes; one for each.
func loadDocumentedErrors(responses *openapi3.Responses) ([]documentedError, error) {
	var all []documentedError
	for _, status := range sortedKeys(responses.Map()) {
		number, err := strconv.Atoi(status)
		if err != nil || number < http.StatusBadRequest {
			continue
		}
		response := responses.Value(status).Value
		examples := response.Content[echo.MIMEApplicationJSON].Examples
		for _, name := range sortedKeys(examples) {
			body, err := json.Marshal(examples[name].Value.Value)
			if err != nil {
				return nil, fmt.Errorf("example %s of %s: %w", name, status, err)
			}
			documented := documentedError{number, codeIn(examples[name].Value.Value), body, exampleHeaders(response.Headers)}
			if !slices.ContainsFunc(all, func(e documentedError) bool { return e.status == number && e.code == documented.code }) {
				all = append(all, documented)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b documentedError) int {
		return cmp.Or(a.status-b.status, strings.Compare(a.code, b.code))
	})
	return all, nil
}

// codeIn returns the code that the body of an error has: its own, or that of the first property that failed.
func codeIn(body any) string {
	object, _ := body.(map[string]any)
	if list, ok := object["errors"].([]any); ok && len(list) > 0 {
		return codeIn(list[0])
	}
	if code, ok := object["code"]; ok {
		return fmt.Sprint(code)
	}
	return ""
}

// exampleHeaders returns the headers that a documented error has besides its request id.
func exampleHeaders(headers openapi3.Headers) map[string]string {
	examples := make(map[string]string)
	for name, header := range headers {
		if example := header.Value.Example; example != nil && name != echo.HeaderXRequestID {
			examples[name] = fmt.Sprint(example)
		}
	}
	return examples
}

// writeDocumented answers with the example of an error.
func (s *Server) writeDocumented(c echo.Context, d documentedError) error {
	for name, value := range d.header {
		c.Response().Header().Set(name, value)
	}
	actual := strings.NewReplacer(exampleRequestID, requestID(c), defaultURL+catalogue, s.publicURL()+catalogue)
	return c.JSONBlob(d.status, []byte(actual.Replace(string(d.body))))
}

// documentedError returns the documented error of a status; with no code, the first that there is.
func (op *operation) documentedError(status int, code string) (documentedError, bool) {
	i := slices.IndexFunc(op.documented, func(d documentedError) bool { return d.status == status && (code == "" || d.code == code) })
	if i < 0 {
		return documentedError{}, false
	}
	return op.documented[i], true
}

// AddFault adds a fault to the world of a project. It refuses one that the contract does not know; the error lists those that
// it knows.
func (s *Server) AddFault(ctx context.Context, project uuid.UUID, fault sandbox.Fault) (sandbox.Fault, error) {
	world, err := s.World(ctx, project)
	if err != nil {
		return sandbox.Fault{}, err
	}
	if err := s.checkFault(&fault); err != nil {
		return sandbox.Fault{}, err
	}
	added, err := world.Faults.Add(fault)
	return added, refusedBySandbox(err)
}

// The contract's bounds of a fault, for Go callers.
const (
	maxTimes = 1_000_000
	minDelay = time.Millisecond
	maxDelay = 30 * time.Second
)

// checkFault also fills in the code of a documented error.
func (s *Server) checkFault(fault *sandbox.Fault) error {
	op := s.operations[fault.Operation]
	if op == nil || !op.secured {
		return refuseFault("operation", "Operation must be one of: %s", strings.Join(s.faultyOperations(), ", "))
	}
	if err := checkConnection(op, *fault); err != nil {
		return err
	}
	if fault.Times < 0 || fault.Times > maxTimes {
		return refuseFault("times", "Times must be from 1 to %d; 0 means every call", maxTimes)
	}
	if fault.Delay != 0 && (fault.Delay < minDelay || fault.Delay > maxDelay) {
		return refuseFault("delay_milliseconds", "Delay must be from 1 ms to 30 s")
	}
	if fault.Status == 0 {
		return checkNoStatus(*fault)
	}
	documented, ok := op.documentedError(fault.Status, fault.Code)
	if !ok {
		wanted := strings.TrimSpace(fmt.Sprint(fault.Status, " ", fault.Code))
		return refuseFault("status", "Status %s is not documented for %s. Documented are: %s", wanted, op.id, op.documentedErrors())
	}
	fault.Code = documented.code
	return nil
}

func checkNoStatus(fault sandbox.Fault) error {
	switch {
	case fault.Connection == "" && fault.Delay == 0:
		return refuseFault(bodyAttribute, "A fault needs delay_milliseconds, status or connection")
	case fault.Code != "":
		return refuseFault("code", "Code needs a status")
	}
	return nil
}

func checkConnection(op *operation, fault sandbox.Fault) error {
	switch fault.Connection {
	case "":
		return nil
	case sandbox.CloseBeforeAnswer, sandbox.CloseInAnswer, sandbox.LoseAnswer:
		if fault.Status != 0 {
			return refuseFault("connection", "Connection and status exclude each other")
		}
		if fault.Connection == sandbox.CloseInAnswer && !op.answersBody {
			return refuseFault("connection", "Connection %s needs an answer with a body, and %s has none; use %s",
				sandbox.CloseInAnswer, op.id, sandbox.LoseAnswer)
		}
		return nil
	}
	return refuseFault("connection", "Connection must be one of: %s, %s, %s", sandbox.CloseBeforeAnswer, sandbox.CloseInAnswer, sandbox.LoseAnswer)
}

func refuseFault(attribute, format string, args ...any) error {
	return &problem{fields: []fieldError{{attribute, invalidField, fmt.Sprintf(format, args...)}}}
}

// faultyOperations are those that a fault can concern: a credential says whose world it is.
func (s *Server) faultyOperations() []string {
	var names []string
	for _, id := range sortedKeys(s.operations) {
		if s.operations[id].secured {
			names = append(names, id)
		}
	}
	return names
}

func (op *operation) documentedErrors() string {
	var list []string
	for _, d := range op.documented {
		list = append(list, strings.TrimSpace(fmt.Sprint(d.status, " ", d.code)))
	}
	return strings.Join(list, ", ")
}

// faultKey leads to the fault that a call has met, as far as it has.
const faultKey = "fault"

// obeyFaults lets a call meet the first fault that its world has for the operation.
func (s *Server) obeyFaults(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			world := worldFrom(c.Request().Context())
			if world == nil {
				return next(c)
			}
			fault, ok := world.Faults.Take(op.id)
			if !ok {
				return next(c)
			}
			c.Set(faultKey, sandbox.Fault{ID: fault.ID})
			if fault.Delay > 0 {
				if err := s.delay(c, fault.Delay); err != nil {
					return err
				}
			}
			c.Set(faultKey, fault)
			if fault.Connection != "" {
				return breakConnection(c, fault.Connection, next)
			}
			if documented, ok := op.documentedError(fault.Status, fault.Code); ok {
				return s.writeDocumented(c, documented)
			}
			return next(c)
		}
	}
}

// delay lets a call wait, and then be carried out as if its client had waited: a client that gives up meanwhile is not noticed
// any more, whether its request has a body, behind which that would not be seen, or not. What the delay takes does not count as
// time in which the body must arrive. Who stops the server does not wait for it.
func (s *Server) delay(c echo.Context, delay time.Duration) error {
	c.SetRequest(c.Request().WithContext(context.WithoutCancel(c.Request().Context())))
	// Without a connection, in a test, there is no deadline either.
	_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(delay + s.config.ReadTimeout))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.stopping.Done():
		return errDraining
	}
}

// whyFault says what a fault did to a call, or nothing when that has only waited.
func whyFault(fault sandbox.Fault) string {
	const who = "A fault of this sandbox: "
	switch {
	case fault.Status != 0:
		return who + strings.TrimSpace(fmt.Sprint("the answer was the documented error ", fault.Status, " ", fault.Code)) + ", and the call was not carried out"
	case fault.Connection == sandbox.CloseBeforeAnswer:
		return who + "the connection was closed before the call was carried out"
	case fault.Connection == sandbox.CloseInAnswer:
		return who + "the call was carried out, and the connection closed in its answer"
	case fault.Connection == sandbox.LoseAnswer:
		return who + "the call was carried out, and the connection closed before its answer"
	}
	return ""
}

// heldAnswer keeps an answer back. Its headers are those of the real one.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader notes the status.
func (h *heldAnswer) WriteHeader(status int) { h.status = status }

// Write keeps the text.
func (h *heldAnswer) Write(text []byte) (int, error) { return h.body.Write(text) }

func breakConnection(c echo.Context, how sandbox.Connection, next echo.HandlerFunc) error {
	breakOff(c)
	response := c.Response()
	held := &heldAnswer{ResponseWriter: response.Writer}
	if how != sandbox.CloseBeforeAnswer {
		response.Writer = held
		if err := next(c); err != nil {
			c.Error(err)
		}
		response.Writer = held.ResponseWriter
	}
	half := held.body.Len() / 2
	if how != sandbox.CloseInAnswer || half == 0 || c.Request().Method == http.MethodHead { // which has no body to break in
		response.Status, response.Size = 0, 0 // for the log: the client gets nothing
		return nil
	}
	response.Size = int64(half)
	response.Header().Set(echo.HeaderContentLength, strconv.Itoa(held.body.Len()))
	held.ResponseWriter.WriteHeader(held.status)
	if _, err := held.ResponseWriter.Write(held.body.Bytes()[:half]); err != nil {
		return err
	}
	return http.NewResponseController(held.ResponseWriter).Flush()
}

// ListSandboxFaults is the operation list_sandbox_faults.
func (s *Server) ListSandboxFaults(
	ctx context.Context, request serverapi.ListSandboxFaultsRequestObject,
) (serverapi.ListSandboxFaultsResponseObject, error) {
	world, err := s.World(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	list := serverapi.SandboxFaultList{Faults: []serverapi.SandboxFault{}}
	for _, fault := range world.Faults.List() {
		list.Faults = append(list.Faults, faultAnswer(fault))
	}
	return serverapi.ListSandboxFaults200JSONResponse{Body: list}, nil
}

// CreateSandboxFault is the operation create_sandbox_fault.
func (s *Server) CreateSandboxFault(
	ctx context.Context, request serverapi.CreateSandboxFaultRequestObject,
) (serverapi.CreateSandboxFaultResponseObject, error) {
	added, err := s.AddFault(ctx, request.ProjectID, askedFault(*request.Body))
	if err != nil {
		return nil, err
	}
	return serverapi.CreateSandboxFault201JSONResponse{Body: faultAnswer(added)}, nil
}

// DeleteSandboxFaults is the operation delete_sandbox_faults.
func (s *Server) DeleteSandboxFaults(
	ctx context.Context, request serverapi.DeleteSandboxFaultsRequestObject,
) (serverapi.DeleteSandboxFaultsResponseObject, error) {
	world, err := s.World(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	world.Faults.Clear()
	return serverapi.DeleteSandboxFaults204Response{}, nil
}

// askedFault reads a body. Absent times are one, and null is all.
func askedFault(body serverapi.NewSandboxFault) sandbox.Fault {
	fault := sandbox.Fault{Operation: body.Operation, Times: 1}
	if body.Times.IsNull() {
		fault.Times = 0
	} else if times, err := body.Times.Get(); err == nil {
		fault.Times = int(times)
	}
	if body.DelayMilliseconds != nil {
		fault.Delay = time.Duration(*body.DelayMilliseconds) * time.Millisecond
	}
	if body.Status != nil {
		fault.Status = int(*body.Status)
	}
	if body.Code != nil {
		fault.Code = *body.Code
	}
	if body.Connection != nil {
		fault.Connection = sandbox.Connection(*body.Connection)
	}
	return fault
}

func faultAnswer(fault sandbox.Fault) serverapi.SandboxFault {
	answer := serverapi.SandboxFault{
		ID: fault.ID, Operation: fault.Operation, Code: optionalText(fault.Code),
		Times: nullable.NewNullNullable[int32](), Status: nullable.NewNullNullable[int32](),
		Connection:        nullable.NewNullNullable[serverapi.SandboxFaultConnection](),
		DelayMilliseconds: int32(fault.Delay.Milliseconds()), //nolint:gosec // at most 30,000
	}
	if fault.Times > 0 {
		answer.Times.Set(int32(fault.Times)) //nolint:gosec // at most a million
	}
	if fault.Status != 0 {
		answer.Status.Set(int32(fault.Status)) //nolint:gosec // three digits
	}
	if fault.Connection != "" {
		answer.Connection.Set(serverapi.SandboxFaultConnection(fault.Connection))
	}
	return answer
}
