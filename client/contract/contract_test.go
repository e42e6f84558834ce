package contract_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// configOf is how a run reaches a server of a test.
func configOf(s *servertest.Server) contract.Config {
	return contract.Config{BaseURL: s.URL, ProjectID: s.ProjectID, Token: s.Token, Extensions: true}
}

// TestUnbrokenServer runs every case five times in a row against one server, over SQLite: they pass, the first answers and
// the last are the same, every documented answer is among them, and nothing is touched that the runs have not made.
func TestUnbrokenServer(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, nil)
	if _, err := s.NewSubproject(s.ProjectID, "tokenwire-contract-of-mine"); err != nil {
		t.Fatal(err)
	}
	w := watch(t, s)
	var first contract.Recording
	for i := range 5 {
		w.subprojects, w.refused = 0, 0
		config := configOf(s)
		config.BaseURL, config.Progress, config.Record = w.url, w.finished, i == 0 || i == 4
		report, err := contract.Run(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range report.Failed() {
			t.Errorf("run %d: %s: %s\n%s", i, result.ID, result.Statement, result.Failure)
		}
		if len(report.Results) != len(contract.Cases()) || len(report.Leftovers) > 0 {
			t.Errorf("run %d: %d of %d cases, left over: %v", i, len(report.Results), len(contract.Cases()), report.Leftovers)
		}
		switch i {
		case 0: // it finds no subprojects
			first = report.Recording()
			w.expectSubprojects(3)
			continue
		case 4: // the others would take time and say the same
			comparison := contract.Compare(first, report.Recording())
			for _, difference := range comparison.Differences {
				t.Errorf("run %d: %s", i, difference)
			}
			if comparison.Compared < 200 || comparison.Unrecorded > 0 {
				t.Errorf("run %d: %d cases are compared, and %d are not", i, comparison.Compared, comparison.Unrecorded)
			}
		}
		w.expectSubprojects(1)
	}
	w.expectEverything()
	if w.refused < 50 || w.refused > 100 {
		t.Errorf("%d log-ins failed, and the package documentation says about eighty", w.refused)
	}
}

// watcher stands in front of a server and looks at what is done there.
type watcher struct {
	t   *testing.T
	url string

	mu                   sync.Mutex
	operations           operations
	answered             map[string]bool // operations with the status of an answer, such as "create_token 200"
	extended             string          // what the case that runs has used and SignalWire does not have
	made                 map[string]bool // what the suite has made, by id
	subprojects, refused int             // how many subprojects were made and log-ins failed
}

func watch(t *testing.T, s *servertest.Server) *watcher {
	t.Helper()
	w := &watcher{t: t, operations: operationsOf(contractDoc(t)), answered: map[string]bool{}, made: map[string]bool{}}
	server := httptest.NewServer(answers(on("", anyPath), w.look)(s.Handler(), s.Project))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *watcher) look(r *http.Request, a *recorded) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if operation := w.operations.find(r.Method, r.URL.Path); operation != nil {
		w.answered[operation.OperationID+" "+strconv.Itoa(a.status)] = true
		if operation.Extensions["x-extension"] != nil {
			w.extended = operation.OperationID
		}
	}
	if r.Header.Get("Idempotency-Key") != "" {
		w.extended = "Idempotency-Key"
	}
	if a.status == http.StatusUnauthorized && !strings.Contains(string(a.body), "lacks") && !strings.HasPrefix(r.URL.Path, "/api/project/") {
		w.refused++
	}
	if a.status >= 300 || r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return
	}
	path := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, "/rotate"), ".json"))
	if !strings.HasSuffix(path, "/accounts") && !strings.HasSuffix(path, "/tokens") {
		if id := path[strings.LastIndex(path, "/")+1:]; !w.made[id] {
			w.t.Errorf("%s %s changes what the suite has not made", r.Method, r.URL.Path)
		}
		return
	}
	a.object(func(object map[string]any) {
		for _, member := range []string{"id", "sid"} {
			id, _ := object[member].(string)
			w.made[id] = true
		}
		for _, member := range []string{"name", "friendly_name"} {
			if name, there := object[member].(string); there && !strings.HasPrefix(strings.TrimSpace(name), "tokenwire-contract-") {
				w.t.Errorf("%s %s has made %q", r.Method, r.URL.Path, name)
			}
		}
	})
	if a.status == http.StatusCreated {
		w.subprojects++
	}
}

func (w *watcher) expectSubprojects(want int) {
	w.t.Helper()
	if w.subprojects != want {
		w.t.Errorf("the run made %d subprojects, want %d", w.subprojects, want)
	}
}
