package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// TestRecordingCannotBeWritten: that a recording cannot be written shows before the first case, and what is not written takes nothing
// from an earlier one.
func TestRecordingCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tw := servertest.New(t, nil)
	env := []string{"SIGNALWIRE_PROJECT_ID=" + tw.ProjectID, "SIGNALWIRE_API_TOKEN=" + tw.Token, "TOKENWIRE_BASE_URL=" + tw.URL}
	for _, name := range []string{"absent/file.json", "."} {
		got := execute(t, dir, env, "contract", "--only", "accounts.get.own", "--record", name).want(t, 2)
		if got.stdout != "" || !strings.HasPrefix(got.stderr, "tokenwire: --record: ") || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: stdout %q, stderr %q", name, got.stdout, got.stderr)
		}
	}
	if calls, err := tw.Journal(tw.Project); err != nil || len(calls) != 0 {
		t.Errorf("the server was called: %v (%v)", calls, err)
	}
	check(t, os.WriteFile(filepath.Join(dir, "kept.json"), []byte("earlier"), 0o600))
	for _, name := range []string{"kept.json", "new.json"} {
		execute(t, dir, env[:2], "contract", "--base-url", "http://127.0.0.1:1", "--record", name).want(t, 2)
	}
	content, err := os.ReadFile(filepath.Join(dir, "kept.json"))
	if files, dirErr := os.ReadDir(dir); err != nil || string(content) != "earlier" || dirErr != nil || len(files) != 1 {
		t.Errorf("kept.json has %q (%v) and is one of %d files (%v)", content, err, len(files), dirErr)
	}
	long := strings.Repeat("x", 1<<20)
	check(t, os.WriteFile(filepath.Join(dir, "kept.json"), []byte(long), 0o600))
	execute(t, dir, env, "contract", "--only", "accounts.get.own", "--record", "kept.json").want(t, 0)
	execute(t, dir, env, "contract", "--only", "accounts.get.own", "--record", "kept.json", "--compare", "kept.json").want(t, 0)
}
