package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// meter returns what the processors have spent on something so far.
type meter func() (time.Duration, error)

func meterOf(p *process.Process) meter {
	return func() (time.Duration, error) { return processorTime(p) }
}

func processorTime(of *process.Process) (time.Duration, error) {
	times, err := of.Times()
	if err != nil {
		return 0, fmt.Errorf("read the times of process %d: %w", of.Pid, err)
	}
	return time.Duration((times.User + times.System) * float64(time.Second)), nil
}

// meterOfThis is that of this program, with the load generator in it.
func meterOfThis() (time.Duration, error) { return usage(syscall.RUSAGE_SELF) }

// meterOfChildren is that of the programs that this one has run to their end.
func meterOfChildren() (time.Duration, error) { return usage(syscall.RUSAGE_CHILDREN) }

func usage(of int) (time.Duration, error) {
	var spent syscall.Rusage
	if err := syscall.Getrusage(of, &spent); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	return time.Duration(spent.Utime.Nano() + spent.Stime.Nano()), nil
}

// spentByEnded is what the processors have spent on the children of a process that have ended. It is known on Linux.
func spentByEnded(id int32) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return 0, err
	}
	// Its name is in parentheses and may have any in it; the times are the 14th and the 15th behind it, in hundredths of a second.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const user, system, tick = 13, 14, 10 * time.Millisecond
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", id, len(fields))
	}
	inUser, err := strconv.ParseInt(fields[user], 10, 64)
	if err != nil {
		return 0, err
	}
	inSystem, err := strconv.ParseInt(fields[system], 10, 64)
	return time.Duration(inUser+inSystem) * tick, err
}

// timeOfFamily is that of a process, and of its children that are there and that have ended.
func timeOfFamily(parent *process.Process) (time.Duration, error) {
	all, err := parent.Children()
	if err != nil {
		return 0, err
	}
	sum, err := spentByEnded(parent.Pid)
	if err != nil {
		return 0, err
	}
	for _, p := range append(all, parent) {
		spent, err := processorTime(p)
		if err != nil {
			return 0, err
		}
		sum += spent
	}
	return sum, nil
}

// metered measures a slot, after a tenth of it for nothing, and returns what one call has cost by each of the meters.
func metered(
	ctx context.Context, measure func(context.Context, slot) (result, error), s slot, meters ...meter,
) (result, []time.Duration, error) {
	if _, err := measure(ctx, slot{connections: s.connections, measured: s.measured / 10}); err != nil && !errors.Is(err, errNoAnswer) {
		return result{}, nil, err
	}
	costs := make([]time.Duration, len(meters))
	for i, read := range meters {
		spent, err := read()
		if err != nil {
			return result{}, nil, err
		}
		costs[i] = -spent
	}
	got, err := measure(ctx, s)
	if err != nil {
		return got, nil, err
	}
	for i, read := range meters {
		spent, err := read()
		if err != nil {
			return got, nil, err
		}
		costs[i] = time.Duration(float64(costs[i]+spent) / float64(got.answers))
	}
	return got, costs, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
