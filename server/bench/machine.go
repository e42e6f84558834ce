package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
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

// machineFacts describes what the numbers come from, with the load before the run.
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
	before, err := loadNow(ctx)
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(directory)
	if err != nil {
		return nil, err
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
		{"File system of the databases", fileSystem(mounts, absolute)},
		{"Go", runtime.Version()},
		{"Load before the run", fmt.Sprintf("%.2f", before)},
	}, nil
}

// loadNow is how many threads have run, or have waited to run or for a disk, on the average of the last minute.
func loadNow(ctx context.Context) (float64, error) {
	now, err := load.AvgWithContext(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the load: %w", err)
	}
	return now.Load1, nil
}

// loadInterval is how often the kernel makes the average anew.
const loadInterval = 5 * time.Second

// watchLoad looks again and again, until the function that it returns is called: that looks once more, and returns the highest load.
func watchLoad(ctx context.Context, every time.Duration, read func(context.Context) (float64, error)) func() (float64, error) {
	watching, end := context.WithCancel(ctx)
	highest := make(chan float64, 1)
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		most := 0.0
		for {
			select {
			case <-watching.Done():
				highest <- most
				return
			case <-ticker.C:
				if now, err := read(watching); err == nil {
					most = max(most, now)
				}
			}
		}
	}()
	return func() (float64, error) {
		end()
		last, err := read(ctx)
		return max(last, <-highest), err
	}
}

// loadFact says whose load it is: a run cannot tell others' from its own.
func loadFact(highest float64) fact {
	return fact{"Highest load during the run", fmt.Sprintf("%.2f, in which the servers and the load generator count too", highest)}
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
