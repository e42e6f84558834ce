//go:build package

package packaging_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// image is what an image says about how it is run.
type image struct {
	Docker struct {
		Config struct {
			User        string
			Env         []string
			Entrypoint  []string
			Cmd         []string
			WorkingDir  string
			Volumes     map[string]any
			Healthcheck struct{ Test []string }
		} `json:"config"`
	}
}

// TestContainer builds the image without a registry, and runs what is in it as its user, with nothing else in sight.
func TestContainer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this mounts the image: run it as root")
	}
	storage := t.TempDir()
	buildah := func(args ...string) string {
		return strings.TrimSpace(shell(t, "buildah", append([]string{
			"--storage-driver", "vfs", "--root", filepath.Join(storage, "root"), "--runroot", filepath.Join(storage, "run"),
		}, args...)...))
	}
	buildah("bud", "--quiet", "--isolation", "chroot", "--format", "docker", "--tag", "tokenwire-test", filepath.Join(folder(t), "dist", "container"))
	container := buildah("from", "--pull-never", "tokenwire-test")
	root := buildah("mount", container)
	t.Cleanup(func() {
		buildah("umount", container)
		buildah("rm", container)
	})
	files, err := filepath.Glob(filepath.Join(root, "*"))
	check(t, err)
	if want := []string{filepath.Join(root, "data"), filepath.Join(root, "tokenwire")}; !slices.Equal(files, want) {
		t.Errorf("the image has %v, want %v", files, want)
	}
	var about image
	check(t, json.Unmarshal([]byte(buildah("inspect", "--type", "container", container)), &about))
	config := about.Docker.Config
	if _, ok := config.Volumes["/data"]; !ok {
		t.Errorf("the volumes are %v", config.Volumes)
	}
	uid, gid, _ := strings.Cut(config.User, ":")
	inside := func(env []string, words ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
		cmd.Dir, cmd.Env = config.WorkingDir, append(slices.Clone(config.Env), env...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: number(t, uid), Gid: number(t, gid)}}
		return cmd
	}
	var output strings.Builder
	server := inside([]string{"TOKENWIRE_ADDR=127.0.0.1:0", "TOKENWIRE_DRAIN_DELAY=0s"}, slices.Concat(config.Entrypoint, config.Cmd)...)
	server.Stdout = &output
	s := run(t, server)
	test := config.Healthcheck.Test
	if len(test) < 2 || test[0] != "CMD" {
		t.Fatalf("the health check is %v", test)
	}
	check(t, inside([]string{"TOKENWIRE_ADDR=" + strings.TrimPrefix(s.url, "http://")}, test[1:]...).Run())
	database := filepath.Join(root, "data", "tokenwire.db")
	if info, err := os.Stat(database); err != nil || info.Sys().(*syscall.Stat_t).Uid != number(t, uid) {
		t.Errorf("the database is not in the volume, or another user's (%v)", err)
	}
	s.stop(t)
	if inside([]string{"TOKENWIRE_ADDR=" + strings.TrimPrefix(s.url, "http://")}, test[1:]...).Run() == nil {
		t.Error("the health check does not notice that the server has stopped")
	}
	again := inside([]string{"TOKENWIRE_ADDR=127.0.0.1:0", "TOKENWIRE_DRAIN_DELAY=0s"}, slices.Concat(config.Entrypoint, config.Cmd)...)
	s = run(t, again)
	call(t, s.url, output.String())
	s.stop(t)
}

func number(t *testing.T, text string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 32)
	check(t, err)
	if n == 0 {
		t.Fatal("the image runs as root")
	}
	return uint32(n)
}
