package postgres_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMigrationsOnlyAdd holds each migration against what a program of an earlier version does in the same database at the same time:
// it knows nothing of what is new, and finds everything else as it was.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no migrations: %v", err)
	}
	slices.Sort(files)
	var a additions
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range a.check(string(text)) {
			t.Errorf("%s: %s", file, problem)
		}
	}
}

func TestMigrationsOnlyAddCanFail(t *testing.T) {
	t.Parallel()
	const before = `-- +goose Up
		CREATE TABLE projects (id uuid NOT NULL PRIMARY KEY);
		CREATE TABLE tokens (id uuid NOT NULL PRIMARY KEY, name text NOT NULL, project uuid REFERENCES projects (id));`
	for _, one := range []struct {
		next string
		bad  bool
	}{
		{`ALTER TABLE tokens ADD COLUMN note text;`, false},
		{`ALTER TABLE tokens ADD note text COLLATE "C";`, false},
		{`ALTER TABLE tokens ADD COLUMN uses bigint NOT NULL DEFAULT 0;`, false},
		{`ALTER TABLE tokens ADD COLUMN a text, ADD COLUMN b numeric(10, 2) DEFAULT 1;`, false},
		{`CREATE INDEX tokens_name ON tokens (name); -- DROP TABLE tokens`, false},
		{`CREATE TABLE notes (id uuid NOT NULL REFERENCES tokens (id) ON DELETE CASCADE); CREATE UNIQUE INDEX notes_id ON notes (id); ALTER TABLE notes ADD CHECK (true);`, false},
		{`CREATE TABLE "Notes" (text text DEFAULT 'a; DROP TABLE tokens;');`, false},
		{"-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN RETURN NEW; END\n$$;\n-- +goose StatementEnd", false},
		{"-- +goose Down\nDROP TABLE tokens;", false},
		{`CREATE TABLE notes (project uuid REFERENCES projects (id), other uuid REFERENCES notes);`, false},

		{`CREATE TABLE notes (project uuid REFERENCES projects (id), token uuid REFERENCES tokens (id));`, true},
		{`DROP TABLE tokens;`, true},
		{`drop index tokens_name;`, true},
		{`ALTER TABLE tokens DROP COLUMN name;`, true},
		{`ALTER TABLE tokens ADD COLUMN note text, DROP COLUMN name;`, true},
		{`ALTER TABLE tokens ALTER COLUMN name TYPE bytea USING name::bytea;`, true},
		{`ALTER TABLE tokens ALTER COLUMN name SET NOT NULL;`, true},
		{`ALTER TABLE tokens RENAME COLUMN name TO label;`, true},
		{`ALTER TABLE tokens RENAME TO keys;`, true},
		{`ALTER TABLE ONLY public.tokens ADD COLUMN note text NOT NULL;`, true},
		{`ALTER TABLE tokens ADD COLUMN note text UNIQUE;`, true},
		{`ALTER TABLE tokens ADD COLUMN note text DEFAULT 'x' CHECK (note = name);`, true},
		{`ALTER TABLE tokens ADD COLUMN note uuid REFERENCES tokens (id);`, true},
		{`ALTER TABLE tokens ADD CONSTRAINT short CHECK (length(name) < 10);`, true},
		{`ALTER TABLE tokens ADD UNIQUE (name);`, true},
		{`CREATE UNIQUE INDEX tokens_name ON tokens (name);`, true},
		{`CREATE TRIGGER t BEFORE INSERT ON tokens EXECUTE FUNCTION f();`, true},
		{`CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE sql AS $$ DROP TABLE tokens; $$;`, true},
		{`UPDATE tokens SET name = 'x';`, true},
		{`DELETE FROM tokens;`, true},
		{`TRUNCATE tokens;`, true},
		{`DO $$ BEGIN EXECUTE 'DROP TABLE tokens'; END $$;`, true},
		{"/* CREATE TABLE x */ DROP TABLE tokens;", true},
		{"CREATE TABLE x (a text DEFAULT '--');\nDROP TABLE tokens;", true},
		{"-- +goose Down\nSELECT 1;\n-- +goose Up\nDROP TABLE tokens;", true},
		{`DROP TABLE tokens`, true},
	} {
		var a additions
		if problems := a.check(before); len(problems) > 0 {
			t.Fatal(problems)
		}
		if problems := a.check("-- +goose Up\n" + one.next); len(problems) > 0 != one.bad {
			t.Errorf("%s\nfound %q", one.next, problems)
		}
	}
}

// additions knows the tables of the migrations that it has checked.
type additions struct{ tables []string }

const aName = `(?:only )?(?:if not exists )?(?:public\.)?("[^"]+"|\w+)`

var (
	down = regexp.MustCompile(`(?s)-- \+goose Down\b.*?(-- \+goose Up\b|$)`)
	// noise is comments, or a text whose content does not matter.
	noise = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\$(\w*)\$.*?\$(\w*)\$`)

	createTable  = regexp.MustCompile(`^create table ` + aName + ` ?\(`)
	createIndex  = regexp.MustCompile(`^create index (?:concurrently )?(?:if not exists )?\w+ on `)
	createUnique = regexp.MustCompile(`^create unique index (?:if not exists )?\w+ on ` + aName)
	createOther  = regexp.MustCompile(`^(?:create function|create sequence|create type|comment on) `)
	trigger      = regexp.MustCompile(`^create trigger \w+ .*? on ` + aName)
	alterTable   = regexp.MustCompile(`^alter table ` + aName + ` (.*)$`)
	fill         = regexp.MustCompile(`^insert into ` + aName)
	addColumn    = regexp.MustCompile(`^add (?:column )?(?:if not exists )?("[^"]+"|\w+) [a-z]`)
	noColumn     = regexp.MustCompile(`^add (?:constraint|check|unique|primary|foreign|exclude)\b`)
	reference    = regexp.MustCompile(`\breferences ` + aName + `(?: ?\([^)]*\))?( on delete (?:cascade|set null))?`)
	binding      = regexp.MustCompile(`\b(?:check|unique|references|primary key|generated)\b`)
)

// check returns what of a migration does more than add, or is not known to do no more.
func (a *additions) check(migration string) []string {
	var problems, made []string
	text := noise.ReplaceAllStringFunc(down.ReplaceAllString(migration, "$1"), func(part string) string {
		if strings.HasPrefix(part, "-") || strings.HasPrefix(part, "/") {
			return " "
		}
		return "''"
	})
	for statement := range strings.SplitSeq(text, ";") {
		statement = strings.ToLower(strings.Join(strings.Fields(statement), " "))
		if statement == "" {
			continue
		}
		if match := createTable.FindStringSubmatch(statement); match != nil && !slices.Contains(a.tables, match[1]) {
			made = append(made, match[1])
			problems = append(problems, a.chains(statement)...)
		} else if why := harm(statement, made); why != "" {
			problems = append(problems, fmt.Sprintf("%s: %s", statement, why))
		}
	}
	a.tables = append(a.tables, made...)
	return problems
}

// chains returns what a new table keeps an earlier version from deleting. Projects are never deleted.
func (a *additions) chains(statement string) []string {
	var problems []string
	for _, match := range reference.FindAllStringSubmatch(statement, -1) {
		if match[1] != "projects" && match[2] == "" && slices.Contains(a.tables, match[1]) {
			problems = append(problems, fmt.Sprintf("%s: an earlier version could not delete from %s any more", statement, match[1]))
		}
	}
	return problems
}

// harm says what is wrong with a statement. What it does to a table of the same migration does not matter: nobody else knows that one.
func harm(statement string, made []string) string {
	for _, kind := range []*regexp.Regexp{createUnique, trigger, fill, alterTable} {
		match := kind.FindStringSubmatch(statement)
		if match == nil {
			continue
		}
		if slices.Contains(made, match[1]) {
			return ""
		}
		if kind == alterTable {
			return harmOfActions(match[2])
		}
		return "it binds or changes a table that an earlier version writes to"
	}
	if createIndex.MatchString(statement) || createOther.MatchString(statement) {
		return ""
	}
	return "it is not known only to add"
}

func harmOfActions(actions string) string {
	for _, action := range splitOutside(actions) {
		action = strings.TrimSpace(action)
		switch {
		case noColumn.MatchString(action) || !addColumn.MatchString(action):
			return "it does more to a table than to add a column"
		case binding.MatchString(action):
			return "an earlier version does not know what binds the column"
		case strings.Contains(action, "not null") && !strings.Contains(action, " default "):
			return "an earlier version gives the column no value"
		}
	}
	return ""
}

// splitOutside splits at the commas outside parentheses.
func splitOutside(text string) []string {
	depth := 0
	return strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		return r == ',' && depth == 0
	})
}
