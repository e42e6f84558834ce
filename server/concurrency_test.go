package server_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// TestConcurrentUpdates: updates of different fields both survive.
func TestConcurrentUpdates(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "fax")
	path := tokenPath(a.ProjectID, token.TokenID)
	for round := range 20 {
		permission := allPermissions[round%len(allPermissions)]
		var wg sync.WaitGroup
		for _, body := range []string{fmt.Sprintf(`{"name":"round %d"}`, round), fmt.Sprintf(`{"permissions":[%q]}`, permission)} {
			wg.Go(func() {
				if got := a.do(t, jsonCall("PATCH", path, body).as(a.Project)); got.status != 200 {
					t.Errorf("%s: %d %s", body, got.status, got.body)
				}
			})
		}
		wg.Wait()
		got := a.read(t, a.Project, token.TokenID)
		if got["name"] != fmt.Sprintf("round %d", round) || !equal(got["permissions"], []any{permission}) {
			t.Fatalf("round %d: one of two updates is lost: %v", round, got)
		}
	}
}

// TestUpdateDuringDeletion: whoever wins, the token is gone afterwards.
func TestUpdateDuringDeletion(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for range 20 {
		token := a.create(t, a.Project, "management")
		path := tokenPath(a.ProjectID, token.TokenID)
		var wg sync.WaitGroup
		wg.Go(func() {
			if got := a.do(t, jsonCall("PATCH", path, `{"name":"late"}`).as(a.Project)); got.status != 200 && got.status != 404 {
				t.Errorf("the update got %d %s", got.status, got.body)
			}
		})
		wg.Go(func() {
			if got := a.do(t, call{method: "DELETE", path: path}.as(a.Project)); got.status != 204 {
				t.Errorf("the deletion got %d %s", got.status, got.body)
			}
		})
		wg.Wait()
		a.do(t, jsonCall("PATCH", path, "{}").as(a.Project)).want(t, 404)
		a.do(t, call{method: "GET", path: tokensPath(a.ProjectID)}.as(token)).want(t, 401)
	}
}

// revocations are the ways to end what a token may do at this path.
func revocations() map[string]func(path string) call {
	return map[string]func(path string) call{
		"deletion":  func(path string) call { return call{method: "DELETE", path: path} },
		"narrowing": func(path string) call { return jsonCall("PATCH", path, `{"permissions":["fax"]}`) },
		"rotation":  func(path string) call { return call{method: "POST", path: path + "/rotate"} },
	}
}

// TestNoRequestAfterRevocation hammers a token while it is revoked: no request that began after the answer is accepted.
func TestNoRequestAfterRevocation(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	for name, revoke := range revocations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := a.create(t, a.Project, "management")
			probe := call{method: "GET", path: tokensPath(a.ProjectID) + "?PageSize=1"}.as(token)
			var revoked, stop atomic.Bool
			accepted, refused, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
			tell := func(what chan struct{}) {
				select {
				case what <- struct{}{}:
				default: // nobody counts them at the moment
				}
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for !stop.Load() {
						late := revoked.Load() // read before the request begins
						switch status := a.do(t, probe).status; {
						case status == http.StatusUnauthorized:
							tell(refused)
						case late:
							t.Errorf("%d after the revocation was answered", status)
							return
						default:
							tell(accepted)
						}
					}
				})
			}
			go func() { wg.Wait(); close(ended) }()
			count := func(what chan struct{}) {
				for range 20 {
					select {
					case <-what:
					case <-ended:
					}
				}
			}
			count(accepted) // they are under way
			a.do(t, revoke(tokenPath(a.ProjectID, token.TokenID)).as(a.Project))
			revoked.Store(true)
			count(refused) // and stay refused
			stop.Store(true)
			<-ended
		})
	}
}

// TestTokenDeletesItselfOnce: of several deletions by the token itself one succeeds.
func TestTokenDeletesItselfOnce(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	token := a.create(t, a.Project, "management")
	var gone, refused atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch got := a.do(t, call{method: "DELETE", path: tokenPath(a.ProjectID, token.TokenID)}.as(token)); got.status {
			case http.StatusNoContent:
				gone.Add(1)
			case http.StatusNotFound, http.StatusUnauthorized:
				refused.Add(1)
			default:
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	if gone.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d deletions succeeded and %d were refused, want 1 and 7", gone.Load(), refused.Load())
	}
}
