package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/sandbox"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// maxNoted bounds each text of a call in the journal, in characters.
const maxNoted = maxBody

// keepJournal notes each call that names a project in the journal of its world.
func (s *Server) keepJournal(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		world := worldFrom(c.Request().Context())
		if world == nil || strings.HasPrefix(c.Request().URL.Path, sandboxBase) {
			return next(c)
		}
		began := time.Now()
		call := sandbox.Call{At: s.timeIn(world), Method: c.Request().Method, URI: c.Request().RequestURI}
		call.RequestHeader = c.Request().Header.Clone()
		asked := noteRequest(c.Request())
		answered := &notedAnswer{ResponseWriter: c.Response().Writer}
		c.Response().Writer = answered
		body := c.Request().Body // validate puts another in its place
		err := next(c)
		call.Took = time.Since(began)
		readRest(c.Request().ContentLength, c.Request().Header, body)
		call.RequestBody = asked.text()
		if call.Status = answered.status; call.Status != 0 {
			call.AnswerHeader, call.AnswerBody = answered.Header().Clone(), answered.body.String()
		}
		if op := notesOf(c.Request().Context()).op; op != nil {
			call.Operation = op.id
		}
		fault, _ := c.Get(faultKey).(sandbox.Fault)
		call.Fault = fault.ID
		call.Why = s.why(c)
		world.Journal.Add(masked(call))
		return err
	}
}

// noteRequest notes the body of a request as it is read.
func noteRequest(r *http.Request) *boundedWriter {
	noted := &boundedWriter{room: maxBody}
	r.Body = readCloser{io.TeeReader(r.Body, noted), r.Body}
	return noted
}

// readRest reads a small body that the server has refused without looking at it, so that the journal has it.
func readRest(length int64, header http.Header, body io.Reader) {
	if length > 0 && length <= maxBody && header.Get("Expect") == "" {
		_, _ = io.Copy(io.Discard, body) // what does not arrive is not noted
	}
}

type readCloser struct {
	io.Reader
	io.Closer
}

// boundedWriter drops what is beyond its bound.
type boundedWriter struct {
	buffer bytes.Buffer
	room   int
	cut    bool
}

// longestSecret is how many bytes a secret may take in the worst of disguises.
const longestSecret = 1 << 10

// text returns what was kept, without secrets, and without half of one at its end.
func (b *boundedWriter) text() string {
	text := secret.Mask(b.buffer.String())
	if b.cut {
		text = text[:max(0, len(text)-longestSecret)]
	}
	return text
}

// Write never fails.
func (b *boundedWriter) Write(text []byte) (int, error) {
	kept := text[:min(len(text), b.room)]
	b.room -= len(kept)
	b.cut = b.cut || len(kept) < len(text)
	b.buffer.Write(kept)
	return len(text), nil
}

// notedAnswer notes an answer as it is written. Its status is 0 when there was none.
type notedAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader notes the status.
func (n *notedAnswer) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// Write notes the text.
func (n *notedAnswer) Write(text []byte) (int, error) {
	n.body.Write(text)
	return n.ResponseWriter.Write(text)
}

// Unwrap is for http.ResponseController.
func (n *notedAnswer) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// masked takes the secrets out of a call.
func masked(call sandbox.Call) sandbox.Call {
	call.URI, call.RequestBody, call.AnswerBody = printable(call.URI, maxNoted), printable(call.RequestBody, maxNoted), printable(call.AnswerBody, maxNoted)
	call.Method, call.Why = printable(call.Method, maxAttribute), printable(call.Why, maxNoted)
	call.RequestHeader = maskedHeader(call.RequestHeader, maskedCredential)
	call.AnswerHeader = maskedHeader(call.AnswerHeader, func(_, value string) string { return printable(value, maxNoted) })
	return call
}

// maskedHeader also masks the names: anything can be one.
func maskedHeader(header http.Header, mask func(name, value string) string) http.Header {
	masked := make(http.Header, len(header))
	for name, values := range header {
		for _, value := range values {
			shown := printable(name, maxNoted)
			masked[shown] = append(masked[shown], mask(name, value))
		}
	}
	return masked
}

// maskedCredential returns what may be shown of a request's header. Of one that is for a credential by its name that is nothing,
// whatever it looks like; but for the user name of the one that this API knows.
func maskedCredential(name, value string) string {
	lower := strings.ToLower(name)
	isCredential := slices.ContainsFunc([]string{"auth", "token", "secret", "cookie", "key"}, func(word string) bool { return strings.Contains(lower, word) })
	if !isCredential || name == idempotencyKey {
		return printable(value, maxNoted)
	}
	if name == echo.HeaderAuthorization {
		if user, _, ok := (&http.Request{Header: http.Header{name: {value}}}).BasicAuth(); ok {
			return "Basic " + printable(user, maxAttribute) + ":…"
		}
	}
	return "…"
}

// why says in plain words why a call failed. The answer may be less open, or have no room for words.
func (s *Server) why(c echo.Context) string {
	var reasons []string
	p := notesOf(c.Request().Context()).problem
	if fault, ok := c.Get(faultKey).(sandbox.Fault); ok {
		if reason := whyFault(fault); reason != "" {
			reasons = append(reasons, reason)
		}
	}
	if p != nil {
		reasons = append(reasons, s.whyProblem(c, p))
	}
	return strings.Join(reasons, "; ")
}

func (s *Server) whyProblem(c echo.Context, p *problem) string {
	switch {
	case p == errCredential:
		return s.whyNoCredential(c)
	case len(p.fields) > 0:
		var messages []string
		for _, field := range p.fields {
			messages = append(messages, field.message)
		}
		return strings.Join(messages, "; ")
	case p == errNotFound && notesOf(c.Request().Context()).op == nil:
		return c.Request().URL.Path + " is no path of the contract"
	case p == errNotFound:
		return "The account, or the token, is not there, or belongs to a project that this credential does not reach"
	}
	return p.message
}

// whyNoCredential looks closer at a credential than a caller may know.
func (s *Server) whyNoCredential(c echo.Context) string {
	r := c.Request()
	// By now the time for the request is over, and its client may have gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.config.RequestTimeout)
	defer cancel()
	user, password, ok := r.BasicAuth()
	switch headers := len(r.Header.Values(echo.HeaderAuthorization)); {
	case headers == 0:
		return "The request has no Authorization header"
	case headers > 1:
		return "The request has more than one Authorization header"
	case !ok:
		return "The Authorization header is not Basic with base64(project_id:api_token)"
	}
	project, err := parseUUID(user)
	if err != nil {
		return "The user name must be a Project ID, which is a UUID"
	}
	if _, err := secret.Parse(password); err != nil {
		return "The password is no API token: " + err.Error()
	}
	hash, now := secret.Hash(password), s.now(ctx)
	token, err := s.config.Store.TokenBySecret(ctx, hash, now)
	switch op := notesOf(ctx).op; {
	case err != nil:
		return s.whyNoToken(ctx, hash, now)
	case token.ProjectID == project && op != nil && op.permission != "":
		return fmt.Sprintf("The token %s lost the permission %q while the request was on the way", token.ID, op.permission)
	}
	return fmt.Sprintf("The API token belongs to project %s, not to %s", token.ProjectID, user)
}

// whyNoToken says why no token authenticates with a secret.
func (s *Server) whyNoToken(ctx context.Context, hash store.SecretHash, now time.Time) string {
	token, err := s.config.Store.TokenBySecret(ctx, hash, time.Time{})
	if err == nil {
		token, err = s.config.Store.Token(ctx, token.ProjectID, token.ID) // whose expiry is not that of a replaced secret
	}
	if err != nil {
		return "No token has this secret: it never existed, was deleted, or was replaced by a rotation"
	}
	if !token.ExpiresAt.IsZero() && !token.ExpiresAt.After(now) {
		return fmt.Sprintf("The token %s expired at %s; it is %s", token.ID, token.ExpiresAt.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("The secret of token %s was replaced by a rotation, and its grace period is over", token.ID)
}

// ReadSandboxJournal is the operation read_sandbox_journal.
func (s *Server) ReadSandboxJournal(
	ctx context.Context, request serverapi.ReadSandboxJournalRequestObject,
) (serverapi.ReadSandboxJournalResponseObject, error) {
	world, err := s.World(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	query, atLeast := journalQuery(request.Params)
	waiting, cancel := context.WithTimeout(ctx, journalWait(request.Params))
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	calls, dropped, enough := world.Journal.Wait(waiting, query, atLeast)
	answer := serverapi.SandboxJournal{Calls: make([]serverapi.SandboxCall, 0, len(calls)), Dropped: dropped, TimedOut: !enough}
	for _, call := range calls {
		answer.Calls = append(answer.Calls, callAnswer(call))
	}
	return serverapi.ReadSandboxJournal200JSONResponse{Body: answer}, nil
}

func journalQuery(params serverapi.ReadSandboxJournalParams) (sandbox.Query, int) {
	query, atLeast := sandbox.Query{}, 0
	if params.Operation != nil {
		query.Operation = *params.Operation
	}
	if params.After != nil {
		query.After = *params.After
	}
	if params.AtLeast != nil {
		atLeast = int(*params.AtLeast)
	}
	return query, atLeast
}

// defaultWait is the contract's default of WaitSeconds.
const defaultWait = 10 * time.Second

func journalWait(params serverapi.ReadSandboxJournalParams) time.Duration {
	if params.WaitSeconds == nil {
		return defaultWait
	}
	return time.Duration(*params.WaitSeconds) * time.Second
}

// ClearSandboxJournal is the operation clear_sandbox_journal.
func (s *Server) ClearSandboxJournal(
	ctx context.Context, request serverapi.ClearSandboxJournalRequestObject,
) (serverapi.ClearSandboxJournalResponseObject, error) {
	world, err := s.World(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	world.Journal.Clear()
	return serverapi.ClearSandboxJournal204Response{}, nil
}

func callAnswer(call sandbox.Call) serverapi.SandboxCall {
	fault := nullable.NewNullNullable[uuid.UUID]()
	if call.Fault != uuid.Nil {
		fault.Set(call.Fault)
	}
	return serverapi.SandboxCall{
		Number: call.Number, At: call.At, TookMilliseconds: call.Took.Milliseconds(), Operation: optionalText(call.Operation),
		Request: serverapi.SandboxRequest{
			Method: call.Method, URI: call.URI, Headers: headerAnswer(call.RequestHeader), Body: call.RequestBody,
		},
		Answer: serverapi.SandboxAnswer{
			Status: int32(call.Status), Headers: headerAnswer(call.AnswerHeader), Body: call.AnswerBody, //nolint:gosec // three digits
		},
		Why: optionalText(call.Why), Fault: fault,
	}
}

func headerAnswer(header http.Header) []serverapi.SandboxHeader {
	list := []serverapi.SandboxHeader{}
	for _, name := range sortedKeys(header) {
		for _, value := range header[name] {
			list = append(list, serverapi.SandboxHeader{Name: name, Value: value})
		}
	}
	return list
}

func optionalText(text string) nullable.Nullable[string] {
	if text == "" {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(text)
}
