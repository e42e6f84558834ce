package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

// What is repeated: each failure is followed by a success, which a call sees only if it tries again.
func TestWhatIsRepeated(t *testing.T) {
	t.Parallel()
	failures := map[string]struct {
		fail     http.HandlerFunc
		repeated bool
	}{
		"400":             {answer(400, ""), false},
		"401":             {answer(401, ""), false},
		"404":             {answer(404, ""), false},
		"405":             {answer(405, ""), false},
		"409":             {answer(409, ""), false},
		"422":             {answer(422, ""), false},
		"429":             {answer(429, ""), true},
		"500":             {answer(500, ""), false},
		"501":             {answer(501, ""), false},
		"502":             {answer(502, ""), true},
		"503":             {answer(503, ""), true},
		"504":             {answer(504, ""), true},
		"no answer":       {reset(t, ""), true},
		"half the header": {reset(t, "HTTP/1.1 200 OK\r\nContent-"), true},
		"half the body":   {reset(t, "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{\"id\":"), true},
	}
	for name, tc := range failures {
		for _, call := range []call{create(), update(), remove()} {
			t.Run(call.name+" "+name, func(t *testing.T) {
				t.Parallel()
				success := answer(http.StatusOK, tokenBody)
				f := serve(t, tc.fail, success)
				err := call.do(t.Context(), f.client(t))
				want, succeeds := 1, false
				switch {
				case call.name == "delete" && name == "half the body":
					succeeds = true // the status has said all
				case tc.repeated && call.name != "create":
					want, succeeds = 2, true
				}
				if got := len(f.seen()); got != want || (err == nil) != succeeds || len(f.waited()) != want-1 {
					t.Errorf("%d requests, %d pauses, error %v; want %d requests", got, len(f.waited()), err, want)
				}
				if want == 2 && (f.seen()[0].body != f.seen()[1].body || f.seen()[0].path != f.seen()[1].path) {
					t.Errorf("the repetition differs: %+v", f.seen())
				}
			})
		}
	}
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	for retries, opts := range map[int][]client.Option{
		0: {client.WithRetries(0)}, 3: nil, 10: {client.WithRetries(10)},
	} {
		var answers []http.HandlerFunc
		for range retries + 1 {
			answers = append(answers, answer(503, ""))
		}
		f := serve(t, answers...)
		err := update().do(t.Context(), f.client(t, opts...))
		if !errors.Is(err, client.ErrUnavailable) || len(f.seen()) != retries+1 {
			t.Errorf("%d retries: %d requests, %v", retries, len(f.seen()), err)
		}
		mean := 500 * time.Millisecond
		for i, pause := range f.waited() {
			if pause < mean/2 || pause > mean*3/2 {
				t.Errorf("pause %d is %v, not within half of %v", i, pause, mean)
			}
			mean = min(2*mean, 10*time.Second)
		}
	}
}

// Two clients that fail together must not come back together.
func TestPausesAreJittered(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 5 {
		f := serve(t, answer(503, ""), answer(200, tokenBody))
		if err := update().do(t.Context(), f.client(t)); err != nil {
			t.Fatal(err)
		}
		seen[f.waited()[0]] = true
	}
	if len(seen) < 2 {
		t.Errorf("five calls paused for the same time: %v", seen)
	}
}

func TestDeleteThatFindsNothing(t *testing.T) {
	t.Parallel()
	notFound := answer(404, `{"code":20404,"message":"M","more_info":"u","status":404}`)
	for name, tc := range map[string]struct {
		call    call
		answers []http.HandlerFunc
		want    error
	}{
		"at first":           {remove(), []http.HandlerFunc{notFound}, client.ErrNotFound},
		"after a reset":      {remove(), []http.HandlerFunc{reset(t, ""), notFound}, nil},
		"after a 503":        {remove(), []http.HandlerFunc{answer(503, ""), notFound}, nil},
		"update after a 503": {update(), []http.HandlerFunc{answer(503, ""), notFound}, client.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, tc.answers...)
			if err := tc.call.do(t.Context(), f.client(t)); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	const date, later, muchLater = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:20 GMT", "Wed, 21 Oct 2015 08:28:00 GMT"
	for name, tc := range map[string]struct {
		headers []string
		want    time.Duration // 0: give up; -1: the back-off
	}{
		"seconds":         {[]string{"Retry-After", "17"}, 17 * time.Second},
		"date":            {[]string{"Date", date, "Retry-After", later}, 20 * time.Second},
		"a minute":        {[]string{"Retry-After", "60"}, time.Minute},
		"over a minute":   {[]string{"Retry-After", "61"}, 0},
		"an hour by date": {[]string{"Date", date, "Retry-After", muchLater}, 0},
		"huge":            {[]string{"Retry-After", "99999999999999999999999"}, 0},
		"zero":            {[]string{"Retry-After", "0"}, -1},
		"negative":        {[]string{"Retry-After", "-5"}, -1},
		"in the past":     {[]string{"Date", later, "Retry-After", date}, -1},
		"garbage":         {[]string{"Retry-After", "soon"}, -1},
	} {
		for _, status := range []int{429, 503} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := serve(t, answer(status, "", tc.headers...), answer(200, tokenBody))
				err := update().do(t.Context(), f.client(t))
				pauses := f.waited()
				switch {
				case tc.want == 0:
					if e, ok := errors.AsType[*client.Error](err); !ok || e.RetryAfter <= time.Minute || len(pauses) != 0 {
						t.Errorf("got %v after %v, want to give up", err, pauses)
					}
				case err != nil || len(pauses) != 1:
					t.Errorf("got %v after %v", err, pauses)
				case tc.want > 0 && pauses[0] != tc.want:
					t.Errorf("paused %v, want %v", pauses[0], tc.want)
				case tc.want < 0 && pauses[0] > 750*time.Millisecond:
					t.Errorf("paused %v, want the back-off", pauses[0])
				}
			})
		}
	}
}

func TestRetryAfterWithoutServerClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2015, 10, 21, 7, 28, 0, 0, time.UTC)
	h := http.Header{"Retry-After": {"Wed, 21 Oct 2015 07:28:05 GMT"}}
	if got := client.RetryAfter(h, now); got != 5*time.Second {
		t.Errorf("got %v", got)
	}
}

func TestNoPauseBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	f := serve(t, answer(429, "", "Retry-After", "40"))
	err := update().do(ctx, f.client(t))
	if !errors.Is(err, client.ErrRateLimited) || errors.Is(err, context.DeadlineExceeded) || len(f.waited()) != 0 {
		t.Errorf("got %v after %v", err, f.waited())
	}
}

func TestContextEndsDuringPause(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := serve(t, answer(503, "", "X-Request-Id", "r-1"))
	c := f.client(t, client.WithWait(func(ctx context.Context, d time.Duration) error {
		cancel()
		return client.Wait(ctx, time.Hour+d)
	}))
	err := update().do(ctx, c)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("got %v, want context.Canceled and the last answer", err)
	}
}

func TestContextEndsDuringRequest(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{"plain": nil, "with a cause": errors.New("shutting down")} {
		for _, call := range []call{create(), update(), remove()} {
			t.Run(call.name+" "+name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancelCause(t.Context())
				f := serve(t, func(_ http.ResponseWriter, r *http.Request) {
					cancel(cause)
					<-r.Context().Done()
				})
				err := call.do(ctx, f.client(t))
				if !errors.Is(err, context.Canceled) || (cause != nil && !errors.Is(err, cause)) || len(f.waited()) != 0 {
					t.Errorf("got %v", err)
				}
				if err := call.do(ctx, serve(t).client(t)); !errors.Is(err, context.Canceled) {
					t.Errorf("after the end: got %v", err)
				}
			})
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := client.Wait(t.Context(), time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("waited %v, %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := client.Wait(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		call   call
		pauses int
	}{
		{create(), 0}, {update(), 3}, {remove(), 3},
	} {
		f := serve(t)
		f.Close()
		err := tc.call.do(t.Context(), f.client(t))
		if _, ok := errors.AsType[*net.OpError](err); !ok || !strings.HasPrefix(err.Error(), tc.call.name+" token: ") {
			t.Errorf("%s: got %v", tc.call.name, err)
		}
		if got := len(f.waited()); got != tc.pauses {
			t.Errorf("%s: %d pauses, want %d", tc.call.name, got, tc.pauses)
		}
	}
}

func TestPermanentFailuresAreNotRepeated(t *testing.T) {
	t.Parallel()
	secure := secureServer(t)
	plain := serve(t)
	unknown := roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "tokens.invalid", IsNotFound: true}
	})
	for name, tc := range map[string]struct {
		opts  []client.Option
		check func(error) bool
	}{
		"unknown authority": {[]client.Option{client.WithBaseURL(secure.URL)}, func(err error) bool {
			_, ok := errors.AsType[*tls.CertificateVerificationError](err)
			return ok
		}},
		"http behind https": {[]client.Option{client.WithBaseURL("https" + strings.TrimPrefix(plain.URL, "http"))}, func(err error) bool {
			return errors.Is(err, http.ErrSchemeMismatch)
		}},
		"no such host": {[]client.Option{client.WithHTTPClient(&http.Client{Transport: unknown})}, func(err error) bool {
			e, ok := errors.AsType[*net.DNSError](err)
			return ok && e.IsNotFound
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t)
			if err := update().do(t.Context(), f.client(t, tc.opts...)); !tc.check(err) || len(f.waited()) != 0 {
				t.Errorf("got %v after %d pauses", err, len(f.waited()))
			}
		})
	}
}

// net/http repeats a request on its own when a kept connection proves dead and the body can be rewound.
func TestTransportCannotRepeatCreate(t *testing.T) {
	t.Parallel()
	rewindable := map[string]bool{}
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		rewindable[r.Method] = r.GetBody != nil
		return ok(tokenBody), nil
	})
	c, err := newDefault(client.WithSpace("example"), client.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []call{create(), update()} {
		if err := call.do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if rewindable[http.MethodPost] || !rewindable[http.MethodPatch] {
		t.Errorf("rewindable: %v", rewindable)
	}
}

func TestCreateOnADyingConnection(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(200, tokenBody), reset(t, ""))
	c := f.client(t, client.WithHTTPClient(&http.Client{Transport: &http.Transport{}}))
	if err := create().do(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := create().do(t.Context(), c); err == nil || len(f.seen()) != 2 {
		t.Errorf("%d requests, %v", len(f.seen()), err)
	}
}
