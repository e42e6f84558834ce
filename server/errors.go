package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// The vendor's numeric error codes, from its list of error codes for the Compatibility API.
const (
	codeInvalid           = 10000
	codeNotEnabled        = 10001
	codeInvalidPermission = 10003
	codeForeignSubproject = 10004
	codeUnknown           = 20001
	codeAuthentication    = 20003
	codeNotFound          = 20404
	codeInvalidPageToken  = 21481
	codeTooManyRequests   = 20429
	codeInternal          = 20504
)

// problem is an answer that is an error.
type problem struct {
	status  int
	code    int
	message string
	// fields makes it a 422, whose body has another shape; status, code and message come from here then.
	fields []fieldError
	// header and value are one more header of the answer.
	header, value string
	// lacks says that a permission would have helped.
	lacks bool
}

// Error is for logs and tests; users see the answer.
func (p *problem) Error() string {
	if len(p.fields) > 0 {
		return p.fields[0].message
	}
	return p.message
}

// The answers that are always the same.
var (
	errCredential = &problem{
		status: http.StatusUnauthorized, code: codeAuthentication,
		message: "Authentication failed. Use the Project ID as user name and an API token of that project as password",
		header:  echo.HeaderWWWAuthenticate, value: challenge,
	}
	errNotFound  = &problem{status: http.StatusNotFound, code: codeNotFound, message: "The requested resource was not found"}
	errPageToken = &problem{
		status: http.StatusBadRequest, code: codeInvalidPageToken, message: "The PageToken is invalid. Follow the links of the list",
	}
	errNested   = &problem{status: http.StatusBadRequest, code: codeNotEnabled, message: "A subproject cannot have subprojects"}
	errTooLarge = &problem{
		status: http.StatusRequestEntityTooLarge, code: codeInvalid,
		message: fmt.Sprintf("The body is larger than %d bytes", maxBody),
		header:  echo.HeaderConnection, value: "close", // else net/http waits for the rest before it answers
	}
	errUnavailable = &problem{
		status: http.StatusServiceUnavailable, code: codeUnknown,
		message: "The service is not available at the moment. Try again",
		header:  echo.HeaderRetryAfter, value: "1",
	}
)

// errOverloaded is for a request that would have to wait for too many others. Nobody is woken for it either.
var errOverloaded = fmt.Errorf("too many requests are being carried out: %w", errUnavailable)

// errDraining is what /readyz answers while the server stops: no failure, so nobody is woken for it.
var errDraining = fmt.Errorf("the server is stopping: %w", errUnavailable)

var errKeyReused = &problem{fields: []fieldError{
	{idempotencyKey, invalidField, idempotencyKey + " was used for another request. Choose a new key for each change"},
}}

const challenge = `Basic realm="tokenwire", charset="UTF-8"`

// tooManyFailures tells a caller to wait until one more failure is within the limit.
func tooManyFailures(perMinute int) *problem {
	seconds := (60 + perMinute - 1) / perMinute
	return &problem{
		status: http.StatusTooManyRequests, code: codeTooManyRequests,
		message: "Too many failed log-ins from this address. Wait, and check the credential",
		header:  echo.HeaderRetryAfter, value: strconv.Itoa(seconds),
	}
}

func badRequest(message string) *problem {
	return &problem{status: http.StatusBadRequest, code: codeInvalid, message: message}
}

func unsupportedMediaType(message string) *problem {
	return &problem{status: http.StatusUnsupportedMediaType, code: codeInvalid, message: message}
}

// lacks tells a caller which permission its token has not.
func lacks(permission string) string {
	return fmt.Sprintf("This API token lacks the permission %q", permission)
}

func missingPermission(permission string) *problem {
	return &problem{
		status: http.StatusUnauthorized, code: codeAuthentication,
		message: lacks(permission), lacks: true,
		header: echo.HeaderWWWAuthenticate, value: challenge,
	}
}

func methodNotAllowed(c echo.Context) *problem {
	allowed := c.Response().Header().Get(echo.HeaderAllow)
	return &problem{
		status: http.StatusMethodNotAllowed, code: codeNotEnabled,
		message: fmt.Sprintf("%s is not allowed here. Allowed: %s", printable(c.Request().Method, maxAttribute), allowed),
	}
}

func internalError(c echo.Context) *problem {
	return &problem{
		status: http.StatusInternalServerError, code: codeInternal,
		message: "Internal error. Report it with request id " + requestID(c),
	}
}

// problemOf says which answer an error gets. What is not listed here is nobody's fault but ours.
func problemOf(c echo.Context, err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, store.ErrNotFound), errors.Is(err, echo.ErrNotFound):
		return errNotFound
	case errors.Is(err, echo.ErrMethodNotAllowed):
		return methodNotAllowed(c)
	case errors.Is(err, store.ErrRevoked): // while its request was on the way
		return errCredential
	case errors.Is(err, store.ErrKeyReused):
		return errKeyReused
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errUnavailable
	}
	return internalError(c)
}

// writeError is the one exit for errors. A failure of ours is logged in full and answered in general terms.
func (s *Server) writeError(err error, c echo.Context) {
	if isNotTaken(c.Request().Context(), err, c.Response().Committed) {
		s.config.Logger.LogAttrs(c.Request().Context(), slog.LevelDebug, "answer not taken",
			slog.String("request_id", requestID(c)), traceID(c.Request().Context()), slog.String("error", err.Error()))
		return
	}
	p := problemOf(c, err)
	if p.status >= http.StatusInternalServerError && !errors.Is(err, errDraining) && !errors.Is(err, errOverloaded) {
		level := slog.LevelError
		if errors.Is(err, context.Canceled) {
			level = slog.LevelInfo // the client has hung up: nobody is woken for it
		}
		s.config.Logger.LogAttrs(c.Request().Context(), level, "request failed",
			slog.String("request_id", requestID(c)), traceID(c.Request().Context()), slog.String("error", secret.Mask(err.Error())))
	}
	notesOf(c.Request().Context()).problem = p
	s.measured.failed(err, p)
	if c.Response().Committed {
		return
	}
	if p.header != "" {
		c.Response().Header().Set(p.header, p.value)
	}
	hurryBody(c)
	status, body := p.answer(shapesOf(c), s.publicURL())
	if err := c.JSON(status, body); err != nil {
		s.config.Logger.LogAttrs(c.Request().Context(), slog.LevelInfo, "answer not written",
			slog.String("request_id", requestID(c)), slog.String("error", err.Error()))
	}
}
