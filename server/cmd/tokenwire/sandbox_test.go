package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSandbox: the same project at every start, those of the seed file, and no trace on the disk.
func TestSandbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seeds := filepath.Join(dir, "seeds.yaml")
	check(t, os.WriteFile(seeds, []byte(`# two projects
projects:
  - name: First
    project_id: 11111111-1111-4111-8111-111111111111
    token: PTaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    subprojects:
      - name: Branch
  - name: Second
`), 0o600))
	for range 2 {
		s := serve(t, dir, "--sandbox", "--seed", seeds)
		printed := s.output(t)
		if got := call(t, printed); got["token"] != sandboxToken || got["id"] != sandboxTokenID || !strings.Contains(printed, sandboxProjectID) {
			t.Errorf("the project of a sandbox has the token %v; printed:\n%s", got, printed)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/laml/2010-04-01/Accounts", nil)
		check(t, err)
		request.SetBasicAuth("11111111-1111-4111-8111-111111111111", "PT"+strings.Repeat("a", 48))
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		body, err := io.ReadAll(response.Body)
		check(t, err)
		_ = response.Body.Close()
		if !strings.Contains(string(body), "First") || !strings.Contains(string(body), "Branch") {
			t.Errorf("the seeded project answers %d %s", response.StatusCode, body)
		}
		if status := get(t, s.url+"/_sandbox/projects/"+sandboxProjectID+"/clock"); status != http.StatusOK {
			t.Errorf("the control surface answers %d", status)
		}
		s.stop(t)
	}
	if files := snapshot(t, dir); len(files) != 1 {
		t.Errorf("a sandbox left %d files beside its seeds", len(files)-1)
	}
}

// TestNoSandbox: without the flag there is no control surface.
func TestNoSandbox(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--bootstrap-project-id", sandboxProjectID)
	if status := get(t, s.url+"/_sandbox/projects/"+sandboxProjectID+"/clock"); status != http.StatusNotFound {
		t.Errorf("a server that is no sandbox answers %d on its control surface", status)
	}
}

func TestSeedRefusals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"projects: [":                       "the seed file is not YAML",
		"- name: x":                         "the seed file must have a list named projects, and nothing else: it is a list\n",
		"a text":                            "the seed file must have a list named projects, and nothing else: it is a text\n",
		"project: []":                       "the seed file must have a list named projects, and nothing else: it has \"project\"\n",
		"{rules: [], projects: [{}]}":       "the seed file must have a list named projects, and nothing else: it has \"rules\"\n",
		"projects: 7":                       "the seed file must have a list named projects, and nothing else: its projects are a number\n",
		"projects: {name: x}":               "the seed file must have a list named projects, and nothing else: its projects are an object\n",
		"projects: [{}, x]":                 "projects.1 must be an object, and is a text\n",
		"projects: [{nam: x}]":              `projects.0: "nam" is no property of this body; did you mean "name"?`,
		"projects: [{}, {token: x}]":        `projects.1: Token must be "PT" followed by 48 lower-case hexadecimal digits`,
		"projects: [{tokens: [{name: x}]}]": "projects.0: Tokens.0.permissions must be present",
		"projects: [{project_id: " + sandboxProjectID + "}]": "exists already",
	} {
		dir := t.TempDir()
		check(t, os.WriteFile(filepath.Join(dir, "seeds.yaml"), []byte(text), 0o600))
		got := execute(t, dir, nil, "serve", "--sandbox", "--addr", "127.0.0.1:0", "--seed", "seeds.yaml").want(t, 1)
		if !strings.Contains(got.stderr, want) || !strings.Contains(got.stderr, "seeds.yaml: ") || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: %q, want one line with the file and %q", text, got.stderr, want)
		}
	}
}

// TestDevTLS: who trusts the file that is written trusts this server, for its names, and no other.
func TestDevTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--sandbox", "--dev-tls", "--dev-tls-name", "tokenwire.test", "--dev-tls-name", "192.0.2.7")
	printed := s.output(t)
	authority := filepath.Join(dir, "tokenwire-ca.pem")
	for _, want := range []string{"NODE_EXTRA_CA_CERTS=", "REQUESTS_CA_BUNDLE=", "SSL_CERT_FILE=", authority} {
		if !strings.Contains(printed, want) {
			t.Errorf("what was printed lacks %q:\n%s", want, printed)
		}
	}
	if body := curl(t, dir, printed); body != nil {
		token(t, body)
	}
	text, err := os.ReadFile(authority)
	check(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	if strings.Contains(string(text), "PRIVATE") || len(snapshot(t, dir)) != 1 {
		t.Error("a private key was written")
	}
	address := strings.TrimPrefix(s.url, "https://")
	for name, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "tokenwire.test": true, "192.0.2.7": true, "example.com": false} {
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: name, MinVersion: tls.VersionTLS12}}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("as %s: %v, want success %v", name, err, want)
		}
	}
	other := serve(t, t.TempDir(), "--sandbox", "--dev-tls")
	_, err = (&tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}}).DialContext(
		t.Context(), "tcp", strings.TrimPrefix(other.url, "https://"))
	if err == nil {
		t.Error("the authority of one server vouches for another")
	}
}

// TestDevTLSKeepsTheAuthorityOfARunningServer: a second start that cannot listen leaves the file alone.
func TestDevTLSKeepsTheAuthorityOfARunningServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := serve(t, dir, "--sandbox", "--dev-tls")
	before := snapshot(t, dir)
	address := strings.TrimPrefix(strings.Replace(first.url, "localhost", "127.0.0.1", 1), "https://")
	execute(t, dir, nil, "serve", "--sandbox", "--dev-tls", "--addr", address).want(t, 1)
	if after := snapshot(t, dir); !maps.Equal(before, after) {
		t.Errorf("the files are %v, and were %v", after, before)
	}
	info, err := os.Stat(filepath.Join(dir, "tokenwire-ca.pem"))
	check(t, err)
	if info.Mode().Perm() != 0o644 {
		t.Errorf("the authority's certificate has the mode %v", info.Mode())
	}
}

// TestDevTLSWithoutItsFile: nobody is told to trust a file that could not be written.
func TestDevTLSWithoutItsFile(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"none/ca.pem": "none/ca.pem: no such file or directory; create the directory, or choose another file with --dev-tls-ca",
		".":           "open .: is a directory; choose another file with --dev-tls-ca",
	} {
		got := execute(t, t.TempDir(), []string{"TOKENWIRE_DEV_TLS_CA=" + file}, "serve", "--addr", "127.0.0.1:0", "--sandbox", "--dev-tls").want(t, 1)
		if got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: stdout %q, stderr %q, want %q", file, got.stdout, got.stderr, want)
		}
	}
}

// TestSandboxUnderAnotherName: who finds nothing below /_sandbox/ because of the name that they use is told how, once.
func TestSandboxUnderAnotherName(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--sandbox")
	for _, host := range []string{"localhost", "tokenwire:8080", "tokenwire:8080", strings.Repeat("x", 5000)} {
		for _, path := range []string{"clock", "journal"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/_sandbox/projects/"+sandboxProjectID+"/"+path, nil)
			check(t, err)
			request.Host = host
			response, err := http.DefaultClient.Do(request)
			check(t, err)
			check(t, response.Body.Close())
			if want := map[bool]int{true: 200, false: 404}[host == "localhost"]; response.StatusCode != want {
				t.Errorf("as %.20s: %d, want %d", host, response.StatusCode, want)
			}
		}
	}
	check(t, s.cmd.Process.Signal(syscall.SIGTERM))
	var told []string
	for line := range s.log {
		if strings.Contains(line, "--sandbox-remote") {
			told = append(told, line)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "level=WARN") || !strings.Contains(told[0], "host=tokenwire:8080") {
		t.Errorf("the log says %q", told)
	}
}

// TestSandboxRefusesFlagsWithoutMeaning: what is asked for on the command line is not ignored. A variable may be set for
// the whole machine.
func TestSandboxRefusesFlagsWithoutMeaning(t *testing.T) {
	t.Parallel()
	for flag, value := range map[string]string{"--db": "x.db", "--keyset": "x.keyset", "--drain-delay": "1s"} {
		got := execute(t, t.TempDir(), nil, "serve", "--sandbox", "--addr", "127.0.0.1:0", "--seed", "absent.yaml", flag, value).want(t, 1)
		if !strings.Contains(got.stderr, flag+" means nothing to a sandbox") {
			t.Errorf("%s: stderr %q", flag, got.stderr)
		}
	}
	env := []string{"TOKENWIRE_DB=x.db", "TOKENWIRE_KEYSET=x.keyset", "TOKENWIRE_DRAIN_DELAY=1s"}
	got := execute(t, t.TempDir(), env, "serve", "--sandbox", "--addr", "127.0.0.1:0", "--seed", "absent.yaml").want(t, 1)
	if !strings.Contains(got.stderr, "cannot read the seed file") {
		t.Errorf("with variables: stderr %q", got.stderr)
	}
}
