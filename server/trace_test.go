package server_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenwire/tokenwire/server/servertest"
)

const (
	callersTraceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersParent  = "00-" + callersTraceID + "-00f067aa0ba902b7-01"
)

// traced is a server whose spans can be looked at.
type traced struct {
	*api
	spans *tracetest.SpanRecorder
}

func startTraced(t *testing.T, options servertest.Options) traced {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	options.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	return traced{start(t, &options), spans}
}

// only returns the one span with that name, and fails when there is another number of them.
func (s traced) only(t *testing.T, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	var names []string
	for _, span := range s.spans.Ended() {
		if names = append(names, span.Name()); span.Name() == name {
			found = append(found, span)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans are named %s; there are %v", len(found), name, names)
	}
	return found[0]
}

func attributes(span sdktrace.ReadOnlySpan) map[string]string {
	found := make(map[string]string)
	for _, a := range span.Attributes() {
		found[string(a.Key)] = a.Value.String()
	}
	return found
}

// TestTraceOfARequest: the span says what the request was, and goes on with the trace that the caller has begun.
func TestTraceOfARequest(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := startTraced(t, servertest.Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	c := jsonCall("PATCH", tokenPath(s.ProjectID, s.TokenID), `{"name":"Traced"}`).as(s.Project)
	c.header = http.Header{"Traceparent": {callersParent}, "Tracestate": {"vendor=opaque"}, "X-Request-Id": {"request-7"}}
	s.do(t, c).want(t, 200)
	span, change := s.only(t, "update_token"), s.only(t, "store.update_token")
	want := map[string]string{
		"http.request.method": "PATCH", "http.route": "/api/laml/2010-04-01/Accounts/{AccountSid}/tokens/{token_id}",
		"http.response.status_code": "200", "url.path": c.path, "url.scheme": "http", "client.address": "127.0.0.1",
		"tokenwire.request_id": "request-7", "tokenwire.project_id": s.ProjectID, "tokenwire.token_id": s.TokenID,
	}
	if got := attributes(span); !equal(got, want) {
		t.Errorf("attributes %v, want %v", got, want)
	}
	parent := span.Parent()
	if parent.TraceID().String() != callersTraceID || parent.SpanID().String() != "00f067aa0ba902b7" || !parent.IsRemote() {
		t.Errorf("the parent is %v", parent)
	}
	if span.SpanKind() != trace.SpanKindServer || span.SpanContext().TraceState().String() != "vendor=opaque" || span.Status().Code != codes.Unset {
		t.Errorf("%v, %v, %v", span.SpanKind(), span.SpanContext().TraceState(), span.Status())
	}
	if change.Parent().SpanID() != span.SpanContext().SpanID() || change.SpanContext().TraceState().String() != "vendor=opaque" {
		t.Errorf("the change is below %v", change.Parent())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), `"request_id":"request-7","trace_id":"`+callersTraceID+`"`) {
		t.Errorf("the log has no trace_id:\n%s", &log)
	}
}

// TestTraceOfFailures: what is the server's fault is an error, and what is the client's is not.
func TestTraceOfFailures(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]struct {
		status, error, change string
		code                  codes.Code
	}{
		unavailableStore:                       {"503", "503", "unavailable", codes.Error},
		breaksStore:                            {"500", "500", "", codes.Error},
		panicsStore:                            {"500", "500", "", codes.Error},
		"00000000-0000-4000-8000-000000000009": {"404", "", "", codes.Unset},
	} {
		s := startTraced(t, servertest.Options{WrapStore: broken})
		s.do(t, jsonCall("PATCH", tokenPath(s.ProjectID, id), `{"name":"x"}`).as(s.Project))
		span, change := s.only(t, "update_token"), s.only(t, "store.update_token")
		got := attributes(span)
		if got["http.response.status_code"] != want.status || got["error.type"] != want.error || span.Status().Code != want.code {
			t.Errorf("%s: %v, %v, want %+v", id, got, span.Status(), want)
		}
		if got := attributes(change)["error.type"]; got != want.change {
			t.Errorf("%s: the change is %q, want %q", id, got, want.change)
		}
		if len(span.Events()) != 0 || span.Status().Description != "" {
			t.Errorf("%s: the cause is in the span: %v, %v", id, span.Events(), span.Status())
		}
	}
}

// TestTraceHasNoSecrets: what a client sends, wherever it puts it, is in no span but for a path without secrets.
func TestTraceHasNoSecrets(t *testing.T) {
	t.Parallel()
	s := startTraced(t, servertest.Options{})
	s.spans.Reset() // of what the operator has done
	const mark = "xmarkx"
	header := http.Header{
		"Traceparent": {callersParent}, "Tracestate": {"vendor=" + s.Token}, "Baggage": {"a=" + mark}, "User-Agent": {mark},
		"X-Request-Id": {s.Token}, "X-Forwarded-For": {mark}, "X-Forwarded-Proto": {mark}, "Idempotency-Key": {mark},
	}
	for _, c := range []call{
		{method: "PATCH", path: tokenPath(s.ProjectID, s.Token) + "?" + mark + "=" + mark},
		{method: "GET", path: "/" + s.Token},
		{method: mark, path: "/"},
		jsonCall("POST", tokensPath(s.ProjectID), `{"name":"`+mark+`","permissions":["fax"]}`).as(s.Project),
		jsonCall("POST", tokensPath(s.ProjectID), `{"`+mark+`":1}`).as(s.Project),
		{method: "GET", path: tokensPath(s.ProjectID), user: s.ProjectID, pass: mark},
	} {
		c.header = header
		s.do(t, c)
	}
	ended := s.spans.Ended()
	if len(ended) < 6 {
		t.Fatalf("%d spans", len(ended))
	}
	for _, span := range ended {
		text := fmt.Sprint(span.Name(), span.SpanContext().TraceState(), span.Status(), span.Attributes(), attributes(span), span.Events())
		if strings.Contains(text, s.Token) || strings.Contains(text, mark) {
			t.Errorf("a span has what a client has sent: %s", text)
		}
		if got := span.SpanContext().TraceID().String(); got != callersTraceID {
			t.Errorf("without its tracestate a request has lost its trace: %s", got)
		}
	}
}

// TestTraceContextsThatAreNone begin a trace of their own.
func TestTraceContextsThatAreNone(t *testing.T) {
	t.Parallel()
	s := startTraced(t, servertest.Options{})
	for _, parent := range []string{"", "x", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", strings.Repeat("0", 5000), callersParent + "-x"} {
		s.spans.Reset()
		s.do(t, call{method: "GET", path: "/healthz", header: http.Header{"Traceparent": {parent}}}).want(t, 200)
		if span := s.only(t, "get_health"); span.Parent().IsValid() || !span.SpanContext().IsValid() {
			t.Errorf("%q: the parent is %v", parent, span.Parent())
		}
	}
	s.spans.Reset()
	unsampled := strings.TrimSuffix(callersParent, "1") + "0"
	s.do(t, call{method: "GET", path: "/healthz", header: http.Header{"Traceparent": {unsampled}}}).want(t, 200)
	if ended := s.spans.Ended(); len(ended) != 0 {
		t.Errorf("the caller does not want a trace, and there are %d spans", len(ended))
	}
}

// TestTraceOfASandbox: a world can be reset although its changes are traced, and a broken connection shows.
func TestTraceOfASandbox(t *testing.T) {
	t.Parallel()
	s := startTraced(t, servertest.Options{InMemory: true})
	s.do(t, call{method: "POST", path: "/_sandbox/projects/" + s.ProjectID + "/reset"}).want(t, 204)
	if err := s.AddFault(s.Project, servertest.Fault{Operation: "list_tokens", Connection: "lose_answer", Times: 1}); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+tokensPath(s.ProjectID), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(s.ProjectID, s.Token)
	if response, err := new(http.Transport).RoundTrip(request); err == nil {
		_ = response.Body.Close()
		t.Errorf("there was an answer: %d", response.StatusCode)
	}
	if got := attributes(s.only(t, "list_tokens")); got["error.type"] != "broken_off" || got["http.response.status_code"] != "" {
		t.Errorf("%v", got)
	}
}
