package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
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
)

// printedCall is the curl line that serve and project create print, in the form of the vendor's page.
var printedCall = regexp.MustCompile(`(?m)^curl -X PATCH (?:--cacert '[^']*' )?(\S+) \\
  -H "Content-Type: application/json" \\
  -u "([0-9a-f-]{36}):(PT[0-9a-f]{48})" \\
  -d '\{\}'
`)

// call sends what a printed curl line says and returns the answer's body.
func call(t *testing.T, printed string) map[string]any {
	t.Helper()
	match := printedCall.FindStringSubmatch(printed)
	if match == nil {
		t.Fatalf("there is no curl line in:\n%s", printed)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, match[1], strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(match[2], match[3])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the printed call got %d %s (%v)", response.StatusCode, body, err)
	}
	return token(t, body)
}

// token decodes an answer and makes sure that it has exactly the documented properties.
func token(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var token map[string]any
	if err := json.Unmarshal(body, &token); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if names := slices.Sorted(maps.Keys(token)); !slices.Equal(names, []string{"id", "name", "permissions", "token"}) {
		t.Fatalf("the answer has the properties %v", names)
	}
	return token
}

// curl runs a printed line in a shell, as a user would.
func curl(t *testing.T, dir, printed string) []byte {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Log("there is no curl here: the line was parsed and sent by Go only")
		return nil
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", printedCall.FindString(printed))
	shell.Dir = dir
	body, err := shell.Output()
	if err != nil {
		t.Fatalf("curl: %v", err)
	}
	return body
}

func TestFirstStartPrintsACallThatWorks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	printed := s.output(t)
	got := call(t, printed)
	if got["name"] != "Management" || fmt.Sprint(got["permissions"]) != "[management]" {
		t.Errorf("the first token is %v", got)
	}
	if !strings.Contains(printed, got["token"].(string)) || !strings.Contains(printed, got["id"].(string)) {
		t.Errorf("what was printed lacks the token or its id:\n%s", printed)
	}
	if body := curl(t, dir, printed); body != nil && token(t, body)["id"] != got["id"] {
		t.Errorf("curl got %s", body)
	}
	s.stop(t)

	again := serve(t, dir)
	if again.stop(t) != "" {
		t.Error("the second start printed something")
	}
	third := serve(t, dir)
	moved := printedCall.FindString(printed)
	moved = strings.ReplaceAll(moved, s.url, third.url)
	if after := call(t, moved); after["token"] != got["token"] {
		t.Errorf("after the restart the token is %v", after)
	}
}

func TestBootstrapValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	project, secret := "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11", "PT"+strings.Repeat("0123456789ab", 4)
	flags := []string{"--bootstrap-project-id", project, "--bootstrap-token", secret}
	s := serve(t, dir, flags...)
	printed := s.output(t)
	if got := call(t, printed); got["token"] != secret || !strings.Contains(printed, "/Accounts/"+project+"/") {
		t.Errorf("got %v from\n%s", got, printed)
	}
	s.stop(t)
	if again := serve(t, dir, flags...).stop(t); again != "" {
		t.Errorf("the second start printed %q", again)
	}
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, c := range map[string]struct{ args, want string }{
		"a project id that is none": {"--bootstrap-project-id x", "--bootstrap-project-id must be a UUID"},
		"a token that is none":      {"--bootstrap-token PTsecret", "--bootstrap-token: an API token is"},
		"half of TLS":               {"--tls-cert x", "--tls-cert and --tls-key go together"},
		"a certificate not there":   {"--tls-cert x --tls-key y", "load --tls-cert and --tls-key"},
		"a negative limit":          {"--auth-failures-per-minute=-1", "--auth-failures-per-minute must be at least 1"},
		"no connections":            {"--max-connections=0", "--max-connections and --max-requests must be at least 1"},
		"no time for requests":      {"--request-timeout=0s", "--request-timeout must be more than 0s"},
		"no time to stop":           {"--shutdown-timeout=0s", "--shutdown-timeout must be more than 0s"},
		"seeds without a sandbox":   {"--seed x", "--sandbox-remote and --seed need --sandbox"},
		"a seed file not there":     {"--sandbox --addr 127.0.0.1:0 --seed x", "cannot read the seed file"},
		"two certificates":          {"--dev-tls --tls-cert x --tls-key y", "--dev-tls excludes --tls-cert and --tls-key"},
		"a name without dev-tls":    {"--dev-tls-name x", "--dev-tls-name needs --dev-tls"},
		"nowhere for the authority": {"--addr 127.0.0.1:0 --dev-tls --dev-tls-ca no/such/folder", "choose another file with --dev-tls-ca"},
		"a URL that is none":        {"--public-url tokens.example.com", "--public-url must be a URL such as"},
		"a negative delay":          {"--drain-delay=-1s", "--drain-delay must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := execute(t, t.TempDir(), nil, append([]string{"serve"}, strings.Fields(c.args)...)...).want(t, 1)
			if !strings.Contains(got.stderr, c.want) || strings.Count(got.stderr, "\n") != 1 || strings.Contains(got.stderr, "PTsecret") {
				t.Errorf("stderr %q, want one line with %q", got.stderr, c.want)
			}
		})
	}
	t.Run("a port that is taken", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		got := execute(t, dir, nil, "serve", "--addr", taken.Addr().String()).want(t, 1)
		if !strings.Contains(got.stderr, "choose another address with --addr") || got.stdout != "" {
			t.Errorf("stdout %q, stderr %q", got.stdout, got.stderr)
		}
		if s := serve(t, dir); s.output(t) == "" {
			t.Error("the credential was lost: a later start did not print it")
		}
	})
}

func TestKeysetRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, keyset, other string)
		want  string
	}{
		"missing":     {func(t *testing.T, keyset, _ string) { t.Helper(); check(t, os.Remove(keyset)) }, "is missing; restore it"},
		"another one": {func(t *testing.T, keyset, other string) { t.Helper(); check(t, os.Rename(other, keyset)) }, "does not fit this database"},
		"damaged":     {func(t *testing.T, keyset, _ string) { t.Helper(); check(t, os.WriteFile(keyset, []byte("{}"), 0o600)) }, "is not a keyset"},
		"readable":    {func(t *testing.T, keyset, _ string) { t.Helper(); check(t, os.Chmod(keyset, 0o644)) }, "run chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, other := t.TempDir(), t.TempDir()
			execute(t, dir, nil, "project", "create", "--create-database", "--name", "One").want(t, 0)
			execute(t, other, nil, "project", "create", "--create-database", "--name", "Other").want(t, 0)
			c.spoil(t, filepath.Join(dir, "tokenwire.db.keyset"), filepath.Join(other, "tokenwire.db.keyset"))
			before := snapshot(t, dir)
			for _, args := range []string{"serve --addr 127.0.0.1:0", "project create --name Two"} {
				got := execute(t, dir, nil, strings.Fields(args)...).want(t, 1)
				if !strings.Contains(got.stderr, c.want) || strings.Count(got.stderr, "\n") != 1 || got.stdout != "" {
					t.Errorf("%s: stderr %q, want one line with %q", args, got.stderr, c.want)
				}
			}
			if after := snapshot(t, dir); !maps.Equal(before, after) {
				t.Error("files were changed")
			}
		})
	}
}

// TestDirectoryThatCannotBeWritten: which one it is, with what it was named, and what to do.
func TestDirectoryThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	source := closedDatabase(t)
	backup(t, source)
	original := snapshot(t, source)
	for args, want := range map[string]string{
		"serve --db x.db": "x.db: permission denied; make the directory writable, or choose another path with --db",
		"backup x.db":     "x.db: permission denied; make the directory writable, or choose another <FILE>",
		"restore b.db --db x.db --keyset tokenwire.db.keyset": "x.db: permission denied; make the directory writable, or choose another path with --db",
	} {
		dir := t.TempDir()
		for name, content := range original {
			check(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		}
		cmd := asNobody(t, command(t, dir, nil, strings.Fields(args)...), dir)
		check(t, os.Chmod(dir, 0o555))
		t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
		got := finish(t, cmd).want(t, 1)
		if !strings.Contains(got.stderr, want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: stderr %q, want one line with %q", args, got.stderr, want)
		}
		if files := snapshot(t, dir); len(files) != len(original) {
			t.Errorf("%s: there are %d files, and were %d", args, len(files), len(original))
		}
	}
}

// asNobody lets a command that works in dir run as another user when the test's own may write everywhere.
func asNobody(t *testing.T, cmd *exec.Cmd, dir string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		return cmd
	}
	const nobody = 65534
	for name := range snapshot(t, dir) {
		check(t, os.Chown(filepath.Join(dir, name), nobody, nobody))
	}
	place := t.TempDir()
	check(t, os.Chmod(filepath.Dir(place), 0o755))
	program, err := os.ReadFile(os.Args[0])
	check(t, err)
	cmd.Path = filepath.Join(place, "tokenwire")
	check(t, os.WriteFile(cmd.Path, program, 0o755))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

// TestShutdown sends SIGTERM while a request is half sent.
func TestShutdown(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--drain-delay", "1h", "--shutdown-timeout", "1h")
	match := printedCall.FindStringSubmatch(s.output(t))
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, match[1], reader)
	check(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(match[2], match[3])
	answered := make(chan string, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			answered <- err.Error()
			return
		}
		answered <- response.Status
		_ = response.Body.Close()
	}()
	_, err = writer.Write([]byte("{")) // returns when the transport has taken it: the request is on its way
	check(t, err)
	check(t, s.cmd.Process.Signal(syscall.SIGTERM))
	for get(t, s.url+"/readyz") != http.StatusServiceUnavailable {
	}
	if status := get(t, s.url+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz answers %d while the server drains", status)
	}
	_, err = writer.Write([]byte("}"))
	check(t, err)
	check(t, writer.Close())
	if status := <-answered; status != "200 OK" {
		t.Errorf("the request that was running got %s", status)
	}
	check(t, s.cmd.Process.Signal(syscall.SIGTERM)) // it would drain for an hour; a second signal ends it
	s.waitForExit()
	_ = s.cmd.Wait()
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("after the second signal: %v", s.cmd.ProcessState)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pool := writeCertificate(t, dir)
	s := serve(t, dir, "--tls-cert", "cert.pem", "--tls-key", "key.pem")
	printed := s.output(t)
	if !strings.HasPrefix(s.url, "https://localhost:") || !strings.Contains(printed, "--cacert '"+filepath.Join(dir, "cert.pem")+"' https://localhost:") {
		t.Errorf("URL %s; printed:\n%s", s.url, printed)
	}
	if body := curl(t, dir, printed); body != nil {
		token(t, body)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(s.url + "/readyz")
	check(t, err)
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		t.Errorf("/readyz answers %d over %s", response.StatusCode, response.Proto)
	}
	missing, err := (&http.Client{Transport: transport}).Get(s.url + "/nothing")
	check(t, err)
	defer func() { _ = missing.Body.Close() }()
	var problem struct {
		MoreInfo string `json:"more_info"`
	}
	check(t, json.NewDecoder(missing.Body).Decode(&problem))
	if want := s.url + "/docs/errors#"; !strings.HasPrefix(problem.MoreInfo, want) {
		t.Errorf("an error leads to %s, want %s…: the certificate is for that name", problem.MoreInfo, want)
	}
}

func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tokenwire test"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	check(t, os.WriteFile(filepath.Join(dir, "cert.pem"), chain, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes}), 0o600))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(chain)
	return pool
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot returns the content of each file in a directory.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	check(t, err)
	for _, name := range names {
		content, err := os.ReadFile(name)
		check(t, err)
		files[filepath.Base(name)] = string(bytes.Clone(content))
	}
	return files
}
