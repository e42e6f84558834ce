package client

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/tokenwire/tokenwire/client/internal/reach"
)

const (
	maxErrorRead = 64 << 10 // of an error body, what is decoded
	maxErrorBody = 8 << 10  // of that, what Error.Body keeps
)

// answerError makes the error for an answer that is no success. The status counts even if the body cannot
// be read to its end, so a failure to read it is not reported.
func (c *Client) answerError(op operation, req *http.Request, resp *http.Response) *Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorRead))
	e := &Error{
		Op:         op.name,
		Method:     req.Method,
		Path:       req.URL.EscapedPath(),
		Status:     resp.StatusCode,
		RequestID:  resp.Header.Get("X-Request-Id"),
		RetryAfter: retryAfter(resp.Header, time.Now()),
		Body:       body,
	}
	e.decode(resp.Header.Get("Content-Type"))
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode/100 == 3 {
		e.Message = "the server redirects to " + location + ", which is not followed; check the base URL"
	}
	if advice := reach.AdviceOnAnswer(req.URL.Scheme, e.Status, e.Body); advice != "" {
		e.Message = advice
	}
	if e.isNoAPIs() {
		e.Message = "there is no such API at " + c.BaseURL() + "; check the base URL"
	}
	e.redact(c.credentialStrings())
	e.Body = e.Body[:min(len(e.Body), maxErrorBody)]
	return e
}

// isNoAPIs reports whether the answer is one of a server that has no such path or no such method, in words that no API has: all
// errors of this one that have a body have JSON. A proxy that does not find the API is such a server too.
func (e *Error) isNoAPIs() bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return len(e.Body) > 0 && !json.Valid(e.Body)
	}
	return false
}

// credentialStrings returns the forms in which a server could send the credential back.
func (c *Client) credentialStrings() *strings.Replacer {
	token := c.apiToken.Reveal()
	basic := base64.StdEncoding.EncodeToString([]byte(c.projectID + ":" + token))
	return strings.NewReplacer(basic, redacted, token, redacted)
}

// decode fills in what the body says. The shapes, as documented:
//
//	Compatibility API         {"code": 20404, "message": …, "more_info": url, "status": 404}
//	Compatibility tokens 422  {"type": …, "code": "10000", "message": …, "attribute": …, "url": …}
//	native API                {"error": "Not Found"}
//	native API 422            {"errors": [{"type": …, "code": …, "message": …, "attribute": …, "url": …}]}
func (e *Error) decode(contentType string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(e.Body, &members) != nil {
		// A proxy's page of HTML is of no use in a line of text, but plain text is.
		if mediaType, _, err := mime.ParseMediaType(contentType); err == nil && mediaType == "text/plain" {
			e.Message = strings.ToValidUTF8(strings.TrimSpace(string(e.Body)), "\uFFFD")
		}
		return
	}
	var list []map[string]json.RawMessage
	if json.Unmarshal(members["errors"], &list) == nil && len(list) > 0 {
		for _, m := range list {
			e.Details = append(e.Details, detail(m))
		}
		e.setFirst(e.Details[0])
		return
	}
	first := detail(members)
	if first.Message == "" {
		first.Message = text(members["error"])
	}
	if first.Attribute != "" {
		e.Details = []ErrorDetail{first}
	}
	e.setFirst(first)
}

func (e *Error) setFirst(d ErrorDetail) {
	e.Code, e.Message, e.Attribute, e.MoreInfoURL = d.Code, d.Message, d.Attribute, d.MoreInfoURL
}

func detail(m map[string]json.RawMessage) ErrorDetail {
	d := ErrorDetail{
		Type:        text(m["type"]),
		Code:        text(m["code"]),
		Message:     text(m["message"]),
		Attribute:   text(m["attribute"]),
		MoreInfoURL: text(m["more_info"]),
	}
	if d.MoreInfoURL == "" {
		d.MoreInfoURL = text(m["url"])
	}
	return d
}

// text returns a JSON string or number as text, and nothing for other values: one odd member must not
// cost the others.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// redact removes the credential from all that came from the server.
func (e *Error) redact(credential *strings.Replacer) {
	fields := []*string{&e.Code, &e.Message, &e.Attribute, &e.MoreInfoURL, &e.RequestID}
	for i := range e.Details {
		d := &e.Details[i]
		fields = append(fields, &d.Type, &d.Code, &d.Message, &d.Attribute, &d.MoreInfoURL)
	}
	for _, field := range fields {
		*field = credential.Replace(*field)
	}
	e.Body = []byte(credential.Replace(string(e.Body)))
}
