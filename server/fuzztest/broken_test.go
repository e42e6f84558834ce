package fuzztest_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// TestBrokenServers: the run can fail. It finds each server that breaks an answer, or a request, now and then.
func TestBrokenServers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		found string // what the failure says
		wrap  func(http.Handler) http.Handler
	}{
		{"fails now and then", "status 500", everyTenth(func(a *httptest.ResponseRecorder) { a.Code = http.StatusInternalServerError })},
		{"is not there now and then", "status 503", everyTenth(func(a *httptest.ResponseRecorder) { a.Code = http.StatusServiceUnavailable })},
		{"panics", "the handler panics", everyTenth(func(*httptest.ResponseRecorder) { panic("broken") })},
		{"has a status of its own", "is not documented", everyTenth(func(a *httptest.ResponseRecorder) { a.Code = http.StatusTeapot })},
		{"adds a property", "does not fit its schema", everyTenth(func(a *httptest.ResponseRecorder) {
			replace(a, "{", `{"new":1,`)
		})},
		{"forgets a header", "WWW-Authenticate is missing", answers(func(a *httptest.ResponseRecorder) { a.Header().Del("WWW-Authenticate") })},
		{"forgets the request id", "no X-Request-Id", everyTenth(func(a *httptest.ResponseRecorder) { a.Header().Del("X-Request-Id") })},
		{"says another media type", "the Content-Type is", everyTenth(func(a *httptest.ResponseRecorder) { a.Header().Set("Content-Type", "text/plain") })},
		{"shows secrets in lists", "does not fit its schema", answers(func(a *httptest.ResponseRecorder) { replace(a, `"secret_last_four":"`, `"secret_last_four":"PT`) })},
		{"finds nothing", "want [204]", notFound},
		{"is never the same", "was answered differently", flicker()},
		{"takes any case", "want [401]", requests(func(r *http.Request) {
			if user, password, ok := r.BasicAuth(); ok {
				r.SetBasicAuth(user, strings.Replace(strings.ToLower(password), "pt", "PT", 1))
			}
		})},
		{"does not look at the media type", "want [415]", requests(func(r *http.Request) {
			if !strings.HasPrefix(r.Header.Get("Content-Type"), formType) {
				r.Header.Set("Content-Type", jsonType)
			}
		})},
		{"knows no idempotency", "is not the one that the first", requests(func(r *http.Request) { r.Header.Del("Idempotency-Key") })},
		{"takes one method for another", "want 405", requests(func(r *http.Request) {
			if r.Method == http.MethodPut {
				r.Method = http.MethodPatch
			}
		})},
		{"trusts every host", "want [404]", requests(func(r *http.Request) { r.Host = local })},
		{"gives another status to what it does not know", "want [422]", answers(func(a *httptest.ResponseRecorder) {
			if a.Code == http.StatusUnprocessableEntity && strings.Contains(a.Body.String(), "is no property") && !strings.Contains(a.Body.String(), `"errors"`) {
				a.Code = http.StatusBadRequest
				replaceBody(a, `{"code":10000,"message":"x","more_info":"http://127.0.0.1:8080/docs/errors#10000","status":400}`)
			}
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, test.wrap)
			r.seed, r.first, r.last = 1, 4, 8 // these run in memory, by calls of the handler
			got := r.run(t)
			for _, f := range got.failures {
				if strings.Contains(f.difference, test.found) {
					return
				}
			}
			t.Errorf("it was not found in %d requests", got.requests)
			for _, f := range got.failures {
				t.Logf("found instead: %s", f.difference)
			}
		})
	}
}

// answers changes answers.
func answers(change func(*httptest.ResponseRecorder)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			recorder := httptest.NewRecorder()
			next.ServeHTTP(recorder, r)
			change(recorder)
			maps.Copy(w.Header(), recorder.Header())
			w.WriteHeader(recorder.Code)
			_, _ = w.Write(recorder.Body.Bytes())
		})
	}
}

// everyTenth changes every tenth answer.
func everyTenth(change func(*httptest.ResponseRecorder)) func(http.Handler) http.Handler {
	var n atomic.Int64
	return answers(func(a *httptest.ResponseRecorder) {
		if n.Add(1)%10 == 0 {
			change(a)
		}
	})
}

// requests changes what the server gets to see.
func requests(change func(*http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(r.Context())
			change(r)
			next.ServeHTTP(w, r)
		})
	}
}

// replace changes the first of a text in the body.
func replace(a *httptest.ResponseRecorder, from, to string) {
	replaceBody(a, strings.Replace(a.Body.String(), from, to, 1))
}

func replaceBody(a *httptest.ResponseRecorder, body string) { a.Body = bytes.NewBufferString(body) }

// notFound answers a deletion as if there had been nothing, in a way that the contract has.
func notFound(next http.Handler) http.Handler {
	return answers(func(a *httptest.ResponseRecorder) {
		if a.Code == http.StatusNoContent && a.Header().Get("Allow") == "" {
			a.Code = http.StatusNotFound
			a.Header().Set("Content-Type", jsonType)
			replaceBody(a, `{"code":20404,"message":"x","more_info":"http://127.0.0.1:8080/docs/errors#20404","status":404}`)
		}
	})(next)
}

// flicker shows other digits each time.
func flicker() func(http.Handler) http.Handler {
	var n atomic.Int64
	digits := regexp.MustCompile(`"secret_last_four":"[^"]*"`)
	return answers(func(a *httptest.ResponseRecorder) {
		replaceBody(a, digits.ReplaceAllString(a.Body.String(), fmt.Sprintf(`"secret_last_four":"%04d"`, n.Add(1)%10000)))
	})
}
