package server_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tokenwire/tokenwire/server/metrics"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite/diskfault"
)

// measured is a server whose figures are on a listener of their own.
type measured struct {
	*api
	metricsURL string
}

func startMeasured(t *testing.T, options servertest.Options) measured {
	t.Helper()
	options.Metrics = metrics.New("test")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- options.Metrics.Serve(ctx, listener, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return measured{start(t, &options), "http://" + listener.Addr().String()}
}

// get asks the listener for figures.
func (m measured) get(t *testing.T, method, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, m.metricsURL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := m.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// scrape returns the value of each series; of a histogram its count, and its sum under name_sum.
func (m measured) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	status, text := m.get(t, http.MethodGet, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	series := make(map[string]float64)
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			suffix := "{" + strings.Join(labels, ",") + "}"
			switch {
			case metric.GetHistogram() != nil:
				series[name+suffix] = float64(metric.GetHistogram().GetSampleCount())
				series[name+"_sum"+suffix] = metric.GetHistogram().GetSampleSum()
			case metric.GetCounter() != nil:
				series[name+suffix] = metric.GetCounter().GetValue()
			default:
				series[name+suffix] = metric.GetGauge().GetValue()
			}
		}
	}
	return series
}

// want fails when a series has grown by something else since.
func (m measured) want(t *testing.T, since, growth map[string]float64) {
	t.Helper()
	now := m.scrape(t)
	for name, by := range growth {
		before, existed := since[name]
		if got := now[name] - before; got != by || !existed {
			t.Errorf("%s has grown by %v, want %v; existed before: %v", name, got, by, existed)
		}
	}
}

// TestMetricsOfRefusals: a permission is missing only where it would help. What a gateway asks about may be refused to everybody.
func TestMetricsOfRefusals(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, servertest.Options{})
	token := m.create(t, m.Project, "fax")
	calls := func(account string) string { return compat + "/" + account + "/Calls.json" }
	faxes := compat + "/" + m.ProjectID + "/Faxes.json"
	contradicting := original("POST", faxes)
	contradicting.header.Set("X-Forwarded-Method", "GET")
	contradicting.header.Set("X-Forwarded-Uri", faxes)
	for name, c := range map[string]struct {
		sent    call
		status  int
		missing float64
	}{
		"for an operation":        {call{method: "GET", path: tokensPath(m.ProjectID)}, 401, 1},
		"for what is asked":       {call{method: "GET", path: verifyPath + "?permission=calling"}, 403, 1},
		"for a path":              {original("POST", calls(m.ProjectID)), 403, 1},
		"no rule":                 {original("POST", "/api/nothing/of/ours"), 403, 0},
		"an ambiguous path":       {original("POST", compat+"/../x"), 403, 0},
		"a foreign account":       {original("POST", compat+"/"+unknownID+"/Faxes.json"), 403, 0},
		"contradicting headers":   {contradicting, 403, 0},
		"the client's permission": {call{method: "GET", path: verifyPath + "?permission=fax", header: original("POST", faxes+"?permission=fax").header}, 403, 0},
	} {
		before := m.scrape(t)
		m.do(t, c.sent.as(token)).want(t, c.status)
		now := m.scrape(t)
		for series, want := range map[string]float64{"missing_permission": c.missing, "original_request": 1 - c.missing, "wrong_credential": 0, "rate_limited": 0} {
			series = "tokenwire_auth_failures_total{reason=" + series + "}"
			if was, existed := before[series]; !existed || now[series]-was != want {
				t.Errorf("%s: %s has grown by %v, want %v; existed before: %v", name, series, now[series]-was, want, existed)
			}
		}
	}
}

// TestMetricsCount: what the figures say is what has happened.
func TestMetricsCount(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, servertest.Options{AuthFailuresPerMinute: 2})
	m.WaitForUsage()
	before := m.scrape(t)
	token := m.create(t, m.Project, "fax")
	path := tokenPath(m.ProjectID, token.TokenID)
	for range 3 {
		m.do(t, jsonCall("PATCH", path, `{"name":"Counted"}`).as(m.Project)).want(t, 200)
	}
	m.do(t, jsonCall("PATCH", path, `{"name":7}`).as(m.Project)).want(t, 422)
	m.do(t, call{method: "GET", path: path}.as(token)).want(t, 401)
	for _, status := range []int{401, 401, 429} {
		m.do(t, call{method: "GET", path: path}.as(servertest.Project{ProjectID: m.ProjectID, Token: "wrong"})).want(t, status)
	}
	m.do(t, call{method: "DELETE", path: path}.as(m.Project)).want(t, 204)
	m.do(t, call{method: "GET", path: "/nowhere"}).want(t, 404)
	m.do(t, call{method: "PUT", path: path}.as(m.Project)).want(t, 405)
	m.WaitForUsage() // which is one change for each of two tokens, and one batch at least
	m.want(t, before, map[string]float64{
		"tokenwire_http_requests_total{operation=create_token,status=200}":         1,
		"tokenwire_http_requests_total{operation=update_token,status=200}":         3,
		"tokenwire_http_requests_total{operation=update_token,status=422}":         1,
		"tokenwire_http_requests_total{operation=get_token,status=401}":            3,
		"tokenwire_http_requests_total{operation=get_token,status=429}":            1,
		"tokenwire_http_requests_total{operation=delete_token,status=204}":         1,
		"tokenwire_http_requests_total{operation=unknown,status=404}":              1,
		"tokenwire_http_requests_total{operation=unknown,status=405}":              1,
		"tokenwire_http_requests_total{operation=update_token,status=other}":       0,
		"tokenwire_http_request_duration_seconds{operation=update_token}":          4,
		"tokenwire_auth_failures_total{reason=wrong_credential}":                   2,
		"tokenwire_auth_failures_total{reason=rate_limited}":                       1,
		"tokenwire_auth_failures_total{reason=missing_permission}":                 1,
		"tokenwire_store_batches_failed_total{}":                                   0,
		"tokenwire_store_unavailable_total{}":                                      0,
		"tokenwire_http_requests_shed_total{}":                                     0,
		"tokenwire_http_requests_in_flight{}":                                      0,
		"tokenwire_http_requests_running{}":                                        0,
		"tokenwire_connections_open{}":                                             1,
		"tokenwire_connections_limit{}":                                            0,
		"tokenwire_http_requests_running_limit{}":                                  0,
		"tokenwire_store_up{}":                                                     0,
		"tokenwire_store_waiting_changes{}":                                        0,
		"tokenwire_build_info{goversion=" + goVersion(before) + ",version=test}":   0,
		"tokenwire_http_request_duration_seconds{operation=get_openapi_yaml}":      0,
		"tokenwire_http_requests_total{operation=create_sandbox_fault,status=201}": 0,
	})
	now := m.scrape(t)
	changes := now["tokenwire_store_batch_changes_sum{}"] - before["tokenwire_store_batch_changes_sum{}"]
	if batches := now["tokenwire_store_batch_changes{}"] - before["tokenwire_store_batch_changes{}"]; changes < 5 || batches < 5 || batches > changes {
		t.Errorf("%v changes in %v batches, want 5 and what the use of tokens took", changes, batches)
	}
	hits, misses := now["tokenwire_caller_cache_lookups_total{result=hit}"], now["tokenwire_caller_cache_lookups_total{result=miss}"]
	// Ten calls have a credential; the first of each token is not remembered, and a wrong one never is.
	if entries := now["tokenwire_caller_cache_entries{}"]; hits+misses != 10 || misses < 5 || entries != 2 {
		t.Errorf("%v hits, %v misses, %v entries", hits, misses, entries)
	}
	for _, name := range []string{"tokenwire_store_up{}", "go_goroutines{}", "process_open_fds{}"} {
		if now[name] < 1 {
			t.Errorf("%s is %v", name, now[name])
		}
	}
}

// TestMetricsOfFailedBatches: a batch that the database fails is counted once, and one of which every change is refused is neither a
// failure nor a commit.
func TestMetricsOfFailedBatches(t *testing.T) {
	t.Parallel()
	options, disk, _ := diskOptions(t)
	options.FixedClock = true // so that the use of tokens is recorded once
	m := startMeasured(t, *options)
	rename := jsonCall("PATCH", tokenPath(m.ProjectID, m.TokenID), `{"name":"Lost"}`).as(m.Project)
	m.do(t, rename).want(t, 200)
	m.WaitForUsage()
	before := m.scrape(t)
	disk.Break(diskfault.WriteError)
	m.do(t, rename).want(t, 503)
	disk.Mend()
	m.want(t, before, failedBatch)
	before = m.scrape(t)
	m.do(t, call{method: "DELETE", path: tokenPath(m.ProjectID, uuid.NewString())}.as(m.Project)).want(t, 404)
	m.want(t, before, map[string]float64{
		"tokenwire_store_batches_failed_total{}": 0, "tokenwire_store_batch_changes{}": 0, "tokenwire_store_commit_duration_seconds{}": 0,
	})
}

// failedBatch is what one change that the database has failed makes grow.
var failedBatch = map[string]float64{ //nolint:gochecknoglobals // a constant
	"tokenwire_store_batches_failed_total{}": 1, "tokenwire_store_unavailable_total{}": 1,
	"tokenwire_store_batch_changes{}": 0, "tokenwire_store_commit_duration_seconds{}": 0,
}

func goVersion(series map[string]float64) string {
	for name := range series {
		if rest, ok := strings.CutPrefix(name, "tokenwire_build_info{goversion="); ok {
			return strings.Split(rest, ",")[0]
		}
	}
	return "none"
}

// TestMetricsUnderLoad: what is running, what is refused, and which connections had to go.
func TestMetricsUnderLoad(t *testing.T) {
	t.Parallel()
	held := heldStore{reached: make(chan struct{}), release: make(chan struct{})}
	m := startMeasured(t, servertest.Options{MaxRequests: 1, WrapStore: func(s store.Store) store.Store { held.Store = s; return held }})
	before := m.scrape(t)
	done := make(chan answer)
	go func() {
		done <- m.do(t, jsonCall("PATCH", tokenPath(m.ProjectID, m.TokenID), `{"name":"Held"}`).as(m.Project))
	}()
	<-held.reached
	m.do(t, call{method: "GET", path: tokensPath(m.ProjectID)}.as(m.Project)).want(t, 503)
	m.want(t, before, map[string]float64{
		"tokenwire_http_requests_in_flight{}":                             1,
		"tokenwire_http_requests_running{}":                               1,
		"tokenwire_http_requests_shed_total{}":                            1,
		"tokenwire_store_unavailable_total{}":                             0,
		"tokenwire_http_requests_total{operation=list_tokens,status=503}": 1,
	})
	close(held.release)
	(<-done).want(t, 200)
}

// TestMetricsOfConnections counts those that others took the place of.
func TestMetricsOfConnections(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, servertest.Options{MaxConnections: 2})
	for range 5 {
		dial(t, m.api, "")
	}
	m.do(t, call{method: "GET", path: "/healthz"}).want(t, 200)
	if got := m.scrape(t); got["tokenwire_connections_replaced_total{}"] < 4 || got["tokenwire_connections_limit{}"] != 2 {
		t.Errorf("%v connections were replaced, want 4; the limit is %v", got["tokenwire_connections_replaced_total{}"], got["tokenwire_connections_limit{}"])
	}
}

// TestMetricsOfLostAnswers: a client that got nothing is not counted as answered.
func TestMetricsOfLostAnswers(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, servertest.Options{})
	before := m.scrape(t)
	if err := m.AddFault(m.Project, servertest.Fault{Operation: "list_tokens", Connection: "close_before_answer", Times: 1}); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.URL+tokensPath(m.ProjectID), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(m.ProjectID, m.Token)
	if response, err := new(http.Transport).RoundTrip(request); err == nil {
		_ = response.Body.Close()
		t.Errorf("there was an answer: %d", response.StatusCode)
	}
	m.want(t, before, map[string]float64{"tokenwire_http_requests_total{operation=list_tokens,status=none}": 1})
}

// TestMetricsTakeNoLabelFromARequest: whatever is asked for, no series is added, and nothing of it can be read.
func TestMetricsTakeNoLabelFromARequest(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, servertest.Options{})
	before := slices.Sorted(maps.Keys(m.scrape(t)))
	const mark = "xmarkx"
	for _, c := range []call{
		{method: mark, path: "/"},
		{method: "GET", path: "/" + mark},
		{method: mark, path: tokensPath(m.ProjectID)},
		{method: "PATCH", path: tokenPath(m.ProjectID, mark), user: mark, pass: "PT" + mark},
		{method: "PATCH", path: tokenPath(mark, mark) + "/" + mark + "/../%2e%2e/%00"},
		{method: "GET", path: compat + "/" + mark + "?" + mark + "=" + mark},
		{method: "GET", path: "/docs/" + mark},
		{method: "GET", path: "/_sandbox/projects/" + mark + "/journal"},
		{method: "POST", path: tokensPath(m.ProjectID), contentType: mark, body: mark, header: http.Header{"X-Request-Id": {mark}, "Traceparent": {mark}}},
		jsonCall("POST", tokensPath(m.ProjectID), `{"name":"`+mark+`","permissions":["`+mark+`"]}`).as(m.Project),
		jsonCall("POST", tokensPath(m.ProjectID), `{"name":"`+mark+`","permissions":["fax"]}`).as(m.Project),
		{method: "HEAD", path: "/healthz"},
		{method: "OPTIONS", path: tokensPath(m.ProjectID)},
		{method: "GET", path: strings.Repeat("/"+mark, 200)},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, m.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(request.Header, c.header)
		request.SetBasicAuth(c.user, c.pass)
		request.Header.Set("Content-Type", c.contentType)
		response, err := m.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	now := m.scrape(t)
	if after := slices.Sorted(maps.Keys(now)); !slices.Equal(before, after) {
		t.Errorf("there are %d series, and were %d", len(after), len(before))
	}
	_, text := m.get(t, http.MethodGet, "/metrics")
	for _, unwanted := range []string{mark, m.ProjectID, m.TokenID, m.Token, "127.0.0.1"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("the figures have %q in them", unwanted)
		}
	}
	for name, value := range now {
		if strings.Contains(name, "status=other") && value != 0 {
			t.Errorf("%s is %v: the contract lacks a status", name, value)
		}
	}
}
