package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// What a connection may cost, besides the times in Config. A client that is slower than this, or sends more, is cut off.
const (
	writeTimeout = 60 * time.Second
	idleTimeout  = 2 * time.Minute
)

// How many connections there may be, unless Config says so.
const (
	defaultConnections    = 1024
	defaultConnectionsTLS = 384
)

// Serve answers requests on listener, with TLS if tlsConfig is not nil, until ctx ends. Then /readyz turns 503, requests
// are accepted for DrainDelay still, and those that are running get ShutdownTimeout to finish. Serve closes the listener
// and returns nil when all of them did.
func (s *Server) Serve(ctx context.Context, listener net.Listener, tlsConfig *tls.Config) error {
	listening, maxConnections := "http://"+Reachable(listener.Addr()), defaultConnections
	if tlsConfig != nil {
		listening, maxConnections = "https://"+Reachable(listener.Addr()), defaultConnectionsTLS
	}
	s.listening.Store(&listening)
	connections := newConnections(cmp.Or(s.config.MaxConnections, maxConnections))
	s.connections.Store(connections)
	listener = connections.limit(listener, func(err error) {
		s.config.Logger.Warn("no more connections can be opened, and idle ones make room; raise the limit of open files (ulimit -n, LimitNOFILE) above --max-connections", "error", err)
	})
	if tlsConfig != nil {
		listener = tls.NewListener(listener, tlsConfig)
	}
	httpServer := &http.Server{
		Handler:           boundHeaders(s.hurryAnswers(s.countStreams(s))),
		ReadHeaderTimeout: s.config.ReadHeaderTimeout,
		ReadTimeout:       s.config.ReadTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         connections.changed,
		ConnContext:       connections.know,
		HTTP2:             http2Config(),
		ErrorLog:          slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug),
	}
	if s.callers != nil {
		var background sync.WaitGroup
		background.Go(func() { s.callers.listen(s.stopping) })
		defer background.Wait()
		defer s.stop()
	}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	return s.shutDown(context.WithoutCancel(ctx), httpServer, failed)
}

// maxConnections is how many connections there may be; before Serve is called, without TLS.
func (s *Server) maxConnections() int {
	if serving := s.connections.Load(); serving != nil {
		return serving.max
	}
	return cmp.Or(s.config.MaxConnections, defaultConnections)
}

// Reachable returns host and port by which a client on this machine calls an address.
func Reachable(address net.Addr) string {
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", tcp.Port) // an unspecified IPv6 address takes IPv4 too
	}
	return address.String()
}

func (s *Server) shutDown(ctx context.Context, httpServer *http.Server, failed <-chan error) error {
	s.draining.Store(true)
	s.stop()
	s.config.Logger.Info("stopping", "drain_delay", s.config.DrainDelay, "shutdown_timeout", s.config.ShutdownTimeout)
	httpServer.SetKeepAlivesEnabled(false)
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(s.config.DrainDelay):
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.ShutdownTimeout)
	defer cancel()
	defer s.WaitForUsage()
	if err := httpServer.Shutdown(ctx); err != nil {
		return fmt.Errorf("requests were still running after %v: %w", s.config.ShutdownTimeout, errors.Join(err, httpServer.Close()))
	}
	return nil
}
