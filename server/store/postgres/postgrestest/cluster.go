//go:build unix

// Package postgrestest gives tests throw-away PostgreSQL servers of their own.
//
//	func TestSomething(t *testing.T) {
//		cluster := postgrestest.Start(t, nil) // skips the test where there is no PostgreSQL
//		db, err := postgres.Open(t.Context(), cluster.NewDatabase(t))
//		…
//	}
//
// A server listens on a free port of 127.0.0.1 and nowhere else, keeps its files in a folder of its own, wants a password, and goes
// away with the test, also when the test is killed. It refuses to run as root: then it runs as the user postgres or nobody.
package postgrestest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Required is the variable of the environment that makes a test fail that would be skipped because there is no PostgreSQL.
const Required = "TOKENWIRE_TEST_POSTGRES"

const (
	userName = "tokenwire"
	// Password is in every DSN, so that a test can look for it where it must not be.
	Password = "pw-of-the-test-cluster" //nolint:gosec // it opens nothing else

	startTimeout = 60 * time.Second
)

// Options changes how a server is made. The zero value, and nil, are good for most tests.
type Options struct {
	// Settings are lines of postgresql.conf by name. By default the server does not wait for the disk; set fsync to on where that
	// matters.
	Settings map[string]string
	// Folder is where the server's own folder is made; whom it runs as must be able to reach it. By default it is that of temporary
	// files.
	Folder string
}

// Cluster is a PostgreSQL server.
type Cluster struct {
	// Dir has the files of the server.
	Dir string
	// Port is where it listens, on 127.0.0.1. It stays the same when the server is started again.
	Port int

	binaries string
	owner    *syscall.Credential
	settings map[string]string
	process  *os.Process
	frozen   []int // ids of processes
	ended    chan struct{}
}

// Binaries returns the folder with initdb and postgres: that of the PATH, or the newest below /usr/lib/postgresql.
func Binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("there is no PostgreSQL: initdb is neither in the PATH nor below /usr/lib/postgresql; make test-postgres installs it where it can")
	}
	version := func(path string) int {
		number, _ := strconv.Atoi(strings.Split(path, "/")[4]) // no number is older than all
		return number
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) })
	return filepath.Dir(newest), nil
}

// Start starts a server for a test, or skips the test when there is no PostgreSQL.
func Start(tb testing.TB, options *Options) *Cluster {
	tb.Helper()
	if _, err := Binaries(); err != nil {
		if os.Getenv(Required) != "" {
			tb.Fatal(err)
		}
		tb.Skip(err)
	}
	if options == nil {
		options = &Options{}
	}
	c, err := New(tb.Context(), *options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Remove(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// New makes a server and starts it. The caller removes it.
func New(ctx context.Context, options Options) (*Cluster, error) {
	c, err := prepare(options)
	if err != nil {
		return nil, err
	}
	if err := c.initialise(ctx); err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	return c, nil
}

// prepare makes the folder of a server and chooses its port.
func prepare(options Options) (*Cluster, error) {
	binaries, err := Binaries()
	if err != nil {
		return nil, err
	}
	c := &Cluster{binaries: binaries, settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "max_connections": "200", "log_min_messages": "warning",
	}}
	maps.Copy(c.settings, options.Settings)
	if c.owner, err = owner(); err != nil {
		return nil, err
	}
	if c.Port, err = freePort(); err != nil {
		return nil, err
	}
	if c.Dir, err = os.MkdirTemp(options.Folder, "tokenwire-postgres-"); err != nil {
		return nil, err
	}
	if c.owner != nil {
		if err := os.Chown(c.Dir, int(c.owner.Uid), int(c.owner.Gid)); err != nil {
			return nil, errors.Join(err, c.Remove())
		}
	}
	return c, nil
}

// owner is whom a server runs as: who runs the test, but not root.
func owner() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nobody else
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody")
}

func freePort() (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on TCP
	return port, listener.Close()
}

func (c *Cluster) initialise(ctx context.Context) error {
	password := filepath.Join(c.Dir, "password")
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o644); err != nil { //nolint:gosec // of a server that is thrown away
		return err
	}
	return c.Run(ctx, "initdb", "--pgdata="+c.data(), "--username="+userName, "--pwfile="+password, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--no-sync")
}

func (c *Cluster) data() string { return filepath.Join(c.Dir, "data") }

// Run runs a program of PostgreSQL to its end, as the owner of the server.
func (c *Cluster) Run(ctx context.Context, program string, args ...string) error {
	_, err := c.Output(ctx, program, args...)
	return err
}

// Output is Run, and returns what the program has printed.
func (c *Cluster) Output(ctx context.Context, program string, args ...string) ([]byte, error) {
	output, err := c.command(ctx, program, args...).CombinedOutput()
	if err != nil {
		return output, fmt.Errorf("%s: %w\n%s", program, err, output)
	}
	return output, nil
}

func (c *Cluster) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(c.binaries, program), args...) //nolint:gosec // a program of PostgreSQL
	command.Dir = c.Dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + c.Dir, "PGPASSWORD=" + Password}
	command.SysProcAttr = attributes(c.owner)
	return command
}

// Start starts a server that is not running, and returns when it takes connections.
func (c *Cluster) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	args := []string{
		"-D", c.data(), "-c", "port=" + strconv.Itoa(c.Port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
	}
	for name, value := range c.settings {
		args = append(args, "-c", name+"="+value)
	}
	command := c.command(context.Background(), "postgres", args...)
	log, err := command.StderrPipe()
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	c.ended = make(chan struct{})
	go run(command, started, c.ended)
	if err := <-started; err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	c.process = command.Process
	ready := make(chan string, 1)
	go watch(log, ready)
	select {
	case text := <-ready:
		if text != "" {
			return fmt.Errorf("postgres has ended:\n%s", text)
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("postgres is not ready after %v", startTimeout), c.kill())
	}
}

// run starts a process and waits for it on one thread: it is to be killed with the thread that has started it.
func run(command *exec.Cmd, started chan<- error, ended chan<- struct{}) {
	runtime.LockOSThread()
	defer close(ended)
	err := command.Start()
	started <- err
	if err == nil {
		_, _ = command.Process.Wait() // how it ends is seen elsewhere
	}
}

// watch reads the log of a server to its end, and says when it is ready, or what it has said before it ended.
func watch(log io.Reader, ready chan<- string) {
	var text strings.Builder
	isReady := false
	for lines := bufio.NewScanner(log); lines.Scan(); {
		line := lines.Text()
		if !isReady {
			text.WriteString(line + "\n")
		}
		if !isReady && strings.Contains(line, "ready to accept") {
			isReady = true
			ready <- ""
		}
	}
	if !isReady {
		ready <- cmp.Or(text.String(), "it has said nothing")
	}
}

// Stop stops the server in good order: connections are cut, and what is written is kept.
func (c *Cluster) Stop() error { return c.signal(syscall.SIGINT) }

// kill kills the server alone. What works for it goes on until it notices, and may answer meanwhile.
func (c *Cluster) kill() error { return c.signal(syscall.SIGKILL) }

func (c *Cluster) signal(signal syscall.Signal) error {
	if c.process == nil {
		return nil
	}
	if err := c.Thaw(); err != nil {
		return err
	}
	if err := c.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.ended
	c.process = nil
	return nil
}

// Remove stops the server and removes its files.
func (c *Cluster) Remove() error {
	return errors.Join(c.Stop(), os.RemoveAll(c.Dir))
}

// DSN names a database of the server.
func (c *Cluster) DSN(database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(userName, Password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}).String()
}

// NewDatabase makes an empty database for a test and returns its DSN.
func (c *Cluster) NewDatabase(tb testing.TB) string {
	tb.Helper()
	name := "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
	Exec(tb, c.DSN("postgres"), "CREATE DATABASE "+name+" TEMPLATE template0")
	return c.DSN(name)
}

// Exec runs statements on a connection of their own.
func Exec(tb testing.TB, dsn string, statements ...string) {
	tb.Helper()
	connection, err := pgx.Connect(tb.Context(), dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = connection.Close(context.WithoutCancel(tb.Context())) }()
	for _, statement := range statements {
		if _, err := connection.Exec(tb.Context(), statement); err != nil {
			tb.Fatal(err)
		}
	}
}
