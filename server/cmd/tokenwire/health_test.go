package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	if got := execute(t, dir, nil, "health", "--url", s.url+"/").want(t, 0); got.stdout != "ready\n" {
		t.Errorf("it prints %q", got.stdout)
	}
	if got := execute(t, dir, nil, "health", "--url", s.url+"/docs").want(t, 1); !strings.Contains(got.stderr, "answers 404") {
		t.Errorf("what is not /readyz: %q", got.stderr)
	}
	s.stop(t)
	if got := execute(t, dir, []string{"TOKENWIRE_HEALTH_URL=" + s.url}, "health").want(t, 1); !strings.Contains(got.stderr, "not ready: ") {
		t.Errorf("after the server has stopped: %q", got.stderr)
	}
}

// TestHealthOfTLS: who asks a server with TLS in plain HTTP is told how to ask, and that works.
func TestHealthOfTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--dev-tls")
	address := strings.TrimPrefix(s.url, "https://")
	_, port, err := net.SplitHostPort(address)
	check(t, err)
	got := execute(t, dir, nil, "health", "--addr", "127.0.0.1:"+port).want(t, 1)
	if !strings.Contains(got.stderr, "is a server with TLS; give health what serve has of --tls-cert, --dev-tls") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("stderr: %s", got.stderr)
	}
	execute(t, dir, nil, "health", "--addr", "127.0.0.1:"+port, "--dev-tls").want(t, 0)
}

// TestHealthAsTheServerIsTold: with the variables of the server it asks where the server listens, and as the server wants to be asked.
func TestHealthAsTheServerIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		host  string
		flags []string
		env   []string
	}{
		"another port":     {"127.0.0.1", nil, nil},
		"all addresses":    {"0.0.0.0", nil, nil},
		"all of IPv6":      {"[::]", nil, nil},
		"no host":          {"", nil, nil},
		"a certificate":    {"127.0.0.1", []string{"--tls-cert", "cert.pem", "--tls-key", "key.pem"}, []string{"TOKENWIRE_TLS_CERT=cert.pem"}},
		"the one it makes": {"0.0.0.0", []string{"--dev-tls"}, []string{"TOKENWIRE_DEV_TLS=true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeCertificate(t, dir)
			s := serve(t, dir, append(c.flags, "--addr", c.host+":0")...)
			listens, err := url.Parse(s.url)
			check(t, err)
			env := append(c.env, "TOKENWIRE_ADDR="+c.host+":"+listens.Port())
			if got := execute(t, dir, env, "health").want(t, 0); got.stdout != "ready\n" {
				t.Errorf("it prints %q", got.stdout)
			}
			s.stop(t)
			execute(t, dir, env, "health").want(t, 1)
		})
	}
}

// TestHealthOfOthers: half an answer is none, and another server's certificate is not trusted.
func TestHealthOfOthers(t *testing.T) {
	t.Parallel()
	half := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = fmt.Fprint(w, `{"status":`)
	}))
	t.Cleanup(half.Close)
	dir := t.TempDir()
	if got := execute(t, dir, nil, "health", "--url", half.URL).want(t, 1); !strings.Contains(got.stderr, "cut off") {
		t.Errorf("half an answer: %q", got.stderr)
	}
	other := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	writeCertificate(t, dir)
	got := execute(t, dir, []string{"TOKENWIRE_ADDR=" + other.Listener.Addr().(*net.TCPAddr).String()}, "health", "--tls-cert", "cert.pem").want(t, 1)
	if !strings.Contains(got.stderr, "certificate") {
		t.Errorf("another server: %q", got.stderr)
	}
	for _, flags := range [][]string{{"--addr", "nowhere"}, {"--tls-cert", "missing.pem"}, {"--tls-cert", "key.pem"}, {"--dev-tls"}} {
		execute(t, dir, nil, append([]string{"health"}, flags...)...).want(t, 1)
	}
}
