//go:build unix && !linux

package postgrestest

import "syscall"

// attributes make a process another user's.
func attributes(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Setpgid: true}
}
