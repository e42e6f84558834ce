package postgrestest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// attributes make a process another user's, and let it end with the test.
func attributes(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Pdeathsig: syscall.SIGQUIT, Setpgid: true}
}

// children returns the processes that a process has started and that have not ended.
func children(pid int) ([]int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	var found []int
	for field := range strings.FieldsSeq(string(text)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		found = append(found, child)
	}
	return found, nil
}
