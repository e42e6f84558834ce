package server

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/tokenwire/tokenwire/gen/serverapi"
)

// route wires each operation of the contract: Echo has found it by the time the middleware runs, so nothing has to look
// up a route again.
func (s *Server) route(operations map[string]*operation) error {
	s.echo.HTTPErrorHandler = s.writeError
	s.echo.IPExtractor = echo.ExtractIPDirect()
	s.echo.Pre(canonicalPath)
	s.echo.Use(identifyRequest, s.logAccess, matchSegments, middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisableErrorHandler: true, // the panic leaves through writeError like any other failure
		LogErrorFunc:        s.logPanic,
	}))
	steps := make(map[string][]echo.MiddlewareFunc, len(operations))
	for id, op := range operations {
		steps[id] = append(steps[id], useShapes(op))
		if op.permission != "" {
			steps[id] = append(steps[id], s.authenticate, authorize(op))
		}
		steps[id] = append(steps[id], validate(op), s.limitTime)
	}
	router := &contractRouter{echo: s.echo}
	serverapi.RegisterHandlersWithOptions(router, serverapi.NewStrictHandler(s, nil),
		serverapi.RegisterHandlersOptions{OperationMiddlewares: steps})
	return router.err
}

// contractRouter takes the routes from the generated code. It answers HEAD wherever the contract has GET, and refuses an
// operation that has no steps before it: a slip in an operation's name must not open a door.
type contractRouter struct {
	echo *echo.Echo
	err  error
}

func (r *contractRouter) add(method, path string, handler echo.HandlerFunc, steps []echo.MiddlewareFunc) *echo.Route {
	if len(steps) == 0 {
		r.err = fmt.Errorf("%s %s has no authentication and validation before it", method, path)
	}
	return r.echo.Add(method, path, handler, steps...)
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
