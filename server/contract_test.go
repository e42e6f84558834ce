package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/servertest"
)

const (
	compat   = "/api/laml/2010-04-01/Accounts"
	native   = "/api/project/tokens"
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// api calls a server, and holds each answer against the contract.
type api struct {
	*servertest.Server
	client *http.Client
}

func start(t *testing.T, options *servertest.Options) *api {
	t.Helper()
	// A client of its own, so that no idle connection of another test keeps the server from stopping.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	a := &api{servertest.New(t, options), &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
	t.Cleanup(transport.CloseIdleConnections)
	return a
}

// call is a request. The zero value of a field leaves that part of the request out.
type call struct {
	method, path string
	user, pass   string
	contentType  string
	body         string
	header       http.Header
}

// as returns the call with a project's credential.
func (c call) as(p servertest.Project) call {
	c.user, c.pass = p.ProjectID, p.Token
	return c
}

func jsonCall(method, path, body string) call {
	return call{method: method, path: path, contentType: jsonType, body: body}
}

func formCall(method, path, body string) call {
	return call{method: method, path: path, contentType: formType, body: body}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a *api) do(t *testing.T, c call) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), c.method, a.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(request.Header, c.header)
	if c.user != "" || c.pass != "" {
		request.SetBasicAuth(c.user, c.pass)
	}
	if c.contentType != "" {
		request.Header.Set("Content-Type", c.contentType)
	}
	response, err := a.client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{response.StatusCode, response.Header, string(body)}
	checkContract(t, request, got)
	return got
}

// want checks the status of an answer.
func (got answer) want(t *testing.T, status int) answer {
	t.Helper()
	if got.status != status {
		t.Fatalf("status %d, want %d: %s", got.status, status, got.body)
	}
	return got
}

// object decodes the body.
func (got answer) object(t *testing.T) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(got.body), &object); err != nil {
		t.Fatalf("%q: %v", got.body, err)
	}
	return object
}

// text returns a member of the body as text.
func (got answer) text(t *testing.T, name string) string {
	t.Helper()
	text, ok := got.object(t)[name].(string)
	if !ok {
		t.Fatalf("there is no text %q in %s", name, got.body)
	}
	return text
}

var contract = sync.OnceValues(func() (*openapi3.T, error) {
	for _, mediaType := range []string{"text/html", "text/css", "text/javascript", "image/png"} {
		openapi3filter.RegisterBodyDecoder(mediaType, openapi3filter.FileBodyDecoder)
	}
	return serverapi.GetSpec()
})

func spec(tb testing.TB) *openapi3.T {
	tb.Helper()
	doc, err := contract()
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

// route finds the operation that a request means, and nil when the contract has none.
func route(doc *openapi3.T, method string, path string) *routers.Route {
	if strings.HasPrefix(path, "/2010-04-01/") {
		path = "/api/laml" + path
	}
	if strings.HasPrefix(path, "/api/laml/2010-04-01/") {
		path = strings.TrimSuffix(path, ".json")
	}
	for template, item := range doc.Paths.Map() {
		pattern := regexp.MustCompile(`\\\{[^/]+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`)
		if !regexp.MustCompile(`^` + pattern + `$`).MatchString(path) {
			continue
		}
		if method == http.MethodHead {
			method = http.MethodGet
		}
		return &routers.Route{Spec: doc, Path: template, PathItem: item, Method: method, Operation: item.GetOperation(method)}
	}
	return nil
}

// checkContract fails the test when the server says what openapi.yaml does not.
func checkContract(tb testing.TB, request *http.Request, got answer) {
	tb.Helper()
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`).MatchString(got.header.Get("X-Request-Id")) {
		tb.Errorf("X-Request-Id is %q", got.header.Get("X-Request-Id"))
	}
	doc := spec(tb)
	found := route(doc, request.Method, request.URL.EscapedPath())
	switch {
	case request.Method == http.MethodHead && got.body != "":
		tb.Errorf("the answer to HEAD has a body: %q", got.body)
	case request.Method == http.MethodHead:
	case found != nil && request.Method == http.MethodOptions && got.status == http.StatusNoContent:
		if got.body != "" || got.header.Get("Allow") == "" {
			tb.Errorf("the answer to OPTIONS has the body %q and allows %q", got.body, got.header.Get("Allow"))
		}
	case found == nil || found.Operation == nil:
		checkNoOperation(tb, found, request.URL.Path, got)
	default:
		checkAnswer(tb, found, request, got)
	}
}

func checkNoOperation(tb testing.TB, found *routers.Route, path string, got answer) {
	tb.Helper()
	want := http.StatusNotFound
	if found != nil {
		want = http.StatusMethodNotAllowed
		if got.header.Get("Allow") == "" {
			tb.Error("a 405 without Allow")
		}
	}
	if got.status != want {
		tb.Errorf("status %d for no operation, want %d", got.status, want)
	}
	schema := "Error"
	if strings.HasPrefix(path, "/api/project/") {
		schema = "NativeError"
	}
	var value any
	if err := json.Unmarshal([]byte(got.body), &value); err != nil {
		tb.Errorf("body %q: %v", got.body, err)
	} else if err := spec(tb).Components.Schemas[schema].Value.VisitJSON(value, formats()...); err != nil {
		tb.Errorf("body %q: %v", got.body, err)
	}
}

func formats() []openapi3.SchemaValidationOption {
	return []openapi3.SchemaValidationOption{
		openapi3.VisitAsResponse(), openapi3.MultiErrors(), openapi3.EnableFormatValidation(),
		openapi3.WithStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)),
	}
}

func checkAnswer(tb testing.TB, found *routers.Route, request *http.Request, got answer) {
	tb.Helper()
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, Route: found, Options: options},
		Status:                 got.status, Header: got.header, Body: io.NopCloser(strings.NewReader(got.body)), Options: options,
	}
	if err := openapi3filter.ValidateResponse(request.Context(), input); err != nil {
		tb.Errorf("%s %s: %d %s is not in the contract: %v", request.Method, request.URL.Path, got.status, got.body, err)
		return
	}
	response := found.Operation.Responses.Value(strconv.Itoa(got.status))
	content := response.Value.Content[jsonType]
	if mediaType := got.header.Get("Content-Type"); content == nil && response.Value.Content[mediaType] != nil {
		return // it is no JSON, and is what the contract says
	}
	if content == nil {
		if got.body != "" {
			tb.Errorf("%d has the body %q, and the contract none", got.status, got.body)
		}
		return
	}
	if got.header.Get("Content-Type") != jsonType {
		tb.Errorf("Content-Type is %q", got.header.Get("Content-Type"))
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(got.body)))
	var value any
	if err := decoder.Decode(&value); err != nil {
		tb.Errorf("body %q: %v", got.body, err)
	} else if err := content.Schema.Value.VisitJSON(value, formats()...); err != nil {
		tb.Errorf("body %q: %v", got.body, err)
	}
}

// tokensPath and tokenPath are the compat paths of an account's tokens.
func tokensPath(account string) string    { return compat + "/" + account + "/tokens" }
func tokenPath(account, id string) string { return tokensPath(account) + "/" + id }

// create makes a token with these permissions, by JSON, and returns its credential.
func (a *api) create(t *testing.T, owner servertest.Project, permissions ...string) servertest.Project {
	t.Helper()
	list, err := json.Marshal(append([]string{}, permissions...))
	if err != nil {
		t.Fatal(err)
	}
	created := a.do(t, jsonCall("POST", tokensPath(owner.ProjectID), `{"name":"Test","permissions":`+string(list)+`}`).as(owner)).want(t, 200)
	return servertest.Project{ProjectID: owner.ProjectID, TokenID: created.text(t, "id"), Token: created.text(t, "token")}
}

// read returns a token as it is, through an update that changes nothing.
func (a *api) read(t *testing.T, owner servertest.Project, id string) map[string]any {
	t.Helper()
	return a.do(t, jsonCall("PATCH", tokenPath(owner.ProjectID, id), "{}").as(owner)).want(t, 200).object(t)
}

func (a *api) subproject(t *testing.T, parent servertest.Project) servertest.Project {
	t.Helper()
	child, err := a.NewSubproject(parent.ProjectID, "Branch")
	if err != nil {
		t.Fatal(err)
	}
	return child
}

func (a *api) stranger(t *testing.T) servertest.Project {
	t.Helper()
	stranger, err := a.NewProject("Stranger")
	if err != nil {
		t.Fatal(err)
	}
	return stranger
}

func form(pairs ...string) string {
	values := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		values.Add(pair[0], pair[1])
	}
	return values.Encode()
}
