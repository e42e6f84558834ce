package main

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// account starts a server and returns the environment with which the token commands reach it, and the id of its token.
func account(t *testing.T) ([]string, string) {
	t.Helper()
	s := serve(t, t.TempDir())
	match := printedCall.FindStringSubmatch(s.output(t))
	return []string{
		"SIGNALWIRE_PROJECT_ID=" + match[2], "SIGNALWIRE_API_TOKEN=" + match[3], "TOKENWIRE_BASE_URL=" + s.url,
	}, match[1][strings.LastIndex(match[1], "/")+1:]
}

func TestTokenCommands(t *testing.T) {
	t.Parallel()
	env, _ := account(t)
	dir := t.TempDir()

	created := execute(t, dir, env, "token", "create", "--name", "Branch office", "-p", "fax,chat", "-p", "fax", "--json").want(t, 0)
	first := token(t, []byte(created.stdout))
	id := first["id"].(string)

	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"token", "update", id, "--json"}, []string{`"Branch office"`, `"chat"`, `"fax"`}},
		{[]string{"token", "update", id, "--name", "Head office"}, []string{"Head office", "chat,fax", first["token"].(string)}},
		{[]string{"token", "update", id, "--permission", "video"}, []string{"Head office", "video"}},
		{[]string{"token", "update", id, "--no-permissions", "--json"}, []string{`"permissions": []`}},
		{[]string{"token", "update", id, "--name", "two\nlines\x1b[31m"}, []string{"two lines\uFFFD[31m"}},
		{[]string{"token", "delete", id}, []string{"Deleted token " + id}},
	} {
		got := execute(t, dir, env, c.args...).want(t, 0)
		for _, want := range c.want {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("%v prints %q, want %q in it", c.args, got.stdout, want)
			}
		}
	}
}

// TestManagementCommands walks through the commands on accounts, on the life of tokens and on the audit trail.
func TestManagementCommands(t *testing.T) {
	t.Parallel()
	env, own := account(t)
	dir := t.TempDir()
	var child accountJSON
	decode(t, execute(t, dir, env, "account", "create", "--name", "Branch", "--json"), &child)
	created := execute(t, dir, env, "token", "create", "--name", "Short", "-p", "fax", "--subproject-id", child.ID, "--expires-at", "2099-01-01T00:00:00Z", "--json").want(t, 0)
	id := token(t, []byte(created.stdout))["id"].(string)
	for _, c := range []struct {
		args string
		want []string
		not  string
	}{
		{"account list", []string{"Default", "Branch", child.ID}, child.SigningKey},
		{"account list --name Branch", []string{"Branch"}, "Default"},
		{"account show --account " + child.ID, []string{"Branch"}, "Default"},
		{"account update --name Renamed --account " + child.ID, []string{"Renamed"}, "Branch"},
		{"token list", []string{"Management", "Short", "2099-01-01T00:00:00Z"}, "PT"},
		{"token list --permission fax --no-expired", []string{"Short"}, "Management"},
		{"token list --expired", []string{"TOKEN ID"}, "Short"},
		{"token list --name-prefix Manage", []string{own}, "Short"},
		{"token show " + id + " --json", []string{`"secret_last_four"`, child.ID}, "PT"},
		{"token update " + id + " --never-expire", []string{"Short", "PT"}, "2099"},
		{"token rotate " + id + " --grace 1h --idempotency-key k", []string{id, "PT"}, ""},
		{"token rotate " + id + " --grace 7d", []string{id, "PT"}, ""},
		{"token verify", []string{own, "management"}, "PT"},
		{"token verify --permission management --json", []string{`"token_id"`, own}, "PT"},
		{"token delete " + id, []string{"Deleted token"}, ""},
		{"audit list", []string{"token.deleted", "token.rotated", `expires_at: "2099-01-01T00:00:00Z" → none`, `name: "Branch" → "Renamed"`}, "PT"},
		{"audit list --action token.rotated --token-id " + id, []string{"token.rotated"}, "token.deleted"},
		{"audit list --limit 1", []string{"token.deleted"}, "token.rotated"},
		{"audit list --until 2001-01-01T00:00:00Z", []string{"ACTION"}, "token"},
	} {
		got := execute(t, dir, env, strings.Fields(c.args)...).want(t, 0)
		for _, want := range c.want {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("%s prints\n%swant %q in it", c.args, got.stdout, want)
			}
		}
		if c.not != "" && strings.Contains(got.stdout, c.not) {
			t.Errorf("%s prints\n%swant no %q in it", c.args, got.stdout, c.not)
		}
	}
	for args, want := range map[string]string{
		"token rotate " + own + " --grace 8d":                     "--grace: not a whole number of seconds from 0 to 7 days",
		"token rotate " + own + " --grace 1h --idempotency-key ä": "--idempotency-key: not 1 to 255",
		"token verify --permission fax":                           `lacks the permission "fax"`,
		"token verify --permission x":                             "permission must be one of",
		"token verify --account " + child.ID:                      "does not go with this command",
		"audit list --token-id x":                                 "--token-id: not a UUID",
		"audit list --action x":                                   "Action must be one of",
		"account create --name " + strings.Repeat("x", 251):       "FriendlyName is too long",
		"account show --account x":                                "--account (TOKENWIRE_ACCOUNT): not a UUID",
	} {
		if got := execute(t, dir, env, strings.Fields(args)...).want(t, 1); !strings.Contains(got.stderr, want) {
			t.Errorf("%s: stderr %q, want %q", args, got.stderr, want)
		}
	}
}

func TestTokenCommandErrors(t *testing.T) {
	t.Parallel()
	env, own := account(t)
	foreign, _ := account(t)
	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"no such token":      {env, []string{"token", "delete", "7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42"}, "The requested resource was not found"},
		"blank name":         {env, []string{"token", "update", own, "--name", " "}, "Name must be present"},
		"no such permission": {env, []string{"token", "create", "--name", "x", "-p", "nope"}, "invalid selection"},
		"no UUID":            {env, []string{"token", "update", "x"}, "<TOKEN-ID>: not a UUID"},
		"no subproject":      {env, []string{"token", "create", "--name", "x", "-p", "fax", "--subproject-id", "x"}, "--subproject-id: not a UUID"},
		"no account":         {env, []string{"token", "update", own, "--account", "x"}, "--account (TOKENWIRE_ACCOUNT): not a UUID"},
		"wrong credential":   {append(foreign[:2:2], env[2]), []string{"token", "update", own}, "Authentication failed"},
		"no credential":      {env[2:], []string{"token", "update", own}, "SIGNALWIRE_PROJECT_ID"},
		"no server":          {env[:2], []string{"token", "update", own}, "SIGNALWIRE_SPACE: not set in the environment; name servers other than a Space with --base-url (TOKENWIRE_BASE_URL)"},
		"no scheme":          {env[:2], []string{"token", "update", own, "--base-url", "127.0.0.1:8080"}, "--base-url (TOKENWIRE_BASE_URL): "},
		"plain HTTP":         {env[:2], []string{"token", "update", own, "--base-url", "http://192.0.2.1"}, "--insecure-http"},
		"another account":    {env, []string{"token", "update", own, "--account", "7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42"}, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := execute(t, t.TempDir(), c.env, c.args...).want(t, 1)
			if !strings.Contains(got.stderr, c.want) || strings.Count(got.stderr, "\n") != 1 || got.stdout != "" {
				t.Errorf("stdout %q, stderr %q, want one line with %q", got.stdout, got.stderr, c.want)
			}
		})
	}
}

func TestProjectCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got := execute(t, dir, nil, "project", "list").want(t, 1); !strings.Contains(got.stderr, "there is no database") {
		t.Errorf("list without a database: %q", got.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "tokenwire.db")); err == nil {
		t.Error("list created a database")
	}
	if got := execute(t, dir, nil, "project", "create", "--name", "Lost", "--db", "other.db").want(t, 1); !strings.Contains(got.stderr, "or create it with tokenwire serve, or with --create-database") {
		t.Errorf("create without a database: %q", got.stderr)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("what was refused has made %v (%v)", files, err)
	}
	var parent, child credentialsJSON
	decode(t, execute(t, dir, nil, "project", "create", "--create-database", "--name", "Parent", "--json"), &parent)
	decode(t, execute(t, dir, nil, "project", "create", "--name", "Child", "--parent", parent.ProjectID, "--json"), &child)

	for args, want := range map[string]string{
		"--name= ":                              "must not be blank",
		"--name=" + strings.Repeat("é", 251):    "at most 250 characters",
		"--name=x --parent=nope":                "--parent must be the UUID",
		"--name=x --parent=" + child.ProjectID:  "is no subproject itself",
		"--name=x --parent=" + unknownProject(): "must be a project that exists",
	} {
		command := append([]string{"project", "create"}, strings.SplitAfterN(args, " --parent", 2)[0])
		if name, parent, found := strings.Cut(args, " --parent"); found {
			command = []string{"project", "create", name, "--parent" + parent}
		}
		if got := execute(t, dir, nil, command...).want(t, 1); !strings.Contains(got.stderr, want) {
			t.Errorf("%v: stderr %q, want %q", command, got.stderr, want)
		}
	}

	var list []projectJSON
	decode(t, execute(t, dir, nil, "project", "list", "--json"), &list)
	if len(list) != 2 || list[0].ID != parent.ProjectID || list[0].ParentID != nil || *list[1].ParentID != parent.ProjectID {
		t.Errorf("the list is %+v", list)
	}
	table := execute(t, dir, nil, "project", "list").want(t, 0).stdout
	if strings.Count(table, "\n") != 3 || !strings.Contains(table, child.ProjectID) || strings.Contains(table, child.Token) {
		t.Errorf("the table is\n%s", table)
	}

	s := serve(t, dir)
	if s.output(t) != "" {
		t.Error("serve made another project")
	}
	printed := execute(t, dir, nil, "project", "create", "--name", "While serving", "--base-url", s.url+"/").want(t, 0).stdout
	call(t, printed)
}

func unknownProject() string { return "7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42" }

func decode(t *testing.T, r result, into any) {
	t.Helper()
	r.want(t, 0)
	check(t, json.Unmarshal([]byte(r.stdout), into))
}

// TestStaticBinary builds as `make build` does, and looks for what a static binary lacks: an interpreter.
func TestStaticBinary(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokenwire")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	file, err := elf.Open(path)
	check(t, err)
	defer func() { _ = file.Close() }()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			t.Error("the binary needs a dynamic linker")
		}
	}
}

// TestRefusedCommandLines: what a command cannot do is refused before it does something else.
func TestRefusedCommandLines(t *testing.T) {
	t.Parallel()
	tw := servertest.New(t, nil)
	env := []string{"SIGNALWIRE_PROJECT_ID=" + tw.ProjectID, "SIGNALWIRE_API_TOKEN=" + tw.Token, "TOKENWIRE_BASE_URL=" + tw.URL}
	for line, want := range map[string]string{
		"account create --name x --account " + tw.ProjectID:                        "--account (TOKENWIRE_ACCOUNT) does not go with this command",
		"account list --account x":                                                 "--account (TOKENWIRE_ACCOUNT) does not go with this command",
		"audit list --limit=-1":                                                    "--limit must be 0 or more",
		"token create --name x --permission fax --expires-at 0001-01-01T00:00:00Z": "--expires-at must be in the future",
		"token update " + tw.TokenID + " --expires-at 0001-01-01T00:00:00Z":        "--expires-at must be in the future",
	} {
		got := execute(t, t.TempDir(), env, strings.Fields(line)...).want(t, 1)
		if !strings.Contains(got.stderr, want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: %q, want one line with %q", line, got.stderr, want)
		}
	}
	if calls, err := tw.Journal(tw.Project); err != nil || len(calls) != 0 {
		t.Errorf("the server was called: %v (%v)", calls, err)
	}
}

// TestAuditTable shows names as they are, and whose account was changed.
func TestAuditTable(t *testing.T) {
	t.Parallel()
	tw := servertest.New(t, nil)
	env := []string{"SIGNALWIRE_PROJECT_ID=" + tw.ProjectID, "SIGNALWIRE_API_TOKEN=" + tw.Token, "TOKENWIRE_BASE_URL=" + tw.URL}
	execute(t, t.TempDir(), env, "account", "update", "--name", "R&D <lab>").want(t, 0)
	got := execute(t, t.TempDir(), env, "audit", "list", "--action", "account.updated").want(t, 0).stdout
	if !strings.Contains(got, `name: "Default" → "R&D <lab>"`) || !strings.Contains(got, tw.ProjectID) || !strings.Contains(got, "ACCOUNT") {
		t.Errorf("the table is\n%s", got)
	}
}

// TestClientCompilesNoServer keeps what a program inherits that imports the client small.
func TestClientCompilesNoServer(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"github.com/tokenwire/tokenwire/client")
	output, err := list.Output()
	check(t, err)
	deps := string(output)
	if !strings.Contains(deps, "github.com/tokenwire/tokenwire/gen/clientapi") {
		t.Fatalf("these are not the packages of the client:\n%s", deps)
	}
	// database/sql/driver is no database: it has the interface by which google/uuid can be stored in one.
	deps = strings.ReplaceAll(deps, "database/sql/driver\n", "")
	for _, unwanted := range []string{"labstack", "kin-openapi", "database/sql", "sqlite", "pgx", "goose", "tokenwire/server", "gen/serverapi"} {
		if strings.Contains(deps, unwanted) {
			t.Errorf("the client compiles %s", unwanted)
		}
	}
}
