package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// garbagePercent is tokenwire's own setting, and for a fair comparison that of the others too.
const garbagePercent = "400"

const (
	// startTimeout is for a server on a machine that is busy; Prism needs seconds on any.
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second
	// memoryInterval is how often the memory of a server is looked at.
	memoryInterval = 50 * time.Millisecond
	// pollInterval bounds how exactly a start is timed.
	pollInterval = time.Millisecond
)

// server is a child process that listens on a port of 127.0.0.1.
type server struct {
	address string
	started time.Time
	info    *process.Process
	peak    atomic.Uint64 // bytes of memory
	end     context.CancelFunc
	exited  chan struct{}
	err     error // of the process, once it has exited
}

// startServer starts a program that is told its address by its last argument. The caller stops it; it stops by itself when ctx ends.
func startServer(ctx context.Context, program string, arguments func(address string) []string) (*server, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	command := exec.CommandContext(ctx, program, arguments(address)...) //nolint:gosec // the programs are those of this repository and node
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "NODE_ENV=production", "GOGC=" + garbagePercent}
	command.Stderr = os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = stopTimeout
	s := &server{address: address, started: time.Now(), end: end, exited: make(chan struct{})}
	if err := command.Start(); err != nil {
		end()
		return nil, err
	}
	go func() {
		s.err = command.Wait()
		close(s.exited)
	}()
	if s.info, err = process.NewProcessWithContext(ctx, int32(command.Process.Pid)); err != nil { //nolint:gosec // process ids fit
		return nil, errors.Join(err, s.stop())
	}
	go s.watchMemory()
	return s, nil
}

// freeAddress returns an address that was free a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// stop ends the process and waits for it.
func (s *server) stop() error {
	select {
	case <-s.exited:
		s.end()
		return fmt.Errorf("the server at %s had ended by itself: %w", s.address, exitError(s.err))
	default:
	}
	s.end()
	<-s.exited
	return nil
}

// exitError gives an exit that should not have been a name even when its code was 0.
func exitError(err error) error {
	if err == nil {
		return errors.New("exit code 0")
	}
	return err
}

// watchMemory keeps the highest memory that it has seen.
func (s *server) watchMemory() {
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.exited:
			return
		case <-ticker.C:
			if now, err := s.memory(); err == nil {
				s.peak.Store(max(s.peak.Load(), now))
			}
		}
	}
}

// memory returns the resident set of the process in bytes.
func (s *server) memory() (uint64, error) {
	memory, err := s.info.MemoryInfo()
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", s.info.Pid, err)
	}
	return memory.RSS, nil
}

// settle is how long after its first answer a server is idle: until then it gives back what only the start has needed.
const settle = 250 * time.Millisecond

// idleMemory waits until a server that has started is idle, and returns its memory.
func (s *server) idleMemory(ctx context.Context) (uint64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(settle):
		return s.memory()
	}
}

// await calls a path until the answer has the status, and returns how long after its start the server gave it.
func (s *server) await(ctx context.Context, path, user, password string, status int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		got, err := statusOf(client, request)
		if got == status {
			return time.Since(s.started), nil
		}
		select {
		case <-s.exited:
			return 0, fmt.Errorf("the server ended before it served: %w", exitError(s.err))
		case <-ctx.Done():
			return 0, fmt.Errorf("GET %s is not answered %d (but %d, %w): %w", path, status, got, exitError(err), ctx.Err())
		case <-ticker.C:
		}
	}
}

func statusOf(client *http.Client, request *http.Request) (int, error) {
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}
