package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/disk"
)

func TestFileSystemIsTheNearest(t *testing.T) {
	t.Parallel()
	mounts := []disk.PartitionStat{
		{Mountpoint: "/", Fstype: "ext4"}, {Mountpoint: "/tmp", Fstype: "tmpfs"}, {Mountpoint: "/tmp/disk", Fstype: "xfs"},
	}
	for directory, want := range map[string]string{
		"/": "ext4", "/home/me": "ext4", "/tmp": "tmpfs", "/tmp/bench": "tmpfs", "/tmpfiles": "ext4", "/tmp/disk/bench": "xfs",
	} {
		if got := fileSystem(mounts, directory); got != want {
			t.Errorf("%s is on %s, want %s", directory, got, want)
		}
	}
	if got := fileSystem(nil, "/"); got != "unknown" {
		t.Errorf("without mounts it is %q", got)
	}
}

// The load after a run is that of its last minute alone: what counts is the most that there was, the end included.
func TestHighestLoad(t *testing.T) {
	t.Parallel()
	for name, readings := range map[string][]float64{"within": {1, 7, 3, 2}, "at the end": {1, 3, 2, 7}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, taken := make(chan float64), make(chan struct{})
			highest := watchLoad(t.Context(), time.Microsecond, func(ctx context.Context) (float64, error) {
				select {
				case reading := <-next:
					return reading, nil
				case <-taken:
					return readings[len(readings)-1], nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
			for _, reading := range readings[:len(readings)-1] {
				next <- reading
			}
			close(taken)
			if got, err := highest(); err != nil || got != 7 {
				t.Errorf("the highest load is %v (%v), want 7", got, err)
			}
		})
	}
}

func TestLoadThatCannotBeReadIsNotNone(t *testing.T) {
	t.Parallel()
	broken := errors.New("no /proc")
	highest := watchLoad(t.Context(), time.Hour, func(context.Context) (float64, error) { return 0, broken })
	if got, err := highest(); !errors.Is(err, broken) {
		t.Errorf("the load is %v (%v)", got, err)
	}
}
