// Package tracing sends what a server has traced to an OpenTelemetry collector, as the standard OTEL_ variables say.
//
// Spans are sent in the background, in batches, from a queue that is bounded: a collector that is slow or down costs spans, and no
// request any time.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"golang.org/x/net/http/httpguts"
	"golang.org/x/time/rate"

	"github.com/tokenwire/tokenwire/server/secret"
)

const (
	// complaintInterval is how often a collector that is down is logged at most.
	complaintInterval = time.Minute
	// maxComplaint bounds what a collector's answer can write into the log, in bytes.
	maxComplaint = 300
)

// The variables that decide whether there are traces at all, and which this package reads itself. All others are the SDK's.
const (
	disabled       = "OTEL_SDK_DISABLED"
	exporter       = "OTEL_TRACES_EXPORTER"
	endpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	tracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	headers        = "OTEL_EXPORTER_OTLP_HEADERS"
	tracesHeaders  = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
	queueSize      = "OTEL_BSP_MAX_QUEUE_SIZE"
)

// maxQueue bounds how many spans may wait for the collector: the SDK makes room for all of them at the start.
const maxQueue = 1 << 16

// FromEnv returns what sends traces to the collector that the environment names, and nil when it names none. The caller shuts it
// down, which sends the rest. It takes OpenTelemetry's error handler and logger, of which a process has one: it is for the main
// function.
func FromEnv(ctx context.Context, version string, logger *slog.Logger) (*sdktrace.TracerProvider, error) {
	wanted, err := isWanted()
	if err != nil || !wanted {
		return nil, err
	}
	otel.SetErrorHandler(complaints(logger))
	otel.SetLogger(logr.Discard()) // it repeats what it cannot read, and a header may be a credential
	about, err := describe(ctx, version)
	if err != nil {
		return nil, err
	}
	sender, err := otlptracehttp.New(ctx) // last, because whoever has it must shut it down
	if err != nil {
		return nil, fmt.Errorf("prepare the exporter of traces: %w", err)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(sender), sdktrace.WithResource(about),
		sdktrace.WithoutPanicRecording(), // a panic may have anything in its text
	), nil
}

// isWanted refuses what would go nowhere: whoever asks for traces should not look for them in vain.
func isWanted() (bool, error) {
	if strings.EqualFold(os.Getenv(disabled), "true") || os.Getenv(exporter) == "none" {
		return false, nil
	}
	set, err := hasEndpoint()
	if err != nil || !set {
		return false, err
	}
	if kind := os.Getenv(exporter); kind != "" && kind != "otlp" {
		return false, fmt.Errorf("%s is %q: tokenwire knows otlp, and none", exporter, kind)
	}
	name, value := tracesProtocol, os.Getenv(tracesProtocol)
	if value == "" {
		name, value = protocol, os.Getenv(protocol)
	}
	if value != "" && value != "http/protobuf" && value != "http/json" {
		return false, fmt.Errorf("%s is %q: tokenwire sends http/protobuf or http/json, to port 4318 of most collectors; set %s=none for no traces", name, value, exporter)
	}
	return true, errors.Join(checkHeaders(), checkQueue())
}

// checkHeaders refuses a list of headers that would be left out. The error does not repeat it: headers are for credentials.
func checkHeaders() error {
	for _, name := range []string{headers, tracesHeaders} {
		for pair := range strings.SplitSeq(os.Getenv(name), ",") {
			field, value, found := strings.Cut(pair, "=")
			value, err := url.PathUnescape(strings.TrimSpace(value))
			field = strings.TrimSpace(field)
			if strings.TrimSpace(pair) != "" && (!found || err != nil || !httpguts.ValidHeaderFieldName(field) || !httpguts.ValidHeaderFieldValue(value)) {
				return errors.New(name + " must be a list such as name=value,other=value")
			}
		}
	}
	return nil
}

func checkQueue() error {
	if size, err := strconv.Atoi(os.Getenv(queueSize)); err == nil && size > maxQueue {
		return fmt.Errorf("%s is %d: tokenwire keeps %d spans at most", queueSize, size, maxQueue)
	}
	return nil
}

// hasEndpoint reports whether the environment names a collector.
func hasEndpoint() (bool, error) {
	set := false
	for _, name := range []string{endpoint, tracesEndpoint} {
		value := strings.TrimSpace(os.Getenv(name))
		if value == "" {
			continue
		}
		parsed, err := url.Parse(value)
		if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
			return false, errors.New(name + " must be a URL such as http://127.0.0.1:4318")
		}
		set = true
	}
	return set, nil
}

// describe says who sends. The environment may say it better.
func describe(ctx context.Context, version string) (*resource.Resource, error) {
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("tokenwire"), semconv.ServiceVersion(version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return about, nil
}

// complaints logs what goes wrong in the background, now and then.
func complaints(logger *slog.Logger) otel.ErrorHandlerFunc {
	sometimes := &rate.Sometimes{First: 1, Interval: complaintInterval}
	return func(err error) {
		sometimes.Do(func() { logger.Warn("traces were not sent", "error", cut(secret.Mask(err.Error()))) })
	}
}

func cut(text string) string {
	if len(text) <= maxComplaint {
		return text
	}
	end := maxComplaint
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
