package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
)

// fact is one thing about the machine.
type fact struct{ name, value string }

// machineFacts describes what the numbers come from. The load was there before the run: more than 0 means that others used the machine.
func machineFacts(ctx context.Context, directory string) ([]fact, error) {
	processors, err := cpu.InfoWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe the processor: %w", err)
	}
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe the memory: %w", err)
	}
	system, err := host.InfoWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe the system: %w", err)
	}
	before, err := load.AvgWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe the load: %w", err)
	}
	mounts, err := disk.PartitionsWithContext(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("describe the file systems: %w", err)
	}
	model := "unknown"
	if len(processors) > 0 && processors[0].ModelName != "" {
		model = processors[0].ModelName
	}
	return []fact{
		{"Date", time.Now().UTC().Format("2006-01-02 15:04 UTC")},
		{"Processor", model},
		{"Cores", strconv.Itoa(runtime.NumCPU())},
		{"Memory", humanize.IBytes(memory.Total)},
		{"System", strings.TrimSpace(fmt.Sprintf("%s %s, %s %s, %s", system.Platform, system.PlatformVersion, runtime.GOOS, system.KernelVersion, runtime.GOARCH))},
		{"File system of the databases", fileSystem(mounts, directory)},
		{"Go", runtime.Version()},
		{"Load before the run", fmt.Sprintf("%.2f", before.Load1)},
	}, nil
}

// fileSystem returns the type of what is mounted nearest above the directory: a durable change costs nothing where it is in memory.
func fileSystem(mounts []disk.PartitionStat, directory string) string {
	var nearest disk.PartitionStat
	for _, mount := range mounts {
		above := strings.TrimSuffix(mount.Mountpoint, "/") + "/"
		if strings.HasPrefix(directory+"/", above) && len(mount.Mountpoint) >= len(nearest.Mountpoint) {
			nearest = mount
		}
	}
	return cmp.Or(nearest.Fstype, "unknown")
}
