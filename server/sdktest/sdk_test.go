//go:build sdk

// Package sdktest_test runs SignalWire's own npm client against a real server, over TLS. It needs Node.js and, in this folder, what
// `npm ci` installs: `make test-sdk` does both.
package sdktest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	projectID = "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11"
	apiToken  = "PT037258e533e87ac63174ee136ed0798dc85d4f4f9e6d7191"
)

type account struct {
	Sid, FriendlyName, OwnerAccountSid, Status, Type string
	DateCreated                                      time.Time
}

// results is what accounts.cjs prints.
type results struct {
	Own, Fetched, Renamed             account
	Created, Listed, Named, BackAgain []account
	Refusals                          map[string]struct {
		Succeeded    bool
		Status, Code int
		Message      string
	}
}

func TestAccountsWithTheVendorsClient(t *testing.T) {
	dir := t.TempDir()
	space := strings.TrimPrefix(serve(t, dir), "https://")
	got := run(t, space, filepath.Join(dir, "tokenwire-ca.pem"))

	if got.Own.Sid != projectID || got.Own.FriendlyName != "Sandbox" || got.Own.Status != "active" || got.Own.Type != "Full" {
		t.Errorf("the own account is %+v", got.Own)
	}
	for i, created := range got.Created {
		if created.OwnerAccountSid != projectID || created.Sid == projectID || time.Since(created.DateCreated) > time.Hour {
			t.Errorf("account %d is %+v", i, created)
		}
	}
	if got.Fetched != got.Created[0] {
		t.Errorf("fetched %+v, created %+v", got.Fetched, got.Created[0])
	}
	if got.Renamed.FriendlyName != "Renamed & more" || got.Renamed.Sid != got.Created[0].Sid {
		t.Errorf("renamed %+v", got.Renamed)
	}
	for what, c := range map[string]struct{ got, want []string }{
		"the list, page by page":          {names(got.Listed), []string{"Sandbox", "Renamed & more", "Branch 2", "Branch 3"}},
		"the list with a name":            {names(got.Named), []string{"Branch 2"}},
		"the first page, from the second": {names(got.BackAgain), names(got.Listed[:min(2, len(got.Listed))])},
	} {
		slices.Sort(c.got)
		slices.Sort(c.want)
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s has %v, want %v", what, c.got, c.want)
		}
	}
	for what, want := range map[string][2]int{"blank": {422, 10000}, "unknown": {404, 20404}, "credential": {401, 20003}} {
		if refused := got.Refusals[what]; refused.Succeeded || refused.Status != want[0] || refused.Code != want[1] || refused.Message == "" {
			t.Errorf("%s: %+v, want status %d and code %d", what, refused, want[0], want[1])
		}
	}
}

func names(accounts []account) []string {
	list := make([]string, 0, len(accounts))
	for _, a := range accounts {
		list = append(list, a.FriendlyName)
	}
	return list
}

// serve builds and starts the real command, and returns its URL.
func serve(t *testing.T, dir string) string {
	t.Helper()
	program := filepath.Join(dir, "tokenwire")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/tokenwire").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	server := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--sandbox", "--dev-tls",
		"--bootstrap-project-id", projectID, "--bootstrap-token", apiToken)
	server.Dir = dir
	stderr, err := server.StderrPipe()
	check(t, err)
	check(t, server.Start())
	t.Cleanup(func() {
		check(t, server.Process.Signal(syscall.SIGTERM))
		check(t, server.Wait())
	})
	listening := regexp.MustCompile(`msg=listening url=(\S+)`)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			return match[1]
		}
	}
	t.Fatal("the server ended before it listened")
	return ""
}

// run runs the script with the variable that the server has printed for Node.js.
func run(t *testing.T, space, authority string) results {
	t.Helper()
	var stdout, stderr bytes.Buffer
	node := exec.CommandContext(t.Context(), "node", "accounts.cjs")
	node.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+authority,
		"SIGNALWIRE_SPACE_URL="+space, "SIGNALWIRE_PROJECT_ID="+projectID, "SIGNALWIRE_API_TOKEN="+apiToken)
	node.Stdout, node.Stderr = &stdout, &stderr
	if err := node.Run(); err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	var got results
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", stdout.String(), err)
	}
	return got
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
