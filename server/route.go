package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/tokenwire/tokenwire/gen/serverapi"
)

// route wires each operation of the contract: Echo has found it by the time the middleware runs, so nothing has to look
// up a route again.
func (s *Server) route() error {
	s.echo.HTTPErrorHandler = s.writeError
	s.echo.IPExtractor = echo.ExtractIPDirect()
	s.echo.Pre(canonicalPath)
	if s.config.Sandbox != nil {
		s.echo.Use(hangUp)
	}
	s.echo.Use(identifyRequest)
	if s.config.Tracer != nil {
		s.echo.Use(traceRequests(s.config.Tracer.Tracer(tracerName)))
	}
	if s.measured != nil {
		s.echo.Use(s.measured.measure)
	}
	if s.config.Sandbox != nil {
		s.echo.Use(s.enterWorld, s.keepJournal)
	}
	s.echo.Use(s.logAccess, matchSegments, middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisableErrorHandler: true, // the panic leaves through writeError like any other failure
		LogErrorFunc:        s.logPanic,
	}))
	steps := make(map[string][]echo.MiddlewareFunc, len(s.operations))
	for id, op := range s.operations {
		steps[id] = s.steps(op)
	}
	router := &contractRouter{echo: s.echo, sandbox: s.config.Sandbox != nil}
	serverapi.RegisterHandlersWithOptions(router, serverapi.NewStrictHandler(s, nil),
		serverapi.RegisterHandlersOptions{OperationMiddlewares: steps})
	return router.err
}

// steps is the way of a request to the handler of an operation.
func (s *Server) steps(op *operation) []echo.MiddlewareFunc {
	steps := []echo.MiddlewareFunc{noteOperation(op)}
	if op.sandbox {
		return append(steps, s.onlyLocal, s.validate(op))
	}
	if op.page {
		steps = append(steps, protectPage)
	}
	if !op.secured {
		return append(steps, s.validate(op), s.limitTime)
	}
	steps = append(steps, s.shedStreams, s.authenticate(op))
	if s.config.Sandbox != nil {
		steps = append(steps, s.obeyFaults(op))
	}
	// Who sends a body slowly takes nobody's turn.
	steps = append(steps, authorize(op), s.validate(op), s.takeTurn)
	if op.id == verifyToken {
		return append(steps, s.verify) // it seldom asks the database, and then sets the limit itself
	}
	return append(steps, s.limitTime)
}

// contractRouter takes the routes from the generated code. It answers HEAD wherever the contract has GET, and refuses an
// operation that has no steps before it: a slip in an operation's name must not open a door. The control surface of a sandbox
// exists in a sandbox only.
type contractRouter struct {
	echo    *echo.Echo
	sandbox bool
	err     error
}

func (r *contractRouter) add(method, path string, handler echo.HandlerFunc, steps []echo.MiddlewareFunc) *echo.Route {
	if strings.HasPrefix(path, sandboxBase) && !r.sandbox {
		return nil
	}
	if len(steps) == 0 {
		r.err = fmt.Errorf("%s %s has no authentication and validation before it", method, path)
	}
	// Put together here: Echo would do it anew for each request.
	for _, step := range slices.Backward(steps) {
		handler = step(handler)
	}
	return r.echo.Add(method, path, handler)
}

// GET registers the handler for GET and HEAD.
func (r *contractRouter) GET(path string, handler echo.HandlerFunc, steps ...echo.MiddlewareFunc) *echo.Route {
	r.add(http.MethodHead, path, handler, steps)
	return r.add(http.MethodGet, path, handler, steps)
}

// POST registers the handler.
func (r *contractRouter) POST(path string, handler echo.HandlerFunc, steps ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPost, path, handler, steps)
}

// PUT registers the handler.
func (r *contractRouter) PUT(path string, handler echo.HandlerFunc, steps ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPut, path, handler, steps)
}

// PATCH registers the handler.
func (r *contractRouter) PATCH(path string, handler echo.HandlerFunc, steps ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPatch, path, handler, steps)
}

// DELETE registers the handler.
func (r *contractRouter) DELETE(path string, handler echo.HandlerFunc, steps ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodDelete, path, handler, steps)
}

// HEAD registers the handler.
func (r *contractRouter) HEAD(path string, handler echo.HandlerFunc, steps ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodHead, path, handler, steps)
}

// OPTIONS registers the handler.
func (r *contractRouter) OPTIONS(path string, handler echo.HandlerFunc, steps ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodOptions, path, handler, steps)
}

// CONNECT registers the handler.
func (r *contractRouter) CONNECT(path string, handler echo.HandlerFunc, steps ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodConnect, path, handler, steps)
}

// TRACE registers the handler.
func (r *contractRouter) TRACE(path string, handler echo.HandlerFunc, steps ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodTrace, path, handler, steps)
}
