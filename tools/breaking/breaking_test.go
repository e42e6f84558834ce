// Package breaking_test shows that breaking.sh tells a change that breaks clients from one that does not.
package breaking_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const document = `openapi: 3.0.3
info:
  title: test
  version: 1.0.0
paths:
  /things:
    get:
      operationId: get_things
      responses:
        "200":
          description: Things.
          content:
            application/json:
              schema:
                type: object
                required: [id, name]
                properties:
                  id: {type: string}
                  name: {type: string}
                  colour: {type: string}
    post:
      operationId: create_thing
      parameters:
        - {name: dry, in: query, schema: {type: boolean}}
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                title: {type: string}
                note: {type: string}
      responses:
        "204":
          description: It is there.
    delete:
      operationId: delete_things
      responses:
        "204":
          description: They are gone.
`

func TestBreaking(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what     string
		old, new string // what is replaced in the document
		breaks   bool
		says     string
	}{
		{"nothing", "", "", false, "Nothing breaks a client."},
		{"an added property", "required: [id, name]\n                properties:", "required: [id, name]\n                properties:\n                  size: {type: integer}", false, "size"},
		{"a removed property", "                  name: {type: string}\n", "", true, "name"},
		{"a removed optional property of an answer", "                  colour: {type: string}\n", "", true, "colour"},
		{"a removed optional property of a request", "                note: {type: string}\n", "", true, "note"},
		{"a removed parameter", "        - {name: dry, in: query, schema: {type: boolean}}\n", "        - {name: wet, in: query, schema: {type: boolean}}\n", true, "dry"},
		{"a property that is not promised any more", "required: [id, name]", "required: [id]", true, "name"},
		{"a removed operation", document[strings.Index(document, "    delete:"):], "", true, "DELETE"},
		{"a removed operation in a new major version", "1.0.0", "2.0.0", false, "new major number"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			dir := repository(t)
			changed := document
			if c.old != "" {
				changed = strings.Replace(changed, c.old, c.new, 1)
			}
			if c.new == "2.0.0" {
				changed = changed[:strings.Index(changed, "    delete:")]
			}
			write(t, dir, changed)
			output, err := run(t, dir, "HEAD")
			if (err != nil) != c.breaks || !strings.Contains(output, c.says) {
				t.Errorf("error %v, want one: %v; the output lacks %q:\n%s", err, c.breaks, c.says, output)
			}
		})
	}
}

// TestBase: the newest tag is what counts, then the version before this one; a revision that is given comes first.
func TestBase(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	if output, err := run(t, dir, ""); err != nil || !strings.Contains(output, "no earlier version") {
		t.Errorf("a first version: %v\n%s", err, output)
	}
	write(t, dir, strings.Replace(document, "                  name: {type: string}\n", "", 1))
	git(t, dir, "commit", "-qam", "break")
	if output, err := run(t, dir, ""); err == nil {
		t.Errorf("the commit that breaks was not compared with the one before:\n%s", output)
	}
	if output, err := run(t, dir, "HEAD"); err != nil {
		t.Errorf("compared with itself: %v\n%s", err, output)
	}
	git(t, dir, "tag", "v1")
	if output, err := run(t, dir, ""); err != nil {
		t.Errorf("compared with the tag: %v\n%s", err, output)
	}
	if _, err := run(t, dir, "nowhere"); err == nil {
		t.Error("a revision that does not exist is no failure")
	}
}

func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	write(t, dir, document)
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "first")
	return dir
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...)
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, output)
	}
}

func write(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "openapi.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir, base string) (string, error) {
	t.Helper()
	script, err := filepath.Abs("breaking.sh")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), script)
	if base != "" {
		command.Args = append(command.Args, base)
	}
	command.Dir = dir
	output, err := command.CombinedOutput()
	return string(output), err
}
