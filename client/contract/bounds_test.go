package contract_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/servertest"
)

const mebibyte = 1 << 20

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// afterPreflight lets the two requests of the preflight through and hands the rest to a hostile handler.
func afterPreflight(next http.Handler, hostile http.HandlerFunc) http.Handler {
	var started atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if started.Load() {
			hostile(w, r)
			return
		}
		started.Store(r.URL.RawQuery == "")
		next.ServeHTTP(w, r)
	})
}

// TestLongAnswers: a run keeps no long answers, whether it records or not. This test measures, so none runs beside it.
func TestLongAnswers(t *testing.T) {
	s := servertest.New(t, &servertest.Options{InMemory: true})
	padding := bytes.Repeat([]byte(" "), 4*mebibyte-100_000)
	server := httptest.NewServer(answers(on("", anyPath), func(_ *http.Request, a *recorded) {
		if len(a.body) > 0 {
			a.body = append(a.body, padding...)
		}
	})(s.Handler(), s.Project))
	defer server.Close()
	for _, recording := range []bool{false, true} {
		config := configOf(s)
		config.BaseURL, config.Only, config.Record = server.URL, []string{"native.update", "http.request-id"}, recording
		before, most := heap(), int64(0)
		config.Progress = func(contract.Result) { most = max(most, heap()) }
		report, err := contract.Run(t.Context(), config)
		if err != nil || len(report.Failed()) > 0 {
			t.Fatalf("%v, %v", err, report.Failed())
		}
		if most-before > 100*mebibyte {
			t.Errorf("with a recording: %v: the run takes %d MiB", recording, (most-before)/mebibyte)
		}
		var file bytes.Buffer
		if err := report.Recording().Write(&file); err != nil || file.Len() > mebibyte {
			t.Errorf("the recording has %d bytes: %v", file.Len(), err)
		}
		if with := strings.Contains(file.String(), "4094"); with != recording || (len(report.Recording().Cases) > 0) != recording {
			t.Errorf("with a recording: %v: it is %s", recording, file.String()[:min(file.Len(), 3000)])
		}
	}
}

// TestEndlessAnswers: an answer that does not end is not read for long, and fails its case.
func TestEndlessAnswers(t *testing.T) {
	s := servertest.New(t, &servertest.Options{InMemory: true})
	var sent, asked atomic.Int64
	chunk := bytes.Repeat([]byte("[0,"), 20_000)
	server := httptest.NewServer(afterPreflight(s.Handler(), func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		for {
			n, err := w.Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	defer server.Close()
	config := configOf(s)
	config.BaseURL, config.Only, config.Record = server.URL, []string{"auth", "compat.create", "pages", "http"}, true
	before, most := heap(), int64(0)
	config.Progress = func(result contract.Result) {
		most = max(most, heap())
		if result.Failure == nil || !strings.Contains(result.Failure.Message, "the answer has more than") {
			t.Errorf("%s: %v", result.ID, result.Failure)
		}
	}
	if _, err := contract.Run(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if most-before > 100*mebibyte || sent.Load() > asked.Load()*16*mebibyte {
		t.Errorf("the run takes %d MiB, and has let the server send %d MiB in %d answers", (most-before)/mebibyte, sent.Load()/mebibyte, asked.Load())
	}
}

// TestDeepAnswers: JSON within JSON without end is no JSON, and what is just not too deep makes no recording that is larger
// by the square.
func TestDeepAnswers(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	for _, levels := range []int{9_000, 100_000} {
		for _, level := range []string{"[]", `{"a":}`} {
			opening := strings.Repeat(level[:len(level)-1], levels)
			body := []byte(opening + "1" + strings.Repeat(level[len(level)-1:], levels))
			server := httptest.NewServer(afterPreflight(s.Handler(), func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write(body)
			}))
			defer server.Close()
			config := configOf(s)
			config.BaseURL, config.Only, config.Record = server.URL, []string{"compat.create", "http"}, true
			report, err := contract.Run(t.Context(), config)
			if err != nil || len(report.Failed()) != len(report.Results) {
				t.Errorf("%d levels: %d of %d cases fail: %v", levels, len(report.Failed()), len(report.Results), err)
			}
			text, err := json.Marshal(report)
			if err != nil || len(text) > mebibyte {
				t.Errorf("%d levels: the report has %d bytes: %v", levels, len(text), err)
			}
			var file bytes.Buffer
			if err := report.Recording().Write(&file); err != nil || file.Len() > mebibyte {
				t.Errorf("%d levels: the recording has %d bytes: %v", levels, file.Len(), err)
			}
		}
	}
}

// TestAbsurdRetryAfter: a server cannot make a run wait for long by what it says, and a time that is a date is understood.
func TestAbsurdRetryAfter(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	for retryAfter, waits := range map[string]bool{
		"99999999999": true, "9223372036854775807": true, "999999999999999999999999": true, "Fri, 31 Dec 9999 23:59:59 GMT": true,
		"-1": false, "-9223372036854775808": false, "1e9": false, "soon": false, "Mon, 01 Jan 2001 00:00:00 GMT": false,
	} {
		t.Run(retryAfter, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(afterPreflight(s.Handler(), func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", retryAfter)
				w.WriteHeader(http.StatusTooManyRequests)
			}))
			defer server.Close()
			config := configOf(s)
			config.BaseURL, config.Only, config.Timeout = server.URL, []string{"http.no-path"}, time.Minute
			if waits {
				config.Timeout = 300 * time.Millisecond
			}
			report, err := contract.Run(t.Context(), config)
			if waited := err != nil; waited != waits {
				t.Errorf("it waits: %v, want %v: %v", waited, waits, report.Failed())
			}
			if waits && (!errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "took longer than 300ms")) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// TestPatience: the times that a run waits are bounded together, and a server that refuses at once gets no run.
func TestPatience(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	busy := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	refusing := httptest.NewServer(http.HandlerFunc(busy))
	defer refusing.Close()
	config := configOf(s)
	config.BaseURL = refusing.URL
	if _, err := contract.Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), "too many requests") {
		t.Errorf("the error is %v", err)
	}
	server := httptest.NewServer(afterPreflight(s.Handler(), busy))
	defer server.Close()
	config.BaseURL, config.Only = server.URL, []string{"http", "auth", "compat", "native"}
	waited, report, err := contract.RunWithPatience(t.Context(), config, 2*time.Second)
	if err != nil || len(report.Failed()) != len(report.Results) || waited > 30*time.Second {
		t.Errorf("%v: %d of %d cases fail after %v", err, len(report.Failed()), len(report.Results), waited)
	}
}

// TestLinksThatLeadAway: a credential is not sent where a link would lead that is no path.
func TestLinksThatLeadAway(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		t.Errorf("%s is asked for", r.URL)
	}))
	defer other.Close()
	away := strings.TrimPrefix(other.URL, "http://")
	for _, link := range []string{"@" + away + "/", other.URL, ":x@" + away, "." + away} {
		server := httptest.NewServer(set(on("GET", accountList), 200, "next_page_uri", link)(s.Handler(), s.Project))
		defer server.Close()
		config := configOf(s)
		config.BaseURL, config.Only = server.URL, []string{"pages.links"}
		if report, err := contract.Run(t.Context(), config); err != nil || len(report.Failed()) != 1 {
			t.Errorf("%s: %v, %v", link, report.Failed(), err)
		}
	}
}

// TestLinksThatLoop: a list without an end is left.
func TestLinksThatLoop(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	server := httptest.NewServer(answers(on("GET", `/(Accounts|tokens)$`), func(r *http.Request, a *recorded) {
		a.object(func(object map[string]any) {
			if a.status == http.StatusOK {
				object["next_page_uri"] = r.URL.RequestURI()
			}
		})
	})(s.Handler(), s.Project))
	defer server.Close()
	config := configOf(s)
	config.BaseURL, config.Only = server.URL, []string{"pages", "ext.pages", "accounts.list"}
	report, err := contract.Run(t.Context(), config)
	if err != nil || len(report.Failed()) < 5 {
		t.Errorf("%d cases fail: %v", len(report.Failed()), err)
	}
}

// TestSlowHeaders: a server that does not answer is left after a while.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	slow := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	config := configOf(s)
	config.HTTPClient = &http.Client{Timeout: 50 * time.Millisecond}
	never := httptest.NewServer(http.HandlerFunc(slow))
	defer never.Close()
	config.BaseURL = never.URL
	if _, err := contract.Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("the error is %v", err)
	}
	server := httptest.NewServer(afterPreflight(s.Handler(), slow))
	defer server.Close()
	config.BaseURL, config.Timeout = server.URL, 400*time.Millisecond
	report, err := contract.Run(t.Context(), config)
	if err == nil || !strings.Contains(err.Error(), "took longer than 400ms") || len(report.Results) == 0 {
		t.Errorf("%d cases are run, and the error is %v", len(report.Results), err)
	}
	for _, result := range report.Results {
		if result.Failure == nil || !strings.Contains(result.Failure.Message, "there is no answer") {
			t.Errorf("%s: %v", result.ID, result.Failure)
		}
	}
}

// TestManyAccounts: the walk through a list asks for no page that is larger than the contract allows.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true, RequestTimeout: time.Hour}) // a busy machine must not end a request
	for range 3005 {
		if _, err := s.NewSubproject(s.ProjectID, "tokenwire-contract-of-mine"); err != nil {
			t.Fatal(err)
		}
	}
	patient := httptest.NewServer(s.Handler()) // a busy machine takes longer for a page than a client may
	defer patient.Close()
	config := configOf(s)
	config.BaseURL, config.Only = patient.URL, []string{"pages.links"}
	if report, err := contract.Run(t.Context(), config); err != nil || len(report.Failed()) > 0 {
		t.Errorf("%v, %v", err, report.Failed())
	}
}
