package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// TestOwnToken: what could lock out who calls has to be meant, when it is the token in use that it is done to. That costs one request,
// and what is harmless costs none.
func TestOwnToken(t *testing.T) {
	t.Parallel()
	for line, c := range map[string]struct {
		refused  string // "": it is done
		requests int
	}{
		"token delete OWN":                                     {"you could not call with it any more; give --own", 1},
		"token delete OWN --own":                               {"", 1},
		"token delete OTHER":                                   {"", 2},
		"token rotate OWN":                                     {"its secret there would end at once, which --grace puts off; give --own", 1},
		"token rotate OWN --own":                               {"", 1},
		"token rotate OWN --grace 1h":                          {"", 1},
		"token rotate OTHER":                                   {"", 2},
		"token update OWN --permission calling":                {"it could not manage anything any more; give --own", 1},
		"token update OWN --no-permissions":                    {"it could not manage anything any more; give --own", 1},
		"token update OWN --expires-at 2099-01-01T00:00:00Z":   {"it would expire; give --own", 1},
		"token update OWN --permission calling --own":          {"", 1},
		"token update UPPER --permission calling":              {"it could not manage anything any more; give --own", 1},
		"token update OWN --permission calling,management":     {"", 1},
		"token update OWN --name x":                            {"", 1},
		"token update OWN --never-expire":                      {"", 1},
		"token update OWN":                                     {"", 1},
		"token delete x":                                       {"<TOKEN-ID>: not a UUID", 0},
		"token update OTHER --permission calling":              {"", 2},
		"token update OTHER --expires-at 2099-01-01T00:00:00Z": {"", 2},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			tw := servertest.New(t, &servertest.Options{InMemory: true})
			c2, err := client.New(tw.ProjectID, tw.Token, client.WithBaseURL(tw.URL))
			check(t, err)
			other, err := c2.CreateToken(t.Context(), client.CreateTokenParams{Name: "Other", Permissions: []client.Permission{client.PermissionManagement}})
			check(t, err)
			before, err := tw.Journal(tw.Project)
			check(t, err)
			args := strings.Fields(strings.NewReplacer("OWN", tw.TokenID, "OTHER", other.ID, "UPPER", strings.ToUpper(tw.TokenID)).Replace(line))
			env := []string{"SIGNALWIRE_PROJECT_ID=" + tw.ProjectID, "SIGNALWIRE_API_TOKEN=" + tw.Token, "TOKENWIRE_BASE_URL=" + tw.URL}
			got := execute(t, t.TempDir(), env, args...)
			if want := map[bool]int{true: 1}[c.refused != ""]; got.code != want || !strings.Contains(got.stderr, c.refused) {
				t.Errorf("exit code %d, stderr %q, want %q", got.code, got.stderr, c.refused)
			}
			after, err := tw.Journal(tw.Project)
			check(t, err)
			if made := len(after) - len(before); made != c.requests {
				t.Errorf("it made %d requests, want %d", made, c.requests)
			}
		})
	}
}

// TestOwnTokenElsewhere: a server that has no such question is not kept from anything; at one that does not say, --own is named.
func TestOwnTokenElsewhere(t *testing.T) {
	t.Parallel()
	for status, refused := range map[int]string{404: "", 503: "503 Service Unavailable; give --own", 403: "403 Forbidden; give --own", 405: "give --own", 302: "give --own"} {
		env, own := account(t)
		got := execute(t, t.TempDir(), front(t, env, verifyAnswers(status)), "token", "update", own, "--permission", "calling")
		if (got.code == 0) != (refused == "") || !strings.Contains(got.stderr, refused) {
			t.Errorf("%d: exit code %d, stderr %q, want %q", status, got.code, got.stderr, refused)
		}
	}
}

// verifyAnswers answers the question whose a credential is with this status.
func verifyAnswers(status int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		if r.URL.Path == "/api/tokens/verify" {
			w.WriteHeader(status)
			return
		}
		real.ServeHTTP(w, r)
	}
}
