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
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
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
)

// FromEnv returns what sends traces to the collector that the environment names, and nil when it names none. The caller shuts it
// down, which sends the rest. It takes OpenTelemetry's error handler, of which a process has one: it is for the main function.
func FromEnv(ctx context.Context, version string, logger *slog.Logger) (*sdktrace.TracerProvider, error) {
	wanted, err := isWanted()
	if err != nil || !wanted {
		return nil, err
	}
	otel.SetErrorHandler(complaints(logger))
	sender, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare the exporter of traces: %w", err)
	}
	about, err := describe(ctx, version)
	if err != nil {
		return nil, err
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
		return false, fmt.Errorf("%s is %q: tokenwire sends http/protobuf, to port 4318 of most collectors; set %s=none for no traces", name, value, exporter)
	}
	return true, nil
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
