package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// closedPipe is the end to write to of a pipe from which nobody reads any more.
func closedPipe(t *testing.T) *os.File {
	t.Helper()
	reader, writer, err := os.Pipe()
	check(t, err)
	check(t, reader.Close())
	t.Cleanup(func() { _ = writer.Close() })
	return writer
}

// nowhere is the null device, as which a program in Go finds a standard output that is closed.
func nowhere(t *testing.T) *os.File {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	check(t, err)
	t.Cleanup(func() { _ = null.Close() })
	return null
}

// fullDevice takes nothing.
func fullDevice(t *testing.T) *os.File {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("there is no /dev/full here")
	}
	check(t, err)
	t.Cleanup(func() { _ = full.Close() })
	return full
}

// TestFirstStartWithoutOutput: a start that cannot print the first credential creates none, and says what to do; the next one
// prints one that works.
func TestFirstStartWithoutOutput(t *testing.T) {
	t.Parallel()
	for name, output := range map[string]func(*testing.T) *os.File{"closed pipe": closedPipe, "full device": fullDevice, "nowhere": nowhere} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for range 2 {
				cmd := command(t, dir, nil, "serve", "--addr", "127.0.0.1:0")
				var stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = output(t), &stderr
				_ = cmd.Run()
				if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "no project was created: start again") {
					t.Errorf("it ended with %v: %s", cmd.ProcessState, stderr.String())
				}
			}
			s := serve(t, dir)
			call(t, s.output(t))
			s.stop(t)
		})
	}
}

// TestFirstStartWithoutOutputButKnownCredential: nothing is lost that the operator has chosen, so the server serves.
func TestFirstStartWithoutOutputButKnownCredential(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serveTo(t, os.Args[0], dir, nil, closedPipe(t), "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
	if !strings.Contains(strings.Join(s.before, "\n"), "the credential of the first project cannot be printed") {
		t.Errorf("the log does not say that nothing was printed: %v", s.before)
	}
	begin(t, s.url).answered()
	check(t, s.cmd.Process.Kill())
	s.waitForExit()
}

// TestLostCredential: a project whose credential could not be printed is named, with the way to another one.
func TestLostCredential(t *testing.T) {
	t.Parallel()
	for _, output := range []func(*testing.T) *os.File{closedPipe, fullDevice} {
		for _, json := range []string{"--json=true", "--json=false"} {
			cmd := command(t, t.TempDir(), nil, "project", "create", "--create-database", "--name", "One", json)
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = output(t), &stderr
			_ = cmd.Run()
			if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "make another project with tokenwire project create") {
				t.Errorf("it ended with %v: %s", cmd.ProcessState, stderr.String())
			}
		}
	}
}
