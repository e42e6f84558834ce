package main

import (
	"testing"

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
