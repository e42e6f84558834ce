package main

import "testing"

// A quick run leaves the results that are committed alone.
func TestFolderOfTheResults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cmd  runCmd
		want string
	}{
		{runCmd{Tokenwire: "bin/tokenwire"}, "server/bench"},
		{runCmd{Tokenwire: "bin/tokenwire", Large: true}, "server/bench"},
		{runCmd{Tokenwire: "bin/tokenwire", Quick: true}, "bin/bench-results"},
		{runCmd{Tokenwire: "bin/tokenwire", Quick: true, Out: "here"}, "here"},
		{runCmd{Tokenwire: "bin/tokenwire", Out: "here"}, "here"},
	} {
		if got := c.cmd.folder(); got != c.want {
			t.Errorf("%+v writes to %s, want %s", c.cmd, got, c.want)
		}
	}
}
