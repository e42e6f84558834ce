package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// tracerName tells these spans from those of others.
const tracerName = "github.com/tokenwire/tokenwire/server"

// What a span says besides what is agreed upon for all servers.
const (
	requestIDAttribute = attribute.Key("tokenwire.request_id")
	projectAttribute   = attribute.Key("tokenwire.project_id")
	tokenIDAttribute   = attribute.Key("tokenwire.token_id")
)

// traceRequests makes a span of each request: with what the access log has, and so without a header, a query, a body or a secret.
func traceRequests(tracer trace.Tracer) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			method := semconv.HTTPRequestMethodKey.String(knownMethod(r.Method))
			ctx, span := tracer.Start(callersTrace(r), method.Value.AsString(), trace.WithSpanKind(trace.SpanKindServer),
				trace.WithAttributes(method, semconv.URLPath(printable(r.URL.Path, maxLoggedPath)), semconv.URLScheme(scheme(r))))
			defer span.End()
			c.SetRequest(r.WithContext(ctx))
			if err := next(c); err != nil {
				c.Error(err) // through writeError, so that there is a status
			}
			if span.IsRecording() {
				describeRequest(c, span)
			}
			return nil
		}
	}
}

// callersTrace returns the context of a request with the W3C trace context that came with it. A tracestate can have anything in it:
// with something that looks like a secret, it is left out.
func callersTrace(r *http.Request) context.Context {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	parent := trace.SpanContextFromContext(ctx)
	if state := parent.TraceState().String(); state != "" && secret.Mask(state) != state {
		return trace.ContextWithRemoteSpanContext(ctx, parent.WithTraceState(trace.TraceState{}))
	}
	return ctx
}

func describeRequest(c echo.Context, span trace.Span) {
	known := notesOf(c.Request().Context())
	span.SetAttributes(requestIDAttribute.String(known.id), semconv.ClientAddress(known.address))
	if op := known.op; op != nil {
		span.SetName(op.id)
		span.SetAttributes(semconv.HTTPRoute(op.path))
	}
	if caller := known.caller; caller != nil {
		span.SetAttributes(projectAttribute.String(caller.ProjectID.String()), tokenIDAttribute.String(caller.TokenID.String()))
	}
	status := c.Response().Status
	if status != 0 { // with none, the client got nothing
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	}
	switch {
	case status >= http.StatusInternalServerError:
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
	case c.Get(brokenOffKey) != nil:
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String("broken_off"))
	}
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// knownMethod bounds what a client can make a method.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return semconv.HTTPRequestMethodOther.Value.AsString()
}

// traceID is for a line of the log. Where nothing is traced it is nothing, and slog leaves it out.
func traceID(ctx context.Context) slog.Attr {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		return slog.String("trace_id", span.TraceID().String())
	}
	return slog.Attr{}
}

// tracedStore makes a span of each change. What is read takes less time than it is worth.
type tracedStore struct {
	store.Store
	tracer trace.Tracer
}

// traced returns a store whose changes are traced, and which is a store.Worlds if db is one.
func traced(db store.Store, tracer trace.Tracer) store.Store {
	t := tracedStore{db, tracer}
	if worlds, ok := db.(store.Worlds); ok {
		return struct {
			tracedStore
			store.Worlds
		}{t, worlds}
	}
	return t
}

// within calls change in a span. That something was not found or is taken is an answer, and no failure of the store.
func within[T any](ctx context.Context, tracer trace.Tracer, name string, change func(context.Context) (T, error)) (T, error) {
	ctx, span := tracer.Start(ctx, name)
	defer span.End()
	result, err := change(ctx)
	if errors.Is(err, store.ErrUnavailable) {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String("unavailable"))
	}
	return result, err
}

// CreateProject is one change.
func (s tracedStore) CreateProject(ctx context.Context, project store.Project, first *store.Token, change store.Change) error {
	_, err := within(ctx, s.tracer, "store.create_project", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Store.CreateProject(ctx, project, first, change)
	})
	return err
}

// RenameProject is one change.
func (s tracedStore) RenameProject(ctx context.Context, account uuid.UUID, name string, change store.Change) (store.Project, error) {
	return within(ctx, s.tracer, "store.rename_project", func(ctx context.Context) (store.Project, error) {
		return s.Store.RenameProject(ctx, account, name, change)
	})
}

// CreateToken is one change.
func (s tracedStore) CreateToken(ctx context.Context, token store.Token, change store.Change) error {
	_, err := within(ctx, s.tracer, "store.create_token", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Store.CreateToken(ctx, token, change)
	})
	return err
}

// UpdateToken is one change.
func (s tracedStore) UpdateToken(
	ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change,
) (store.Token, error) {
	return within(ctx, s.tracer, "store.update_token", func(ctx context.Context) (store.Token, error) {
		return s.Store.UpdateToken(ctx, account, id, update, change)
	})
}

// RotateToken is one change.
func (s tracedStore) RotateToken(
	ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change,
) (store.Token, error) {
	return within(ctx, s.tracer, "store.rotate_token", func(ctx context.Context) (store.Token, error) {
		return s.Store.RotateToken(ctx, account, id, rotation, change)
	})
}

// DeleteToken is one change.
func (s tracedStore) DeleteToken(ctx context.Context, account, id uuid.UUID, change store.Change) error {
	_, err := within(ctx, s.tracer, "store.delete_token", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Store.DeleteToken(ctx, account, id, change)
	})
	return err
}
