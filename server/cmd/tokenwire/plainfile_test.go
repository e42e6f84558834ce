package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFilesThatAreNone: what is no ordinary file is refused at once wherever a file is named, and the error says what it is and where
// it was named. A pipe would hang who opens it.
func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	original := snapshot(t, closedDatabase(t))
	for name, c := range map[string]struct{ args, want string }{
		"database":    {"serve --addr 127.0.0.1:0 --db X", "choose another path with --db"},
		"keyset":      {"serve --addr 127.0.0.1:0 --keyset X", "name another file with --keyset"},
		"guard":       {"serve --addr 127.0.0.1:0 --guard X", "cannot read the rules of --guard"},
		"certificate": {"serve --addr 127.0.0.1:0 --tls-cert X --tls-key tokenwire.db.keyset", "load --tls-cert and --tls-key"},
		"private key": {"serve --addr 127.0.0.1:0 --tls-cert tokenwire.db.keyset --tls-key X", "load --tls-cert and --tls-key"},
		"seed":        {"serve --addr 127.0.0.1:0 --sandbox --seed X", "name another with --seed"},
		"project":     {"project create --name Two --db X", "choose another path with --db"},
		"projects":    {"project list --db X", "choose another path with --db"},
		"to back up":  {"backup b.db --db X", "choose another path with --db"},
		"backup":      {"backup X", "X: file already exists"},
		"to restore":  {"restore X --db new.db", "choose another <FILE>"},
		"restored":    {"restore tokenwire.db --keyset tokenwire.db.keyset --db X", "X: file already exists"},
		"its keyset":  {"restore tokenwire.db --db new.db --keyset X", "name another file with --keyset"},
		"keys":        {"keyset show --keyset X", "name another file with --keyset"},
		"new keys":    {"keyset rotate --keyset X", "name another file with --keyset"},
		"to copy":     {"copy --from X --keyset tokenwire.db.keyset --to postgres://127.0.0.1:1/x", "choose another path with --from"},
		"recording":   {"contract --base-url http://127.0.0.1:1 --compare X", "--compare: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusesFile(t, original, makePipe, "is a pipe", c.args, c.want)
		})
	}
	for kind, c := range map[string]struct {
		make func(t *testing.T, path string)
		said string
	}{"folder": {makeFolder, "is a directory"}, "socket": {makeSocket, "is a socket"}, "device": {linkDevice, "is a device"}} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			refusesFile(t, original, c.make, c.said, "serve --addr 127.0.0.1:0 --db X", "choose another path with --db")
			refusesFile(t, original, c.make, c.said, "serve --addr 127.0.0.1:0 --keyset X", "name another file with --keyset")
		})
	}
}

// refusesFile executes a command on X, beside a copy of a database.
func refusesFile(t *testing.T, original map[string]string, makeX func(*testing.T, string), said, args, want string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range original {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	makeX(t, filepath.Join(dir, "X"))
	got := executeSoon(t, dir, strings.Fields(args)...)
	if got.code == 0 || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, want) {
		t.Errorf("exit code %d, stderr %q, want %q", got.code, got.stderr, want)
	}
	if !strings.Contains(want, "exists") && !strings.Contains(got.stderr, "X "+said+", and no ordinary file") {
		t.Errorf("stderr %q, want that it %s", got.stderr, said)
	}
}

// TestPipesThatNobodyReads: what is written to a file does not wait for somebody at the other end.
func TestPipesThatNobodyReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	makePipe(t, filepath.Join(dir, "X"))
	got := executeSoon(t, dir, "serve", "--addr", "127.0.0.1:0", "--sandbox", "--dev-tls", "--dev-tls-ca", "X").want(t, 1)
	if !strings.Contains(got.stderr, "nobody reads from X") || !strings.Contains(got.stderr, "choose another file with --dev-tls-ca") {
		t.Errorf("stderr %q", got.stderr)
	}
}

// executeSoon executes what may hang.
func executeSoon(t *testing.T, dir string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir, cmd.Env = dir, command(t, dir, []string{"SIGNALWIRE_PROJECT_ID=" + firstProject, "SIGNALWIRE_API_TOKEN=" + firstToken}).Env
	got := finish(t, cmd)
	if ctx.Err() != nil {
		t.Fatalf("it hangs: %v %q", args, got.stderr)
	}
	return got
}

func makePipe(t *testing.T, path string) { t.Helper(); check(t, syscall.Mkfifo(path, 0o600)) }

func makeFolder(t *testing.T, path string) { t.Helper(); check(t, os.Mkdir(path, 0o700)) }

func makeSocket(t *testing.T, path string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "unix", path)
	check(t, err)
	t.Cleanup(func() { _ = listener.Close() })
}

func linkDevice(t *testing.T, path string) {
	t.Helper()
	check(t, os.Symlink("/dev/zero", path))
}
