package server_test

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// safeBuffer is a log that many goroutines write.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// TestSecretsStaySecret looks for every secret, in every form in which it was sent, in everything that a busy server leaves:
// its log, its database with the journal, and its error bodies.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(*safeBuffer) slog.Handler{
		"text": func(b *safeBuffer) slog.Handler {
			return slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
		"json": func(b *safeBuffer) slog.Handler {
			return slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &safeBuffer{}
			a := start(t, &servertest.Options{Logger: slog.New(handler(log)), WrapStore: broken})
			secrets, errorBodies := busyRun(t, a)
			left := map[string]string{"log": log.String(), "error bodies": errorBodies}
			for _, suffix := range []string{"", "-wal", "-shm"} {
				content, err := os.ReadFile(a.Path() + suffix)
				if err != nil {
					t.Fatal(err)
				}
				left["database"+suffix] = string(content)
			}
			if !strings.Contains(left["log"], "request-of-the-busy-run") || !strings.Contains(left["database"]+left["database-wal"], "Name in the database") {
				t.Error("the log or the database lacks what this run must have left there: nothing was searched")
			}
			for where, text := range left {
				for _, secret := range secrets {
					if strings.Contains(text, secret[:min(30, len(secret))]) { // the most of it would be too much
						t.Errorf("the %s has the secret %s", where, secret)
					}
				}
			}
		})
	}
}

// busyRun does everything that could leak, and returns each form of each secret, and all error bodies.
func busyRun(t *testing.T, a *api) ([]string, string) {
	t.Helper()
	var secrets []string
	add := func(p servertest.Project) {
		secrets = append(secrets, p.Token[2:], base64.StdEncoding.EncodeToString([]byte(p.ProjectID+":"+p.Token)))
	}
	var bodies strings.Builder
	do := func(c call) {
		if got := a.do(t, c); got.status >= 400 {
			bodies.WriteString(got.body)
		}
	}
	add(a.Project)
	token := a.create(t, a.Project, "management")
	add(token)
	rotated := a.do(t, call{method: "POST", path: tokenPath(a.ProjectID, token.TokenID) + "/rotate", header: http.Header{"Idempotency-Key": {"k"}}}.as(a.Project)).want(t, 200)
	add(servertest.Project{ProjectID: a.ProjectID, Token: rotated.text(t, "token")})
	a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, token.TokenID), `{"name":"Name in the database"}`).as(a.Project)).want(t, 200)

	for _, place := range []string{token.Token, strings.ToUpper(token.Token), a.Token} {
		do(call{method: "GET", path: "/" + place}.as(token))
		for _, offset := range []int{60, 90, 160, 190, 215, 240, 250} { // across the ends of what is repeated
			padded := strings.Repeat("x", offset) + place
			do(call{method: "GET", path: "/" + padded})
			do(jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"`+padded+`":1}`).as(a.Project))
			do(jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{"`+padded+`":1,"`+padded+`":2}`).as(a.Project))
		}
		do(call{method: place, path: "/healthz"})
		do(call{method: "GET", path: compat + "?PageToken=" + place + "&FriendlyName=" + place}.as(a.Project))
		do(call{method: "DELETE", path: tokenPath(a.ProjectID, place)}.as(a.Project))
		do(jsonCall("POST", tokensPath(a.ProjectID), `{"`+place+`":"`+place+`","name":"x","permissions":["`+place+`"]}`).as(a.Project))
		do(jsonCall("POST", tokensPath(a.ProjectID), `{"name":"x","permissions":["fax"],"`+place+`":1}`).as(a.Project))
		do(jsonCall("POST", tokensPath(a.ProjectID), `{"`+place+`":1,"`+place+`":2}`).as(a.Project))
		do(jsonCall("POST", tokensPath(a.ProjectID), `{`+place).as(a.Project))
		do(jsonCall("POST", native, `{"`+place+`":1}`).as(a.Project))
		do(formCall("POST", tokensPath(a.ProjectID), place+"=x").as(a.Project))
		do(formCall("POST", tokensPath(a.ProjectID), "%zz"+place).as(a.Project))
		do(call{method: "POST", path: tokensPath(a.ProjectID), contentType: place}.as(a.Project))
		do(call{method: "GET", path: tokensPath(a.ProjectID), header: http.Header{"X-Request-Id": {place}, "User-Agent": {place}}}.as(a.Project))
		do(call{method: "GET", path: tokensPath(a.ProjectID), header: http.Header{"Authorization": {"Bearer " + place}}})
		do(call{method: "GET", path: tokensPath(a.ProjectID), user: place, pass: place})
		do(jsonCall("PATCH", tokenPath(a.ProjectID, breaksStore), `{}`).as(a.Project))
		do(jsonCall("PATCH", tokenPath(a.ProjectID, panicsStore), `{}`).as(a.Project))
	}
	do(call{method: "GET", path: "/readyz", header: http.Header{"X-Request-Id": {"request-of-the-busy-run"}}})
	do(call{method: "DELETE", path: tokenPath(a.ProjectID, token.TokenID)}.as(a.Project))
	a.WaitForUsage()
	if len(secrets) != 6 || bodies.Len() == 0 {
		t.Fatal("the run had no secrets or no errors")
	}
	return secrets, bodies.String()
}
