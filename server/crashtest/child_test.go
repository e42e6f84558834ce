package crashtest_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

const (
	projectID   = "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11"
	adminSecret = "PT0123456789ab0123456789ab0123456789ab0123456789ab"

	// startTimeout is when a start is given up; it takes less than 100 ms.
	startTimeout = 30 * time.Second
	// requestTimeout is when a request is given up. The server answers before, whatever happens.
	requestTimeout = 20 * time.Second
)

// root is the folder of the module.
const root = "../.."

var listening = regexp.MustCompile(`msg=listening url=(\S+)`)

// build makes the binary as `make build` does, without its version.
func build(t *testing.T, flags ...string) string {
	t.Helper()
	return buildIn(t, root, flags...)
}

// buildIn makes the binary from the module in a folder.
func buildIn(t *testing.T, module string, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tokenwire")
	command := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-trimpath"}, flags...), "-o", program, "./server/cmd/tokenwire")...)
	command.Dir, command.Env = module, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return program
}

// site is a binary, a folder in which it keeps its files, and the URL of its database unless that is one of the files.
type site struct{ program, dir, url string }

func (s site) database() string { return filepath.Join(s.dir, "tokenwire.db") }

func (s site) keyset() string { return s.database() + ".keyset" }

// child is a running server.
type child struct {
	command *exec.Cmd
	url     string
	http    *http.Client
	answers *answers
	drained chan struct{} // closed when the log has ended
	out     bytes.Buffer  // what it has printed, to be read when it has ended

	mu  sync.Mutex
	log []string // without the requests that went well
}

// launch executes the server and does not wait for it to listen; ready does.
func (s site) launch(t *testing.T, args ...string) (*child, <-chan string) {
	t.Helper()
	args = append([]string{"serve", "--addr", "127.0.0.1:0", "--auth-failures-per-minute", "1000000",
		"--bootstrap-project-id", projectID, "--bootstrap-token", adminSecret}, args...)
	c := &child{
		command: exec.CommandContext(context.WithoutCancel(t.Context()), s.program, args...),
		answers: newAnswers(),
		drained: make(chan struct{}),
	}
	c.http = &http.Client{Transport: c.answers, Timeout: requestTimeout}
	c.command.Stdout = &c.out
	c.command.Dir = s.dir
	c.command.Env = []string{"HOME=" + s.dir, "TOKENWIRE_DB=" + cmp.Or(s.url, s.database()), "TOKENWIRE_KEYSET=" + s.keyset()}
	stderr, err := c.command.StderrPipe()
	if err == nil {
		err = c.command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	url := make(chan string, 1)
	go func() {
		defer close(c.drained)
		defer close(url)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if match := listening.FindStringSubmatch(lines.Text()); match != nil {
				url <- match[1]
			} else if !strings.Contains(lines.Text(), "level=INFO msg=request ") {
				c.mu.Lock()
				c.log = append(c.log, lines.Text())
				c.mu.Unlock()
			}
		}
	}()
	return c, url
}

// start returns when the server listens.
func (s site) start(t *testing.T, args ...string) *child {
	t.Helper()
	c, url := s.launch(t, args...)
	c.await(t, url)
	return c
}

// await returns when the server listens.
func (c *child) await(t *testing.T, url <-chan string) {
	t.Helper()
	tooLate := time.AfterFunc(startTimeout, c.kill)
	defer tooLate.Stop()
	if c.url = <-url; c.url == "" {
		t.Fatalf("the server ended before it listened:\n%s", strings.Join(c.logged(), "\n"))
	}
}

// killWhileStarting executes the server and kills it a moment later, wherever it is then.
func (s site) killWhileStarting(t *testing.T, after time.Duration) {
	t.Helper()
	c, _ := s.launch(t)
	<-time.After(after)
	c.kill()
}

// stop lets the server finish what it is doing, and returns when it is gone.
func (c *child) stop(t *testing.T) {
	t.Helper()
	must(t, c.command.Process.Signal(syscall.SIGTERM))
	tooLate := time.AfterFunc(startTimeout, func() { _ = c.command.Process.Kill() })
	defer tooLate.Stop()
	<-c.drained
	if err := c.command.Wait(); err != nil {
		t.Fatalf("the server ended with %v:\n%s", err, strings.Join(c.logged(), "\n"))
	}
	c.http.CloseIdleConnections()
}

// kill ends the process without a warning and returns when it is gone. A second call does nothing.
func (c *child) kill() {
	_ = c.command.Process.Kill()
	<-c.drained
	_ = c.command.Wait()
	c.http.CloseIdleConnections()
}

func (c *child) logged() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.log...)
}

// complaints returns what the server has logged as an error of its own.
func (c *child) complaints() []string {
	var errors []string
	for _, line := range c.logged() {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") || strings.Contains(line, "level=WARN") {
			errors = append(errors, "the server has logged: "+line)
		}
	}
	return errors
}

// as returns a client that authenticates with a secret. It repeats nothing: each change is sent once.
func (c *child) as(t *testing.T, secret string) *client.Client {
	t.Helper()
	made, err := c.client(secret)
	must(t, err)
	return made
}

// client is as, for goroutines that cannot end the test.
func (c *child) client(secret string) (*client.Client, error) {
	return client.New(projectID, secret, client.WithBaseURL(c.url), client.WithHTTPClient(c.http), client.WithRetries(0))
}
