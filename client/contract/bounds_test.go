package contract_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

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
