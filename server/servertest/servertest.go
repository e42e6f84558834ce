// Package servertest gives a Go test a running tokenwire server.
//
//	func TestRotation(t *testing.T) {
//		tw := servertest.New(t, nil)
//		// tw.URL, tw.ProjectID and tw.Token are what a client needs.
//	}
//
// Each server has a port, a database and a project of its own, so tests may run in parallel. A project of a server can be given
// faults, has a journal of its calls, and a clock:
//
//	err := tw.AddFault(tw.Project, servertest.Fault{Operation: "update_token", Status: 503, Times: 2})
//	calls, err := tw.WaitForCalls(ctx, tw.Project, "update_token", 3)
//	tw.Advance(24 * time.Hour)
package servertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/guard"
	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/sandbox"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/memory"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// Options changes how a Server is made. The zero value, and nil, are good for most tests.
type Options struct {
	// Logger gets the server's log. By default there is none.
	Logger *slog.Logger
	// InMemory keeps everything in memory, as `tokenwire serve --sandbox` does: faster than the SQLite file that a server has
	// otherwise, and able to go back to snapshots.
	InMemory bool
	// Store keeps everything in place of the SQLite file: an empty store, which the server closes.
	Store store.Store
	// WrapStore may replace the fresh store, to make it fail in the ways that a test needs.
	WrapStore func(store.Store) store.Store
	// Keyset seals the secrets in the store. By default it is a new one.
	Keyset *secret.Keyset
	// AuthFailuresPerMinute is the limit on failed log-ins from this machine. Default: high enough for any test.
	AuthFailuresPerMinute int
	// MaxConnections and MaxRequests bound what the server does at once. Default: the server's.
	MaxConnections, MaxRequests int
	// RequestTimeout bounds the wait for the database. Default: the server's.
	RequestTimeout time.Duration
	// ReadHeaderTimeout and ReadTimeout bound how long a client may take to send. Default: the server's.
	ReadHeaderTimeout, ReadTimeout time.Duration
	// PublicURL is what the URLs in errors begin with. Default: the server's own.
	PublicURL string
	// Guard says what requests to other services need. Default: the server's.
	Guard *guard.Rules
	// DrainDelay is for how long a server that is being closed goes on. Default: not at all.
	DrainDelay time.Duration
	// ShutdownTimeout is how long a server that is being closed waits for its requests. Default: the server's.
	ShutdownTimeout time.Duration
	// Metrics count what the server does. By default nobody does.
	Metrics *metrics.Metrics
	// Tracer gets a span of each request. By default nobody does.
	Tracer trace.TracerProvider
	// FixedClock lets time pass only by Advance. By default the machine's clock goes on.
	FixedClock bool
}

// Server is a running server with one project.
type Server struct {
	// URL is the server's base URL, without a slash at its end.
	URL string
	// Project has the credential of a token that holds the permission management.
	Project

	clock  clock
	server *server.Server
	dir    string
	store  store.Store
	keyset *secret.Keyset
	stop   context.CancelFunc
	served chan error
}

// Project is a project with the credential of one of its tokens.
type Project struct {
	ProjectID string // the user name of HTTP Basic, and the AccountSid
	TokenID   string
	Token     string // the password of HTTP Basic: the secret of the token
}

// New starts a server and stops it when the test ends.
func New(tb testing.TB, options *Options) *Server {
	tb.Helper()
	s, err := Start(options)
	if err != nil {
		tb.Fatalf("start tokenwire: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("stop tokenwire: %v", err)
		}
	})
	return s
}

// Start starts a server where there is no testing.TB, in an example or a program. The caller closes it.
func Start(options *Options) (*Server, error) {
	if options == nil {
		options = &Options{}
	}
	dir, err := os.MkdirTemp("", "tokenwire-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, stop: func() {}}
	if options.FixedClock {
		s.clock.fixed = time.Now()
	}
	if err := s.start(*options); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) start(options Options) error {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	var err error
	if s.store, err = s.open(ctx, options); err != nil {
		return err
	}
	if s.keyset = options.Keyset; s.keyset == nil {
		if s.keyset, err = secret.NewKeyset(); err != nil {
			return err
		}
	}
	if options.WrapStore != nil {
		s.store = options.WrapStore(s.store)
	}
	if options.AuthFailuresPerMinute == 0 {
		options.AuthFailuresPerMinute = 10_000_000
	}
	s.server, err = server.New(server.Config{
		Store: s.store, Keyset: s.keyset, Logger: options.Logger,
		AuthFailuresPerMinute: options.AuthFailuresPerMinute,
		MaxConnections:        options.MaxConnections,
		MaxRequests:           options.MaxRequests,
		RequestTimeout:        options.RequestTimeout,
		ReadHeaderTimeout:     options.ReadHeaderTimeout,
		ReadTimeout:           options.ReadTimeout,
		DrainDelay:            options.DrainDelay,
		ShutdownTimeout:       options.ShutdownTimeout,
		Now:                   s.Now,
		Sandbox:               sandbox.New(),
		PublicURL:             options.PublicURL,
		Guard:                 options.Guard,
		Metrics:               options.Metrics,
		Tracer:                options.Tracer,
	})
	if err != nil {
		return err
	}
	if s.Project, err = s.NewProject("Default"); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.URL = "http://" + listener.Addr().String()
	s.served = make(chan error, 1)
	go func() { s.served <- s.server.Serve(ctx, listener, nil) }()
	return nil
}

// NewProject adds a project to the server.
func (s *Server) NewProject(name string) (Project, error) {
	return s.newProject(server.NewProject{Name: name})
}

// NewSubproject adds a subproject of the project with the given id.
func (s *Server) NewSubproject(parent, name string) (Project, error) {
	parentID, err := uuid.Parse(parent)
	if err != nil {
		return Project{}, fmt.Errorf("the parent's id: %w", err)
	}
	return s.newProject(server.NewProject{Name: name, ParentID: parentID})
}

func (s *Server) newProject(wanted server.NewProject) (Project, error) {
	create := s.server.CreateProject
	if _, ok := s.store.(store.Worlds); ok && wanted.ParentID == uuid.Nil {
		create = s.server.CreateWorld
	}
	created, err := create(context.Background(), wanted)
	if err != nil {
		return Project{}, err
	}
	return Project{
		ProjectID: created.Project.ID.String(), TokenID: created.TokenID.String(), Token: created.Secret.Reveal(),
	}, nil
}

// open returns the store that a test has asked for.
func (s *Server) open(ctx context.Context, options Options) (store.Store, error) {
	switch {
	case options.Store != nil:
		return options.Store, nil
	case options.InMemory:
		return memory.New(), nil
	}
	db, err := sqlite.Open(ctx, s.Path())
	if err != nil {
		return nil, err // and no store at all, not even one that is nil
	}
	return db, nil
}

// clock is the machine's, set forward, or one that stands still.
type clock struct {
	mu    sync.Mutex
	fixed time.Time // the zero time: the machine's goes on
	ahead time.Duration
}

// Now returns the server's time.
func (s *Server) Now() time.Time {
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	if !s.clock.fixed.IsZero() {
		return s.clock.fixed.Add(s.clock.ahead)
	}
	return time.Now().Add(s.clock.ahead)
}

// Advance sets the server's clock forward, so that a test need not wait for what expires.
func (s *Server) Advance(by time.Duration) {
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	s.clock.ahead += by
}

// WaitForUsage returns when the last use of every token so far has been recorded, which happens after the answer.
func (s *Server) WaitForUsage() { s.server.WaitForUsage() }

// Handler returns what answers the requests, for tests that call it without a connection.
func (s *Server) Handler() http.Handler { return s.server }

// Keyset returns the keyset that seals the secrets in the server's store.
func (s *Server) Keyset() *secret.Keyset { return s.keyset }

// Path returns the file of the server's database, for tests that look into it. A server in memory has none.
func (s *Server) Path() string { return filepath.Join(s.dir, "tokenwire.db") }

// Close stops the server as a signal would, waits for running requests and removes the database. Further calls do
// nothing.
func (s *Server) Close() error {
	s.stop()
	var errs []error
	if s.served != nil {
		errs = append(errs, <-s.served)
		s.served = nil
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
		s.store = nil
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
