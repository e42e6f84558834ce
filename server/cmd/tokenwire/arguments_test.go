package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestArgumentAtFault: what is wrong with a file is said together with the argument that has named it, and with what mends it.
func TestArgumentAtFault(t *testing.T) {
	t.Parallel()
	original := snapshot(t, closedDatabase(t))
	for name, c := range map[string]struct{ args, want string }{
		"restore nothing":          {"restore none.db --db new.db", "there is no backup none.db; name one as <FILE>"},
		"restore a text":           {"restore text --db new.db --keyset tokenwire.db.keyset", "text is not an SQLite database; choose another <FILE>"},
		"restore a folder":         {"restore . --db new.db --keyset tokenwire.db.keyset", " is a directory, and no ordinary file; choose another <FILE>"},
		"restore damage":           {"restore damaged.db --db new.db --keyset tokenwire.db.keyset", "malformed (11); restore a sound backup, or choose another <FILE>"},
		"restore into no folder":   {"restore tokenwire.db --db none/new.db --keyset tokenwire.db.keyset", "none/new.db: no such file or directory; create the directory, or choose another path with --db"},
		"back up into no folder":   {"backup none/b.db", "none/b.db: no such file or directory; create the directory, or choose another <FILE>"},
		"back up into a file":      {"backup text/b.db", "text/b.db: not a directory; choose another <FILE>"},
		"back up a text":           {"backup b.db --db text", "text is not an SQLite database; choose another path with --db"},
		"back up nothing":          {"backup b.db --db none.db", "there is no database none.db; name it with --db"},
		"copy nothing":             {"copy --from none.db --to postgres://127.0.0.1:1/x", "there is no database none.db; name it with --from\n"},
		"copy a text":              {"copy --from text --to postgres://127.0.0.1:1/x --keyset tokenwire.db.keyset", "text is not an SQLite database; choose another path with --from"},
		"copy damage":              {"copy --from damaged.db --to postgres://127.0.0.1:1/x --keyset tokenwire.db.keyset", "restore a sound backup, or choose another path with --from"},
		"serve in no folder":       {"serve --addr 127.0.0.1:0 --db none/x.db", "none/x.db: no such file or directory; create the directory, or choose another path with --db"},
		"serve a text":             {"serve --addr 127.0.0.1:0 --db text", "text is not an SQLite database; choose another path with --db"},
		"serve damage":             {"serve --addr 127.0.0.1:0 --db damaged.db", "damaged.db is damaged: database disk image is malformed (11); restore a sound backup, or choose another path with --db"},
		"keyset in no folder":      {"serve --addr 127.0.0.1:0 --db new.db --keyset none/x", "none/x: no such file or directory; create the directory, or choose another file with --keyset"},
		"project in no folder":     {"project create --create-database --name x --db none/x.db", "create the directory, or choose another path with --db"},
		"projects of a text":       {"project list --db text", "choose another path with --db"},
		"keys of damage":           {"keyset show --db damaged.db", "damaged.db is damaged: "},
		"keyset of another folder": {"keyset rotate --keyset none/x", "there is no keyset none/x: put the one of this database there, or name it with --keyset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := withDamage(t, original)
			before := snapshot(t, dir)
			got := executeSoon(t, dir, strings.Fields(c.args)...).want(t, 1)
			if !strings.Contains(last(got.stderr), c.want) {
				t.Errorf("stderr %q, want %q", got.stderr, c.want)
			}
			if regexp.MustCompile(`\.[0-9a-f]{8}-[0-9a-f]{4}-`).MatchString(got.stderr) {
				t.Errorf("stderr %q names a temporary file", got.stderr)
			}
			if after := snapshot(t, dir); fmt.Sprint(after) != fmt.Sprint(before) && !strings.Contains(c.args, "new.db --keyset none/x") {
				t.Error("it has changed or left files")
			}
		})
	}
}

// withDamage returns a folder with a sound database, one whose first page was overwritten behind its header, and a text.
func withDamage(t *testing.T, original map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range original {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	page := original["tokenwire.db"]
	damaged := page[:100] + strings.Repeat("\xff", 3996) + page[4096:]
	check(t, errors.Join(
		os.WriteFile(filepath.Join(dir, "damaged.db"), []byte(damaged), 0o600),
		os.WriteFile(filepath.Join(dir, "damaged.db.keyset"), []byte(original["tokenwire.db.keyset"]), 0o600),
		os.WriteFile(filepath.Join(dir, "text"), []byte("some text"), 0o600),
	))
	return dir
}

// last returns the last line.
func last(text string) string {
	lines := strings.SplitAfter(text, "\n")
	return lines[max(0, len(lines)-2)]
}
