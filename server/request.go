package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"

	"github.com/tokenwire/tokenwire/server/secret"
)

const (
	compatBase = "/api/laml/2010-04-01/"
	twilioBase = "/2010-04-01/"
	nativeBase = "/api/project/"

	// maxLoggedPath bounds what a request can write into the log.
	maxLoggedPath = 256
)

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// canonicalPath turns what clients that descend from Twilio's call into the path of the contract: they leave /api/laml out
// and append ".json". SignalWire accepts both, and they mean nothing.
func canonicalPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		for _, path := range []*string{&u.Path, &u.RawPath} {
			if rest, short := strings.CutPrefix(*path, twilioBase); short {
				*path = compatBase + rest
			}
			if strings.HasPrefix(*path, compatBase) {
				*path = strings.TrimSuffix(*path, ".json")
			}
		}
		return next(c)
	}
}

// matchSegments undoes a habit of Echo: the last parameter of a route takes the rest of the path with all its slashes, and any
// parameter may be empty. In the contract a parameter is one segment; another path does not exist.
func matchSegments(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		path := echo.GetPath(c.Request())
		if c.Path() != "" && strings.Count(path, "/") != strings.Count(c.Path(), "/") || strings.Contains(path, "//") {
			return echo.ErrNotFound
		}
		return next(c)
	}
}

// notes are what is known about a request. Each step adds what it has found out.
type notes struct {
	id, address string
	op          *operation // nil for what is no operation
	caller      *Caller    // nil before authentication
	query       url.Values // nil before validation, and for an operation without parameters
	problem     *problem   // the answer, when it is an error
}

type notesKey struct{}

// notesOf returns what is known about a request, and nothing outside of one.
func notesOf(ctx context.Context) *notes {
	if found, ok := ctx.Value(notesKey{}).(*notes); ok {
		return found
	}
	return &notes{}
}

// identifyRequest gives the answer an X-Request-Id: the request's own, if it is harmless, or a new one.
func identifyRequest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !requestIDPattern.MatchString(id) || secret.Mask(id) != id {
			id = newID().String()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		ctx := context.WithValue(c.Request().Context(), notesKey{}, &notes{id: id, address: c.RealIP()})
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// newID returns an id that sorts by the time of its creation.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// takeTurn lets a request wait for the next steps, unless too many are being carried out.
func (s *Server) takeTurn(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.enter(&s.running); err != nil {
			return err
		}
		defer s.running.Add(-1)
		return next(c)
	}
}

// enter takes one of the turns of a kind, until the caller gives it back, and refuses a request when there is none left.
func (s *Server) enter(turns *atomic.Int64) error {
	if turns.Add(1) > int64(s.config.MaxRequests) {
		turns.Add(-1)
		return errOverloaded
	}
	return nil
}

// waitForTurn takes one of the turns, until the caller releases it. Who has to wait for longer than ctx lasts is told that the server is
// busy: the database is not the reason.
func waitForTurn(ctx context.Context, turns *semaphore.Weighted) error {
	err := turns.Acquire(ctx, 1)
	if errors.Is(err, context.DeadlineExceeded) {
		return errOverloaded
	}
	return err
}

// limitTime bounds how long a handler may wait for the database. The time that a client takes to send its body does not
// count.
func (s *Server) limitTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.RequestTimeout)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// logAccess writes one line for each request, when its answer is written. The line has no header, no query and no body,
// and what looks like a secret in the path is masked.
func (s *Server) logAccess(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start, asked := time.Now(), c.Request().Context()
		err := next(c)
		if err != nil {
			c.Error(err) // through writeError, so that the line has the status
		}
		if ctx, level := c.Request().Context(), s.accessLevel(c, asked); s.config.Logger.Enabled(ctx, level) {
			s.config.Logger.LogAttrs(ctx, level, "request", s.accessAttrs(c, time.Since(start))...)
		}
		return nil
	}
}

func (s *Server) accessAttrs(c echo.Context, took time.Duration) []slog.Attr {
	r := c.Request()
	attrs := []slog.Attr{
		slog.String("request_id", requestID(c)), traceID(r.Context()),
		slog.String("method", printable(r.Method, maxLoggedPath)),
		slog.String("path", printable(r.URL.Path, maxLoggedPath)),
		slog.Int("status", c.Response().Status),
		slog.Int64("bytes", c.Response().Size),
		slog.Duration("took", took),
		slog.String("address", c.RealIP()),
	}
	if c.Get(brokenOffKey) != nil { // by a fault; the status is 0 if the client got nothing
		attrs = append(attrs, slog.Bool("broken_off", true))
	}
	if caller, ok := callerFrom(r.Context()); ok {
		attrs = append(attrs, slog.String("project", caller.ProjectID.String()), slog.String("token_id", caller.TokenID.String()))
	}
	return attrs
}

// accessLevel takes the context of the request as it came, which ends when the client hangs up.
func (s *Server) accessLevel(c echo.Context, asked context.Context) slog.Level { //nolint:revive // it is about a response, and not for a call
	probe := c.Path() == "/healthz" || c.Path() == "/readyz"
	switch {
	case probe && (c.Response().Status < http.StatusInternalServerError || s.draining.Load()):
		return slog.LevelDebug
	case hasHungUp(asked, c.Response().Status):
		return slog.LevelInfo // nobody has got that
	case c.Response().Status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	case c.Response().Status >= http.StatusInternalServerError:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// hasHungUp reports whether a request was not carried out because its client has gone. asked is its context as it came.
func hasHungUp(asked context.Context, status int) bool {
	return status == http.StatusServiceUnavailable && errors.Is(asked.Err(), context.Canceled)
}

// logPanic notes where it came from; writeError answers it.
func (s *Server) logPanic(c echo.Context, err error, stack []byte) error {
	s.config.Logger.LogAttrs(c.Request().Context(), slog.LevelError, "panic",
		slog.String("request_id", requestID(c)), traceID(c.Request().Context()),
		slog.String("error", secret.Mask(err.Error())), slog.String("stack", string(stack)))
	return err
}

// cut returns the first n characters of text, as valid UTF-8.
func cut(text string, n int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	count := 0
	for i := range text {
		if count == n {
			return text[:i]
		}
		count++
	}
	return text
}
