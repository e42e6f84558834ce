//go:build package

package packaging_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long the machine may take to boot, and the service to do what is waited for.
const patience = 2 * time.Minute

// machine is a container that systemd has booted. Its files are those of this machine, and what is written stays in memory.
type machine struct{ leader string }

// boot installs the package in a container and boots that.
func boot(t *testing.T) machine {
	t.Helper()
	dir := t.TempDir()
	check(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700"))
	t.Cleanup(func() { check(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	root := filepath.Join(dir, "root")
	for _, folder := range []string{root, dir + "/upper", dir + "/work"} {
		check(t, os.Mkdir(folder, 0o755))
	}
	check(t, syscall.Mount("overlay", root, "overlay", 0, "lowerdir=/,upperdir="+dir+"/upper,workdir="+dir+"/work"))
	t.Cleanup(func() { check(t, syscall.Unmount(root, syscall.MNT_DETACH)) })
	content, err := os.ReadFile(debFile(t))
	check(t, err)
	check(t, os.WriteFile(root+"/tokenwire.deb", content, 0o600))
	shell(t, "chroot", root, "dpkg", "--install", "/tokenwire.deb")

	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/ready", Net: "unixgram"})
	check(t, err)
	t.Cleanup(func() { _ = ready.Close() })
	cmd := exec.CommandContext(t.Context(), "systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--boot", "--private-network",
		"--link-journal=no", "--notify-ready=yes", "--console=pipe", "--directory="+root)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+dir+"/ready")
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	m := machine{leaderOf(t, ready)}
	t.Cleanup(func() {
		pid, err := strconv.Atoi(m.leader)
		check(t, err)
		check(t, syscall.Kill(pid, syscall.SIGKILL)) // and with it, all that runs in the container
	})
	return m
}

var leading = regexp.MustCompile(`X_NSPAWN_LEADER_PID=(\d+)`)

// leaderOf waits until the container has booted, and returns the process id of its systemd.
func leaderOf(t *testing.T, ready *net.UnixConn) string {
	t.Helper()
	check(t, ready.SetReadDeadline(time.Now().Add(patience)))
	leader, message := "", make([]byte, 4096)
	for {
		n, err := ready.Read(message)
		check(t, err)
		if match := leading.FindSubmatch(message[:n]); match != nil {
			leader = string(match[1])
		}
		if strings.Contains(string(message[:n]), "READY=1") && leader != "" {
			return leader
		}
	}
}

// run runs a command in the container.
func (m machine) run(t *testing.T, args ...string) string {
	t.Helper()
	return shell(t, "nsenter", append([]string{"--target", m.leader, "--all", "--"}, args...)...)
}

// until asks for a property of the service until it is as wanted.
func (m machine) until(t *testing.T, property string, wanted func(string) bool) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		value := strings.TrimSpace(m.run(t, "systemctl", "show", "--value", "--property="+property, "tokenwire"))
		if wanted(value) {
			return value
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %q\n%s", property, value, m.run(t, "journalctl", "--unit=tokenwire", "--no-pager", "--lines=20"))
		}
	}
}

// TestSystemd: a real systemd starts the service with everything that the unit forbids it.
func TestSystemd(t *testing.T) {
	m := boot(t)
	pid := m.until(t, "MainPID", func(pid string) bool { return pid != "0" })
	for m.until(t, "ActiveState", func(state string) bool { return state != "activating" }) != "active" {
		t.Fatal("the service has failed")
	}
	ready := func() bool {
		return exec.CommandContext(t.Context(), "nsenter", "--target", m.leader, "--all", "--", "tokenwire", "health").Run() == nil
	}
	m.until(t, "ActiveState", func(string) bool { return ready() })
	if output := m.run(t, "cat", first); printed.FindString(output) == "" || strings.Contains(output, "level=") {
		t.Errorf("what the first start has printed is %q", output)
	}
	if journal := m.run(t, "journalctl", "--unit=tokenwire", "--no-pager"); !strings.Contains(journal, "msg=listening") || printed.MatchString(journal) {
		t.Errorf("the journal has\n%s", journal)
	}
	m.checkHardening(t, pid)
	m.run(t, "sh", "-c", "echo 'TOKENWIRE_DB=postgres://tokenwire@127.0.0.1:1/tokenwire' >>"+settings)
	m.run(t, "systemctl", "restart", "--no-block", "tokenwire")
	// It would be given up after five times by default.
	m.until(t, "NRestarts", func(count string) bool { n, _ := strconv.Atoi(count); return n >= 8 })
	if state := m.until(t, "ActiveState", func(string) bool { return true }); state == "failed" {
		t.Error("a database that is not there was given up")
	}
}

// checkHardening tries from within the service what it must not be able to do.
func (m machine) checkHardening(t *testing.T, pid string) {
	t.Helper()
	for path, writable := range map[string]bool{state + "/here": true, "/var/there": false, "/etc/there": false, "/usr/there": false} {
		err := exec.CommandContext(t.Context(), "nsenter", "--target", m.leader, "--all", "--",
			"nsenter", "--target", pid, "--mount", "--", "touch", path).Run()
		if (err == nil) != writable {
			t.Errorf("touch %s from the service: %v", path, err)
		}
	}
	status := m.run(t, "cat", "/proc/"+pid+"/status")
	for _, line := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapBnd:\t0000000000000000\n", "CapEff:\t0000000000000000\n"} {
		if !strings.Contains(status, line) {
			t.Errorf("the process does not have %q:\n%s", line, status)
		}
	}
}
