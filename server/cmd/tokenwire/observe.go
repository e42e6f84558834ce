package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/logline"
	"github.com/tokenwire/tokenwire/server/metrics"
)

type metricsFlags struct {
	MetricsAddr string `placeholder:"HOST:PORT" help:"Address to serve Prometheus metrics on, at /metrics, in plain HTTP and without a credential. By default there are none."`
}

// observe lets the server be watched, by figures and by traces, if it is asked for. What it returns ends that, and is called when
// everything else has ended, so that the end can be watched too.
func (cmd serveCmd) observe(ctx context.Context, config *server.Config, log *logline.Writer) (func(), error) {
	traces, err := startTraces(ctx, config)
	if err != nil {
		return nil, err
	}
	figures, err := cmd.listenForMetrics(ctx)
	if err != nil {
		traces.stop(ctx, 0) // it has nothing to send
		return nil, err
	}
	config.Metrics = figures.figures
	if config.Metrics != nil {
		config.Metrics.WatchLog(log.Dropped)
	}
	stopFigures := figures.serve(ctx, config.Logger)
	return func() {
		traces.stop(ctx, cmd.DrainDelay+cmd.ShutdownTimeout)
		stopFigures()
	}, nil
}

// metricsListener serves figures until it is stopped. The zero value serves none.
type metricsListener struct {
	figures  *metrics.Metrics // nil: nothing is measured
	listener net.Listener
}

// listenForMetrics takes the port before anything is done that a taken one would have to undo.
func (f metricsFlags) listenForMetrics(ctx context.Context) (metricsListener, error) {
	if f.MetricsAddr == "" {
		return metricsListener{}, nil
	}
	listener, err := listen(ctx, f.MetricsAddr)
	if err != nil {
		return metricsListener{}, fmt.Errorf("cannot listen for metrics: %w; choose another address with --metrics-addr", err)
	}
	return metricsListener{metrics.New(programVersion()), listener}, nil
}

// serve answers from now on, until what it returns is called. A listener that fails is logged: the tokens are still served.
func (m metricsListener) serve(ctx context.Context, logger *slog.Logger) func() {
	if m.listener == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := m.figures.Serve(ctx, m.listener, logger); err != nil {
			logger.Error("the metrics are not served any more", "error", err)
		}
	}()
	logger.Info("serving metrics", "metrics_url", "http://"+server.Reachable(m.listener.Addr())+"/metrics")
	return func() {
		cancel()
		<-done
	}
}
