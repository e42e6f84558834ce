package client_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwire/tokenwire/client"
)

// decoded returns the error for an answer to an update.
func decoded(t *testing.T, h http.HandlerFunc) *client.Error {
	t.Helper()
	f := serve(t, h)
	_, err := f.client(t, client.WithRetries(0)).UpdateToken(t.Context(), tokenID, client.UpdateTokenParams{})
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	if e.Op != "update token" || e.Method != http.MethodPatch || e.Path != tokenPath {
		t.Errorf("request %q %q %q", e.Op, e.Method, e.Path)
	}
	return e
}

func TestErrorShapes(t *testing.T) {
	t.Parallel()
	const more = "https://developer.signalwire.com/x#1"
	name := client.ErrorDetail{
		Type: "validation_error", Code: "missing_required_parameter", Message: "Name must be present",
		Attribute: "name", MoreInfoURL: more,
	}
	nameJSON := `{"type":"validation_error","code":"missing_required_parameter","message":"Name must be present",` +
		`"attribute":"name","url":"` + more + `"}`
	permissions := client.ErrorDetail{
		Type: "validation_error", Code: "invalid_auth_token_permissions", Message: "Permissions are invalid",
		Attribute: "permissions", MoreInfoURL: more,
	}
	permissionsJSON := `{"type":"validation_error","code":"invalid_auth_token_permissions",` +
		`"message":"Permissions are invalid","attribute":"permissions","url":"` + more + `"}`
	for title, tc := range map[string]struct {
		status int
		body   string
		want   client.Error
		text   string
	}{
		"compat": {
			404, `{"code":20404,"message":"Not there","more_info":"` + more + `","status":404}`,
			client.Error{Code: "20404", Message: "Not there", MoreInfoURL: more},
			"update token: 404 Not Found: Not there (code 20404)",
		},
		"compat 422": {
			422, strings.Replace(nameJSON, "missing_required_parameter", "10000", 1),
			client.Error{
				Code: "10000", Message: name.Message, Attribute: "name", MoreInfoURL: more,
				Details: []client.ErrorDetail{{
					Type: name.Type, Code: "10000", Message: name.Message, Attribute: "name", MoreInfoURL: more,
				}},
			},
			"update token: 422 Unprocessable Entity: Name must be present (code 10000, attribute name)",
		},
		"native": {
			401, `{"error":"Unauthorized"}`, client.Error{Message: "Unauthorized"},
			"update token: 401 Unauthorized: Unauthorized",
		},
		"native 422": {
			422, `{"errors":[` + nameJSON + `,` + permissionsJSON + `]}`,
			client.Error{
				Code: name.Code, Message: name.Message, Attribute: "name", MoreInfoURL: more,
				Details: []client.ErrorDetail{name, permissions},
			},
			"update token: 422 Unprocessable Entity: Name must be present; Permissions are invalid" +
				" (code missing_required_parameter, attribute name)",
		},
		"odd types":      {400, `{"code":{"a":1},"message":["x"],"more_info":7}`, client.Error{MoreInfoURL: "7"}, "update token: 400 Bad Request"},
		"odd errors":     {422, `{"errors":{"name":["x"]},"message":"M"}`, client.Error{Message: "M"}, "update token: 422 Unprocessable Entity: M"},
		"no errors":      {422, `{"errors":[]}`, client.Error{}, "update token: 422 Unprocessable Entity"},
		"null":           {500, `null`, client.Error{}, "update token: 500 Internal Server Error"},
		"a string":       {500, `"oh"`, client.Error{}, "update token: 500 Internal Server Error"},
		"HTML":           {502, `<html><body>Bad Gateway</body></html>`, client.Error{}, "update token: 502 Bad Gateway"},
		"empty":          {504, ``, client.Error{}, "update token: 504 Gateway Timeout"},
		"unknown status": {499, `{"message":"M"}`, client.Error{Message: "M"}, "update token: 499: M"},
		"several lines":  {400, `{"message":"a\r\n\tb \u001b[31mc\u202e"}`, client.Error{Message: "a\r\n\tb \x1b[31mc\u202e"}, "update token: 400 Bad Request: a b [31mc"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			got := decoded(t, answer(tc.status, tc.body))
			tc.want.Op, tc.want.Method, tc.want.Path = got.Op, got.Method, got.Path
			tc.want.Status, tc.want.Body = tc.status, []byte(tc.body)
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Error(diff)
			}
			if got.Error() != tc.text {
				t.Errorf("text %q, want %q", got, tc.text)
			}
		})
	}
}

func TestErrorFromHeadersAndPlainText(t *testing.T) {
	t.Parallel()
	got := decoded(t, answer(431, "431 too many headers\n",
		"Content-Type", "text/plain; charset=utf-8", "X-Request-Id", "0193-abc", "Retry-After", "7"))
	want := "update token: 431 Request Header Fields Too Large: 431 too many headers (request id 0193-abc)"
	if got.Error() != want || got.RequestID != "0193-abc" || got.RetryAfter != 7*time.Second {
		t.Errorf("got %q, %+v", got, *got)
	}
	if string(got.Body) != "431 too many headers\n" {
		t.Errorf("body %q", got.Body)
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	kinds := map[string]error{
		"bad request": client.ErrBadRequest, "unauthorized": client.ErrUnauthorized, "forbidden": client.ErrForbidden, "not found": client.ErrNotFound,
		"invalid": client.ErrInvalid, "rate limited": client.ErrRateLimited, "unavailable": client.ErrUnavailable,
		"server": client.ErrServer,
	}
	for status, want := range map[int]string{
		400: "bad request", 401: "unauthorized", 403: "forbidden", 404: "not found", 405: "", 413: "", 415: "", 422: "invalid",
		429: "rate limited", 500: "server", 502: "unavailable server", 503: "unavailable server",
		504: "unavailable server", 599: "server",
	} {
		err := fmt.Errorf("wrapped: %w", &client.Error{Status: status})
		for name, kind := range kinds {
			if got := errors.Is(err, kind); got != strings.Contains(" "+want+" ", " "+name+" ") {
				t.Errorf("%d is %q: %v", status, name, got)
			}
		}
	}
	if errors.Is(&client.Error{Status: 404}, io.EOF) {
		t.Error("a 404 is io.EOF")
	}
}

func TestErrorBodyIsBounded(t *testing.T) {
	t.Parallel()
	got := decoded(t, answer(500, strings.Repeat("x", 10<<20), "Content-Type", "text/plain"))
	if len(got.Body) != 8<<10 {
		t.Errorf("%d bytes of body", len(got.Body))
	}
	if n := len([]rune(got.Error())); n > 600 {
		t.Errorf("a text of %d characters", n)
	}
	// JSON that is longer than what Body keeps is still understood.
	long := `{"padding":"` + strings.Repeat("x", 9<<10) + `","message":"M"}`
	if got := decoded(t, answer(500, long)); got.Message != "M" || len(got.Body) != 8<<10 {
		t.Errorf("message %q, %d bytes", got.Message, len(got.Body))
	}
}

func TestErrorOfABodyThatBreaks(t *testing.T) {
	t.Parallel()
	got := decoded(t, reset(t, "HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n{\"mess"))
	if !errors.Is(got, client.ErrNotFound) || string(got.Body) != `{"mess` {
		t.Errorf("got %v, body %q", got, got.Body)
	}
}

// A debugging proxy sends back what it got, headers included.
func TestErrorNeverShowsTheCredential(t *testing.T) {
	t.Parallel()
	basic := base64.StdEncoding.EncodeToString([]byte(projectID + ":" + apiToken))
	for name, echo := range map[string]http.HandlerFunc{
		"JSON": func(w http.ResponseWriter, r *http.Request) {
			_, password, _ := r.BasicAuth()
			answer(400, `{"code":"`+password+`","message":"`+r.Header.Get("Authorization")+`","attribute":"`+password+
				`","url":"`+password+`","type":"`+password+`"}`, "X-Request-Id", password)(w, r)
		},
		"list": func(w http.ResponseWriter, r *http.Request) {
			answer(422, `{"errors":[{"message":"`+apiToken+`"},{"message":"`+apiToken+`"}]}`)(w, r)
		},
		"text": func(w http.ResponseWriter, r *http.Request) {
			answer(400, r.Header.Get("Authorization"), "Content-Type", "text/plain")(w, r)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			answer(302, "", "Location", "https://evil.example/?"+apiToken)(w, r)
		},
		"across the limit": func(w http.ResponseWriter, r *http.Request) {
			answer(400, strings.Repeat("x", 8<<10-10)+apiToken)(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decoded(t, echo)
			shown := fmt.Sprintf("%v %+v %#v %s", got, *got, *got, got.Body)
			for _, plain := range []string{apiToken, basic, apiToken[:10]} {
				if strings.Contains(shown, plain) {
					t.Errorf("shows %s: %s", plain, shown)
				}
			}
			if !strings.Contains(shown, "[redacted") {
				t.Errorf("not redacted: %s", shown)
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t) // any request fails the test
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, call := range []call{create(), update(), remove()} {
			f := serve(t, answer(status, "", "Location", elsewhere.URL+"/x"))
			err := call.do(t.Context(), f.client(t))
			e, ok := errors.AsType[*client.Error](err)
			if !ok || e.Status != status || !strings.Contains(err.Error(), elsewhere.URL+"/x") {
				t.Errorf("%s, %d: got %v", call.name, status, err)
			}
		}
	}
}

func FuzzDecodeError(f *testing.F) {
	c, err := newDefault(client.WithSpace("example"))
	if err != nil {
		f.Fatal(err)
	}
	for _, body := range []string{
		"", "null", "[]", "{}", "<html>", `"s"`, `{"error":"Not Found"}`, `{"errors":[null,{},{"code":1}]}`, `{"errors":7}`,
		`{"code":20404,"message":"M","more_info":"u","status":404}`, `{"code":1e400,"message":"` + apiToken + `"}`,
		`{"type":"validation_error","code":"10000","message":"a\nb","attribute":"name","url":"u"}`, "\xff\x00",
	} {
		f.Add(404, body, "application/json", "1")
		f.Add(503, body, "text/plain", "Wed, 21 Oct 2015 07:28:00 GMT")
	}
	f.Fuzz(func(t *testing.T, status int, body, contentType, after string) {
		resp := &http.Response{
			StatusCode: status, Body: io.NopCloser(strings.NewReader(body)),
			Header: http.Header{"Content-Type": {contentType}, "Retry-After": {after}, "X-Request-Id": {body}},
		}
		e := c.DecodeError(httptest.NewRequest(http.MethodPatch, "/x", nil), resp)
		if e.Status != status || len(e.Body) > 8<<10 || e.RetryAfter < 0 {
			t.Errorf("status %d, %d bytes, retry after %v", e.Status, len(e.Body), e.RetryAfter)
		}
		text := e.Error()
		if strings.Contains(text, apiToken) || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("text %q", text)
		}
	})
}
