//go:build package

// Package packaging_test installs the package that make package has built on this machine, starts what it starts, and purges it.
package packaging_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	state    = "/var/lib/tokenwire"
	settings = "/etc/default/tokenwire"
	first    = "/var/lib/tokenwire-first/first-project"
	unitFile = "/usr/lib/systemd/system/tokenwire.service"
)

func debFile(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder(t), "dist", "*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("there are %d packages in dist (%v): run make package", len(found), err)
	}
	return found[0]
}

func TestLintian(t *testing.T) {
	if output := shell(t, "lintian", "--allow-root", "--fail-on", "error,warning", debFile(t)); strings.Contains(output, "W: ") || strings.Contains(output, "E: ") {
		t.Errorf("lintian says\n%s", output)
	}
}

// TestUnit: the unit is sound, and what systemd makes of it leaves little to attack: 0 is nothing, 100 everything.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("there is no systemd-analyze: install the package systemd")
	}
	path := filepath.Join(folder(t), "packaging", "tokenwire.service")
	output := shell(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", path)
	lines := strings.Split(strings.TrimSpace(output), "\n")
	t.Log(lines[len(lines)-1])
	weak := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=5", path)
	if weak.Run() == nil {
		t.Error("no unit can be that good: the threshold is not looked at")
	}
}

// TestPackage installs the package, starts the service, removes and purges it.
func TestPackage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this installs a package: run it as root")
	}
	if exec.CommandContext(t.Context(), "dpkg", "-s", "tokenwire").Run() == nil || exists(state) {
		t.Fatal("tokenwire is installed here, or has left its state: this test would remove it")
	}
	purged := false
	t.Cleanup(func() {
		if !purged {
			shell(t, "dpkg", "--purge", "tokenwire")
		}
	})
	shell(t, "apt-get", "install", "-qq", "-y", "--no-install-recommends", debFile(t))
	wantMode(t, state, fs.ModeDir|0o700, "tokenwire")
	wantMode(t, settings, 0o640, "root")
	wantMode(t, "/usr/bin/tokenwire", 0o755, "root")
	if listed := shell(t, "dpkg-query", "--show", "--showformat=${Conffiles}", "tokenwire"); !strings.Contains(listed, settings) {
		t.Errorf("%s is no conffile", settings)
	}
	if page := shell(t, "man", "--warnings", "-l", "/usr/share/man/man1/tokenwire.1.gz"); !strings.Contains(page, first) {
		t.Errorf("the manual page does not name %s:\n%s", first, page)
	}

	content, err := os.ReadFile(settings)
	check(t, err)
	check(t, os.WriteFile(settings, append(content, "TOKENWIRE_ADDR=127.0.0.1:0\nTOKENWIRE_DRAIN_DELAY=0s\n"...), 0o640))
	checkService(t)

	shell(t, "dpkg", "--install", debFile(t)) // again, as an upgrade does
	if kept, err := os.ReadFile(settings); err != nil || !strings.Contains(string(kept), "TOKENWIRE_ADDR=127.0.0.1:0") {
		t.Errorf("an upgrade has changed the settings (%v)", err)
	}
	shell(t, "dpkg", "--remove", "tokenwire")
	for _, path := range []string{"/usr/bin/tokenwire", unitFile} {
		if exists(path) {
			t.Errorf("%s is left after the removal", path)
		}
	}
	for _, path := range []string{settings, state + "/tokenwire.db", state + "/tokenwire.db.keyset"} {
		if !exists(path) {
			t.Errorf("%s is gone after the removal, which must keep it", path)
		}
	}
	shell(t, "dpkg", "--purge", "tokenwire")
	purged = true
	for _, path := range []string{settings, state, filepath.Dir(first), "/usr/share/doc/tokenwire", "/etc/systemd/system/multi-user.target.wants/tokenwire.service", "/etc/systemd/system/tokenwire.service"} {
		if exists(path) {
			t.Errorf("%s is left after the purge", path)
		}
	}
	if _, err := user.Lookup("tokenwire"); err == nil {
		t.Error("the user is left after the purge")
	}
}

// checkService starts what is installed the way its unit says, calls it, and rotates its keys as root while it runs.
func checkService(t *testing.T) {
	t.Helper()
	u := readUnit(t, unitFile)
	s := u.start(t)
	output, err := os.ReadFile(first)
	check(t, err)
	wantMode(t, first, 0o600, "root")
	wantMode(t, filepath.Dir(first), fs.ModeDir|0o700, "root") // a link in there would be followed as root
	wantMode(t, state+"/tokenwire.db", 0o600, "tokenwire")
	wantMode(t, state+"/tokenwire.db.keyset", 0o600, "tokenwire")
	call(t, s.url, string(output))
	if ready := shell(t, "/usr/bin/tokenwire", "health", "--url", s.url); ready != "ready\n" {
		t.Errorf("tokenwire health prints %q", ready)
	}
	shell(t, "/usr/bin/tokenwire", "keyset", "rotate", "--db", state+"/tokenwire.db")
	wantMode(t, state+"/tokenwire.db.keyset", 0o600, "tokenwire")
	call(t, s.url, string(output))
	s.stop(t)
	again := u.start(t)
	call(t, again.url, string(output))
	again.stop(t)
	files, err := filepath.Glob(state + "/*")
	check(t, err)
	if want := []string{state + "/tokenwire.db", state + "/tokenwire.db.keyset"}; !slices.Equal(files, want) {
		t.Errorf("the service has left %v, want %v", files, want)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func wantMode(t *testing.T, path string, mode fs.FileMode, owner string) {
	t.Helper()
	info, err := os.Stat(path)
	check(t, err)
	account, err := user.Lookup(owner)
	check(t, err)
	if uid := credential(t, account.Username).Uid; info.Mode() != mode || info.Sys().(*syscall.Stat_t).Uid != uid {
		t.Errorf("%s has mode %v and owner %d, want %v and %d", path, info.Mode(), info.Sys().(*syscall.Stat_t).Uid, mode, uid)
	}
}
