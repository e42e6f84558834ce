package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// logging is a server whose log goes into a pipe, which the test reads or not.
type logging struct {
	cmd          *exec.Cmd
	pipe         *os.File // its end to read from
	lines        *bufio.Scanner
	url, metrics string
}

var metricsURL = regexp.MustCompile(`metrics_url=(\S+)`)

func startLogging(t *testing.T) *logging {
	t.Helper()
	reader, writer, err := os.Pipe()
	check(t, err)
	l := &logging{cmd: command(t, t.TempDir(), []string{"TOKENWIRE_DRAIN_DELAY=0s"},
		"serve", "--addr", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0", "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken), pipe: reader}
	l.cmd.Stderr = writer
	check(t, l.cmd.Start())
	check(t, writer.Close())
	t.Cleanup(func() { _ = l.cmd.Process.Kill(); _ = reader.Close() })
	for l.lines = bufio.NewScanner(reader); l.url == "" && l.lines.Scan(); {
		if match := metricsURL.FindStringSubmatch(l.lines.Text()); match != nil {
			l.metrics = match[1]
		}
		if match := listening.FindStringSubmatch(l.lines.Text()); match != nil {
			l.url = match[1]
		}
	}
	return l
}

// dropped returns how many lines the server has dropped.
func (l *logging) dropped(t *testing.T) string {
	t.Helper()
	response, err := http.Get(l.metrics)
	check(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	check(t, err)
	match := regexp.MustCompile(`(?m)^tokenwire_log_lines_dropped_total (\S+)$`).FindSubmatch(text)
	if match == nil {
		t.Fatalf("the metrics do not say how many lines were dropped:\n%s", text)
	}
	return string(match[1])
}

// serveMuch makes so many requests that the log has more to say than fits anywhere, and fails when one is not answered.
func (l *logging) serveMuch(t *testing.T) {
	t.Helper()
	for l.dropped(t) == "0" {
		for range 100 {
			if status := get(t, l.url+"/"+strings.Repeat("x", 4000)); status != http.StatusNotFound {
				t.Fatalf("a request got %d", status)
			}
		}
	}
}

func (l *logging) end(t *testing.T) {
	t.Helper()
	check(t, l.cmd.Process.Signal(syscall.SIGTERM))
	tooLate := time.AfterFunc(time.Minute, func() { _ = l.cmd.Process.Kill() })
	defer tooLate.Stop()
	if err := l.cmd.Wait(); err != nil {
		t.Errorf("the server has ended with %v", err)
	}
}

// TestLogThatNobodyReads: the server goes on, also when it cannot say anything any more, and ends when it is told to.
func TestLogThatNobodyReads(t *testing.T) {
	t.Parallel()
	t.Run("stops and goes on", func(t *testing.T) {
		t.Parallel()
		l := startLogging(t)
		l.serveMuch(t)
		for l.lines.Scan() {
			if text := l.lines.Text(); strings.Contains(text, "lines of this log were dropped") {
				if !regexp.MustCompile(`level=WARN .* lines=[1-9]`).MatchString(text) {
					t.Errorf("it says %q", text)
				}
				break
			}
		}
		go func() { _, _ = io.Copy(io.Discard, l.pipe) }()
		l.end(t)
	})
	t.Run("stops", func(t *testing.T) {
		t.Parallel()
		l := startLogging(t)
		l.serveMuch(t)
		l.end(t)
	})
	t.Run("is gone", func(t *testing.T) {
		t.Parallel()
		l := startLogging(t)
		check(t, l.pipe.Close())
		l.serveMuch(t)
		l.end(t)
	})
}

// TestErrorThatNobodyReads: a command that fails ends, also when there is no room for what it has to say.
func TestErrorThatNobodyReads(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	check(t, err)
	t.Cleanup(func() { _ = reader.Close(); _ = writer.Close() })
	check(t, writer.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = writer.Write(bytes.Repeat([]byte("x"), 1<<21)) // more than a pipe takes
	if err == nil {
		t.Fatal("the pipe is not full")
	}
	cmd := command(t, t.TempDir(), nil, "project", "list")
	cmd.Stderr = writer
	check(t, cmd.Start())
	tooLate := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer tooLate.Stop()
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it has ended with %v, want exit code 1", cmd.ProcessState)
	}
}
