package main

import (
	"context"
	"log/slog"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/tracing"
)

// traces are sent in the background, until they are stopped. The zero value sends none.
type traces struct {
	provider *sdktrace.TracerProvider // nil: nothing is traced
	logger   *slog.Logger
	told     chan time.Time // has the time when the server was told to stop
}

// startTraces reads the environment.
func startTraces(ctx context.Context, config *server.Config) (traces, error) {
	provider, err := tracing.FromEnv(ctx, programVersion(), config.Logger)
	if err != nil || provider == nil {
		return traces{}, err
	}
	config.Tracer = provider
	t := traces{provider, config.Logger, make(chan time.Time, 1)}
	context.AfterFunc(ctx, func() { t.told <- time.Now() })
	config.Logger.Info("sending traces")
	return t, nil
}

// stop sends what has not been sent, in what is left of the time that the server has to stop.
func (t traces) stop(ctx context.Context, timeout time.Duration) {
	if t.provider == nil {
		return
	}
	select {
	case told := <-t.told:
		timeout -= time.Since(told)
	default: // it stops because of a failure
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.logger.Warn("the last traces were not sent", "error", err)
	}
}
