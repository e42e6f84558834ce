package main

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// keysOn returns what keyset show says, and makes sure that it shows no key material.
func keysOn(t *testing.T, dir string, flags ...string) []keyJSON {
	t.Helper()
	printed := execute(t, dir, nil, append([]string{"keyset", "show", "--json"}, flags...)...).want(t, 0)
	var keys []keyJSON
	check(t, json.Unmarshal([]byte(printed.stdout), &keys))
	return keys
}

// wantSealed makes sure that everything is sealed with the key that seals.
func wantSealed(t *testing.T, dir string, flags ...string) {
	t.Helper()
	for _, key := range keysOn(t, dir, flags...) {
		if key.State != "seals" && key.Secrets+key.Answers > 0 {
			t.Errorf("key %d, which is %s, has sealed %d secrets and %d answers", key.ID, key.State, key.Secrets, key.Answers)
		}
	}
}

// keysets returns the files of the only keyset in a folder: its own, and what a command has left beside it that was killed.
func keysets(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.keyset*"))
	check(t, err)
	return files
}

// leaveKeyset leaves what a command leaves that is killed before it can put the new keyset in the place of the old one.
func leaveKeyset(t *testing.T, dir string) {
	t.Helper()
	content, err := os.ReadFile(keysets(t, dir)[0])
	check(t, err)
	check(t, os.WriteFile(keysets(t, dir)[0]+"."+uuid.NewString(), content, 0o600))
}

func wantOneKeyset(t *testing.T, dir string) {
	t.Helper()
	if files := keysets(t, dir); len(files) != 1 {
		t.Errorf("there is %v, want a keyset alone", files)
	}
}

// nextPage returns the link to the second page of the list of tokens.
func nextPage(t *testing.T, url string) string {
	t.Helper()
	var page struct {
		Next string `json:"next_page_uri"`
	}
	response := requestAs(t, url+"/api/laml/2010-04-01/Accounts/"+firstProject+"/tokens?PageSize=1")
	defer func() { _ = response.Body.Close() }()
	check(t, json.NewDecoder(response.Body).Decode(&page))
	if page.Next == "" {
		t.Fatal("there is no second page")
	}
	return page.Next
}

func getAs(t *testing.T, url string) int {
	t.Helper()
	response := requestAs(t, url)
	check(t, response.Body.Close())
	return response.StatusCode
}

func requestAs(t *testing.T, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	check(t, err)
	request.SetBasicAuth(firstProject, firstToken)
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	return response
}

// fill adds tokens to a closed database, and returns their secrets.
func fill(t *testing.T, dir string, tokens int) map[uuid.UUID]secret.Secret {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "tokenwire.db"))
	check(t, err)
	defer func() { check(t, db.Close()) }()
	keyset, err := secret.KeysetFor(t.Context(), db, filepath.Join(dir, "tokenwire.db.keyset"))
	check(t, err)
	projects, err := allProjects(t.Context(), db)
	check(t, err)
	secrets := make(map[uuid.UUID]secret.Secret)
	var wg sync.WaitGroup
	for range tokens {
		id, plain := uuid.New(), secret.New()
		secrets[id] = plain
		wg.Go(func() {
			sealed, err := keyset.Seal(id, plain)
			if err == nil {
				err = db.CreateToken(t.Context(), store.Token{ID: id, Name: "One of many", ProjectID: projects[0].ID, SecretHash: plain.Hash(), SealedSecret: sealed}, store.Change{})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return secrets
}

// wantSecrets opens every secret of a database, and compares it with what it was.
func wantSecrets(t *testing.T, dir string, want map[uuid.UUID]secret.Secret) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "tokenwire.db"))
	check(t, err)
	defer func() { check(t, db.Close()) }()
	keyset, err := secret.KeysetFor(t.Context(), db, filepath.Join(dir, "tokenwire.db.keyset"))
	check(t, err)
	found, err := db.SealedSecrets(t.Context(), uuid.Nil, 2*len(want)+10)
	check(t, err)
	opened := 0
	for _, s := range found {
		plain, err := keyset.Open(s.TokenID, s.Sealed)
		check(t, err)
		if expected, ok := want[s.TokenID]; ok {
			opened++
			if plain != expected {
				t.Errorf("token %s has another secret", s.TokenID)
			}
		}
	}
	if opened != len(want) {
		t.Errorf("%d secrets open, want %d", opened, len(want))
	}
}

// TestKeysetRotateKilled: a rotation that is killed at any moment has lost nothing, and the next one finishes it.
func TestKeysetRotateKilled(t *testing.T) {
	t.Parallel()
	dir := closedDatabase(t)
	secrets := fill(t, dir, 4000)
	inTheMiddle := 0
	for i := range 8 {
		cmd := command(t, dir, nil, "keyset", "rotate")
		stdout, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		tenths := rand.IntN(12)
		for lines := bufio.NewScanner(stdout); tenths > 0 && lines.Scan(); { // killed at a line that is chosen; the first is before the first batch
			if strings.HasPrefix(lines.Text(), "Key ") || strings.HasPrefix(lines.Text(), "sealing again") {
				tenths--
			}
		}
		check(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		used := 0
		for _, key := range keysOn(t, dir) {
			if key.State == "missing" {
				t.Fatalf("after kill %d, key %d has sealed secrets and is gone", i, key.ID)
			}
			if key.Secrets > 0 {
				used++
			}
		}
		if used > 1 {
			inTheMiddle++
			printed := execute(t, dir, nil, "doctor").want(t, 0)
			if !strings.Contains(printed.stdout, "tokenwire keyset rotate seals the rest") {
				t.Errorf("doctor does not tell that a rotation has not ended:\n%s", printed.stdout)
			}
		}
		if used > 2 {
			t.Errorf("after kill %d, %d keys are in use: a rotation that was begun must be finished first", i, used)
		}
		wantSecrets(t, dir, secrets)
	}
	if inTheMiddle == 0 {
		t.Error("no rotation was killed in its middle")
	}
	execute(t, dir, nil, "keyset", "rotate").want(t, 0)
	wantSealed(t, dir)
	saved := filepath.Join(dir, "old.keyset")
	execute(t, dir, nil, "keyset", "prune", "--save-as", saved).want(t, 0)
	wantSecrets(t, dir, secrets)
	if info, err := os.Stat(saved); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the saved keyset has mode %v (%v)", info.Mode(), err)
	}
}

// TestKeysetCopies: servers with a keyset file of their own go on without a restart if the key is added there first, and refuse
// to seal without it.
func TestKeysetCopies(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	s := serve(t, dir, "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
	original, copied := filepath.Join(dir, "tokenwire.db.keyset"), filepath.Join(other, "keyset")
	copyKeyset := func() {
		content, err := os.ReadFile(original)
		check(t, err)
		check(t, os.WriteFile(copied, content, 0o600))
	}
	copyKeyset()
	replica := serve(t, dir, "--keyset", copied)
	c, err := client.New(firstProject, firstToken, client.WithBaseURL(replica.url), client.WithRetries(0))
	check(t, err)
	create := func() error {
		_, err := c.CreateToken(t.Context(), client.CreateTokenParams{Name: "Replica", Permissions: []client.Permission{client.PermissionFax}})
		return err
	}
	for range 2 {
		printed := execute(t, dir, nil, "keyset", "rotate", "--add-only").want(t, 0)
		if !strings.Contains(printed.stdout, "seals nothing yet") {
			t.Errorf("rotate --add-only printed %q", printed.stdout)
		}
	}
	if keys := keysOn(t, dir); len(keys) != 2 || keys[0].State != "seals" || keys[1].State != "new" {
		t.Errorf("after rotate --add-only the keys are %+v", keys)
	}
	refused := execute(t, dir, nil, "keyset", "prune", "--discard").want(t, 1)
	if !strings.Contains(refused.stderr, "does not seal yet") {
		t.Errorf("prune before the rotation: %q", refused.stderr)
	}
	check(t, create())
	execute(t, dir, nil, "keyset", "rotate").want(t, 0)
	if err := create(); err == nil || !strings.Contains(err.Error(), strconv.Itoa(http.StatusServiceUnavailable)) {
		t.Errorf("a server without the key creates a token: %v, want 503", err)
	}
	copyKeyset()
	check(t, create())
	wantSealed(t, dir)
	replica.stop(t)
	s.stop(t)
}

func TestKeysetCommandRefusals(t *testing.T) {
	t.Parallel()
	twoKeys := func(t *testing.T, dir string) {
		t.Helper()
		execute(t, dir, nil, "keyset", "rotate").want(t, 0)
	}
	swapSecrets := statements(`UPDATE tokens SET sealed_secret = (SELECT sealed_secret FROM tokens AS other WHERE other.id <> tokens.id)`)
	for name, c := range map[string]struct {
		prepare func(*testing.T, string)
		args    string
		code    int
		want    string
	}{
		"without a database": {nothing, "keyset rotate --db none.db", 1, "there is no database"},
		"without a keyset":   {nothing, "keyset rotate --keyset none", 1, "there is no keyset none"},
		"a broken secret":    {swapSecrets, "keyset rotate", 1, "nothing was changed, see tokenwire doctor"},
		"a broken secret, and the old key": {func(t *testing.T, dir string) {
			t.Helper()
			twoKeys(t, dir)
			swapSecrets(t, dir)
		}, "keyset prune --discard", 1, "the keyset does not fit; nothing was removed, see tokenwire doctor"},
		"a secret that the old key has sealed": {func(t *testing.T, dir string) {
			t.Helper()
			statements(`CREATE TABLE kept AS SELECT id, sealed_secret FROM tokens`)(t, dir)
			twoKeys(t, dir)
			statements(`UPDATE tokens SET sealed_secret = (SELECT sealed_secret FROM kept WHERE kept.id = tokens.id)`, `DROP TABLE kept`)(t, dir)
		}, "keyset prune --discard", 1, "and nothing was removed; run tokenwire keyset rotate"},
		"no word about the copy": {twoKeys, "keyset prune", 2, "keyset prune: give --save-as=FILE or --discard"},
		"two words about it":     {twoKeys, "keyset prune --discard --save-as x", 2, "can't be used together"},
		"a copy over a file":     {twoKeys, "keyset prune --save-as tokenwire.db", 1, "tokenwire.db: file already exists; move it away first, or choose another name"},
		"a copy over the last one": {func(t *testing.T, dir string) {
			t.Helper()
			for _, args := range []string{"keyset rotate", "keyset prune --save-as old.keyset", "keyset rotate"} {
				execute(t, dir, nil, strings.Fields(args)...).want(t, 0)
			}
		}, "keyset prune --save-as old.keyset", 1, "old.keyset: file already exists; move it away first, or choose another name"},
		"a copy in no folder": {twoKeys, "keyset prune --save-as none/x", 1, "none/x: no such file or directory; create the directory"},
		"what the old key has sealed": {func(t *testing.T, dir string) {
			t.Helper()
			content, err := os.ReadFile(filepath.Join(dir, "tokenwire.db"))
			check(t, err)
			twoKeys(t, dir)
			check(t, os.WriteFile(filepath.Join(dir, "tokenwire.db"), content, 0o600)) // an older backup, in effect
		}, "keyset prune --discard", 1, "does not seal yet"},
		"while another is at it": {func(t *testing.T, dir string) {
			t.Helper()
			e, err := secret.EditKeyset(filepath.Join(dir, "tokenwire.db.keyset"))
			check(t, err)
			t.Cleanup(func() { _ = e.Close() })
		}, "keyset rotate", 1, "another command is changing this keyset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := closedDatabase(t)
			c.prepare(t, dir)
			keyset, err := os.ReadFile(filepath.Join(dir, "tokenwire.db.keyset"))
			check(t, err)
			got := execute(t, dir, nil, strings.Fields(c.args)...).want(t, c.code)
			if !strings.Contains(got.stderr, c.want) {
				t.Errorf("stderr %q, want %q", got.stderr, c.want)
			}
			after, err := os.ReadFile(filepath.Join(dir, "tokenwire.db.keyset"))
			check(t, err)
			if string(after) != string(keyset) {
				t.Error("the keyset was changed")
			}
		})
	}
}

// TestPruneUsage: the usage does not ask for both of what excludes each other.
func TestPruneUsage(t *testing.T) {
	t.Parallel()
	help := execute(t, t.TempDir(), nil, "keyset", "prune", "--help").want(t, 0).stdout
	usage, _, _ := strings.Cut(help, "\n")
	if usage != "Usage: tokenwire keyset prune [flags]" || !strings.Contains(help, "Give --save-as=FILE or --discard") {
		t.Error(help)
	}
}

// TestKeysetAndBackups: a backup from before a rotation works with the rotated keyset, and after the pruning with the saved one.
func TestKeysetAndBackups(t *testing.T) {
	t.Parallel()
	dir := closedDatabase(t)
	backup(t, dir)
	execute(t, dir, nil, "keyset", "rotate").want(t, 0)
	for _, args := range []string{
		"restore b.db --db kept.db --keyset tokenwire.db.keyset", "doctor --db kept.db --keyset tokenwire.db.keyset",
		"project create --name New --db kept.db --keyset tokenwire.db.keyset", "doctor --db kept.db --keyset tokenwire.db.keyset",
		"keyset prune --save-as old.keyset", "doctor",
		"restore b.db --db old.db --keyset old.keyset", "doctor --db old.db --keyset old.keyset",
	} {
		execute(t, dir, nil, strings.Fields(args)...).want(t, 0)
	}
	refused := execute(t, dir, nil, "restore", "b.db", "--db", "new.db", "--keyset", "tokenwire.db.keyset").want(t, 1)
	if !strings.Contains(refused.stderr, "is not the keyset of this database") {
		t.Errorf("restore with a pruned keyset: %q", refused.stderr)
	}
}
