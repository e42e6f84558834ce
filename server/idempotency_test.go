package server_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func withKey(c call, key string) call {
	c.header = http.Header{"Idempotency-Key": {key}}
	return c
}

// creations is every operation that takes an Idempotency-Key, as a call and another one.
func creations(a *api, token string) map[string][2]call {
	return map[string][2]call{
		"create_token": {
			jsonCall("POST", tokensPath(a.ProjectID), `{"name":"x","permissions":["fax"]}`), jsonCall("POST", tokensPath(a.ProjectID), `{"name":"y","permissions":["fax"]}`),
		},
		"create_project_token": {
			jsonCall("POST", native, `{"name":"x","permissions":["fax"]}`), jsonCall("POST", native, `{"name":"x","permissions":["chat"]}`),
		},
		"create_subprojects": {formCall("POST", compat, "FriendlyName=x"), formCall("POST", compat, "FriendlyName=y")},
		"rotate_token": {
			call{method: "POST", path: tokenPath(a.ProjectID, token) + "/rotate"},
			jsonCall("POST", tokenPath(a.ProjectID, token)+"/rotate", `{"grace_period_seconds":5}`),
		},
	}
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "fax").TokenID
	for name, calls := range creations(a, token) {
		same, other := withKey(calls[0], name).as(a.Project), withKey(calls[1], name).as(a.Project)
		first := a.do(t, same)
		if again := a.do(t, same); first.status >= 300 || again.body != first.body || again.status != first.status {
			t.Errorf("%s: first %d %s, again %d %s", name, first.status, first.body, again.status, again.body)
		}
		if got := a.do(t, other).want(t, 422); !strings.Contains(got.body, "Idempotency-Key was used for another request") {
			t.Errorf("%s with another body: %s", name, got.body)
		}
		if got := a.do(t, withKey(calls[0], name+"2").as(a.Project)); got.status != first.status || got.body == first.body {
			t.Errorf("%s with another key: %d %s", name, got.status, got.body)
		}
		a.do(t, withKey(calls[0], "").as(a.Project)).want(t, 400)
		a.do(t, withKey(calls[0], "with space").as(a.Project)).want(t, 400)
		a.do(t, withKey(calls[0], strings.Repeat("x", 256)).as(a.Project)).want(t, 400)
	}
}

// TestIdempotencyScope: a key is a project's own, also between a project and its subproject, and is forgotten after a day.
func TestIdempotencyScope(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	child := a.subproject(t, a.Project)
	c := withKey(jsonCall("POST", native, `{"name":"x","permissions":["fax"]}`), "key")
	first := a.do(t, c.as(a.Project)).want(t, 200)
	if got := a.do(t, c.as(child)).want(t, 200); got.body == first.body {
		t.Error("a subproject got its parent's answer")
	}
	a.Advance(24*time.Hour - time.Second)
	if got := a.do(t, c.as(a.Project)).want(t, 200); got.body != first.body {
		t.Error("the key was forgotten within a day")
	}
	a.Advance(time.Second)
	if got := a.do(t, c.as(a.Project)).want(t, 200); got.body == first.body {
		t.Error("the key is remembered after a day")
	}
}

// TestRepetitionAfterExpiry: who asks again what became of a creation is told, also when the token has expired by then.
func TestRepetitionAfterExpiry(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	body := `{"name":"x","permissions":["fax"],"expires_at":"` + a.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	c := withKey(jsonCall("POST", tokensPath(a.ProjectID), body), "key").as(a.Project)
	first := a.do(t, c).want(t, 200)
	a.Advance(2 * time.Hour)
	if again := a.do(t, c).want(t, 200); again.body != first.body {
		t.Errorf("first %s, again %s", first.body, again.body)
	}
	if got := a.do(t, withKey(c, "other")).want(t, 422).object(t); got["attribute"] != "expires_at" {
		t.Errorf("another key with an expiry that has passed: %v", got)
	}
	c.header = nil
	a.do(t, c).want(t, 422)
}

// TestConcurrentDuplicates: one creation, and everybody gets its answer.
func TestConcurrentDuplicates(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	c := withKey(jsonCall("POST", tokensPath(a.ProjectID), `{"name":"x","permissions":["video"]}`), "key").as(a.Project)
	bodies := make([]string, 8)
	var wg sync.WaitGroup
	for i := range bodies {
		wg.Go(func() { bodies[i] = a.do(t, c).body })
	}
	wg.Wait()
	for _, body := range bodies {
		if body != bodies[0] {
			t.Errorf("two answers to one key: %s and %s", bodies[0], body)
		}
	}
	page := a.do(t, call{method: "GET", path: tokensPath(a.ProjectID) + "?Permission=video"}.as(a.Project)).want(t, 200).object(t)
	if got := len(page["tokens"].([]any)); got != 1 {
		t.Errorf("%d tokens were made, want 1", got)
	}
}
