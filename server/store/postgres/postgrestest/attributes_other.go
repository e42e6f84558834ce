//go:build unix && !linux

package postgrestest

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

// attributes make a process another user's.
func attributes(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Setpgid: true}
}

// children returns the processes that a process has started and that have not ended.
func children(pid int) ([]int, error) {
	text, err := exec.CommandContext(context.Background(), "ps", "-A", "-o", "ppid=,pid=").Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	var found []int
	for line := range strings.Lines(string(text)) {
		var parent, child int
		if _, err := fmt.Sscan(line, &parent, &child); err == nil && parent == pid {
			found = append(found, child)
		}
	}
	return found, nil
}
