// Package server is tokenwire's HTTP service: SignalWire's API-token endpoints over a store.
//
// A request goes one way. Echo finds the route; authenticate (auth.go) turns the Basic credential into a Caller,
// from memory if it can (callers.go); authorize (permission.go) asks whether the caller holds the permission that openapi.yaml demands; validate
// (validate.go) holds parameters and body against openapi.yaml; a handler (tokens.go, tokenlife.go,
// accounts.go, audit.go, probes.go) calls the store. What a gateway asks about the request of its own client is held against
// the rules of package guard before (verify.go).
// Before all that, connections.go bounds how many connections there are and says whose place a new one takes, streams.go counts the
// requests that share one of HTTP/2, and answering.go cuts off who does not take an answer.
// In a sandbox (sandbox.go) the request enters the world that it names first, its call is noted in that world's journal
// (journal.go), and it may meet a fault once it is authenticated (fault.go).
// Where somebody watches, each request is counted (measure.go) and traced (trace.go).
// Whatever goes wrong on that way is returned as an error and leaves through one exit, writeError (errors.go).
//
//	srv, err := server.New(server.Config{Store: db, Keyset: keyset, Logger: logger})
//	if err != nil { … }
//	err = srv.Serve(ctx, listener, nil) // until ctx ends
//
// A Server is an http.Handler too.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/guard"
	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/sandbox"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// Config says what a Server is made of. The zero value of an optional field means its default.
type Config struct {
	// Store keeps projects and tokens. Required. The Server does not close it.
	Store store.Store
	// Keyset seals the secrets of the tokens in Store. Required.
	Keyset *secret.Keyset
	// Logger gets a line for each request and each failure. By default nothing is logged.
	Logger *slog.Logger
	// AuthFailuresPerMinute is how many failed log-ins from one address are answered 401: so many at once, and so many a minute
	// after that. Further ones are answered 429. Good credentials are never refused. Default 600.
	AuthFailuresPerMinute int
	// MaxConnections is how many connections may be open. Further ones take the place of those that are idle or slow. Default 1024, or 384
	// with TLS: then they take more memory.
	MaxConnections int
	// MaxRequests is how many requests may be carried out at once, besides as many log-ins of callers that nobody remembers. Further ones
	// are answered 503: they would wait too long.
	// Default 512.
	MaxRequests int
	// RequestTimeout bounds the time that a request may wait for the database. Default 10 s.
	RequestTimeout time.Duration
	// ReadHeaderTimeout is how long a client may take to send the headers of a request, and ReadTimeout the whole of it.
	// Default 10 s and 30 s.
	ReadHeaderTimeout, ReadTimeout time.Duration
	// DrainDelay is how long Serve goes on accepting requests after it was told to stop, with /readyz answering 503, so
	// that load balancers notice. Default: none.
	DrainDelay time.Duration
	// ShutdownTimeout is how long Serve then waits for running requests. Default 30 s.
	ShutdownTimeout time.Duration
	// PublicURL is where clients reach the server, without a slash at its end. The errors link to their codes below it. Default:
	// the address that Serve listens on, and http://127.0.0.1:8080 before.
	PublicURL string
	// Guard says what a request to another service needs, when a gateway asks with its method and path. Default: the rules for
	// SignalWire's own surfaces.
	Guard *guard.Rules
	// Now tells the time. Default time.Now.
	Now func() time.Time
	// Sandbox, unless it is nil, makes this a server for tests: with worlds, faults, journals and clocks, and a control surface
	// below /_sandbox/, which needs no credential. Snapshots need a Store that is a store.Worlds.
	Sandbox *sandbox.Sandbox
	// Metrics, unless it is nil, counts what this server does. It can count for one server.
	Metrics *metrics.Metrics
	// Tracer, unless it is nil, gets a span of each request, with one below it for the change that it makes.
	Tracer trace.TracerProvider
	// SandboxRemote lets callers on other machines use the control surface.
	SandboxRemote bool
}

// Server serves the operations of openapi.yaml.
type Server struct {
	config   Config
	echo     *echo.Echo
	failures *failureLimiter
	usage    *usage
	// changing keeps a world from being removed and put back at once.
	changing sync.Mutex
	callers  *callers // nil for a store of worlds: it is in memory, and a whole world in it changes at once
	docs     func() (documentation, error)
	measured *measurement // nil: nothing is measured
	// connections are those of the listener that Serve serves, and nil before.
	connections atomic.Pointer[connections]
	draining    atomic.Bool
	crowd       atomic.Int64 // requests that share a connection of HTTP/2
	running     atomic.Int64 // requests that are carried out
	loggingIn   atomic.Int64 // log-ins, of whom nobody knows, that wait for the store
	strangers   sync.Once    // for the first call of a sandbox from elsewhere
	// answerTimeout, endTimeout and writeTimeout are the constants, unless a test has set others.
	answerTimeout, endTimeout, writeTimeout time.Duration
	// largeBodies bounds how many of them are decoded and validated at once: each takes megabytes meanwhile.
	largeBodies *semaphore.Weighted
	// listening is the URL of the address that Serve listens on.
	listening atomic.Pointer[string]
	// operations is what the contract says, by operationId.
	operations map[string]*operation
	// stopping ends when the server is told to stop, and stop ends it.
	stopping context.Context //nolint:containedctx // what waits for a call ends with the server
	stop     context.CancelFunc
}

var (
	_ serverapi.StrictServerInterface = (*Server)(nil)
	_ http.Handler                    = (*Server)(nil)
)

// New returns a Server. It refuses a Config that lacks something and a contract that does not say which permission an
// operation needs.
func New(config Config) (*Server, error) {
	config, err := withDefaults(config)
	if err != nil {
		return nil, err
	}
	operations, err := loadOperations()
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	s := &Server{
		config: config, echo: echo.New(), operations: operations, docs: sync.OnceValues(newDocumentation),
		answerTimeout: answerTimeout, endTimeout: endTimeout, writeTimeout: writeTimeout,
		largeBodies: semaphore.NewWeighted(int64(max(2, runtime.GOMAXPROCS(0)))),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	if s.failures, err = newFailureLimiter(config.AuthFailuresPerMinute); err != nil {
		return nil, err
	}
	if _, worlds := config.Store.(store.Worlds); !worlds {
		if s.callers, err = newCallers(newLists(&sealer{config.Store, config.Keyset}), config.Store); err != nil {
			return nil, err
		}
		s.config.Store = s.callers
	}
	if s.measured, err = s.newMeasurement(config.Store); err != nil {
		return nil, fmt.Errorf("prepare the metrics: %w", err)
	}
	if config.Tracer != nil {
		s.config.Store = traced(s.config.Store, config.Tracer.Tracer(tracerName))
	}
	if s.usage, err = newUsage(config.Store, config.Logger, config.Now); err != nil {
		return nil, err
	}
	if err := s.route(); err != nil {
		return nil, fmt.Errorf("route the operations: %w", err)
	}
	return s, nil
}

func withDefaults(config Config) (Config, error) {
	if config.Store == nil || config.Keyset == nil {
		return config, errors.New("server.Config needs a Store and a Keyset")
	}
	if min(config.AuthFailuresPerMinute, config.MaxConnections, config.MaxRequests) < 0 ||
		min(config.RequestTimeout, config.ReadHeaderTimeout, config.ReadTimeout, config.DrainDelay, config.ShutdownTimeout) < 0 {
		return config, errors.New("the numbers and times in server.Config must not be negative")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	config.AuthFailuresPerMinute = cmp.Or(config.AuthFailuresPerMinute, 600)
	config.MaxRequests = cmp.Or(config.MaxRequests, 512)
	config.RequestTimeout = cmp.Or(config.RequestTimeout, 10*time.Second)
	config.ReadHeaderTimeout = cmp.Or(config.ReadHeaderTimeout, 10*time.Second)
	config.ReadTimeout = cmp.Or(config.ReadTimeout, 30*time.Second)
	config.ShutdownTimeout = cmp.Or(config.ShutdownTimeout, 30*time.Second)
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Guard == nil {
		var err error
		if config.Guard, err = guard.SignalWire(); err != nil {
			return config, err
		}
	}
	return config, nil
}

// defaultURL is the one in the contract.
const defaultURL = "http://127.0.0.1:8080"

// publicURL is what an absolute URL of this server begins with. It never comes from a request, which anybody can write.
func (s *Server) publicURL() string {
	if s.config.PublicURL != "" {
		return s.config.PublicURL
	}
	if listening := s.listening.Load(); listening != nil {
		return *listening
	}
	return defaultURL
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }
