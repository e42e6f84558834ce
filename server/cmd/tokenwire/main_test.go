package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// asCommand makes the test binary behave as the command, so that the tests run the real thing as a process.
const asCommand = "TOKENWIRE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command prepares the command in an empty directory, without the caller's environment.
func command(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	return commandOf(t, os.Args[0], dir, env, args...)
}

// commandOf prepares a command that is this one, whether built as a test or not.
func commandOf(t *testing.T, program, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{asCommand + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	return cmd
}

// result is what a command that has ended leaves.
type result struct {
	stdout, stderr string
	code           int
}

func execute(t *testing.T, dir string, env []string, args ...string) result {
	t.Helper()
	return finish(t, command(t, dir, env, args...))
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func (r result) want(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

// service is a running `tokenwire serve`.
type service struct {
	url    string
	before []string // what the process logs up to "listening"
	cmd    *exec.Cmd
	stdout string      // the file that standard output goes to
	log    chan string // what the process logs after "listening"; closed when it ends
}

var listening = regexp.MustCompile(`msg=listening url=(\S+)`)

// serve starts the server on a free port and returns when it listens.
func serve(t *testing.T, dir string, args ...string) *service {
	t.Helper()
	return serveProgram(t, os.Args[0], dir, nil, args...)
}

func serveWith(t *testing.T, dir string, env []string, args ...string) *service {
	t.Helper()
	return serveProgram(t, os.Args[0], dir, env, args...)
}

// serveProgram does so with a program that need not be the one of the test.
func serveProgram(t *testing.T, program, dir string, env []string, args ...string) *service {
	t.Helper()
	name := filepath.Join(t.TempDir(), "stdout")
	stdout, err := os.Create(name)
	check(t, err)
	t.Cleanup(func() { _ = stdout.Close() })
	return serveTo(t, program, dir, env, stdout, args...)
}

// serveTo does so with a standard output of its own.
func serveTo(t *testing.T, program, dir string, env []string, stdout *os.File, args ...string) *service {
	t.Helper()
	s := &service{stdout: stdout.Name(), log: make(chan string, 10_000)}
	s.cmd = commandOf(t, program, dir, append(env, "TOKENWIRE_DRAIN_DELAY=0s"), append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)
	s.cmd.Stdout = stdout
	stderr, err := s.cmd.StderrPipe()
	check(t, err)
	check(t, s.cmd.Start())
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	lines := bufio.NewScanner(stderr)
	for s.url == "" && lines.Scan() {
		s.before = append(s.before, lines.Text())
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			s.url = match[1]
		}
	}
	if s.url == "" {
		t.Fatalf("serve ended before it listened:\n%s", strings.Join(s.before, "\n"))
	}
	go func() {
		defer close(s.log)
		for lines.Scan() {
			s.log <- lines.Text()
		}
	}()
	return s
}

// stop ends the server in good order and returns what it printed.
func (s *service) stop(t *testing.T) string {
	t.Helper()
	check(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.waitForExit()
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("serve ended with %v", err)
	}
	return s.output(t)
}

// waitForExit returns when the process has closed its log.
func (s *service) waitForExit() {
	for range s.log {
	}
}

// output returns what the server has printed. The credential is complete before the server listens.
func (s *service) output(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(s.stdout)
	check(t, err)
	return string(content)
}

// get returns the status of a GET, and 0 when there was no answer.
func get(t *testing.T, url string) int {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

func TestEveryFlagHasAnEnvironmentVariable(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&cli{}, kong.DefaultEnvars("TOKENWIRE"))
	check(t, err)
	checked := 0
	for _, leaf := range parser.Model.Leaves(true) {
		for _, flag := range leaf.Flags {
			if flag.Name == "version" {
				continue // a TOKENWIRE_VERSION in the environment must not replace every command
			}
			checked++
			if len(flag.Envs) != 1 || !strings.HasPrefix(flag.Envs[0], "TOKENWIRE_") {
				t.Errorf("%s --%s has the variables %v", leaf.Path(), flag.Name, flag.Envs)
			}
			if flag.Help == "" {
				t.Errorf("%s --%s has no help", leaf.Path(), flag.Name)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d flags were checked", checked)
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--help", "serve --help", "project create --help", "token update --help", "version", "--version"} {
		got := execute(t, t.TempDir(), nil, strings.Fields(args)...).want(t, 0)
		if got.stdout == "" || got.stderr != "" {
			t.Errorf("%s: stdout %q, stderr %q", args, got.stdout, got.stderr)
		}
	}
}

// TestHelpOnTheEnvironment: every command that calls a server says from where it has the credential and the server.
func TestHelpOnTheEnvironment(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&cli{}, kong.DefaultEnvars("TOKENWIRE"))
	check(t, err)
	checked := 0
	for _, leaf := range parser.Model.Leaves(false) {
		if !slices.ContainsFunc(leaf.Flags, func(flag *kong.Flag) bool { return flag.Name == "insecure-http" }) {
			continue
		}
		checked++
		var help strings.Builder
		if code := run(t.Context(), append(strings.Fields(leaf.Path()), "--help"), streams{&help, io.Discard}); code != 0 {
			t.Errorf("%s --help: exit code %d", leaf.Path(), code)
		}
		for _, want := range []string{"SIGNALWIRE_PROJECT_ID ", "SIGNALWIRE_API_TOKEN ", "SIGNALWIRE_SPACE ", "TOKENWIRE_BASE_URL "} {
			if !strings.Contains(help.String(), want) {
				t.Errorf("%s --help does not name %s", leaf.Path(), want)
			}
		}
	}
	if checked < 13 {
		t.Errorf("only %d commands were checked", checked)
	}
}

// TestVersionInTheEnvironment: images often set such a variable, and it must not keep the server from serving.
func TestVersionInTheEnvironment(t *testing.T) {
	t.Parallel()
	got := execute(t, t.TempDir(), []string{"TOKENWIRE_VERSION=1.2.3"}, "project", "list").want(t, 1)
	if !strings.Contains(got.stderr, "there is no database") {
		t.Errorf("stdout %q, stderr %q", got.stdout, got.stderr)
	}
}

func TestCommandLinesThatAreNotUnderstood(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                                       "expected one of",
		"nope":                                   "unexpected argument nope",
		"serve --nope":                           "unknown flag --nope",
		"serve --drain-delay=soon":               `--drain-delay: "soon" is no duration; some are 30s, 1h and 7d`,
		"serve --log-level=loud":                 `--log-level: "loud" is no level; these are: debug, info, warn, error`,
		"audit list --from=yesterday":            `--from: "yesterday" is no time; one is 2027-01-31T12:00:00Z`,
		"token update x --expires-at tomorrow":   `--expires-at: "tomorrow" is no time; one is 2027-01-31T12:00:00Z`,
		"project create":                         "--name",
		"token create --name x":                  "--permission",
		"token update":                           "<TOKEN-ID>",
		"token update x -p fax --no-permissions": "can't be used together",
	} {
		dir := t.TempDir()
		got := execute(t, dir, nil, strings.Fields(args)...).want(t, 2)
		if !strings.Contains(got.stderr, want) || got.stdout != "" {
			t.Errorf("%q: stdout %q, stderr %q, want %q", args, got.stdout, got.stderr, want)
		}
		if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 0 {
			t.Errorf("%q left files: %v %v", args, files, err)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "-1s": -time.Second, "7d": 7 * day, "0d": 0, "1d12h": 36 * time.Hour, "2d0s": 2 * day,
		"100000d": 100_000 * day,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "7", "d", "7 d", "7days", "-7d", "1.5d", "1d-1h", "1d25h", "1d1d", "106751d24h", "106752d", "99999999999999999999d", "1w"} {
		if got, err := parseDuration(text); err == nil || !strings.Contains(err.Error(), "is no duration") {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}
