package main

import (
	"os"
	"strings"
	"testing"
)

// TestSlipsInURLs: a URL of a database server that is a little wrong makes no file, and its password is not printed.
func TestSlipsInURLs(t *testing.T) {
	t.Parallel()
	refuse := func(t *testing.T, flag string, env []string, args ...string) {
		t.Helper()
		dir := t.TempDir()
		got := execute(t, dir, env, args...).want(t, 1)
		if !strings.Contains(got.stderr, flag+" is no well-formed URL") || !strings.Contains(got.stderr, "percent-encoded") ||
			strings.Count(got.stderr, "\n") != 1 || strings.Contains(got.stdout+got.stderr, "Zecret") {
			t.Errorf("%v %v: stdout %q, stderr %q", env, args, got.stdout, got.stderr)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
			t.Errorf("%v %v has made %v (%v)", env, args, files, err)
		}
	}
	for _, url := range []string{
		"host=127.0.0.1 port=1 user=u password=Zecret dbname=tw", "POSTGRES://u:Zecret@127.0.0.1:1/tw", "postgres://u:p@x@Zecret/tw", "u/Zecret@127.0.0.1/tw",
	} {
		for _, command := range []string{
			"serve --addr 127.0.0.1:port", "doctor", "project list", "project create --name x", "keyset show", "keyset rotate", "keyset prune --discard",
			"restore file",
		} {
			refuse(t, "--db", nil, append(strings.Fields(command), "--db", url)...)
		}
		refuse(t, "--db", []string{"TOKENWIRE_DB=" + url}, "serve", "--addr", "127.0.0.1:port") // which would end it, too late
		refuse(t, "--db", nil, "backup", "file", "--db", url)
		refuse(t, "<FILE>", nil, "backup", url)
		refuse(t, "<FILE>", nil, "restore", url)
		refuse(t, "--from", nil, "copy", "--from", url, "--to", "postgres://127.0.0.1:1/tw")
		refuse(t, "--to", nil, "copy", "--from", "file", "--to", url)
		refuse(t, "--to", []string{"TOKENWIRE_FROM=file", "TOKENWIRE_TO=" + url}, "copy")
	}
	for _, args := range [][]string{{"serve", "postgres://u:Zecret@h/tw"}, {"serve", "--bd=postgres://u:Zecret@h/tw"}, {"password=Zecret"}} {
		if got := execute(t, t.TempDir(), nil, args...).want(t, 2); strings.Contains(got.stdout+got.stderr, "Zecret") {
			t.Errorf("%v: %q", args, got.stderr)
		}
	}
}
