package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tokenwire/tokenwire/client"
)

const (
	firstProject = "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11"
	firstToken   = "PT0123456789ab0123456789ab0123456789ab0123456789ab"
)

// load creates tokens until it is stopped, and notes those whose creation was answered.
type load struct {
	mu     sync.Mutex
	tokens []*client.Token
	many   chan struct{} // closed when there are some
	made   chan struct{} // who listens hears of each
	stop   func()
}

func begin(t *testing.T, url string) *load {
	t.Helper()
	c, err := client.New(firstProject, firstToken, client.WithBaseURL(url))
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	l := &load{many: make(chan struct{}), made: make(chan struct{}), stop: func() { cancel(); wg.Wait() }}
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				token, err := c.CreateToken(ctx, client.CreateTokenParams{Name: "Load", Permissions: []client.Permission{client.PermissionManagement}})
				if err != nil {
					continue // it was stopped
				}
				l.mu.Lock()
				if l.tokens = append(l.tokens, token); len(l.tokens) == 50 {
					close(l.many)
				}
				l.mu.Unlock()
				select {
				case l.made <- struct{}{}:
				default:
				}
			}
		})
	}
	return l
}

// answered returns what has been created so far, and waits until it is something.
func (l *load) answered() []*client.Token {
	<-l.many
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tokens
}

// TestBackupUnderLoad: a backup has everything that was answered before it began, and what is restored from it works.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	s := serve(t, dir, "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
	l := begin(t, s.url)
	before := l.answered()
	backup := filepath.Join(other, "backup.db")
	printed := execute(t, dir, nil, "backup", backup).want(t, 0)
	if !strings.Contains(printed.stdout, "TOKENS") || !strings.Contains(printed.stdout, backup) {
		t.Errorf("backup printed %q", printed.stdout)
	}
	l.stop()
	s.stop(t)
	if files, err := filepath.Glob(filepath.Join(other, "*")); err != nil || len(files) != 1 {
		t.Errorf("a backup is the files %v (%v), want one", files, err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "tokenwire.db.keyset"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(other, "tokenwire.db.keyset"), content, 0o600))
	execute(t, other, nil, "restore", "backup.db").want(t, 0)
	execute(t, other, nil, "doctor").want(t, 0)
	restored := serve(t, other)
	for _, token := range before {
		c, err := client.New(firstProject, token.Secret.Reveal(), client.WithBaseURL(restored.url))
		check(t, err)
		if _, err := c.UpdateToken(t.Context(), token.ID, client.UpdateTokenParams{}); err != nil {
			t.Fatalf("token %s, which was answered before the backup: %v", token.ID, err)
		}
	}
	restored.stop(t)
}

// TestDoctorUnderLoad: a database that is in use, and changes, is as sound as one that is not.
func TestDoctorUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
	l := begin(t, s.url)
	before := len(l.answered())
	for range 5 {
		if got := execute(t, dir, nil, "doctor"); got.want(t, 0).stderr != "" {
			t.Errorf("doctor complains: %s", got.stderr)
		}
	}
	l.stop()
	if len(l.answered()) <= before {
		t.Error("nothing was answered meanwhile")
	}
	s.stop(t)
}

// closedDatabase is a database with two tokens, and no server.
func closedDatabase(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	execute(t, dir, nil, "project", "create", "--create-database", "--name", "One").want(t, 0)
	execute(t, dir, nil, "project", "create", "--name", "Two").want(t, 0)
	return dir
}

func TestBackupRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(t *testing.T, dir string)
		args    string
		want    string
	}{
		"over a file":                                   {nothing, "backup tokenwire.db.keyset", "file already exists; move it away first"},
		"beside a stranger's log":                       {write("b.db-wal", "x"), "backup b.db", "b.db-wal: file already exists"},
		"under the name of the log":                     {nothing, "backup tokenwire.db-wal", "tokenwire.db-wal is where SQLite keeps what belongs to"},
		"under the name of the journal, through a link": {linkFolder, "backup ../link/tokenwire.db-journal", "tokenwire.db-journal is where SQLite keeps what belongs to"},
		"of a database behind a link":                   {linkFolder, "backup tokenwire.db-wal --db ../link/tokenwire.db", "tokenwire.db-wal is where SQLite keeps what belongs to"},
		"of nothing":                                    {nothing, "backup b.db --db none.db", "there is no database"},
		"of no database":                                {write("text", strings.Repeat("x", 200)), "backup b.db --db text", "is not an SQLite database"},
		"where it cannot be":                            {nothing, "backup no/such/folder/b.db", "no such file or directory"},
		"restored over a database":                      {backup, "restore b.db", "tokenwire.db: file already exists; move it away first"},
		"restored without a keyset":                     {backup, "restore b.db --db new.db", "there is no keyset new.db.keyset"},
		"restored with another": {func(t *testing.T, dir string) {
			t.Helper()
			backup(t, dir)
			execute(t, dir, nil, "project", "create", "--create-database", "--name", "Other", "--db", "other.db").want(t, 0)
		}, "restore b.db --db new.db --keyset other.db.keyset", "is not the keyset of this database"},
		"restored from half a file": {func(t *testing.T, dir string) {
			t.Helper()
			backup(t, dir)
			check(t, os.Truncate(filepath.Join(dir, "b.db"), 20*4096))
		}, "restore b.db --db new.db --keyset tokenwire.db.keyset", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := closedDatabase(t)
			c.prepare(t, dir)
			before := snapshot(t, dir)
			got := execute(t, dir, nil, strings.Fields(c.args)...).want(t, 1)
			if !strings.Contains(got.stderr, c.want) || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("stderr %q, want one line with %q", got.stderr, c.want)
			}
			if after := snapshot(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Error("it has changed or left files")
			}
		})
	}
}

func nothing(t *testing.T, _ string) { t.Helper() }

// linkFolder makes the folder's other name.
func linkFolder(t *testing.T, dir string) {
	t.Helper()
	check(t, os.Symlink(dir, filepath.Join(filepath.Dir(dir), "link")))
}

func backup(t *testing.T, dir string) {
	t.Helper()
	execute(t, dir, nil, "backup", "b.db").want(t, 0)
}

func write(name, content string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
}

// statements changes a database behind tokenwire's back.
func statements(texts ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(dir, "tokenwire.db"))
		check(t, err)
		defer func() { check(t, db.Close()) }()
		db.SetMaxOpenConns(1)
		for _, text := range texts {
			_, err := db.ExecContext(t.Context(), text)
			check(t, err)
		}
	}
}

// doctorCase is a damage, and what doctor says of it.
type doctorCase struct {
	spoil func(*testing.T, string)
	check string // the one that fails; "" for none
	want  string
}

// changes is a case of TestDoctor: events have these changes.
func changes(text string) doctorCase {
	return doctorCase{
		statements(`DROP TRIGGER audit_events_are_final`, `UPDATE audit_events SET changes = '`+text+`'`), "records", "4 events that cannot be read (decode the changes of event ",
	}
}

// outOfContract is a case of TestDoctor: tokens have what the contract does not.
func outOfContract(assignment, want string) doctorCase {
	return doctorCase{statements(`UPDATE tokens SET ` + assignment), "records", want}
}

// TestDoctor: what is wrong with a database or its keyset is found, and what is right is said to be.
func TestDoctor(t *testing.T) {
	t.Parallel()
	keyset := func(change func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			check(t, change(filepath.Join(dir, "tokenwire.db.keyset")))
		}
	}
	for name, c := range map[string]doctorCase{
		"a sound one": {nothing, "", "2 open"},
		"readable": {func(t *testing.T, dir string) {
			t.Helper()
			check(t, os.Chmod(filepath.Join(dir, "tokenwire.db"), 0o644))
		}, "file", "run chmod 600"},
		"no keyset":       {keyset(os.Remove), "keyset", "no such file"},
		"a readable one":  {keyset(func(path string) error { return os.Chmod(path, 0o644) }), "keyset", "run chmod 600"},
		"swapped secrets": {statements(`UPDATE tokens SET sealed_secret = (SELECT sealed_secret FROM tokens AS other WHERE other.id <> tokens.id)`), "secrets", "of 2: open the secret of token"},
		"another hash":    {statements(`UPDATE tokens SET secret_hash = randomblob(32)`), "secrets", "is another than the one that it is found by"},
		"a wrong root":    {statements(`UPDATE tokens SET root_id = randomblob(16)`), "records", "2 tokens with the root of another project"},
		"an orphan":       {statements(`PRAGMA foreign_keys = 0`, `DELETE FROM projects WHERE name = 'One'`), "integrity", "a row of tokens refers to a row of projects that is not there"},
		"a cut trail":     {statements(`DROP TRIGGER audit_events_stay`, `DELETE FROM audit_events`), "records", "2 tokens whose creation is not in the audit trail"},
		"a project with a wrong root": {
			statements(`UPDATE projects SET root_id = randomblob(16) WHERE parent_id IS NULL`), "records", "projects with a wrong root",
		},
		"a project that is its own parent": {
			statements(`UPDATE projects SET parent_id = id, root_id = id WHERE parent_id IS NULL`), "records", "subprojects of subprojects",
		},
		"a token that was deleted": {
			statements(`DROP TRIGGER audit_events_are_final`, `UPDATE audit_events SET action = 'token.deleted' WHERE action = 'token.created'`),
			"records", "2 deleted tokens that are there",
		},
		"a time that is none": {statements(`UPDATE tokens SET created_at = 9223372036854775807`), "records", "2 tokens with a time that no calendar has"},
		"an event without time": {
			statements(`DROP TRIGGER audit_events_are_final`, `UPDATE audit_events SET at = -9223372036854775807`), "records", "events with a time that no calendar has",
		},
		"an event that cannot be read": {
			statements(`DROP TRIGGER audit_events_are_final`, `UPDATE audit_events SET changes = '{'`), "records", "4 events that cannot be read (decode the changes of event ",
		},
		"events whose changes are a list":                      changes(`[]`),
		"events whose changes are a number":                    changes(`5`),
		"events that have a number for what a name was and is": changes(`{"name":1}`),
		"events that have a word for a time":                   changes(`{"expires_at":{"old":null,"new":"soon"}}`),
		"a token that was lost": {
			statements(`DELETE FROM tokens WHERE id = (SELECT min(id) FROM tokens)`), "records", "1 tokens of which the audit trail has no deletion, and which are not there",
		},
		"a project that was lost": {
			statements(`PRAGMA foreign_keys = 0`, `DELETE FROM tokens WHERE project_id = (SELECT max(id) FROM projects)`, `DELETE FROM projects WHERE id = (SELECT max(id) FROM projects)`),
			"records", "1 projects of which the audit trail has events, and which are not there",
		},
		"everything was lost but the trail": {
			statements(`DELETE FROM idempotent_answers`, `DELETE FROM tokens`, `DELETE FROM projects`), "records", "2 projects of which the audit trail has events",
		},
		"permissions of nobody":        outOfContract(`permissions = 'chat,root'`, "2 tokens whose permissions are not"),
		"permissions twice":            outOfContract(`permissions = 'chat,chat'`, "2 tokens whose permissions are not"),
		"permissions in another order": outOfContract(`permissions = 'fax,chat'`, "2 tokens whose permissions are not"),
		"permissions with spaces":      outOfContract(`permissions = 'chat, fax'`, "2 tokens whose permissions are not"),
		"no permissions":               {statements(`UPDATE tokens SET permissions = ''`), "", "2 open"},
		"an empty name":                outOfContract(`name = ''`, "2 tokens with a name that is empty"),
		"a long name":                  outOfContract(`name = printf('%.256c', 'x')`, "2 tokens with a name that is empty"),
		"a name that is no text":       outOfContract(`name = CAST(x'41ff41' AS TEXT)`, "2 tokens with a name that is empty"),
		"the longest names":            {statements(`UPDATE tokens SET name = replace(hex(zeroblob(255)), '00', '😀')`, `UPDATE projects SET name = replace(hex(zeroblob(250)), '00', '😀')`), "", "2 open"},
		"a project without name":       {statements(`UPDATE projects SET name = ' '`), "records", "2 projects with a name that is empty"},
		"a project with a long name":   {statements(`UPDATE projects SET name = printf('%.251c', 'x')`), "records", "2 projects with a name that is empty"},
		"a broken page":                {breakPage, "integrity", ""},
		"another program's":            {statements(`PRAGMA application_id = 7`), "database", "of another program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doctorFinds(t, c.spoil, c.check, c.want)
		})
	}
}

// doctorFinds spoils a database, and holds that doctor finds so in the check that is named; "" is none.
func doctorFinds(t *testing.T, spoil func(*testing.T, string), check, want string) {
	t.Helper()
	dir := closedDatabase(t)
	spoil(t, dir)
	before := snapshot(t, dir)
	got := execute(t, dir, nil, "doctor")
	if check == "" {
		got.want(t, 0)
	} else if got.want(t, 1); !strings.Contains(got.stdout, "FAILED  "+check) {
		t.Errorf("the check %q has not failed:\n%s", check, got.stdout)
	}
	if !strings.Contains(got.stdout, want) {
		t.Errorf("want %q in\n%s", want, got.stdout)
	}
	if after := snapshot(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("it has changed or left files")
	}
}

// TestLooksAtACrash: doctor and backup leave what a killed server has left as it is.
func TestLooksAtACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
	l := begin(t, s.url)
	l.answered()
	check(t, s.cmd.Process.Kill())
	l.stop()
	s.waitForExit()
	before := snapshot(t, dir)
	if len(before["tokenwire.db-wal"]) == 0 {
		t.Fatal("the server has left no log")
	}
	execute(t, dir, nil, "doctor").want(t, 0)
	execute(t, dir, nil, "backup", filepath.Join(t.TempDir(), "b.db")).want(t, 0)
	after := snapshot(t, dir)
	for _, name := range []string{"tokenwire.db", "tokenwire.db-wal"} {
		if after[name] != before[name] {
			t.Errorf("%s is another than before", name)
		}
	}
}

// breakPage writes over the page that has the tokens.
func breakPage(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "tokenwire.db")
	db, err := sql.Open("sqlite", path)
	check(t, err)
	var page, size int
	err = db.QueryRowContext(t.Context(), `SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'tokens'`).Scan(&page, &size)
	check(t, errors.Join(err, db.Close()))
	content, err := os.ReadFile(path)
	check(t, err)
	copy(content[(page-1)*size+8:], strings.Repeat("\xff", 56))
	check(t, os.WriteFile(path, content, 0o600))
}
