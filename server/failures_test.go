package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// Token ids with which a broken store fails in its own ways.
const (
	unavailableStore = "00000000-0000-4000-8000-000000000001"
	breaksStore      = "00000000-0000-4000-8000-000000000002"
	panicsStore      = "00000000-0000-4000-8000-000000000003"
	hangsStore       = "00000000-0000-4000-8000-000000000004"
)

type brokenStore struct{ store.Store }

func broken(s store.Store) store.Store { return brokenStore{s} }

var errBroken = errors.New("the cause, which only the log may have")

// Token fails as UpdateToken does.
func (s brokenStore) Token(ctx context.Context, account, id uuid.UUID) (store.Token, error) {
	if err := fail(ctx, id); err != nil {
		return store.Token{}, err
	}
	return s.Store.Token(ctx, account, id)
}

// Project fails as UpdateToken does.
func (s brokenStore) Project(ctx context.Context, id uuid.UUID) (store.Project, error) {
	if err := fail(ctx, id); err != nil {
		return store.Project{}, err
	}
	return s.Store.Project(ctx, id)
}

// UpdateToken fails in the way that the id asks for.
func (s brokenStore) UpdateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change) (store.Token, error) {
	if err := fail(ctx, id); err != nil {
		return store.Token{}, err
	}
	return s.Store.UpdateToken(ctx, account, id, update, change)
}

func fail(ctx context.Context, id uuid.UUID) error {
	switch id.String() {
	case unavailableStore:
		return store.ErrUnavailable
	case breaksStore:
		return errBroken
	case panicsStore:
		_ = make([]byte, 1)[len(id)] // an index out of range panics
	case hangsStore:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func TestFailures(t *testing.T) {
	t.Parallel()
	log := &safeBuffer{}
	a := start(t, &servertest.Options{Logger: slog.New(slog.NewTextHandler(log, nil)), WrapStore: broken, RequestTimeout: 200 * time.Millisecond})
	for id, c := range map[string]struct {
		status     int
		code       float64
		retryAfter string
		logged     string
	}{
		unavailableStore: {503, 20001, "1", "database unavailable"},
		hangsStore:       {503, 20001, "1", "context deadline exceeded"},
		breaksStore:      {500, 20504, "", errBroken.Error()},
		panicsStore:      {500, 20504, "", "index out of range"},
	} {
		requestID := "request-" + id
		sent := jsonCall("PATCH", tokenPath(a.ProjectID, id), "{}")
		sent.header = http.Header{"X-Request-Id": {requestID}}
		got := a.do(t, sent.as(a.Project)).want(t, c.status)
		if body := got.object(t); body["code"] != c.code || got.header.Get("Retry-After") != c.retryAfter {
			t.Errorf("%s: %v, Retry-After %q", id, body, got.header.Get("Retry-After"))
		}
		if strings.Contains(got.body, "cause") || strings.Contains(got.body, c.logged) {
			t.Errorf("the answer has the cause: %s", got.body)
		}
		if c.status == 500 && !strings.Contains(got.body, requestID) {
			t.Errorf("the answer does not name the request: %s", got.body)
		}
		if !inOneLine(log.String(), requestID, c.logged) {
			t.Errorf("no line of the log has %q and %q:\n%s", requestID, c.logged, log)
		}
	}
	if got := a.do(t, jsonCall("PATCH", native+"/"+breaksStore, "{}").as(a.Project)).want(t, 500); !strings.Contains(got.body, `{"error":"Internal Server Error"}`) {
		t.Errorf("the native surface says %s", got.body)
	}
	calling := a.create(t, a.Project, "calling")
	for id, status := range map[string]int{unavailableStore: 503, hangsStore: 503, breaksStore: 500} { // whose account is it?
		a.do(t, original("POST", compat+"/"+id+"/Calls.json").as(calling)).want(t, status)
	}
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), "{}").as(a.Project)).want(t, 200)
}

// TestHangingUpIsNoFailure: a client that goes while its request is carried out wakes nobody.
func TestHangingUpIsNoFailure(t *testing.T) {
	t.Parallel()
	lines := make(chan string, 100)
	a := start(t, &servertest.Options{Logger: slog.New(slog.NewTextHandler(lineWriter(lines), nil)), WrapStore: broken})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, a.URL+tokenPath(a.ProjectID, hangsStore), strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(a.ProjectID, a.Token)
	request.Header.Set("Content-Type", jsonType)
	var text strings.Builder
	if err := request.Write(&text); err != nil {
		t.Fatal(err)
	}
	_ = dial(t, a, text.String()).Close()
	for line := range lines {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			t.Errorf("the log has %s", line)
		}
		if strings.Contains(line, "msg=request ") && strings.Contains(line, "status=503") {
			break
		}
	}
}

// deadlineStore notes until when an update may wait.
type deadlineStore struct {
	store.Store
	deadline chan time.Time
}

// UpdateToken notes the deadline.
func (s deadlineStore) UpdateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change) (store.Token, error) {
	deadline, _ := ctx.Deadline()
	s.deadline <- deadline
	return s.Store.UpdateToken(ctx, account, id, update, change)
}

// TestSlowBodiesKeepTheirTime: the time to wait for the database begins when the body is there.
func TestSlowBodiesKeepTheirTime(t *testing.T) {
	t.Parallel()
	deadline := make(chan time.Time, 1)
	const limit = time.Minute
	a := start(t, &servertest.Options{RequestTimeout: limit, WrapStore: func(s store.Store) store.Store { return deadlineStore{s, deadline} }})
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, a.URL+tokenPath(a.ProjectID, a.TokenID), reader)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = basic(a.ProjectID, a.Token)
	request.Header.Set("Content-Type", jsonType)
	answered := make(chan error, 1)
	go func() {
		response, err := a.client.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		answered <- err
	}()
	if _, err := io.WriteString(writer, `{`); err != nil {
		t.Fatal(err)
	}
	complete := time.Now()
	if _, err := io.WriteString(writer, `"name":"Slow"}`); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	if got := <-deadline; got.Before(complete.Add(limit)) {
		t.Errorf("the update may wait until %v; its body was complete at %v, and the limit is %v", got, complete, limit)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func inOneLine(log string, texts ...string) bool {
	for line := range strings.Lines(log) {
		found := 0
		for _, text := range texts {
			if strings.Contains(line, text) {
				found++
			}
		}
		if found == len(texts) {
			return true
		}
	}
	return false
}

// TestRequestID: a harmless one is kept, any other replaced.
func TestRequestID(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for id, kept := range map[string]bool{
		"abc-123_X.y": true, strings.Repeat("x", 128): true,
		strings.Repeat("x", 129): false, "with space": false, "ünïcode": false, "": false, "a\tb": false, "PT" + strings.Repeat("a", 48): false,
	} {
		got := a.do(t, call{method: "GET", path: "/healthz", header: http.Header{"X-Request-Id": {id}}}).header.Get("X-Request-Id")
		if (got == id) != kept {
			t.Errorf("the request id %q became %q", id, got)
		}
	}
	one, two := a.do(t, call{method: "GET", path: "/healthz"}), a.do(t, call{method: "GET", path: "/healthz"})
	if one.header.Get("X-Request-Id") == two.header.Get("X-Request-Id") {
		t.Error("two requests have the same id")
	}
}

// TestOneAddress: a customer of IPv6 has a /64 of addresses, and each of IPv4 is somebody else's.
func TestOneAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		addresses []string
		last      int
	}{
		"one of IPv4":            {[]string{"192.0.2.7:1", "192.0.2.7:2"}, 429},
		"two of IPv4":            {[]string{"192.0.2.7:1", "192.0.2.8:1"}, 401},
		"one, written as IPv6":   {[]string{"192.0.2.7:1", "[::ffff:192.0.2.7]:1"}, 429},
		"two, written as IPv6":   {[]string{"[::ffff:192.0.2.7]:1", "[::ffff:192.0.2.8]:1"}, 401},
		"one /64":                {[]string{"[2001:db8::1]:1", "[2001:db8::ffff:ffff:ffff:2]:1"}, 429},
		"two of them":            {[]string{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1"}, 401},
		"one link, by its names": {[]string{"[fe80::1%eth0]:1", "[fe80::2%eth1]:1"}, 429},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newBareWith(t, server.Config{AuthFailuresPerMinute: 1})
			status := 0
			for _, address := range c.addresses {
				request := httptest.NewRequest(http.MethodGet, tokensPath(s.project), http.NoBody)
				request.SetBasicAuth(s.project, "wrong")
				request.RemoteAddr = address
				recorder := httptest.NewRecorder()
				s.handler.ServeHTTP(recorder, request)
				status = recorder.Code
			}
			if status != c.last {
				t.Errorf("the last was answered %d, want %d", status, c.last)
			}
		})
	}
}

// TestFailedLogins: too many are answered 429, and good credentials go on.
func TestFailedLogins(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{AuthFailuresPerMinute: 3})
	weak := a.create(t, a.Project, "fax")
	probe := call{method: "GET", path: tokensPath(a.ProjectID)}
	for range 3 {
		a.do(t, call{method: "GET", path: tokensPath(a.ProjectID), user: a.ProjectID, pass: "wrong"}).want(t, 401)
	}
	got := a.do(t, call{method: "GET", path: tokensPath(a.ProjectID), user: a.ProjectID, pass: "wrong"}).want(t, 429)
	if got.object(t)["code"] != 20429.0 || got.header.Get("Retry-After") != "20" { // three a minute
		t.Errorf("429 with %s and Retry-After %q", got.body, got.header.Get("Retry-After"))
	}
	a.do(t, probe.as(a.Project)).want(t, 200)
	a.do(t, probe.as(weak)).want(t, 401) // its credential is good
	a.do(t, call{method: "DELETE", path: native + "/" + unknownID, user: a.ProjectID, pass: "wrong"}).want(t, 429)
}

// TestFailedLoginsRefill: so many at once, and so many in each minute after that, evenly; what nobody uses adds up to no more than that.
func TestFailedLoginsRefill(t *testing.T) {
	t.Parallel()
	s, _, clock := bareWatchedWith(t, server.Config{AuthFailuresPerMinute: 6})
	for i, c := range []struct {
		later   time.Duration
		allowed int
	}{{0, 6}, {9999 * time.Millisecond, 0}, {time.Millisecond, 1}, {20 * time.Second, 2}, {40 * time.Second, 4}, {time.Hour, 6}, {0, 0}} {
		clock.Add(int64(c.later))
		for range c.allowed {
			if status := s.probe(s.project, "wrong"); status != 401 {
				t.Errorf("step %d: %d within the limit", i, status)
			}
		}
		if status := s.probe(s.project, "wrong"); status != 429 {
			t.Errorf("step %d: %d for one more", i, status)
		}
	}
}
