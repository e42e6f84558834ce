package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/logline"
	"github.com/tokenwire/tokenwire/server/plainfile"
	"github.com/tokenwire/tokenwire/server/sandbox"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store/memory"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

type serveCmd struct {
	databaseFlags
	Addr    string      `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on. (default: ${default})"`
	TLSCert string      `name:"tls-cert" placeholder:"FILE" help:"Certificate chain in PEM. Together with --tls-key it turns HTTPS on."`
	TLSKey  string      `name:"tls-key" placeholder:"FILE" help:"Private key of the certificate, in PEM."`
	DevTLS  devTLSFlags `embed:""`
	sandboxFlags
	PublicURL string `name:"public-url" placeholder:"URL" help:"URL under which clients reach the server, where it is not the address that it listens on. Errors link to their explanation below it."`

	Guard guardFile `placeholder:"FILE" help:"YAML file with the permissions that requests to other services need, by path, for gateways that ask. Without it: SignalWire's own surfaces."`

	BootstrapProjectID string `placeholder:"UUID" help:"Project ID of the project that an empty database gets, in place of a random one."`
	BootstrapToken     string `placeholder:"PT…" help:"API token of that project, in place of a random one. In the environment it is safer than on the command line."`

	LogFormat             string        `enum:"text,json" default:"text" placeholder:"FORMAT" help:"Format of the log: text or json. (default: ${default})"`
	LogLevel              slog.Level    `default:"info" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error. (default: ${default})"`
	AuthFailuresPerMinute int           `default:"600" placeholder:"N" help:"Failed log-ins from one address that are answered 401: N at once, and N a minute after that; further ones get 429. (default: ${default})"`
	MaxConnections        *int          `placeholder:"N" help:"Connections that may be open; further ones take the place of those that are idle or slow. (default: 1024, with TLS 384)"`
	MaxRequests           int           `default:"512" placeholder:"N" help:"Requests that are carried out at once; further ones get 503. (default: ${default})"`
	RequestTimeout        time.Duration `default:"10s" placeholder:"TIME" help:"How long a request may wait for the database. (default: ${default})"`
	metricsFlags
	DrainDelay      time.Duration `default:"1s" placeholder:"TIME" help:"How long to go on serving after SIGTERM, with /readyz at 503, so that load balancers notice. (default: ${default})"`
	ShutdownTimeout time.Duration `default:"30s" placeholder:"TIME" help:"How long running requests may then take to finish. (default: ${default})"`
}

// Help says what happens on the first start.
func (serveCmd) Help() string {
	return `An empty database gets a project named Default with one API token that holds the permission management. The
Project ID, the token and a curl line that uses them are printed once, to standard output.

SIGTERM and SIGINT stop the server in good order; a second one stops it at once.`
}

// The heap is small, so that Go's own setting, a growth of 100 percent, would collect without pause. It may grow by more, up to a
// limit from where on it is collected more often.
const (
	garbagePercent = 400
	memoryLimit    = 96 << 20

	memoryOfConnection    = 96 << 10
	memoryOfConnectionTLS = 256 << 10
)

// limitMemory leaves what is set in the environment. A sandbox has its whole database in memory.
func (cmd serveCmd) limitMemory() {
	if _, chosen := os.LookupEnv("GOGC"); !chosen {
		debug.SetGCPercent(garbagePercent)
	}
	if _, chosen := os.LookupEnv("GOMEMLIMIT"); chosen || cmd.Sandbox {
		return
	}
	limit, each := int64(memoryLimit), int64(memoryOfConnection)
	if cmd.DevTLS.Enabled || cmd.TLSCert != "" {
		each = memoryOfConnectionTLS
	}
	if cmd.MaxConnections != nil {
		limit = max(limit, int64(*cmd.MaxConnections)*each)
	}
	debug.SetMemoryLimit(limit)
}

// Run serves until the context ends.
func (cmd serveCmd) Run(ctx context.Context, std streams, line *kong.Context) error {
	if err := cmp.Or(cmd.checkLimits(), cmd.checkSandbox(), cmd.checkMeaningless(line), cmd.checkPublicURL()); err != nil {
		return err
	}
	cmd.limitMemory()
	surviveClosedOutput()
	first, err := cmd.firstProject()
	if err != nil {
		return err
	}
	certificates, err := cmd.certificates()
	if err != nil {
		return err
	}
	rules, err := cmd.Guard.rules()
	if err != nil {
		return err
	}
	log := logline.NewWriter(std.err)
	defer log.Close(logTimeout)
	config := server.Config{
		Guard:                 rules,
		Logger:                cmd.logger(log),
		AuthFailuresPerMinute: cmd.AuthFailuresPerMinute,
		MaxRequests:           cmd.MaxRequests,
		RequestTimeout:        cmd.RequestTimeout,
		DrainDelay:            cmd.DrainDelay,
		ShutdownTimeout:       cmd.ShutdownTimeout,
		PublicURL:             strings.TrimRight(cmd.PublicURL, "/"),
	}
	if cmd.MaxConnections != nil {
		config.MaxConnections = *cmd.MaxConnections
	}
	stopObserving, err := cmd.observe(ctx, &config, log)
	if err != nil {
		return err
	}
	defer stopObserving()
	if err := cmd.openStore(ctx, &config); err != nil {
		return err
	}
	return errors.Join(cmd.serve(ctx, std, config, first, certificates), config.Store.Close())
}

// storeName is for the log.
func (cmd serveCmd) storeName() string {
	if cmd.Sandbox {
		return "memory"
	}
	return cmd.name()
}

// openStore opens the database, or makes the memory of a sandbox.
func (cmd serveCmd) openStore(ctx context.Context, config *server.Config) error {
	if !cmd.Sandbox {
		db, keyset, err := cmd.open(ctx)
		if err != nil {
			return err
		}
		config.Store, config.Keyset = db, keyset
		go watchKeyset(ctx, keyset, config.Logger)
		if file, ok := db.(*sqlite.DB); ok {
			go file.Watch(ctx, config.Logger)
		}
		return nil
	}
	keyset, err := secret.NewKeyset()
	if err != nil {
		return err
	}
	config.Store, config.Keyset = memory.New(), keyset
	config.Sandbox, config.SandboxRemote = sandbox.New(), cmd.SandboxRemote
	config.DrainDelay = 0 // nothing balances the load of a test
	return nil
}

// checkPublicURL wants what an error can link to.
func (cmd serveCmd) checkPublicURL() error {
	if cmd.PublicURL == "" {
		return nil
	}
	parsed, err := url.Parse(cmd.PublicURL)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.RawQuery != "" || parsed.Fragment != "" || parsed.User != nil {
		return errors.New("--public-url must be a URL such as https://tokens.example.com")
	}
	return nil
}

// serve listens before it creates the first project: a port that is taken must not swallow a credential.
func (cmd serveCmd) serve(ctx context.Context, std streams, config server.Config, first server.NewProject, certificates certificates) error {
	listener, err := listen(ctx, cmd.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen: %w; choose another address with --addr", err)
	}
	baseURL := baseURL(listener.Addr(), certificates.tls)
	config.PublicURL = cmp.Or(config.PublicURL, baseURL)
	srv, err := server.New(config)
	if err == nil {
		err = cmd.bootstrap(ctx, std, srv, first, certificates.authority, baseURL, config.Logger)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	logger := config.Logger
	if certificates.tls == nil && !isLoopback(listener.Addr()) {
		logger.Warn("credentials cross the network in plain text: use --tls-cert and --tls-key, or put a proxy with TLS in front")
	}
	logger.Info("listening", "url", baseURL, "docs", config.PublicURL+"/docs", "addr", listener.Addr().String(), "db", cmd.storeName(), "version", programVersion())
	go debug.FreeOSMemory() // most of what the start has read, the contract above all, is not needed any more
	err = srv.Serve(ctx, listener, certificates.tls)
	logger.Info("stopped")
	return err
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// checkSandbox refuses flags that do nothing without another, or exclude each other.
func (cmd serveCmd) checkSandbox() error {
	switch {
	case !cmd.Sandbox && (cmd.SandboxRemote || cmd.Seed != ""):
		return errors.New("--sandbox-remote and --seed need --sandbox")
	case !cmd.DevTLS.Enabled && len(cmd.DevTLS.Names) > 0:
		return errors.New("--dev-tls-name needs --dev-tls")
	case cmd.DevTLS.Enabled && (cmd.TLSCert != "" || cmd.TLSKey != ""):
		return errors.New("--dev-tls excludes --tls-cert and --tls-key")
	}
	return nil
}

// checkMeaningless refuses the flags of a database with a sandbox. Their variables may be set for a whole machine, and are ignored.
func (cmd serveCmd) checkMeaningless(line *kong.Context) error {
	for _, part := range line.Path { // what was on the command line, and nothing else
		if part.Flag != nil && cmd.Sandbox && slices.Contains([]string{"db", "keyset", "drain-delay"}, part.Flag.Name) {
			return fmt.Errorf("--%s means nothing to a sandbox: leave it out", part.Flag.Name)
		}
	}
	return nil
}

// checkLimits refuses zero, which looks like "no limit" and cannot be had.
func (cmd serveCmd) checkLimits() error {
	switch {
	case cmd.AuthFailuresPerMinute <= 0:
		return errors.New("--auth-failures-per-minute must be at least 1")
	case cmd.MaxConnections != nil && *cmd.MaxConnections <= 0 || cmd.MaxRequests <= 0:
		return errors.New("--max-connections and --max-requests must be at least 1")
	case cmd.RequestTimeout <= 0:
		return errors.New("--request-timeout must be more than 0s")
	case cmd.ShutdownTimeout <= 0:
		return errors.New("--shutdown-timeout must be more than 0s")
	case cmd.DrainDelay < 0:
		return errors.New("--drain-delay must not be negative")
	}
	return nil
}

// certificates is what HTTPS needs: nothing with plain HTTP. The authority is the one to trust, in PEM, with --dev-tls.
type certificates struct {
	tls       *tls.Config
	authority []byte
}

func (cmd serveCmd) certificates() (certificates, error) {
	if cmd.DevTLS.Enabled {
		config, authority, err := cmd.DevTLS.config()
		return certificates{config, authority}, err
	}
	if cmd.TLSCert == "" && cmd.TLSKey == "" {
		return certificates{}, nil
	}
	if cmd.TLSCert == "" || cmd.TLSKey == "" {
		return certificates{}, errors.New("--tls-cert and --tls-key go together")
	}
	certificate, err := loadCertificate(cmd.TLSCert, cmd.TLSKey)
	if err != nil {
		return certificates{}, fmt.Errorf("load --tls-cert and --tls-key: %w; give the paths of two files in PEM that belong together", err)
	}
	return certificates{tls: tlsConfig(certificate)}, nil
}

func loadCertificate(chainFile, keyFile string) (tls.Certificate, error) {
	chain, err := plainfile.Read(chainFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := plainfile.Read(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(chain, key)
}

func tlsConfig(certificate tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
}

// logTimeout is how long the end of a program may wait for who reads its log.
const logTimeout = 2 * time.Second

func (cmd serveCmd) logger(log *logline.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cmd.LogLevel}
	logger := slog.New(slog.NewTextHandler(log, options))
	if cmd.LogFormat == "json" {
		logger = slog.New(slog.NewJSONHandler(log, options))
	}
	log.Report(func(dropped uint64, failure error) {
		if failure != nil {
			logger.Warn("lines of this log were dropped, because they could not be written", "lines", dropped, "error", failure.Error())
			return
		}
		logger.Warn("lines of this log were dropped, because nobody has read it in time", "lines", dropped)
	})
	return logger
}

// baseURL returns the URL under which the server can be called from this machine.
func baseURL(address net.Addr, tlsConfig *tls.Config) string {
	reachable := server.Reachable(address)
	host, port, err := net.SplitHostPort(reachable)
	if err != nil || tlsConfig == nil {
		return "http://" + reachable
	}
	return "https://" + net.JoinHostPort(certificateHost(tlsConfig, host), port)
}

// certificateHost prefers a name that the certificate has, because curl compares it.
func certificateHost(tlsConfig *tls.Config, host string) string {
	leaf, err := x509.ParseCertificate(tlsConfig.Certificates[0].Certificate[0])
	if err != nil || leaf.VerifyHostname(host) == nil {
		return host
	}
	for _, name := range leaf.DNSNames {
		if !strings.Contains(name, "*") {
			return name
		}
	}
	return host
}
