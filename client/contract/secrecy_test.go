package contract_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// echoer stands in front of a server and puts what is secret into every answer, in another form each time. It knows the
// credential that the suite was given, and every secret that the suite has made.
type echoer struct {
	project string

	mu      sync.Mutex
	secrets []string
	turn    int
}

// escaped writes every character of a text by its number.
func escaped(format, text string) string {
	var all strings.Builder
	for _, r := range []byte(text) {
		fmt.Fprintf(&all, format, r)
	}
	return all.String()
}

// echoes is how a secret can turn up in an answer: each as it stands between the quotes of JSON.
func echoes(project, secret string) []string {
	basic := []byte(project + ":" + secret)
	return []string{
		secret, `\n` + secret, `_` + secret, `%3A` + secret, secret + `k`, `x` + secret, secret[:20], secret[7:25], secret[2:], secret[20:],
		strings.ToUpper(secret), strings.ToLower(secret), url.QueryEscape("a:" + secret), `{\"token\":\"` + secret + `\"}`,
		`Basic ` + base64.StdEncoding.EncodeToString(basic), `Basic ` + base64.RawURLEncoding.EncodeToString(basic),
		base64.URLEncoding.EncodeToString(basic), base64.RawStdEncoding.EncodeToString(basic[5:]), base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret[10:])), url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("abc:" + secret))),
		strings.ReplaceAll(base64.StdEncoding.EncodeToString(basic), "/", `\/`),
		escaped(`\u%04x`, secret), escaped(`%%%02X`, secret), escaped(`\\u%04X`, secret), escaped(`%%25%02x`, secret), secret[:14] + escaped(`\u%04x`, secret[14:]),
	}
}

func (e *echoer) ServeHTTP(next http.Handler, w http.ResponseWriter, r *http.Request) {
	a := record(next, r)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.turn++
	secret := e.secrets[e.turn%2*(len(e.secrets)-1)] // the first, the run's own, or the newest
	all := echoes(e.project, secret)
	echo := all[e.turn/2%len(all)]
	if a.header == nil {
		a.header = http.Header{}
	}
	for _, name := range []string{"Www-Authenticate", "Allow", "Retry-After", "X-Request-Id"} {
		a.header.Set(name, echo)
	}
	switch e.turn % 5 {
	case 0:
		a.body = []byte("no JSON: " + echo + "\n")
		a.header.Set("Content-Type", "text/plain; "+secret)
	case 1:
		a.body = []byte(`{"` + echo + `": 1, "message": "` + echo + `"}`)
	case 2:
		a.body = []byte(`[{"message": ["` + echo + `"]}]`)
	default:
		var answer struct{ Token string }
		if json.Unmarshal(a.body, &answer) == nil && answer.Token != "" {
			e.secrets = append(e.secrets, answer.Token) // the suite gets to know it
		}
		if bytes.HasPrefix(a.body, []byte("{")) {
			a.body = append([]byte(`{"more_info": "`+echo+`", "`+echo+`": "`+echo+`", `), a.body[1:]...)
		}
	}
	a.send(w)
}

// unescaped undoes what escaped does, as often as it was done.
func unescaped(text string) string {
	number := regexp.MustCompile(`(?i)\\+u00([0-9a-f]{2})|%([0-9a-f]{2})`)
	for range 3 {
		text = number.ReplaceAllStringFunc(text, func(found string) string {
			value, err := strconv.ParseUint(found[len(found)-2:], 16, 8)
			if err != nil {
				return found
			}
			return string(rune(value))
		})
	}
	return text
}

// expectNothingOf expects a text to have no piece of a secret, however it is written.
func expectNothingOf(t *testing.T, where, text, project string, secrets []string) {
	t.Helper()
	const piece = 12
	plain := strings.ToLower(text) + "\n" + strings.ToLower(unescaped(text))
	for _, secret := range secrets {
		digits := strings.ToLower(secret[2:])
		for i := range len(digits) - piece + 1 {
			if at := strings.Index(plain, digits[i:i+piece]); at >= 0 {
				t.Fatalf("%s has a piece of a secret: %s", where, plain[max(0, at-60):min(len(plain), at+60)])
			}
		}
		basic := []byte(project + ":" + secret)
		for shift := range 3 {
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				encoded := encoding.EncodeToString(basic[len(basic)-len(digits)+shift:])
				for i := 0; i+20 < len(encoded); i += 4 {
					if at := strings.Index(text, encoded[i:i+20]); at >= 0 {
						t.Fatalf("%s has a piece of a secret in Base64: %s", where, text[max(0, at-60):min(len(text), at+60)])
					}
				}
			}
		}
	}
}

// TestNothingSecretGetsOut: whatever a server repeats of the secrets that a run knows, and however it writes them, they are
// in no failure and in no recording.
func TestNothingSecretGetsOut(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	e := &echoer{project: s.ProjectID, secrets: []string{s.Token}}
	handler := s.Handler()
	started := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if started {
			e.ServeHTTP(handler, w, r)
			return
		}
		started = r.URL.RawQuery == "" // the preflight's second request
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	config := configOf(s)
	config.BaseURL, config.Record = server.URL, true
	var seen []contract.Result
	config.Progress = func(result contract.Result) { seen = append(seen, result) }
	report, err := contract.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Failed()) < 200 || len(e.secrets) < 20 {
		t.Errorf("%d cases fail, and every answer is wrong; there are %d secrets", len(report.Failed()), len(e.secrets))
	}
	for _, result := range report.Failed() {
		expectNothingOf(t, "the failure of "+result.ID, result.Failure.String(), s.ProjectID, e.secrets)
	}
	for where, value := range map[string]any{"the report": report, "what Progress got": seen, "the recording": report.Recording()} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		expectNothingOf(t, where, string(text), s.ProjectID, e.secrets)
	}
}

// TestNoErrorHasASecret: what Run returns when it cannot run has nothing of the credential either.
func TestNoErrorHasASecret(t *testing.T) {
	t.Parallel()
	const project, secret = "11111111-1111-4111-8111-111111111111", "PT0123456789abcdef0123456789abcdef0123456789abcdef"
	for i, echo := range echoes(project, secret) {
		refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"message": "` + echo + `"}`))
		}))
		defer refusing.Close()
		for where, base := range map[string]string{"a refusal": refusing.URL, "no HTTP": speaks(t, strings.ReplaceAll(echo, "%", "%25")+"\r\n\r\n")} {
			_, err := contract.Run(t.Context(), contract.Config{BaseURL: base, ProjectID: project, Token: secret})
			if err == nil {
				t.Fatalf("%s: there is no error", where)
			}
			expectNothingOf(t, fmt.Sprintf("the error for %s, form %d", where, i), err.Error(), project, []string{secret})
		}
	}
}

// speaks starts a server that answers each connection with a text.
func speaks(t *testing.T, text string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte(text))
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}
