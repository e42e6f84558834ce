package main

import (
	"os/signal"
	"syscall"
)

// surviveClosedOutput lets a write to a standard output or error that nobody reads any more fail, in place of ending the process
// with a signal: a server goes on without whoever has read its log, and a credential that was not printed is reported.
func surviveClosedOutput() { signal.Ignore(syscall.SIGPIPE) }
