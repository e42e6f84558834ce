package main

import (
	"slices"
	"testing"
)

// What is special must not be counted as what is around it.
func TestWorkIsToldByItsFunctions(t *testing.T) {
	t.Parallel()
	const (
		server = "github.com/tokenwire/tokenwire/server."
		writer = "github.com/tokenwire/tokenwire/server/store/sqlite.(*writer).run"
		conn   = "net/http.(*conn).serve"
	)
	for want, stack := range map[string][]string{ // from the leaf to the root
		"SQLite: the sync of the log":                {"syscall.Fsync", "modernc.org/sqlite/lib._sqlite3OsSync", "modernc.org/sqlite/lib._sqlite3WalFrames", writer},
		"SQLite: writing the log":                    {"internal/runtime/syscall/linux.Syscall6", "modernc.org/sqlite/lib._sqlite3WalFrames", writer},
		"the rest of the goroutine that writes":      {"modernc.org/sqlite/lib._sqlite3VdbeExec", writer},
		"authentication":                             {server + "(*callers).remembered", server + "(*Server).login", server + "(*Server).ServeHTTP", conn},
		"the rest between route and answer":          {server + "identifyRequest.func1", server + "(*Server).ServeHTTP", conn},
		"JSON of requests and answers":               {"encoding/json.Unmarshal", "github.com/labstack/echo/v4.(*Echo).ServeHTTP", conn},
		"system calls that write answers":            {"syscall.write", "internal/poll.(*FD).Write", "net/http.(*response).finishRequest", conn},
		"the rest of net/http: parsing, headers":     {"net/textproto.readMIMEHeader", conn},
		"collecting garbage":                         {"runtime.gcAssistAlloc", "runtime.mallocgc", server + "(*Server).login", conn},
		"the scheduler, and waiting for the network": {"runtime.netpoll", "runtime.findRunnable", "runtime.schedule", "runtime.mcall"},
		"talking to PostgreSQL":                      {"internal/poll.(*FD).Write", "github.com/tokenwire/tokenwire/server/store/postgres.(*state).save"},
		elsewhere:                                    {"main.main"},
	} {
		if got := workOf(stack); got != want {
			t.Errorf("%v is %q, want %q", stack, got, want)
		}
	}
}

func TestEveryWorkHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	var names []string
	for _, w := range works() {
		names = append(names, w.what)
	}
	if slices.Sort(names); len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a name is there twice: %v", names)
	}
}
