package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// front starts a server in front of the one in env, and returns the environment that leads there.
func front(t *testing.T, env []string, change func(http.ResponseWriter, *http.Request, http.Handler)) []string {
	t.Helper()
	target, err := url.Parse(strings.TrimPrefix(env[2], "TOKENWIRE_BASE_URL="))
	check(t, err)
	real := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { change(w, r, real) }))
	t.Cleanup(server.Close)
	return []string{env[0], env[1], "TOKENWIRE_BASE_URL=" + server.URL}
}

// brokenAnswers answers each creation with what a terminal must not see.
func brokenAnswers(w http.ResponseWriter, r *http.Request, real http.Handler) {
	recorder := httptest.NewRecorder()
	real.ServeHTTP(recorder, r)
	maps.Copy(w.Header(), recorder.Header())
	body := recorder.Body.String()
	if r.Method == http.MethodPost && recorder.Code == http.StatusOK {
		w.Header().Del("Content-Length")
		body = strings.Replace(body, `"token":`, `"extra":"\u001b[31m","token":`, 1)
	}
	w.WriteHeader(recorder.Code)
	_, _ = w.Write([]byte(body))
}

func TestContractPasses(t *testing.T) {
	t.Parallel()
	env, _ := account(t)
	dir := t.TempDir()
	only := []string{"contract", "--only", "compat.delete,accounts.get", "--only", "ext.get.*"}
	got := execute(t, dir, env, only...).want(t, 0)
	for _, want := range []string{"ok      compat.delete.twice", "accounts.get.own", " cases, 0 failed, in "} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("stdout %s\nwant %q in it", got.stdout, want)
		}
	}
	if strings.Contains(got.stdout, "ext.") || got.stderr != "" {
		t.Errorf("extensions were run, or stderr is %q:\n%s", got.stderr, got.stdout)
	}
	if got := execute(t, dir, env, append(only, "--extensions")...).want(t, 0); !strings.Contains(got.stdout, "ok      ext.get.answer") {
		t.Errorf("no extension was run:\n%s", got.stdout)
	}
	tokens := execute(t, dir, env, "token", "list", "--name-prefix", "tokenwire-contract").want(t, 0).stdout
	if strings.Contains(tokens, "tokenwire-contract") {
		t.Errorf("tokens are left:\n%s", tokens)
	}
}

func TestContractFails(t *testing.T) {
	t.Parallel()
	real, _ := account(t)
	env := front(t, real, brokenAnswers)
	dir := t.TempDir()
	got := execute(t, dir, env, "contract", "--only", "compat.create.answer").want(t, 1)
	for _, want := range []string{
		"FAILED  compat.create.answer", "property \"extra\" is unsupported", "HTTP 200 OK", "1 cases, 1 failed",
		`curl -i -X POST '`, `-u "$SIGNALWIRE_PROJECT_ID:$SIGNALWIRE_API_TOKEN"`, `"PT…"`, "Compatibility surface: Token",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("stdout %s\nwant %q in it", got.stdout, want)
		}
	}
	if strings.Contains(got.stdout, "\x1b") || !strings.Contains(got.stderr, "1 of 1 cases failed") {
		t.Errorf("stdout %q, stderr %q", got.stdout, got.stderr)
	}

	var report struct {
		Results []struct {
			ID      string `json:"id"`
			Failure *struct {
				Request string `json:"request"`
			} `json:"failure"`
		} `json:"results"`
	}
	asJSON := execute(t, dir, env, "contract", "--only", "compat.create.answer,accounts.get.own", "--format", "json").want(t, 1)
	check(t, json.Unmarshal([]byte(asJSON.stdout), &report))
	if len(report.Results) != 2 || report.Results[0].Failure == nil || report.Results[1].Failure != nil {
		t.Errorf("the report is %s", asJSON.stdout)
	}

	var suites junitSuites
	asXML := execute(t, dir, env, "contract", "--only", "compat.create.answer,accounts.get.own", "--format", "junit").want(t, 1)
	check(t, xml.Unmarshal([]byte(asXML.stdout), &suites))
	suite := suites.Suites[0]
	if suite.Tests != 2 || suite.Failures != 1 || suite.Cases[0].Failure == nil || suite.Cases[1].Failure != nil || suite.Cases[0].Class != "contract.compat" {
		t.Errorf("the suite is %+v", suite)
	}
}

// TestContractDrift: the answers of one server are recorded, and those of another compared with them.
func TestContractDrift(t *testing.T) {
	t.Parallel()
	env, _ := account(t)
	other, _ := account(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "answers.json")
	only := []string{"contract", "--only", "compat.create,accounts.list.filter,auth,ext.audit", "--extensions"}
	execute(t, dir, env, append(only, "--record", file)...).want(t, 0)
	content, err := os.ReadFile(file)
	check(t, err)
	if strings.Contains(string(content), strings.TrimPrefix(env[1], "SIGNALWIRE_API_TOKEN=")) || !strings.Contains(string(content), "<secret-1>") {
		t.Errorf("the recording is\n%s", content)
	}
	for _, server := range [][]string{env, other} {
		got := execute(t, dir, server, append(only, "--compare", file)...).want(t, 0)
		if !strings.Contains(got.stdout, "No answer is another than the recorded one.") || !strings.Contains(got.stdout, " cases compared; 0 are not in the recording.") {
			t.Errorf("stdout %s", got.stdout)
		}
	}
	broken := front(t, other, brokenAnswers)
	got := execute(t, dir, broken, "contract", "--only", "compat.create.answer", "--compare", file).want(t, 1)
	if !strings.Contains(got.stdout, "body.extra was nothing and is") || !strings.Contains(got.stderr, "from the recorded answers") {
		t.Errorf("stdout %s\nstderr %s", got.stdout, got.stderr)
	}
}

// TestContractComparesNothing: a comparison that has compared nothing is none.
func TestContractComparesNothing(t *testing.T) {
	t.Parallel()
	env, _ := account(t)
	dir := t.TempDir()
	execute(t, dir, env, "contract", "--only", "accounts.get.own", "--record", "answers.json").want(t, 0)
	for _, format := range []string{"text", "json", "junit"} {
		got := execute(t, dir, env, "contract", "--only", "compat.auth.missing", "--compare", "answers.json", "--format", format).want(t, 2)
		if !strings.Contains(got.stderr, "none of the cases that were run: record them first") || !strings.Contains(got.stdout, "compat.auth.missing") ||
			strings.Contains(got.stdout, "No answer is another") {
			t.Errorf("%s: stdout %s\nstderr %s", format, got.stdout, got.stderr)
		}
	}
	got := execute(t, dir, env, "contract", "--only", "accounts.get.own,compat.auth.missing", "--compare", "answers.json").want(t, 0)
	if !strings.Contains(got.stdout, "1 cases compared; 1 are not in the recording.") {
		t.Errorf("stdout %s", got.stdout)
	}
}

// TestContractEndsEarly: what an interrupted run has found out is reported in every format, as what it is; no recording is
// written. A run that finds out nothing prints nothing.
func TestContractEndsEarly(t *testing.T) {
	t.Parallel()
	env, _ := account(t)
	for _, format := range []string{"text", "json", "junit"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			interrupt := make(chan struct{})
			broken := front(t, env, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
				if r.Method == http.MethodPost && asked.Add(1) == 3 {
					interrupt <- struct{}{}
					<-interrupt
				}
				real.ServeHTTP(w, r)
			})
			dir := t.TempDir()
			cmd := command(t, dir, broken, "contract", "--only", "accounts.get.own,compat.delete,compat.create", "--format", format, "--record", "answers.json")
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			check(t, cmd.Start())
			<-interrupt
			check(t, cmd.Process.Signal(syscall.SIGINT))
			interrupt <- struct{}{}
			_ = cmd.Wait()
			if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), "neither recorded nor compared") {
				t.Errorf("exit code %d, stderr %s", cmd.ProcessState.ExitCode(), stderr.String())
			}
			expectEarlyEnd(t, format, stdout.String())
			if _, err := os.Stat(filepath.Join(dir, "answers.json")); !os.IsNotExist(err) {
				t.Errorf("there is a recording: %v", err)
			}
		})
	}
	for _, format := range []string{"text", "json", "junit"} {
		got := execute(t, t.TempDir(), env[:2], "contract", "--base-url", "http://127.0.0.1:1", "--format", format).want(t, 2)
		if got.stdout != "" {
			t.Errorf("a run that was none printed %s", got.stdout)
		}
	}
}

func expectEarlyEnd(t *testing.T, format, stdout string) {
	t.Helper()
	switch format {
	case "text":
		if !strings.Contains(stdout, "The run has not come to its end") || !strings.Contains(stdout, "0 failed") {
			t.Errorf("stdout %s", stdout)
		}
	case "json":
		var report struct {
			Results []struct{ ID string }
			Ended   string
		}
		check(t, json.Unmarshal([]byte(stdout), &report))
		if len(report.Results) == 0 || !strings.Contains(report.Ended, "ended after") {
			t.Errorf("stdout %s", stdout)
		}
	case "junit":
		var suites junitSuites
		check(t, xml.Unmarshal([]byte(stdout), &suites))
		suite := suites.Suites[0]
		if last := suite.Cases[len(suite.Cases)-1]; suite.Errors != 1 || suite.Tests != len(suite.Cases) || suite.Tests < 2 || last.Error == nil {
			t.Errorf("stdout %s", stdout)
		}
	}
}

// TestContractHidesItsToken: a server that repeats the token gets it into no format, no recording and no error.
func TestContractHidesItsToken(t *testing.T) {
	t.Parallel()
	env, _ := account(t)
	project, secret := strings.TrimPrefix(env[0], "SIGNALWIRE_PROJECT_ID="), strings.TrimPrefix(env[1], "SIGNALWIRE_API_TOKEN=")
	basic := base64.StdEncoding.EncodeToString([]byte(project + ":" + secret))
	echo := `\n` + secret + ` _` + secret[:20] + ` ` + basic + ` %3A` + strings.ToUpper(secret) + `k`
	var refuse atomic.Bool
	var asked atomic.Int32
	broken := front(t, env, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		if !refuse.Load() && asked.Add(1) <= 2 {
			real.ServeHTTP(w, r)
			return
		}
		for _, name := range []string{"WWW-Authenticate", "Allow", "X-Request-Id", "Content-Type"} {
			w.Header().Set(name, echo)
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"message":"` + echo + `","` + echo + `":[]}`))
	})
	dir := t.TempDir()
	expect := func(where, text string) {
		t.Helper()
		lower := strings.ToLower(text)
		for i := 2; i+12 <= len(secret); i++ {
			if strings.Contains(lower, secret[i:i+12]) {
				t.Fatalf("%s has a piece of the token:\n%s", where, text)
			}
		}
		if strings.Contains(text, basic[len(basic)-30:]) {
			t.Errorf("%s has the token in Base64:\n%s", where, text)
		}
	}
	for _, format := range []string{"text", "json", "junit"} {
		asked.Store(0)
		got := execute(t, dir, broken, "contract", "--only", "compat,http", "--format", format, "--record", "answers.json").want(t, 1)
		content, err := os.ReadFile(filepath.Join(dir, "answers.json"))
		check(t, err)
		if !strings.Contains(got.stdout, "…") || !strings.Contains(string(content), "…") {
			t.Errorf("%s: nothing is masked in\n%s\n%s", format, got.stdout, content)
		}
		expect(format, got.stdout+got.stderr)
		expect("the recording", string(content))
	}
	refuse.Store(true)
	refused := execute(t, dir, broken, "contract").want(t, 2)
	if !strings.Contains(refused.stderr, "refuses the credential") {
		t.Errorf("stderr %s", refused.stderr)
	}
	expect("the error", refused.stdout+refused.stderr)
}

func TestContractList(t *testing.T) {
	t.Parallel()
	got := execute(t, t.TempDir(), nil, "contract", "--list").want(t, 0)
	if lines := strings.Count(got.stdout, "\n"); lines < 90 || !strings.Contains(got.stdout, "ext.rotate.grace") {
		t.Errorf("%d lines:\n%s", lines, got.stdout)
	}
	var cases []struct {
		ID, Statement, Source string
		Extension             bool
	}
	decode(t, execute(t, t.TempDir(), nil, "contract", "--list", "--only", "ext.rotate", "--format", "json"), &cases)
	if len(cases) != 9 {
		t.Errorf("%d cases are listed, want the 9 on rotation", len(cases))
	}
	for _, c := range cases {
		if !strings.HasPrefix(c.ID, "ext.rotate.") || c.Statement == "" || c.Source == "" || !c.Extension {
			t.Errorf("the case is %+v", c)
		}
	}
}

func TestContractCannotRun(t *testing.T) {
	t.Parallel()
	env, own := account(t)
	dir := t.TempDir()
	weak := token(t, []byte(execute(t, dir, env, "token", "create", "--name", "x", "-p", "fax", "--json").want(t, 0).stdout))["token"].(string)
	var child accountJSON
	decode(t, execute(t, dir, env, "account", "create", "--name", "Branch", "--json"), &child)
	boss := token(t, []byte(execute(t, dir, env, "token", "create", "--name", "x", "-p", "management", "--subproject-id", child.ID, "--json").want(t, 0).stdout))["token"].(string)
	check(t, os.WriteFile(filepath.Join(dir, "nothing.json"), []byte("{}"), 0o600))
	for name, c := range map[string]struct {
		env  []string
		args string
		want string
	}{
		"no credential":     {env[2:], "", "SIGNALWIRE_PROJECT_ID"},
		"no server":         {env[:2], "", "--base-url"},
		"nobody there":      {env[:2], "--base-url http://127.0.0.1:1", "cannot be reached"},
		"no such API":       {env, "--base-url " + strings.TrimPrefix(env[2], "TOKENWIRE_BASE_URL=") + "/nothing", "no such API"},
		"no permission":     {[]string{env[0], "SIGNALWIRE_API_TOKEN=" + weak, env[2]}, "", "lacks the permission"},
		"a subproject":      {[]string{"SIGNALWIRE_PROJECT_ID=" + child.ID, "SIGNALWIRE_API_TOKEN=" + boss, env[2]}, "", "top-level"},
		"no such case":      {env, "--only nope", `--only: "nope" selects no case`},
		"extensions alone":  {env, "--only ext.probes", "ask for extensions too"},
		"no recording":      {env, "--compare nothing.json", "--compare: no recording"},
		"no such recording": {env, "--compare absent.json", "tokenwire: --compare: stat absent.json: no such file or directory\n"},
		"no such folder":    {env, "--only accounts.get.own --record absent/file.json", "--record: "},
		"plain HTTP":        {env[:2], "--base-url http://192.0.2.1", "--insecure-http"},
		"no such format":    {env, "--format yaml", "--format"},
		"a junit list":      {env, "--list --format junit", "--list"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := command(t, dir, c.env, append([]string{"contract"}, strings.Fields(c.args)...)...)
			if got := finish(t, command).want(t, 2); !strings.Contains(got.stderr, c.want) {
				t.Errorf("stderr %q, want %q in it", got.stderr, c.want)
			}
		})
	}
	if got := execute(t, dir, env, "token", "show", own).want(t, 0); !strings.Contains(got.stdout, "Management") {
		t.Errorf("the own token is %s", got.stdout)
	}
}

// TestContractInterrupted: what an interrupted run has made is deleted, also what was being made just then.
func TestContractInterrupted(t *testing.T) {
	t.Parallel()
	env, _ := account(t)
	var creations atomic.Int32
	interrupt := make(chan struct{})
	broken := front(t, env, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		if r.Method == http.MethodPost && creations.Add(1) == 3 {
			interrupt <- struct{}{} // the signal comes while the request is on its way
			<-interrupt
		}
		real.ServeHTTP(w, r)
	})
	cmd := command(t, t.TempDir(), broken, "contract")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	check(t, cmd.Start())
	<-interrupt
	check(t, cmd.Process.Signal(syscall.SIGINT))
	interrupt <- struct{}{}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("ended with %v: %s", err, stderr.String())
	}
	tokens := execute(t, t.TempDir(), env, "token", "list").want(t, 0).stdout
	if strings.Contains(tokens, "tokenwire-contract") || !strings.Contains(tokens, "Management") {
		t.Errorf("the tokens are\n%s", tokens)
	}
}
