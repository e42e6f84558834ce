package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// ownCredential is the environment with the credential of a sandbox, and no server.
func ownCredential(more ...string) []string {
	return append([]string{"SIGNALWIRE_PROJECT_ID=" + sandboxProjectID, "SIGNALWIRE_API_TOKEN=" + sandboxToken}, more...)
}

// TestNoAPIThere: a command that calls a server says what to do when it meets none, in one line; the suite stops at once then.
func TestNoAPIThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secure, plain := serve(t, dir, "--sandbox", "--dev-tls"), serve(t, t.TempDir(), "--sandbox")
	const useHTTPS = "begin the base URL with https://"
	for name, c := range map[string]struct{ url, want string }{
		"http to https": {"http" + strings.TrimPrefix(secure.url, "https"), useHTTPS},
		"https to http": {"https" + strings.TrimPrefix(plain.url, "http"), "begin the base URL with http://"},
		"not trusted":   {secure.url, "set SSL_CERT_FILE to the file with its certificate"},
		"nobody there":  {"http://127.0.0.1:1", "nothing listens there: start the server, or correct the base URL"},
		"path of the API": {
			plain.url + "/api/laml/", "--base-url (TOKENWIRE_BASE_URL): must end before /api/laml, which is appended to it",
		},
		"another path": {plain.url + "/nothing", "/nothing"},
	} {
		for _, line := range []string{
			"token create --name x -p fax", "token update " + sandboxTokenID + " --name x", "audit list", "contract --format junit",
		} {
			t.Run(name+"/"+line, func(t *testing.T) {
				t.Parallel()
				got := execute(t, t.TempDir(), ownCredential("TOKENWIRE_BASE_URL="+c.url), strings.Fields(line)...)
				want := 1
				if strings.HasPrefix(line, "contract") {
					want = 2
				}
				if got.want(t, want); !strings.Contains(got.stderr, c.want) || strings.Count(got.stderr, "\n") != 1 || got.stdout != "" {
					t.Errorf("stdout %q, stderr %q, want one line with %q", got.stdout, got.stderr, c.want)
				}
			})
		}
	}
	trusted := ownCredential("SSL_CERT_FILE="+filepath.Join(dir, "tokenwire-ca.pem"), "TOKENWIRE_BASE_URL="+secure.url)
	execute(t, t.TempDir(), trusted, "token", "verify").want(t, 0)
	execute(t, t.TempDir(), trusted, "contract", "--only", "accounts.get.own").want(t, 0)
}

// TestAnotherServer: what answers is no tokenwire, and has other words for what it has not.
func TestAnotherServer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"a text": http.NotFound,
		"a page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<h1>Nothing</h1>")
		},
		"another method": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusMethodNotAllowed) },
		"no method":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotImplemented) },
	} {
		other := httptest.NewServer(answer)
		t.Cleanup(other.Close)
		for _, line := range []string{"token list", "token create --name x -p fax", "account show", "audit list"} {
			got := execute(t, t.TempDir(), ownCredential("TOKENWIRE_BASE_URL="+other.URL), strings.Fields(line)...).want(t, 1)
			if !strings.Contains(got.stderr, "there is no such API at "+other.URL+"; check the base URL") || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("%s, %s: %q", name, line, got.stderr)
			}
		}
	}
}

// TestPathOfTheBaseURL: what is not found below a path of the base URL may be without it.
func TestPathOfTheBaseURL(t *testing.T) {
	t.Parallel()
	tw := servertest.New(t, nil)
	env := []string{"SIGNALWIRE_PROJECT_ID=" + tw.ProjectID, "SIGNALWIRE_API_TOKEN=" + tw.Token}
	for url, want := range map[string]string{
		tw.URL + "/some/path/": "; --base-url (TOKENWIRE_BASE_URL) ends in /some/path: leave that out, unless the API is below it",
		tw.URL:                 "not found (code 20404",
	} {
		got := execute(t, t.TempDir(), append(env, "TOKENWIRE_BASE_URL="+url), "token", "show", unknownProject()).want(t, 1)
		if !strings.Contains(got.stderr, want) || (url == tw.URL) == strings.Contains(got.stderr, "base-url") {
			t.Errorf("%s: %q, want %q", url, got.stderr, want)
		}
	}
}
