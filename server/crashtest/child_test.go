package crashtest_test

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

const (
	projectID   = "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11"
	adminSecret = "PT0123456789ab0123456789ab0123456789ab0123456789ab"

	// startTimeout is when a start is given up; it takes less than 100 ms.
	startTimeout = 30 * time.Second
)

var listening = regexp.MustCompile(`msg=listening url=(\S+)`)

// build makes the binary as `make build` does, without its version.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tokenwire")
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "../cmd/tokenwire")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return program
}

// site is a binary, and a folder in which it keeps its files.
type site struct{ program, dir string }

func (s site) database() string { return filepath.Join(s.dir, "tokenwire.db") }

// child is a running server.
type child struct {
	command *exec.Cmd
	url     string
	http    *http.Client
	drained chan struct{} // closed when the log has ended

	mu  sync.Mutex
	log []string // without the requests that went well
}

// launch executes the server and does not wait for it to listen; ready does.
func (s site) launch(t *testing.T) (*child, <-chan string) {
	t.Helper()
	c := &child{
		command: exec.CommandContext(context.WithoutCancel(t.Context()), s.program, "serve", "--addr", "127.0.0.1:0", "--db", s.database(),
			"--auth-failures-per-minute", "1000000", "--bootstrap-project-id", projectID, "--bootstrap-token", adminSecret),
		http:    &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}},
		drained: make(chan struct{}),
	}
	c.command.Dir, c.command.Env = s.dir, []string{"HOME=" + s.dir}
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
func (s site) start(t *testing.T) *child {
	t.Helper()
	c, url := s.launch(t)
	tooLate := time.AfterFunc(startTimeout, c.kill)
	defer tooLate.Stop()
	if c.url = <-url; c.url == "" {
		t.Fatalf("the server ended before it listened:\n%s", strings.Join(c.logged(), "\n"))
	}
	return c
}

// killWhileStarting executes the server and kills it a moment later, wherever it is then.
func (s site) killWhileStarting(t *testing.T, after time.Duration) {
	t.Helper()
	c, _ := s.launch(t)
	<-time.After(after)
	c.kill()
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
	made, err := client.New(projectID, secret, client.WithBaseURL(c.url), client.WithHTTPClient(c.http), client.WithRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	return made
}
