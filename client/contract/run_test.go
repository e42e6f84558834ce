package contract_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// TestFailureHasNoSecret: whatever fails, no secret is in what is reported, and the request can be repeated.
func TestFailureHasNoSecret(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	broken := httptest.NewServer(answers(on("", anyPath), func(_ *http.Request, a *recorded) {
		a.header.Set("X-Request-Id", "not allowed: PT"+strings.Repeat("0", 48))
	})(s.Handler(), s.Project))
	defer broken.Close()
	config := configOf(s)
	config.BaseURL = broken.URL
	report, err := contract.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report.Failed() {
		expectNoSecret(t, result.ID, result.Failure)
		if text := result.Failure.String(); !strings.Contains(text, "curl -i") || !strings.Contains(text, "HTTP ") {
			t.Errorf("%s:\n%s", result.ID, text)
		}
	}
	if len(report.Failed()) < 200 {
		t.Errorf("%d cases fail, and every answer is wrong", len(report.Failed()))
	}
	if len(report.Leftovers) > 0 {
		t.Errorf("left over: %v", report.Leftovers)
	}
}

// TestTooManyRequests: a server that asks for time is given it, but not for ever.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	for _, c := range []struct {
		retryAfter string
		times      int32
		passes     bool
	}{{"1", 1, true}, {"0", 3, true}, {"0", 4, false}, {"", 1, false}} {
		var asked atomic.Int32
		server := httptest.NewServer(answers(on("", anyPath), func(_ *http.Request, a *recorded) {
			if a.status == http.StatusUnauthorized && asked.Add(1) <= c.times {
				a.status = http.StatusTooManyRequests
				a.header.Set("Retry-After", c.retryAfter)
			}
		})(s.Handler(), s.Project))
		defer server.Close()
		config := configOf(s)
		config.BaseURL, config.Only = server.URL, []string{"auth.permission-named"}
		report, err := contract.Run(t.Context(), config)
		if passes := len(report.Failed()) == 0; err != nil || passes != c.passes {
			t.Errorf("Retry-After %q, %d times: %v, %v", c.retryAfter, c.times, report.Failed(), err)
		}
	}
}

// TestNonsense: a server that says what no case expects fails them, and the run goes on.
func TestNonsense(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	for _, body := range []string{"", "[]", `{"accounts":[7],"tokens":[7],"errors":[7]}`} {
		server := httptest.NewServer(answers(on("", anyPath), func(_ *http.Request, a *recorded) { a.body = []byte(body) })(s.Handler(), s.Project))
		defer server.Close()
		config := configOf(s)
		config.BaseURL, config.Only = server.URL, []string{"native.create", "auth", "accounts", "pages", "http", "ext"}
		report, err := contract.Run(t.Context(), config)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		for _, result := range report.Failed() {
			if strings.Contains(result.Failure.Message, "the case itself failed") {
				t.Errorf("%q: %s: %s", body, result.ID, result.Failure)
			}
		}
		if cases, err := config.Selected(); err != nil || len(report.Results) != len(cases) {
			t.Errorf("%q: %d cases were run", body, len(report.Results))
		}
	}
}

// TestEndedContext: the run stops, says so, and has deleted what it made.
func TestEndedContext(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	ctx, cancel := context.WithCancel(t.Context())
	config := configOf(s)
	config.Progress = func(result contract.Result) {
		if result.ID == "compat.create.again" {
			cancel()
		}
	}
	report, err := contract.Run(ctx, config)
	if !errors.Is(err, context.Canceled) || len(report.Results) == 0 || len(report.Results) == len(contract.Cases()) || len(report.Failed()) > 0 {
		t.Errorf("%d cases, %v", len(report.Results), err)
	}
	if len(report.Leftovers) > 0 {
		t.Errorf("left over: %v", report.Leftovers)
	}
}

// TestLeftovers: what could not be deleted is named.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	server := httptest.NewServer(requests(on("DELETE", anyPath), func(r *http.Request) { r.Method = "PATCH" })(s.Handler(), s.Project))
	defer server.Close()
	config := configOf(s)
	config.BaseURL, config.Only = server.URL, []string{"compat.create.again"}
	if report, err := contract.Run(t.Context(), config); err != nil || len(report.Leftovers) != 2 {
		t.Errorf("%v, left over: %v, want two tokens", err, report.Leftovers)
	}
}

// TestCleanUpIsLinear: at a server that deletes nothing, each token costs a few requests, however many there are by then.
func TestCleanUpIsLinear(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	var made, deletions atomic.Int32
	server := httptest.NewServer(answers(on("", anyPath), func(r *http.Request, a *recorded) {
		switch {
		case r.Method == http.MethodDelete:
			deletions.Add(1)
			*a = *refusal(http.StatusInternalServerError, 20500)
		case r.Method == http.MethodPost && a.status == http.StatusOK && on("", tokensPath)(r):
			made.Add(1)
		}
	})(s.Handler(), s.Project))
	defer server.Close()
	config := configOf(s)
	config.BaseURL, config.Extensions, config.Only = server.URL, false, []string{"compat.create", "compat.update", "native.create", "native.update"}
	report, err := contract.Run(t.Context(), config)
	if err != nil || len(report.Leftovers) < 50 || len(report.Leftovers) > int(made.Load()) {
		t.Errorf("%v, %d are left over of %d tokens", err, len(report.Leftovers), made.Load())
	}
	if most := 4 * made.Load(); deletions.Load() > most { // by two paths, when the case ends and when the run does
		t.Errorf("%d deletions were sent for %d tokens, want %d at most", deletions.Load(), made.Load(), most)
	}
}

// TestPanic: a case that panics has failed, and says so.
func TestPanic(t *testing.T) {
	t.Parallel()
	result := contract.RunStep(t.Context(), configOf(servertest.New(t, &servertest.Options{InMemory: true})), func() { panic("a slip") })
	if result.Failure == nil || !strings.Contains(result.Failure.String(), "the case itself failed: a slip") {
		t.Errorf("the result is %+v", result)
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		only       []string
		extensions bool
		want       []string
	}{
		{[]string{"compat.create.again"}, false, []string{"compat.create.again"}},
		{[]string{"*.create.again"}, false, []string{"compat.create.again", "native.create.again"}},
		{[]string{"ext.expiry", "accounts.get.own"}, true, []string{"accounts.get.own", "ext.expiry.end", "ext.expiry.list", "ext.expiry.existence"}},
		{[]string{"ext.expiry", "accounts.get.own"}, false, []string{"accounts.get.own"}},
		{[]string{"nope"}, true, nil},
		{[]string{""}, true, nil},
		{[]string{"["}, true, nil},
		{[]string{"ext"}, false, nil},
	} {
		cases, err := contract.Config{Only: c.only, Extensions: c.extensions}.Selected()
		var ids []string
		for _, one := range cases {
			ids = append(ids, one.ID)
		}
		if !slices.Equal(ids, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%v selects %v, %v, want %v", c.only, ids, err, c.want)
		}
	}
}

// TestCasesAreDescribed: an id, a promise in one line and a source each, and no id twice.
func TestCasesAreDescribed(t *testing.T) {
	t.Parallel()
	id := regexp.MustCompile(`^[a-z]+(\.[a-z0-9-]+)+$`)
	seen := map[string]bool{}
	for _, c := range contract.Cases() {
		if !id.MatchString(c.ID) || seen[c.ID] || c.Statement == "" || strings.Contains(c.Statement, "\n") || c.Source == "" {
			t.Errorf("the case is %+v", c)
		}
		if c.Extension != strings.HasPrefix(c.ID, "ext.") {
			t.Errorf("%s: extension is %v", c.ID, c.Extension)
		}
		seen[c.ID] = true
	}
}

// TestNoAPIThere: a run ends with its first request when there is no API, and says what to do.
func TestNoAPIThere(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	secure := httptest.NewUnstartedServer(count)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewServer(count)
	defer plain.Close()
	gone := httptest.NewServer(count)
	gone.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<html>The plain HTTP request was sent to HTTPS port</html>")
	}))
	defer proxy.Close()
	for name, c := range map[string]struct {
		url, want string
		asked     int32
	}{
		"http to https": {"HTTP" + strings.TrimPrefix(secure.URL, "https"), "the server speaks HTTPS: begin the base URL with https://", 0},
		"http to nginx": {proxy.URL, "the server speaks HTTPS: begin the base URL with https://", 1},
		"https to http": {"https" + strings.TrimPrefix(plain.URL, "http"), "the server speaks plain HTTP: begin the base URL with http://", 0},
		"no authority":  {secure.URL, "set SSL_CERT_FILE", 0},
		"nobody there":  {gone.URL, "nothing listens there", 0},
	} {
		asked.Store(0)
		report, err := contract.Run(t.Context(), contract.Config{BaseURL: c.url, ProjectID: "x", Token: "y"})
		if err == nil || !strings.Contains(err.Error(), c.want) || len(report.Results) > 0 || asked.Load() != c.asked {
			t.Errorf("%s: %d results and %d requests, the error is %v, want %q in it", name, len(report.Results), asked.Load(), err, c.want)
		}
	}
}

func TestConfigurationsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, config := range []contract.Config{
		{}, {BaseURL: "http://127.0.0.1:1"}, {BaseURL: "127.0.0.1:1", ProjectID: "x", Token: "x"}, {BaseURL: "ftp://x", ProjectID: "x", Token: "x"},
		{BaseURL: "http://a:b@127.0.0.1:1", ProjectID: "x", Token: "x"}, {BaseURL: "http://127.0.0.1:1", ProjectID: "x", Token: "x"},
	} {
		if report, err := contract.Run(t.Context(), config); err == nil || len(report.Results) > 0 {
			t.Errorf("%+v is run", config)
		}
	}
}
