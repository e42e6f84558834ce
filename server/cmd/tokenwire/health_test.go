package main

import (
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	if got := execute(t, dir, nil, "health", "--url", s.url+"/").want(t, 0); got.stdout != "ready\n" {
		t.Errorf("it prints %q", got.stdout)
	}
	if got := execute(t, dir, nil, "health", "--url", s.url+"/docs").want(t, 1); !strings.Contains(got.stderr, "answers 404") {
		t.Errorf("what is not /readyz: %q", got.stderr)
	}
	s.stop(t)
	if got := execute(t, dir, []string{"TOKENWIRE_HEALTH_URL=" + s.url}, "health").want(t, 1); !strings.Contains(got.stderr, "not ready: ") {
		t.Errorf("after the server has stopped: %q", got.stderr)
	}
}
