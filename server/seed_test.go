package server_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/sandbox"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/memory"
)

// over returns a server over a store.
func over(t *testing.T, db store.Store, worlds *sandbox.Sandbox) *server.Server {
	t.Helper()
	keyset, err := secret.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(server.Config{Store: db, Keyset: keyset, Sandbox: worlds})
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

// post sends a request to a handler, without a connection.
func post(ctx context.Context, handler http.Handler, path, body string) int {
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
	request.RemoteAddr, request.Host = "127.0.0.1:4711", "localhost:8080"
	request.Header.Set("Content-Type", jsonType)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder.Code
}

// seedStore is called back before it adds a token or takes a snapshot.
type seedStore struct {
	*memory.DB
	before func(method string) error
}

// CreateToken calls back.
func (s seedStore) CreateToken(ctx context.Context, token store.Token, change store.Change) error {
	if err := s.before("CreateToken"); err != nil {
		return err
	}
	return s.DB.CreateToken(ctx, token, change)
}

// Snapshot calls back.
func (s seedStore) Snapshot(ctx context.Context, project uuid.UUID) (store.Snapshot, error) {
	if err := s.before("Snapshot"); err != nil {
		return nil, err
	}
	return s.DB.Snapshot(ctx, project)
}

// TestFailedSeedsLeaveNothing: whatever fails, and also when the caller has gone, no half of a world stays.
func TestFailedSeedsLeaveNothing(t *testing.T) {
	t.Parallel()
	const id = "11111111-1111-4111-8111-111111111111"
	for _, fails := range []string{"CreateToken", "Snapshot"} {
		for _, gone := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			db := memory.New()
			srv := over(t, seedStore{db, func(method string) error {
				switch {
				case method == fails && gone:
					cancel()
				case method == fails:
					return errBroken
				}
				return nil
			}}, sandbox.New())
			if status := post(ctx, srv, "/_sandbox/projects", `{"project_id":"`+id+`","tokens":[{"name":"x","permissions":[]}]}`); status < 500 {
				t.Errorf("%s, the caller gone %v: %d", fails, gone, status)
			}
			if _, err := db.Project(t.Context(), uuid.MustParse(id)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s, the caller gone %v: half a world is left (%v)", fails, gone, err)
			}
			if fails == "Snapshot" && !gone {
				created, err := srv.CreateWorld(ctx, server.NewProject{Name: "x", ID: uuid.MustParse(id)})
				if !errors.Is(err, errBroken) || created != (server.ProjectCredentials{}) {
					t.Errorf("CreateWorld: %+v (%v)", created, err)
				}
			}
		}
	}
}

// TestNoSandbox: what needs a sandbox says so on a server that is none.
func TestNoSandbox(t *testing.T) {
	t.Parallel()
	srv := over(t, memory.New(), nil)
	for what, err := range map[string]error{
		"World":       second(srv.World(t.Context(), uuid.New())),
		"CreateWorld": second(srv.CreateWorld(t.Context(), server.NewProject{Name: "x"})),
		"AddFault":    second(srv.AddFault(t.Context(), uuid.New(), sandbox.Fault{})),
		"Seed":        second(srv.Seed(t.Context(), []byte("projects: [{}]"))),
	} {
		if err == nil || !strings.Contains(err.Error(), "no sandbox") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestWorldsComeAndGo: a project that is created again begins without faults and calls, with the real time, and a reset that
// meets a deletion brings nothing back.
func TestWorldsComeAndGo(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	const seed = `{"project_id":"11111111-1111-4111-8111-111111111111"}`
	for range 2 {
		world, _ := a.world(t, seed)
		a.do(t, call{method: "GET", path: compat}.as(world)).want(t, 200)
		if calls, err := a.Journal(world); err != nil || len(calls) != 1 || calls[0].Number != 1 {
			t.Fatalf("a new project has the calls %v (%v)", calls, err)
		}
		a.do(t, control("POST", world, "/faults", `{"operation":"list_accounts","status":503,"times":null}`)).want(t, 201)
		a.do(t, control("PATCH", world, "/clock", `{"advance_seconds":3600}`)).want(t, 200)
		var back atomic.Int32
		done := make(chan struct{})
		go func() {
			defer close(done)
			for post(t.Context(), a.Handler(), "/_sandbox/projects/"+world.ProjectID+"/reset", "{}") == 204 {
				back.Add(1)
			}
		}()
		a.do(t, control("DELETE", world, "", "")).want(t, 204)
		<-done
		a.do(t, control("GET", world, "/clock", "")).want(t, 404)
	}
}

// TestSeedFiles: what is not one document is refused, and so is what the contract refuses.
func TestSeedFiles(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"projects: [{}]":                                                 "",
		"---\nprojects: [{}]\n...\n":                                     "",
		"# a comment\n---\nprojects: []\n":                               "",
		`{"projects": [{"name": "--- x"}]}`:                              "",
		"projects: [{}]\n---\nprojects: [{}]\n":                          "the seed file must be one YAML document",
		"projects: [{}]\n---\n":                                          "the seed file must be one YAML document",
		"projects: [{}]\n---\n[":                                         "the seed file is not YAML",
		"projects: [{project_id: 00000000-0000-0000-0000-000000000000}]": "projects.0: Project id must not be all zeros",
	} {
		_, err := over(t, memory.New(), sandbox.New()).Seed(t.Context(), []byte(file))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
	}
}

// TestProjectsHaveWorlds: however a project of a sandbox came to be, and never more of them than there is room for.
func TestProjectsHaveWorlds(t *testing.T) {
	t.Parallel()
	full := sandbox.New()
	db := memory.New()
	srv := over(t, db, full)
	first, _, err := srv.Bootstrap(t.Context(), server.NewProject{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	created, err := srv.CreateProject(t.Context(), server.NewProject{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	child, err := srv.CreateProject(t.Context(), server.NewProject{Name: "x", ParentID: created.Project.ID})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []uuid.UUID{first.Project.ID, created.Project.ID, child.Project.ID} {
		if _, err := srv.World(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	for range 10_000 - 2 {
		if _, err := full.Create(uuid.New()); err != nil {
			t.Fatal(err)
		}
	}
	id := uuid.New()
	if _, err := srv.CreateWorld(t.Context(), server.NewProject{Name: "x", ID: id}); err == nil || !strings.HasPrefix(err.Error(), "A sandbox may have at most 10000 projects") {
		t.Errorf("one project too many: %v", err)
	}
	if _, err := db.Project(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the project that was refused is there (%v)", err)
	}
	if status := post(t.Context(), srv, "/_sandbox/projects", "{}"); status != 400 {
		t.Errorf("one project too many: %d", status)
	}
}
