package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/sandbox"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store/memory"
)

// TestSnapshotsWhileTokensAreUsed: a snapshot waits for what is being recorded, while other calls leave more to record.
func TestSnapshotsWhileTokensAreUsed(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				world, created := a.world(t, observed) // whose token nobody has used yet
				a.do(t, call{method: "GET", path: compat}.as(world)).want(t, 200)
				snapshot := a.do(t, control("POST", world, "/snapshots", "")).want(t, 201).text(t, "id")
				a.do(t, control("POST", world, "/reset", `{"snapshot_id":"`+snapshot+`"}`)).want(t, 204)
				if a.lastUse(t, world, created) == nil {
					t.Error("the snapshot lacks the last use of a token")
				}
			}
		})
	}
	wg.Wait()
}

// observed is a project in which one token is looked at by another.
const observed = `{"tokens":[{"name":"observer","permissions":["management"]}]}`

// lastUse is when the first token of an observed project was used last.
func (a *api) lastUse(t *testing.T, world servertest.Project, created map[string]any) any {
	t.Helper()
	observer := call{method: "GET", path: tokenPath(world.ProjectID, world.TokenID), user: world.ProjectID}
	observer.pass = created["tokens"].([]any)[0].(map[string]any)["token"].(string)
	return a.do(t, observer).want(t, 200).object(t)["last_used_at"]
}

// TestLastUseAfterAReset: what a project remembers of its tokens' use goes with its state, also when a project comes back under the
// same ids.
func TestLastUseAfterAReset(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	const seed = `{"project_id":"11111111-1111-4111-8111-111111111111","token_id":"22222222-2222-4222-8222-222222222222",` +
		`"tokens":[{"name":"observer","permissions":["management"]}]}`
	world, created := a.world(t, seed)
	used := func(when string) {
		if a.lastUse(t, world, created) != nil {
			t.Errorf("%s a token that nobody has used has a last use", when)
		}
		a.do(t, call{method: "GET", path: compat}.as(world)).want(t, 200)
		a.WaitForUsage()
		if a.lastUse(t, world, created) == nil {
			t.Errorf("%s the use of a token is not recorded", when)
		}
	}
	used("at first")
	a.do(t, control("POST", world, "/reset", "")).want(t, 204)
	used("after a reset")
	a.do(t, control("DELETE", world, "", "")).want(t, 204)
	world, created = a.world(t, seed)
	used("in a new project with the same ids")
}

// TestNotesDoNotOutliveAReset: a use that is being recorded is not recorded in the state after a reset.
func TestNotesDoNotOutliveAReset(t *testing.T) {
	t.Parallel()
	recording, release := make(chan struct{}, 1), make(chan struct{})
	db := slowUse{memory.New(), recording, release}
	worlds := sandbox.New()
	srv := over(t, db, worlds)
	created, err := srv.CreateWorld(t.Context(), server.NewProject{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, compat, nil)
	request.SetBasicAuth(created.Project.ID.String(), created.Secret.Reveal())
	srv.ServeHTTP(httptest.NewRecorder(), request)
	<-recording
	reset := make(chan int)
	go func() {
		reset <- post(t.Context(), srv, "/_sandbox/projects/"+created.Project.ID.String()+"/reset", "{}")
	}()
	close(release)
	if status := <-reset; status != 204 {
		t.Fatalf("the reset: %d", status)
	}
	srv.WaitForUsage()
	token, err := db.Token(t.Context(), created.Project.ID, created.TokenID)
	if err != nil || !token.LastUsedAt.IsZero() {
		t.Errorf("after the reset the token was last used at %v (%v)", token.LastUsedAt, err)
	}
}

// slowUse takes its time to record a use.
type slowUse struct {
	*memory.DB
	recording, release chan struct{}
}

// RecordUse waits until it is released, and as long as a reset takes that does not wait for it.
func (s slowUse) RecordUse(ctx context.Context, uses map[uuid.UUID]time.Time) error {
	s.recording <- struct{}{}
	<-s.release
	<-time.After(50 * time.Millisecond)
	return s.DB.RecordUse(ctx, uses)
}
