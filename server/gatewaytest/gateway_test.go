//go:build gateway

// Package gatewaytest_test puts real gateways, as the README configures them, between clients and a service, and attacks them. It
// needs nginx, and Caddy if that is to be tested too: `make test-gateway` gets them.
package gatewaytest_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gateway is a program between the client and the service.
type gateway struct {
	name, language string
	// passesBodies says that the client gets tokenwire's own answer when it is refused.
	passesBodies bool
	// passesUnknown says that a client's header goes through whose name is like those of tokenwire, and none of them.
	passesUnknown bool
	// failed is the status when tokenwire cannot be reached, and limited when it answers 429.
	failed, limited int
	start           func(t *testing.T, dir, snippet string) *exec.Cmd
}

func gateways() []gateway {
	return []gateway{
		{name: "nginx", language: "nginx", passesUnknown: true, failed: 503, limited: 429, start: startNginx},
		{name: "Caddy", language: "caddyfile", passesBodies: true, failed: 502, limited: 429, start: startCaddy},
	}
}

// snippet is the configuration in the README, with the ports of this test.
func snippet(t *testing.T, language, tokenwire, service, listen string) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(readme, -1)
	if len(found) != 1 {
		t.Fatalf("the README has %d blocks of %s, want one", len(found), language)
	}
	text := string(found[0][1])
	for documented, actual := range map[string]string{"127.0.0.1:8080": tokenwire, "127.0.0.1:9000": service, "127.0.0.1:8000": listen} {
		if strings.Count(text, documented) != 1 {
			t.Fatalf("%s is not in the snippet once", documented)
		}
		text = strings.Replace(text, documented, actual, 1)
	}
	return text
}

func startNginx(t *testing.T, dir, snippet string) *exec.Cmd {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatal("there is no nginx: ", err)
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n" // else it changes to one that cannot read the test's folder
	}
	var temporary strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		_, _ = fmt.Fprintf(&temporary, "  %s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	config := user + "worker_processes 1;\ndaemon off;\nerror_log stderr crit;\npid " + filepath.Join(dir, "nginx.pid") + ";\nevents {}\nhttp {\n  access_log off;\n" + temporary.String() + snippet + "}\n"
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return exec.Command(program, "-p", dir, "-c", file)
}

func startCaddy(t *testing.T, dir, snippet string) *exec.Cmd {
	t.Helper()
	program, err := exec.LookPath("caddy")
	if err != nil {
		t.Skip("there is no Caddy: its snippet is not tested")
	}
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte("{\n\tadmin off\n\tauto_https off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n"+snippet), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "run", "--adapter", "caddyfile", "--config", file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	return cmd
}

// run starts a gateway that guards a service, and returns its address.
func (g gateway) run(t *testing.T, tokenwire, service string) string {
	t.Helper()
	listen := freeAddress(t)
	cmd := g.start(t, t.TempDir(), snippet(t, g.language, tokenwire, service, listen))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited //nolint:errcheck // that it was killed
		if t.Failed() && said.Len() > 0 {
			t.Logf("%s says:\n%s", g.name, said.String())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", listen); err == nil {
			_ = conn.Close()
			return listen
		}
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("%s has ended: %v\n%s", g.name, err, said.String())
		case <-ctx.Done():
			t.Fatalf("%s does not listen", g.name)
		case <-ticker.C:
		}
	}
}

// freeAddress returns an address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
