//go:build package

package packaging_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// unit is a systemd unit: what each setting of its sections was set to.
type unit map[string][]string

func readUnit(t *testing.T, path string) unit {
	t.Helper()
	content, err := os.ReadFile(path)
	check(t, err)
	settings := unit{}
	for line := range strings.Lines(string(content)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			settings[name] = append(settings[name], value)
		}
	}
	return settings
}

func (u unit) one(t *testing.T, name string) string {
	t.Helper()
	if len(u[name]) != 1 {
		t.Fatalf("the unit has %d lines %s=", len(u[name]), name)
	}
	return u[name][0]
}

// environment is what the unit sets, and what its files do after that.
func (u unit) environment(t *testing.T) []string {
	t.Helper()
	env := slices.Clone(u["Environment"])
	for _, path := range u["EnvironmentFile"] {
		content, err := os.ReadFile(strings.TrimPrefix(path, "-"))
		check(t, err)
		for line := range strings.Lines(string(content)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				env = append(env, line)
			}
		}
	}
	return env
}

// credential is the user of the unit, and nobody besides.
func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	account, err := user.Lookup(name)
	check(t, err)
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	check(t, err)
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	check(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// service is a server that was started the way a unit or an image says.
type service struct {
	url string
	cmd *exec.Cmd
}

var listening = regexp.MustCompile(`msg=listening url=(\S+)`)

// run starts a command and returns when it listens.
func run(t *testing.T, cmd *exec.Cmd) *service {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	s, lines := &service{cmd: cmd}, bufio.NewScanner(stderr)
	var log []string
	for s.url == "" && lines.Scan() {
		log = append(log, lines.Text())
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			s.url = match[1]
		}
	}
	if s.url == "" {
		t.Fatalf("it has ended before it listened:\n%s", strings.Join(log, "\n"))
	}
	go func() {
		for lines.Scan() {
			_ = lines.Text()
		}
	}()
	return s
}

func (s *service) stop(t *testing.T) {
	t.Helper()
	check(t, s.cmd.Process.Signal(syscall.SIGTERM))
	check(t, s.cmd.Wait())
}

// start does what systemd does with the unit, as far as it can be done without: user, umask, folder, environment, standard output.
func (u unit) start(t *testing.T) *service {
	t.Helper()
	words := strings.Fields(u.one(t, "ExecStart"))
	shell := fmt.Sprintf("umask %s && exec \"$@\"", u.one(t, "UMask"))
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", shell, "sh"}, words...)...)
	cmd.Dir, cmd.Env = u.one(t, "WorkingDirectory"), u.environment(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, u.one(t, "User"))}
	output, ok := strings.CutPrefix(u.one(t, "StandardOutput"), "append:")
	if !ok {
		t.Fatal("standard output, with the first credential, goes to the journal")
	}
	file, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600) // as root, before the user is changed
	check(t, err)
	defer func() { check(t, file.Close()) }()
	cmd.Stdout = file
	return run(t, cmd)
}

var printed = regexp.MustCompile(`Project ID  (\S+)\s+Token ID    (\S+)\s+API token   (PT[0-9a-f]{48})`)

// call reads a token with the credential that a first start has printed.
func call(t *testing.T, url, output string) {
	t.Helper()
	match := printed.FindStringSubmatch(output)
	if match == nil {
		t.Fatalf("there is no credential in %q", output)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch,
		url+"/api/laml/2010-04-01/Accounts/"+match[1]+"/tokens/"+match[2], strings.NewReader("{}"))
	check(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(match[1], match[3])
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	check(t, response.Body.Close())
	if response.StatusCode != http.StatusOK {
		t.Fatalf("the first token is answered %s", response.Status)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shell runs a program and returns what it prints.
func shell(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return string(output)
}

// folder is the root of the repository.
func folder(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("..")
	check(t, err)
	return path
}
