package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Kinds of an [*Error], for errors.Is. Each stands for a status, or several.
var (
	// ErrBadRequest is status 400: the syntax of the request, or an id in its path, is wrong.
	ErrBadRequest = errors.New("bad request")
	// ErrUnauthorized is status 401: the credential is wrong, or its token lacks the permission.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden is status 403: the credential is good, and its token lacks the permission that was asked about.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound is status 404: what the request names does not exist, or belongs to somebody else.
	ErrNotFound = errors.New("not found")
	// ErrInvalid is status 422: a field is not acceptable. [Error.Details] says which, and why.
	ErrInvalid = errors.New("invalid")
	// ErrRateLimited is status 429: too many requests. [Error.RetryAfter] may say how long to wait.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable is status 502, 503 or 504: the server, or one in front of it, cannot answer now.
	ErrUnavailable = errors.New("unavailable")
	// ErrServer is any status from 500, those of ErrUnavailable included.
	ErrServer = errors.New("server error")
)

// Error is an answer other than success (2xx). It understands each error body that SignalWire documents
// on its Compatibility API and its native one. For any other body the fields that come from it are empty.
//
// No field contains the API token that the request was made with, even if the server sends it back.
type Error struct {
	// Op is the operation, such as "update token".
	Op string
	// Method and Path are those of the request; a path in the base URL is part of Path.
	Method, Path string
	// Status is the HTTP status, such as 422.
	Status int
	// Code is the vendor's: a number such as "20404" on the Compatibility API, a word such as
	// "missing_required_parameter" on the native one.
	Code string
	// Message is for people.
	Message string
	// Attribute is the field that is not acceptable, such as "name".
	Attribute string
	// MoreInfoURL is where the vendor explains the code.
	MoreInfoURL string
	// RequestID is the answer's X-Request-Id, which the operator of the server can look up.
	RequestID string
	// RetryAfter is how long the server asks to wait; 0 if it does not.
	RetryAfter time.Duration
	// Details has one entry for each field that was refused. The Compatibility API reports the first one
	// only, and the native API all of them. Code, Message, Attribute and MoreInfoURL repeat the first entry.
	Details []ErrorDetail
	// Body is the body of the answer as it came, at most the first 8 KiB.
	Body []byte
}

// ErrorDetail says why one field was refused.
type ErrorDetail struct {
	// Type is the vendor's class of the error; "validation_error" is the only one documented.
	Type string
	// Code, Message, Attribute and MoreInfoURL are as in [Error].
	Code, Message, Attribute, MoreInfoURL string
}

// Error returns one line for people: the operation, the status, what the server says, and its code, field
// and request id.
func (e *Error) Error() string {
	const maxMessage = 500
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	b.WriteString(strconv.Itoa(e.Status))
	if text := http.StatusText(e.Status); text != "" {
		b.WriteString(" " + text)
	}
	if text := oneLine(e.messages(), maxMessage); text != "" {
		b.WriteString(": " + text)
	}
	if facts := e.facts(); len(facts) > 0 {
		b.WriteString(" (" + strings.Join(facts, ", ") + ")")
	}
	return b.String()
}

// messages joins what is said about all fields.
func (e *Error) messages() string {
	if len(e.Details) < 2 {
		return e.Message
	}
	all := make([]string, 0, len(e.Details))
	for _, d := range e.Details {
		all = append(all, d.Message)
	}
	return strings.Join(all, "; ")
}

func (e *Error) facts() []string {
	const maxFact = 128
	var facts []string
	for _, fact := range []struct{ name, value string }{
		{"code", e.Code}, {"attribute", e.Attribute}, {"request id", e.RequestID},
	} {
		if value := oneLine(fact.value, maxFact); value != "" {
			facts = append(facts, fact.name+" "+value)
		}
	}
	return facts
}

// Is reports whether target is the kind of error that the status stands for.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrBadRequest:
		return e.Status == http.StatusBadRequest
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized
	case ErrForbidden:
		return e.Status == http.StatusForbidden
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrInvalid:
		return e.Status == http.StatusUnprocessableEntity
	case ErrRateLimited:
		return e.Status == http.StatusTooManyRequests
	case ErrUnavailable:
		return isUnavailable(e.Status)
	case ErrServer:
		return e.Status >= http.StatusInternalServerError
	}
	return false
}

func isUnavailable(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable ||
		status == http.StatusGatewayTimeout
}

// ArgumentError says that an argument, an option or an environment variable cannot be right. Nothing has
// been sent. The value is not in it, because it may be a secret in the wrong place.
type ArgumentError struct {
	// Argument is the name of the parameter, field, option or variable.
	Argument string
	// Reason says what is wrong with it.
	Reason string
}

// Error returns the argument and the reason.
func (e *ArgumentError) Error() string { return e.Argument + ": " + e.Reason }

// configError names this package, where other errors name the operation.
func configError(err error) error { return fmt.Errorf("client: %w", err) }

// oneLine makes text from a server fit for a line on a terminal: each run of white space and of
// unprintable characters, escape sequences included, becomes one space, and what is too long is cut.
func oneLine(text string, limit int) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	runes := []rune(strings.Join(words, " "))
	if len(runes) <= limit {
		return string(runes)
	}
	return string(runes[:limit]) + "…"
}
