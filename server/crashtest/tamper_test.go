package crashtest_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/client"
)

// scene is a server that was killed, and what must be there: one worker with three tokens. Plain was updated, turned was
// rotated twice, without a grace and with one, and fresh is as it was made.
type scene struct {
	site                 site
	world                *world
	worker               *worker
	plain, turned, fresh *token
}

// checksCanFail makes a killed server's files, or what must be there, wrong in one way, and wants exactly that to be found.
func checksCanFail(t *testing.T, program string) {
	t.Helper()
	killed := play(t, site{program: program, dir: t.TempDir()})
	for _, slip := range slips() {
		t.Run(slip.what, func(t *testing.T) {
			t.Parallel()
			s := killed.copied(t)
			for _, statement := range slip.files {
				s.execute(t, statement)
			}
			if slip.model != nil {
				slip.model(s)
			}
			c := s.site.start(t)
			_, problems := compare(s.world, observe(t, c, s.world, true))
			c.kill()
			if found := strings.Join(problems, "\n"); found != "" && slip.want == "" || !strings.Contains(found, slip.want) {
				t.Errorf("found %q, want %q", found, slip.want)
			}
		})
	}
	t.Run("a page is overwritten", func(t *testing.T) {
		t.Parallel()
		s := killed.copied(t)
		s.overwrite(t, "audit_events_token")
		wantDamage(t, s.site, "damaged file: ")
	})
	t.Run("a row has lost its parent", func(t *testing.T) {
		t.Parallel()
		s := killed.copied(t)
		s.execute(t, `INSERT INTO retired_secrets VALUES (:over, :new_id, 0)`)
		wantDamage(t, s.site, "row without its parent in retired_secrets, which refers to tokens")
	})
}

func wantDamage(t *testing.T, s site, want string) {
	t.Helper()
	if found := strings.Join(s.damage(t), "\n"); !strings.Contains(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
}

// play makes the tokens and kills the server.
func play(t *testing.T, on site) *scene {
	t.Helper()
	w := &worker{name: "w"}
	s := &scene{site: on, world: &world{workers: []*worker{w}}, worker: w}
	c := on.start(t)
	do := func(action string, of *token, after state, grace time.Duration) *token {
		w.pending = &change{action: action, token: of, after: after, grace: grace}
		must(t, w.send(t.Context(), c.as(t, adminSecret), nil))
		w.pending = nil
		return w.tokens[len(w.tokens)-1]
	}
	permissions := []client.Permission{client.PermissionChat, client.PermissionManagement}
	s.plain = do(created, nil, state{name: "early", permissions: permissions}, 0)
	do(updated, s.plain, state{
		name: "plain", permissions: permissions, secret: s.plain.secret, expiresAt: time.Now().Add(time.Hour).UTC().Truncate(time.Second),
	}, 0)
	s.turned = do(created, nil, state{name: "turned", permissions: permissions}, 0)
	do(rotated, s.turned, s.turned.state, 0)
	do(rotated, s.turned, s.turned.state, time.Hour)
	s.fresh = do(created, nil, s.creation().after, 0)
	seen := observe(t, c, s.world, false)
	s.world.newest = seen.newest
	c.kill()
	report(t, on.damage(t))
	return s
}

// copied returns the scene with files, and tokens, of its own.
func (s *scene) copied(t *testing.T) *scene {
	t.Helper()
	w := &worker{name: s.worker.name, tokens: cloned(s.worker.tokens)}
	return &scene{
		site: s.site.copyTo(t, t.TempDir()), world: &world{workers: []*worker{w}, newest: s.world.newest}, worker: w,
		plain: w.tokens[0], turned: w.tokens[1], fresh: w.tokens[2],
	}
}

func cloned(tokens []*token) []*token {
	copies := make([]*token, len(tokens))
	for i, t := range tokens {
		next := *t
		copies[i] = &next
	}
	return copies
}

func (s *scene) forget(t *token) {
	s.worker.tokens = slices.DeleteFunc(s.worker.tokens, func(other *token) bool { return other == t })
}

// execute runs a statement with its words replaced: ids, :over for the hash of the secret that was retired without a grace,
// :new_id for the id of a later event, and :in_flight for what the audit trail has about the update.
func (s *scene) execute(t *testing.T, statement string) {
	t.Helper()
	db := s.site.open(t)
	defer func() { _ = db.Close() }()
	changes, err := json.Marshal(s.update().event(s.plain.state).Changes)
	must(t, err)
	later, err := uuid.NewV7()
	must(t, err)
	blob := func(bytes []byte) string { return fmt.Sprintf("x'%x'", bytes) }
	id := func(text string) string { parsed := uuid.MustParse(text); return blob(parsed[:]) }
	hash := sha256.Sum256([]byte(s.turned.retired[0].secret))
	_, err = db.ExecContext(t.Context(), strings.NewReplacer(
		":plain", id(s.plain.id), ":turned", id(s.turned.id), ":fresh", id(s.fresh.id), ":over", blob(hash[:]),
		":new_id", blob(later[:]), ":in_flight", "'"+string(changes)+"'",
	).Replace(statement))
	must(t, err)
}

// overwrite destroys the first page of an index.
func (s *scene) overwrite(t *testing.T, index string) {
	t.Helper()
	db := s.site.open(t)
	var page, size int64
	err := db.QueryRowContext(t.Context(), `SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = ?`, index).Scan(&page, &size)
	must(t, err)
	must(t, db.Close()) // which moves the journal into the file
	file, err := os.OpenFile(s.site.database(), os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteAt(make([]byte, size), (page-1)*size)
	must(t, err)
	must(t, file.Close())
}
