package plainfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/plainfile"
)

// TestExchanged: a file in whose place a pipe comes, at whatever moment, is opened or refused, and nobody waits.
func TestExchanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, file, pipe := filepath.Join(dir, "path"), filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	for _, err := range []error{os.WriteFile(file, []byte("text"), 0o600), syscall.Mkfifo(pipe, 0o600), os.Link(file, path)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	done, exchanged := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(exchanged)
		for next := filepath.Join(dir, "next"); ; {
			for _, what := range []string{pipe, file} {
				if err := os.Link(what, next); err != nil {
					t.Error(err)
				}
				if err := os.Rename(next, path); err != nil {
					t.Error(err)
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	go func() {
		defer close(done)
		for range 30_000 {
			text, err := plainfile.Read(path)
			if err == nil && string(text) != "text" || err != nil && !strings.Contains(err.Error(), "path is a pipe, and no ordinary file") {
				t.Errorf("%q, %v", text, err)
			}
		}
	}()
	select {
	case <-done:
		<-exchanged
	case <-time.After(time.Minute):
		t.Fatal("it hangs")
	}
}
