package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

func inMemory(t *testing.T) *api {
	t.Helper()
	return start(t, &servertest.Options{InMemory: true})
}

// world makes a project through the control surface.
func (a *api) world(t *testing.T, seed string) (servertest.Project, map[string]any) {
	t.Helper()
	created := a.do(t, jsonCall("POST", "/_sandbox/projects", seed)).want(t, 201).object(t)
	return servertest.Project{
		ProjectID: created["project_id"].(string), TokenID: created["token_id"].(string), Token: created["token"].(string),
	}, created
}

// TestWorldsAreIsolated: any number of tests may share one server.
func TestWorldsAreIsolated(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			world, _ := a.world(t, `{"tokens":[{"name":"x","permissions":["fax"]}]}`)
			for range 5 {
				a.create(t, world, "chat")
			}
			a.do(t, formCall("POST", compat, "FriendlyName=x").as(world)).want(t, 201)
			page := a.do(t, call{method: "GET", path: tokensPath(world.ProjectID)}.as(world)).want(t, 200).object(t)
			if got := len(page["tokens"].([]any)); got != 7 {
				t.Errorf("a world has %d tokens, want its own 7", got)
			}
			if calls, err := a.Journal(world); err != nil || len(calls) != 7 {
				t.Errorf("its journal has %d calls (%v), want its own 7", len(calls), err)
			}
		})
	}
	wg.Wait()
}

// TestSeeds: ids, secrets and permissions are those that were asked for, and one failure leaves nothing.
func TestSeeds(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	const (
		project, child = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
		token          = "33333333-3333-4333-8333-333333333333"
		noID           = "00000000-0000-0000-0000-000000000000"
	)
	plain := func(digit string) string { return "PT" + strings.Repeat(digit, 48) }
	world, created := a.world(t, `{"name":"Seeded","project_id":"`+project+`","token":"`+plain("a")+`","tokens":[
		{"name":"weak","permissions":["video","fax","fax"],"token_id":"`+token+`","token":"`+plain("b")+`"},
		{"name":"expired","permissions":["management"],"token":"`+plain("c")+`","expires_at":"2001-01-01T00:00:00Z"}],
		"subprojects":[{"name":"Branch","project_id":"`+child+`","token":"`+plain("d")+`","tokens":[{"name":"x","permissions":[]}]}]}`)
	if world.ProjectID != project || world.Token != plain("a") || created["name"] != "Seeded" || len(created["subprojects"].([]any)) != 1 {
		t.Errorf("the world is %v", created)
	}
	if got := a.read(t, world, token); got["token"] != plain("b") || sprint(got["permissions"]) != "[fax video]" {
		t.Errorf("the seeded token is %v", got)
	}
	list := call{method: "GET", path: compat, user: project}
	for secret, want := range map[string]int{plain("a"): 200, plain("b"): 401, plain("c"): 401} {
		list.pass = secret
		a.do(t, list).want(t, want)
	}
	a.do(t, call{method: "GET", path: compat + "/" + child, user: child, pass: plain("d")}).want(t, 200)
	for body, want := range map[string]string{
		`{"project_id":"` + project + `"}`:                                                        "The project_id, the token_id or the token exists already (project_id)",
		`{"tokens":[{"name":"x","permissions":["fax"],"token":"` + plain("b") + `"}]}`:            "The token_id or the token exists already (tokens.0.token_id)",
		`{"subprojects":[{},{"token":"` + plain("d") + `"}]}`:                                     "The project_id, the token_id or the token exists already (subprojects.1.project_id)",
		`{"subprojects":[{"tokens":[{"name":"x","permissions":[],"token_id":"` + token + `"}]}]}`: "The token_id or the token exists already (subprojects.0.tokens.0.token_id)",
		`{"name":"\u000b"}`:                                                       "Name must be present",
		`{"subprojects":[{"name":"\u00a0\u3000"}]}`:                               "Subprojects.0.name must be present",
		`{"project_id":"` + noID + `"}`:                                           "Project id must not be all zeros",
		`{"token_id":"` + noID + `"}`:                                             "Token id must not be all zeros",
		`{"subprojects":[{},{"project_id":"` + noID + `"}]}`:                      "Subprojects.1.project id must not be all zeros",
		`{"subprojects":[{"token_id":"` + noID + `"}]}`:                           "Subprojects.0.token id must not be all zeros",
		`{"tokens":[{"name":"x","permissions":[],"token_id":"` + noID + `"}]}`:    "Tokens.0.token id must not be all zeros",
		`{"token":"secret"}`:                                                      `Token must be "PT" followed by 48 lower-case hexadecimal digits`,
		`{"token":"PT` + strings.Repeat("0", 49) + `"}`:                           `Token must be "PT" followed by 48 lower-case hexadecimal digits`,
		`{"tokens":[{"name":"x","permissions":[],"token":"` + plain("G") + `"}]}`: `Tokens.0.token must be "PT" followed by 48 lower-case hexadecimal digits`,
		`{"tokens":[{"permissions":["fax"]}]}`:                                    "Tokens.0.name must be present",
		`{"tokens":[{"name":"x","permissions":["nope"]}]}`:                        "Tokens.0.permissions contain an invalid selection.",
		`{"tokens":[{"name":"x","permissions":[],"tokn":"x"}]}`:                   `"tokn" is no property of tokens.0; did you mean "token"? Its properties are: expires_at,`,
		`{"subprojects":[{"subprojects":[]}]}`:                                    `"subprojects" is no property of subprojects.0. Its`,
		`{"tokens":[7]}`:                                                          "Tokens.0 must be an object",
	} {
		if got := a.do(t, jsonCall("POST", "/_sandbox/projects", body)).want(t, 422).text(t, "message"); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", body, got, want)
		}
	}
	a.do(t, list.as(world)).want(t, 200)
}

// TestResetAndSnapshots: a world goes back to how it was, in all that can be seen of it, and others stay.
func TestResetAndSnapshots(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	world, _ := a.world(t, `{"tokens":[{"name":"x","permissions":["fax"]}]}`)
	names := func() string {
		page := a.do(t, call{method: "GET", path: tokensPath(world.ProjectID)}.as(world)).want(t, 200).object(t)
		var list []string
		for _, token := range page["tokens"].([]any) {
			list = append(list, token.(map[string]any)["name"].(string))
		}
		return strings.Join(list, ",")
	}
	a.create(t, world, "chat")
	snapshot := a.do(t, control("POST", world, "/snapshots", "")).want(t, 201).text(t, "id")
	a.do(t, control("PATCH", world, "/clock", `{"advance_seconds":3600}`)).want(t, 200)
	a.do(t, control("POST", world, "/faults", `{"operation":"list_accounts","status":503}`)).want(t, 201)
	a.do(t, call{method: "DELETE", path: tokenPath(world.ProjectID, world.TokenID)}.as(world)).want(t, 204)
	a.do(t, call{method: "GET", path: compat}.as(world)).want(t, 401)
	for _, c := range []struct{ body, want string }{
		{`{"snapshot_id":"` + snapshot + `"}`, "Management,x,Test"}, {"", "Management,x"}, {`{"snapshot_id":"` + snapshot + `"}`, "Management,x,Test"},
	} {
		a.do(t, control("POST", world, "/reset", c.body)).want(t, 204)
		if got := names(); got != c.want {
			t.Errorf("after a reset to %q the tokens are %s, want %s", c.body, got, c.want)
		}
		a.do(t, call{method: "GET", path: compat}.as(world)).want(t, 200) // the fault is gone
		if calls, err := a.Journal(world); err != nil || len(calls) != 2 {
			t.Errorf("the journal has %d calls (%v), want those two since the reset", len(calls), err)
		}
	}
	now, err := time.Parse(time.RFC3339, a.do(t, control("GET", world, "/clock", "")).want(t, 200).text(t, "now"))
	if err != nil || now.Sub(a.Now()).Abs() > time.Minute {
		t.Errorf("the clock says %v (%v), want the time of the snapshot", now, err)
	}
	a.do(t, control("POST", world, "/reset", `{"snapshot_id":"`+unknownID+`"}`)).want(t, 422)
	a.do(t, control("POST", world, "/reset", `{"snapshot_id":"00000000-0000-0000-0000-000000000000"}`)).want(t, 422)
	other, _ := a.world(t, "")
	a.do(t, control("POST", other, "/reset", `{"snapshot_id":"`+snapshot+`"}`)).want(t, 422) // another world's
	a.do(t, control("DELETE", world, "", "")).want(t, 204)
	a.do(t, call{method: "GET", path: compat}.as(world)).want(t, 401)
	a.do(t, control("GET", world, "/clock", "")).want(t, 404)
}

// TestClocks: what expires, expires by the clock of its world.
func TestClocks(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	world, _ := a.world(t, "")
	other, _ := a.world(t, "")
	login := func(p servertest.Project) int {
		return a.do(t, call{method: "GET", path: compat + "/" + p.ProjectID}.as(p)).status
	}
	expiring := func(p servertest.Project) servertest.Project {
		body := `{"name":"x","permissions":["management"],"expires_at":"2031-01-01T00:00:00Z"}`
		created := a.do(t, jsonCall("POST", native, body).as(p)).want(t, 200)
		return servertest.Project{ProjectID: p.ProjectID, TokenID: created.text(t, "id"), Token: created.text(t, "token")}
	}
	mine, theirs := expiring(world), expiring(other)
	a.do(t, control("PATCH", world, "/clock", `{"now":"2031-01-01T00:00:00Z"}`)).want(t, 200)
	if login(mine) != 401 || login(theirs) != 200 {
		t.Error("a clock does not belong to its world alone")
	}
	a.do(t, jsonCall("PATCH", native+"/"+world.TokenID, `{"name":"y"}`).as(world)).want(t, 200)
	token := a.do(t, call{method: "GET", path: tokenPath(world.ProjectID, world.TokenID)}.as(world)).want(t, 200)
	if updated := token.text(t, "updated_at"); !strings.HasPrefix(updated, "2031-01-01T00:00:") {
		t.Errorf("updated at %s, want the world's time", updated)
	}
	a.do(t, control("PATCH", world, "/clock", `{"now":"2030-12-31T23:59:00Z"}`)).want(t, 200)
	if login(mine) != 200 {
		t.Error("the clock did not go back")
	}
	a.do(t, jsonCall("PATCH", native+"/"+world.TokenID, `{"name":"z"}`).as(world)).want(t, 200)
	if event := a.events(t, world, "")[0]; event["action"] != "token.updated" || !strings.HasPrefix(sprint(event["created_at"]), "2031-01-01T00:00:") {
		t.Errorf("the audit trail went back with the clock: %v", event)
	}
	a.do(t, control("PATCH", world, "/clock", `{"advance_seconds":120}`)).want(t, 200)
	if login(mine) != 401 {
		t.Error("the clock did not advance")
	}
	for _, body := range []string{`{}`, `{"now":"2031-01-01T00:00:00Z","advance_seconds":1}`, `{"now":"9999-12-31T23:59:59Z"}`, `{"advance_seconds":-1}`, `{"advance_seconds":6311520000}`} {
		a.do(t, control("PATCH", world, "/clock", body)).want(t, 422)
	}
}

// TestControlIsLocal: callers on other machines see no control surface.
func TestControlIsLocal(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	for address, want := range map[string]int{"127.0.0.1:4711": 201, "127.8.8.8:1": 201, "[::1]:4711": 201, "192.0.2.7:4711": 404, "[2001:db8::1]:4711": 404} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/_sandbox/projects", nil)
		request.RemoteAddr, request.Host = address, "localhost:8080"
		recorder := httptest.NewRecorder()
		a.Handler().ServeHTTP(recorder, request)
		if recorder.Code != want {
			t.Errorf("from %s: %d, want %d", address, recorder.Code, want)
		}
	}
}

// TestControlIsNotForPagesOfOtherSites: neither a form of another site nor a name that another site has given this machine.
func TestControlIsNotForPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	for _, c := range []struct {
		host, origin, site string
		want               int
	}{
		{"localhost:8080", "", "", 201},
		{"LOCALHOST.", "", "", 201},
		{"api.localhost", "", "", 201},
		{"127.0.0.1", "", "", 201},
		{"[::1]:8080", "", "", 201},
		{"evil.example:8080", "", "", 404},
		{"127.0.0.1.evil.example", "", "", 404},
		{"localhost:8080", "http://localhost:8080", "same-origin", 201},
		{"localhost:8080", "https://evil.example", "cross-site", 404},
		{"localhost:8080", "https://evil.example", "", 404},
		{"localhost:8080", "null", "", 404},
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/_sandbox/projects", nil)
		request.RemoteAddr, request.Host = "127.0.0.1:4711", c.host
		if c.origin != "" {
			request.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			request.Header.Set("Sec-Fetch-Site", c.site)
		}
		recorder := httptest.NewRecorder()
		a.Handler().ServeHTTP(recorder, request)
		if recorder.Code != c.want {
			t.Errorf("to %s from %q (%s): %d, want %d", c.host, c.origin, c.site, recorder.Code, c.want)
		}
	}
}

// TestWorldsNeedTheStore: a request whose world cannot be looked up fails; it is not carried out by another clock.
func TestWorldsNeedTheStore(t *testing.T) {
	t.Parallel()
	log := &safeBuffer{}
	a := start(t, &servertest.Options{Logger: slog.New(slog.NewTextHandler(log, nil)), WrapStore: func(s store.Store) store.Store { return &lostProjects{Store: s} }})
	get := call{method: "GET", path: compat}.as(a.Project)
	get.header = http.Header{"X-Request-Id": {"without-a-world"}}
	a.do(t, get).want(t, 503)
	if !inOneLine(log.String(), "msg=request ", "without-a-world", "status=503") {
		t.Errorf("the log has no line on the request:\n%s", log)
	}
	a.do(t, get).want(t, 200)
}

// lostProjects cannot look a project up, once.
type lostProjects struct {
	store.Store
	asked atomic.Int32
}

// Project fails once.
func (s *lostProjects) Project(ctx context.Context, id uuid.UUID) (store.Project, error) {
	if s.asked.Add(1) == 1 {
		return store.Project{}, store.ErrUnavailable
	}
	return s.Store.Project(ctx, id)
}

// TestFailedLoginsOfWorlds: those of one project, or of one before a reset, do not make another's 429.
func TestFailedLoginsOfWorlds(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{InMemory: true, AuthFailuresPerMinute: 2})
	world, _ := a.world(t, "")
	other, _ := a.world(t, "")
	bad := func(user, account string) int {
		return a.do(t, call{method: "GET", path: tokensPath(account), user: user, pass: "wrong"}).status
	}
	for _, c := range []struct {
		user, account string
		want          int
	}{
		{world.ProjectID, world.ProjectID, 401}, {"me", world.ProjectID, 401}, {world.ProjectID, other.ProjectID, 429},
		{other.ProjectID, world.ProjectID, 401}, {"me", unknownID, 401}, {unknownID, "x", 401}, {"me", "x", 429}, {"me", other.ProjectID, 401}, {"me", other.ProjectID, 429},
	} {
		if got := bad(c.user, c.account); got != c.want {
			t.Errorf("a bad log-in of %s at %s: %d, want %d", c.user, c.account, got, c.want)
		}
	}
	a.do(t, control("POST", world, "/reset", "")).want(t, 204)
	if got := bad(world.ProjectID, world.ProjectID); got != 401 {
		t.Errorf("the first bad log-in after a reset: %d", got)
	}
}
