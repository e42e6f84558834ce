package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

// roundTripper answers without a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func ok(body string) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// urlOf returns the URL that a client with these options asks.
func urlOf(t *testing.T, c func(...client.Option) (*client.Client, error), opts ...client.Option) string {
	t.Helper()
	var url string
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		url = r.URL.String()
		return ok(tokenBody), nil
	})
	opts = append(opts, client.WithHTTPClient(&http.Client{Transport: transport}))
	made, err := c(opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := create().do(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if base := made.BaseURL(); !strings.HasPrefix(url, base+"/api/laml/") {
		t.Errorf("BaseURL is %s, and the request went to %s", base, url)
	}
	return url
}

func newDefault(opts ...client.Option) (*client.Client, error) {
	return client.New(projectID, apiToken, opts...)
}

func TestServerURL(t *testing.T) {
	t.Parallel()
	const rest = "/api/laml/2010-04-01/Accounts/" + projectID + "/tokens"
	insecure := client.WithInsecureHTTP()
	for name, tc := range map[string]struct {
		opts []client.Option
		want string
	}{
		"space by name":        {[]client.Option{client.WithSpace("example")}, "https://example.signalwire.com"},
		"space by host":        {[]client.Option{client.WithSpace("Example.SignalWire.com")}, "https://example.signalwire.com"},
		"space by URL":         {[]client.Option{client.WithSpace("https://example.signalwire.com/")}, "https://example.signalwire.com"},
		"https":                {[]client.Option{client.WithBaseURL("https://tokens.example")}, "https://tokens.example"},
		"base path":            {[]client.Option{client.WithBaseURL("https://tokens.example/a/b")}, "https://tokens.example/a/b"},
		"nearly the API's":     {[]client.Option{client.WithBaseURL("https://tokens.example/api/lamlet")}, "https://tokens.example/api/lamlet"},
		"base path with slash": {[]client.Option{client.WithBaseURL("https://tokens.example/a/")}, "https://tokens.example/a"},
		"escaped base path":    {[]client.Option{client.WithBaseURL("https://tokens.example/a%2Fb")}, "https://tokens.example/a%2Fb"},
		"IPv4 loopback":        {[]client.Option{client.WithBaseURL("http://127.0.0.1:8080")}, "http://127.0.0.1:8080"},
		"IPv6 loopback":        {[]client.Option{client.WithBaseURL("http://[::1]:8080")}, "http://[::1]:8080"},
		"localhost":            {[]client.Option{client.WithBaseURL("http://localhost:8080")}, "http://localhost:8080"},
		"http, allowed":        {[]client.Option{client.WithBaseURL("http://tokenwire:8080"), insecure}, "http://tokenwire:8080"},
		"the last one counts":  {[]client.Option{client.WithSpace("a"), client.WithSpace("b")}, "https://b.signalwire.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := urlOf(t, newDefault, tc.opts...); got != tc.want+rest {
				t.Errorf("got %s, want %s", got, tc.want+rest)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	base := client.WithBaseURL("https://tokens.example")
	for name, tc := range map[string]struct {
		project, token string
		opts           []client.Option
		argument       string
	}{
		"no project":         {"", apiToken, []client.Option{base}, "projectID"},
		"project no UUID":    {"example", apiToken, []client.Option{base}, "projectID"},
		"project in braces":  {"{" + projectID + "}", apiToken, []client.Option{base}, "projectID"},
		"project as URN":     {"urn:uuid:" + projectID, apiToken, []client.Option{base}, "projectID"},
		"swapped":            {apiToken, projectID, []client.Option{base}, "projectID"},
		"no token":           {projectID, "", []client.Option{base}, "apiToken"},
		"token and newline":  {projectID, apiToken + "\n", []client.Option{base}, "apiToken"},
		"no server":          {projectID, apiToken, nil, "WithSpace, WithBaseURL"},
		"two servers":        {projectID, apiToken, []client.Option{base, client.WithSpace("a")}, "WithSpace, WithBaseURL"},
		"empty space":        {projectID, apiToken, []client.Option{client.WithSpace("")}, "WithSpace"},
		"foreign space":      {projectID, apiToken, []client.Option{client.WithSpace("a.example.com")}, "WithSpace"},
		"space with path":    {projectID, apiToken, []client.Option{client.WithSpace("evil.example/a")}, "WithSpace"},
		"space with hyphen":  {projectID, apiToken, []client.Option{client.WithSpace("-a")}, "WithSpace"},
		"ftp":                {projectID, apiToken, []client.Option{client.WithBaseURL("ftp://tokens.example")}, "WithBaseURL"},
		"no scheme":          {projectID, apiToken, []client.Option{client.WithBaseURL("tokens.example")}, "WithBaseURL"},
		"no host":            {projectID, apiToken, []client.Option{client.WithBaseURL("https:///a")}, "WithBaseURL"},
		"no URL":             {projectID, apiToken, []client.Option{client.WithBaseURL("https://%zz" + apiToken)}, "WithBaseURL"},
		"user information":   {projectID, apiToken, []client.Option{client.WithBaseURL("https://u:" + apiToken + "@tokens.example")}, "WithBaseURL"},
		"query":              {projectID, apiToken, []client.Option{client.WithBaseURL("https://tokens.example?a=b")}, "WithBaseURL"},
		"empty query":        {projectID, apiToken, []client.Option{client.WithBaseURL("https://tokens.example?")}, "WithBaseURL"},
		"fragment":           {projectID, apiToken, []client.Option{client.WithBaseURL("https://tokens.example#a")}, "WithBaseURL"},
		"path of the API":    {projectID, apiToken, []client.Option{client.WithBaseURL("https://tokens.example/api/laml/")}, "WithBaseURL"},
		"whole path":         {projectID, apiToken, []client.Option{client.WithBaseURL("https://tokens.example/a/api/laml/2010-04-01/Accounts")}, "WithBaseURL"},
		"native path":        {projectID, apiToken, []client.Option{client.WithBaseURL("https://tokens.example/api/project/tokens")}, "WithBaseURL"},
		"http":               {projectID, apiToken, []client.Option{client.WithBaseURL("http://tokens.example")}, "WithBaseURL"},
		"http, nearly local": {projectID, apiToken, []client.Option{client.WithBaseURL("http://127.0.0.1.example")}, "WithBaseURL"},
		"nil HTTP client":    {projectID, apiToken, []client.Option{base, client.WithHTTPClient(nil)}, "WithHTTPClient"},
		"no timeout":         {projectID, apiToken, []client.Option{base, client.WithTimeout(0)}, "WithTimeout"},
		"negative retries":   {projectID, apiToken, []client.Option{base, client.WithRetries(-1)}, "WithRetries"},
		"too many retries":   {projectID, apiToken, []client.Option{base, client.WithRetries(11)}, "WithRetries"},
		"blank user agent":   {projectID, apiToken, []client.Option{base, client.WithUserAgent(" ")}, "WithUserAgent"},
		"user agent CRLF":    {projectID, apiToken, []client.Option{base, client.WithUserAgent("a\r\nX: y")}, "WithUserAgent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := client.New(tc.project, tc.token, tc.opts...)
			if c != nil {
				t.Error("a client in spite of the error")
			}
			argument, isArgument := errors.AsType[*client.ArgumentError](err)
			if !isArgument || argument.Argument != tc.argument {
				t.Fatalf("got error %v, want one about %s", err, tc.argument)
			}
			if strings.Contains(err.Error(), apiToken) {
				t.Errorf("the error shows the API token: %v", err)
			}
			if !strings.HasPrefix(err.Error(), "client: "+tc.argument+": ") {
				t.Errorf("text %q", err)
			}
		})
	}
}

func TestFromEnv(t *testing.T) {
	const space, older = "SIGNALWIRE_SPACE", "SIGNALWIRE_SPACE_URL"
	const project, token = "SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_API_TOKEN"
	for name, tc := range map[string]struct {
		env     map[string]string
		opts    []client.Option
		host    string
		wantErr string
	}{
		"space":       {env: map[string]string{project: projectID, token: apiToken, space: "a"}, host: "https://a.signalwire.com/"},
		"older":       {env: map[string]string{project: projectID, token: apiToken, older: "b.signalwire.com"}, host: "https://b.signalwire.com/"},
		"both":        {env: map[string]string{project: projectID, token: apiToken, space: "a", older: "b"}, host: "https://a.signalwire.com/"},
		"base URL":    {env: map[string]string{project: projectID, token: apiToken, space: "a"}, opts: []client.Option{client.WithBaseURL("https://c.example")}, host: "https://c.example/"},
		"space given": {env: map[string]string{project: projectID, token: apiToken, space: "!"}, opts: []client.Option{client.WithSpace("d")}, host: "https://d.signalwire.com/"},
		"nothing set": {wantErr: "client: SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN, SIGNALWIRE_SPACE: not set in the environment; name servers other than a Space with WithBaseURL"},
		"no project":  {env: map[string]string{token: apiToken, space: "a"}, wantErr: "client: SIGNALWIRE_PROJECT_ID: not set in the environment"},
		"no token":    {env: map[string]string{project: projectID, space: "a"}, wantErr: "client: SIGNALWIRE_API_TOKEN: not set in the environment"},
		"no space":    {env: map[string]string{project: projectID, token: apiToken}, wantErr: "client: SIGNALWIRE_SPACE: not set in the environment; name servers other than a Space with WithBaseURL"},
		"bad project": {env: map[string]string{project: "x", token: apiToken, space: "a"}, wantErr: "client: SIGNALWIRE_PROJECT_ID: not a UUID"},
		"bad token":   {env: map[string]string{project: projectID, token: "a\n", space: "a"}, wantErr: "client: SIGNALWIRE_API_TOKEN: contains a control"},
		"bad space":   {env: map[string]string{project: projectID, token: apiToken, space: "a b"}, wantErr: "client: SIGNALWIRE_SPACE: not a Space"},
		"bad older":   {env: map[string]string{project: projectID, token: apiToken, older: "a b"}, wantErr: "client: SIGNALWIRE_SPACE_URL: not a Space"},
		"bad option":  {opts: []client.Option{client.WithRetries(-1)}, wantErr: "client: WithRetries"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, name := range []string{project, token, space, older} {
				t.Setenv(name, tc.env[name])
			}
			if tc.wantErr == "" {
				if got := urlOf(t, client.FromEnv, tc.opts...); !strings.HasPrefix(got, tc.host) {
					t.Errorf("got %s, want %s…", got, tc.host)
				}
				return
			}
			_, err := client.FromEnv(tc.opts...)
			if err == nil || !strings.HasPrefix(err.Error(), tc.wantErr) {
				t.Errorf("got error %v, want %s…", err, tc.wantErr)
			}
		})
	}
}

func TestHTTPClientIsCopied(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(http.StatusTemporaryRedirect, "", "Location", "/elsewhere"))
	mine := &http.Client{Transport: http.DefaultTransport}
	c := f.client(t, client.WithHTTPClient(mine), client.WithTimeout(time.Hour))
	if err := update().do(t.Context(), c); err == nil {
		t.Error("the redirect is no error")
	}
	if mine.Timeout != 0 || mine.CheckRedirect != nil {
		t.Errorf("the caller's client was changed: %+v", mine)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(http.StatusOK, tokenBody), answer(http.StatusOK, tokenBody))
	for _, c := range []*client.Client{f.client(t), f.client(t, client.WithUserAgent("billing/2.1"))} {
		if err := update().do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for i, prefix := range []string{"tokenwire-client/", "billing/2.1 tokenwire-client/"} {
		h := f.seen()[i].header
		if got := h.Get("User-Agent"); !strings.HasPrefix(got, prefix) || !strings.Contains(got, "(go") {
			t.Errorf("User-Agent %q, want %s… and Go's version", got, prefix)
		}
		if got := h.Get("Accept"); got != "application/json" {
			t.Errorf("Accept %q", got)
		}
		r := http.Request{Header: h}
		if user, password, _ := r.BasicAuth(); user != projectID || password != apiToken {
			t.Errorf("Authorization %q", h.Get("Authorization"))
		}
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	stuck := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, opts := range map[string][]client.Option{
		"WithTimeout":       {client.WithTimeout(limit)},
		"WithHTTPClient":    {client.WithHTTPClient(&http.Client{Timeout: limit})},
		"WithTimeout first": {client.WithHTTPClient(&http.Client{Timeout: time.Hour}), client.WithTimeout(limit)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, stuck, answer(http.StatusOK, tokenBody))
			if err := update().do(t.Context(), f.client(t, opts...)); err != nil {
				t.Errorf("an attempt that timed out is not repeated: %v", err)
			}
			f = serve(t, stuck)
			err := create().do(t.Context(), f.client(t, opts...))
			if timeout, ok := errors.AsType[interface {
				error
				Timeout() bool
			}](err); !ok || !timeout.Timeout() {
				t.Errorf("got %v, want a timeout", err)
			}
		})
	}
}
