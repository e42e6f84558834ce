package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is a collector of traces on this machine.
type receiver struct {
	url      string
	received chan *collector.ExportTraceServiceRequest
	headers  chan http.Header
}

func collect(t *testing.T) receiver {
	t.Helper()
	r := receiver{received: make(chan *collector.ExportTraceServiceRequest, 100), headers: make(chan http.Header, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil || request.URL.Path != "/v1/traces" || request.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %v: %v", request.URL, request.Header, err)
		}
		r.received <- &export
		r.headers <- request.Header
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// serveTraced starts the server with variables that others would read from their environment.
func serveTraced(t *testing.T, env map[string]string, args ...string) *service {
	t.Helper()
	pairs := make([]string, 0, len(env))
	for name, value := range env {
		pairs = append(pairs, name+"="+value)
	}
	return serveWith(t, t.TempDir(), pairs, args...)
}

func texts(attributes []*common.KeyValue) map[string]string {
	found := make(map[string]string)
	for _, a := range attributes {
		found[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return found
}

// TestTraces: what was asked for arrives, at the end of the process at the latest.
func TestTraces(t *testing.T) {
	t.Parallel()
	r := collect(t)
	s := serveTraced(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": r.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=seven",
		"OTEL_SERVICE_NAME": "tokens", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
		"OTEL_BSP_SCHEDULE_DELAY": "3600000", // so that only the end sends them
	})
	printed := s.output(t)
	call(t, printed)
	s.stop(t)
	export := <-r.received
	if got := (<-r.headers).Get("X-Tenant"); got != "seven" {
		t.Errorf("the header is %q", got)
	}
	if len(r.received) != 0 || len(export.GetResourceSpans()) != 1 {
		t.Fatalf("%d more exports; %v", len(r.received), export)
	}
	resource := export.GetResourceSpans()[0]
	about := texts(resource.GetResource().GetAttributes())
	if about["service.name"] != "tokens" || about["service.version"] != programVersion() || about["deployment.environment.name"] != "test" {
		t.Errorf("the resource is %v", about)
	}
	found := make(map[string]*spans.Span)
	for _, scope := range resource.GetScopeSpans() {
		for _, span := range scope.GetSpans() {
			found[span.GetName()] = span
		}
	}
	request, change := found["update_token"], found["store.update_token"]
	if request == nil || change == nil {
		t.Fatalf("the spans are %v", found)
	}
	if got := texts(request.GetAttributes()); got["http.request.method"] != "PATCH" || !strings.HasSuffix(got["http.route"], "/tokens/{token_id}") {
		t.Errorf("%v", got)
	}
	if request.GetKind() != spans.Span_SPAN_KIND_SERVER || string(change.GetParentSpanId()) != string(request.GetSpanId()) {
		t.Errorf("%v, %v", request, change)
	}
	if secret := printedCall.FindStringSubmatch(printed)[3]; strings.Contains(export.String(), secret) {
		t.Error("the secret is in the traces")
	}
}

// TestTracesInJSON: the protocol is one of two, and the error about another names both.
func TestTracesInJSON(t *testing.T) {
	t.Parallel()
	received := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil || !json.Valid(body) {
			t.Errorf("%v: %s", err, body)
		}
		received <- request.Header.Get("Content-Type") + " " + string(body)
		w.Header().Set("Content-Type", "application/json")
	}))
	t.Cleanup(server.Close)
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
	s := serveTraced(t, env)
	call(t, s.output(t))
	s.stop(t)
	if got := <-received; !strings.HasPrefix(got, "application/json ") || !strings.Contains(got, "update_token") {
		t.Errorf("the collector got %s", got)
	}
	refused := execute(t, t.TempDir(), []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, "serve", "--addr", "127.0.0.1:0").want(t, 1)
	if !strings.Contains(refused.stderr, "http/protobuf or http/json") {
		t.Errorf("stderr: %s", refused.stderr)
	}
}

// TestTracesOff: it takes an endpoint, and one variable turns all of it off.
func TestTracesOff(t *testing.T) {
	t.Parallel()
	r := collect(t)
	for _, env := range []map[string]string{
		{},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": r.url, "OTEL_SDK_DISABLED": "true"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": r.url, "OTEL_TRACES_EXPORTER": "none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": r.url, "OTEL_TRACES_SAMPLER": "always_off"},
	} {
		s := serveTraced(t, env)
		call(t, s.output(t))
		s.stop(t)
		if len(r.received) != 0 {
			t.Errorf("%v: there are traces", env)
		}
	}
}

// TestTracesRefuse: whoever asks for traces that cannot be had is told what to do.
func TestTracesRefuse(t *testing.T) {
	t.Parallel()
	for _, env := range [][]string{
		{"OTEL_EXPORTER_OTLP_ENDPOINT=127.0.0.1:4317"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=grpc://127.0.0.1:4317"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_TRACES_EXPORTER=zipkin"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_HEADERS=bad header Secret"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=ok=1,authorization=%zzSecret"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_RESOURCE_ATTRIBUTES=nonsense"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_BSP_MAX_QUEUE_SIZE=999999999999"},
	} {
		got := execute(t, t.TempDir(), env, "serve", "--addr", "127.0.0.1:0").want(t, 1)
		name, _, _ := strings.Cut(env[len(env)-1], "=")
		if !strings.Contains(got.stderr, name) || strings.Count(got.stderr, "\n") != 1 || strings.Contains(got.stderr, "Secret") || got.stdout != "" {
			t.Errorf("%v: stdout %q, stderr %q", env, got.stdout, got.stderr)
		}
	}
}

// TestTracesWithoutACollector: requests are answered as ever, the log says so once, and the server stops in its time.
func TestTracesWithoutACollector(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and never answers
	check(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, strings.Repeat("no ", 10_000))
	}))
	t.Cleanup(refusing.Close)
	for name, url := range map[string]string{"silent": "http://" + silent.Addr().String(), "refusing": refusing.URL, "nobody": "http://127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveTraced(t, map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "1", "OTEL_BSP_MAX_QUEUE_SIZE": "2", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1",
			}, "--shutdown-timeout", "2s")
			printed := s.output(t)
			for range 100 {
				call(t, printed)
			}
			check(t, s.cmd.Process.Signal(syscall.SIGTERM))
			began := time.Now()
			complaints := 0
			for line := range s.log {
				if strings.Contains(line, "traces were not sent") {
					complaints++
					if len(line) > 600 {
						t.Errorf("a line has %d bytes", len(line))
					}
				}
			}
			_ = s.cmd.Wait()
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it has taken %v to stop", took)
			}
			if code := s.cmd.ProcessState.ExitCode(); code != 0 || complaints > 1 || name != "silent" && complaints == 0 {
				t.Errorf("exit code %d, and the log complains %d times", code, complaints)
			}
		})
	}
}
