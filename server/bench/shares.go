package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"
)

// work is part of what a server does, told by the names of functions. A sample of a profile belongs to the first part that knows one of its
// functions by each of its names.
type work struct {
	what  string
	names []string // of one of them all, separated by |
}

// sqliteWriter is the goroutine that writes to SQLite.
const sqliteWriter = "/store/sqlite.(*writer).run"

// works are in the order in which they are looked for: what is special comes before what is around it.
func works() []work {
	const (
		postgres = "/store/postgres."
		handler  = "/server.(*Server).ServeHTTP|echo/v4.(*Echo).ServeHTTP"
		conn     = "net/http.(*conn).serve|net/http.(*connReader)"
	)
	return []work{
		{"collecting garbage", []string{"runtime.gcBgMarkWorker|runtime.gcAssistAlloc|runtime.bgsweep|runtime.bgscavenge|runtime.gcStart"}},
		{"SQLite: the sync of the log", []string{sqliteWriter, "_sqlite3OsSync"}},
		{"SQLite: moving the log into the database", []string{sqliteWriter, "_sqlite3WalCheckpoint"}},
		{"SQLite: writing the log", []string{sqliteWriter, "_sqlite3WalFrames"}},
		{"SQLite: the event in the audit trail", []string{sqliteWriter, "/store/sqlite.(*tx).note"}},
		{"SQLite: reading the token", []string{sqliteWriter, "/store/sqlite.(*tx).token"}},
		{"SQLite: whether the caller still may", []string{sqliteWriter, "/store/sqlite.(*tx).checkCredential"}},
		{"SQLite: the change itself, with its savepoint", []string{sqliteWriter, "/store/sqlite.(*tx).savepoint"}},
		{"the rest of the goroutine that writes", []string{sqliteWriter}},
		{"talking to PostgreSQL", []string{postgres, "internal/poll.(*FD)"}},
		{"the rest of the goroutines that write, for PostgreSQL", []string{"/store/postgres.(*DB).write"}},
		{"the store, in the goroutine of the call", []string{"/store/sqlite.|" + postgres}},
		{"handing a change over, and waiting for it", []string{"/store/batch."}},
		{"authentication", []string{"/server.(*Server).login"}},
		{"validation, with reading the body", []string{"/server.validateParams|/server.(*operation).validateBody|/server.readBody|kin-openapi"}},
		{"opening the secret", []string{"/server/secret.(*Keyset)"}},
		{"writing an error", []string{"/server.(*Server).writeError"}},
		{"JSON of requests and answers", []string{handler, "encoding/json"}},
		{"the rest between route and answer", []string{handler}},
		{"system calls that write answers", []string{conn, "internal/poll.(*FD).Write"}},
		{"system calls that read requests", []string{conn, "internal/poll.(*FD).Read"}},
		{"deadlines of connections", []string{conn, "internal/poll.setDeadlineImpl"}},
		{"keeping count of connections", []string{conn, "/server.(*connections)"}},
		{"the rest of net/http: parsing, headers", []string{conn}},
		{"the scheduler, and waiting for the network", []string{"runtime.mcall|runtime.schedule|runtime.mstart|runtime.sysmon|runtime.goexit0"}},
	}
}

// shareOfWriter is that of all that the goroutine does that writes to SQLite.
func shareOfWriter(shares map[string]float64) float64 {
	sum := 0.0
	for _, w := range works() {
		if w.names[0] == sqliteWriter {
			sum += shares[w.what]
		}
	}
	return sum
}

const elsewhere = "elsewhere"

// has reports whether a stack has a function by each name.
func (w work) has(stack []string) bool {
	for _, alternatives := range w.names {
		if !slices.ContainsFunc(strings.Split(alternatives, "|"), func(name string) bool {
			return slices.ContainsFunc(stack, func(function string) bool { return strings.Contains(function, name) })
		}) {
			return false
		}
	}
	return true
}

// sharesOf returns which share of the samples of a profile each of the works has. What has none is not there.
func sharesOf(path string) (map[string]float64, error) {
	file, err := os.Open(path) //nolint:gosec // this program has written it
	if err != nil {
		return nil, err
	}
	parsed, err := pprof.Parse(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read the profile %s: %w", path, err)
	}
	shares := make(map[string]float64)
	total := int64(0)
	for _, sample := range parsed.Sample {
		nanoseconds := sample.Value[len(sample.Value)-1]
		shares[workOf(stackOf(sample))] += float64(nanoseconds)
		total += nanoseconds
	}
	if total == 0 {
		return nil, fmt.Errorf("the profile %s has no samples", path)
	}
	for what := range shares {
		shares[what] /= float64(total)
	}
	return shares, nil
}

func stackOf(sample *pprof.Sample) []string {
	var stack []string
	for _, location := range sample.Location {
		for _, l := range location.Line {
			stack = append(stack, l.Function.Name)
		}
	}
	return stack
}

func workOf(stack []string) string {
	for _, w := range works() {
		if w.has(stack) {
			return w.what
		}
	}
	return elsewhere
}
