//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

func TestReplicas(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	for name, run := range map[string]func(t *testing.T, dsn string){
		"start together":         testStartTogether,
		"change the same trees":  testSameTrees,
		"hear of each other":     testNotify,
		"a clock that is behind": testClockBehind,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, cluster.NewDatabase(t))
		})
	}
}

// testStartTogether: the schema is made once, and so is the first project.
func testStartTogether(t *testing.T, dsn string) {
	t.Helper()
	var created atomic.Int32
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			db, err := postgres.Open(t.Context(), dsn)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = db.Close() }()
			project := store.Project{ID: uuid.New(), Name: "Default"}
			first, err := db.Bootstrap(t.Context(), project, newToken(project.ID, uuid.NewString()), store.Change{At: time.Now()})
			if err != nil {
				t.Error(err)
			}
			if first {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	if n := query(t, dsn, `SELECT count(*) FROM projects`); n != 1 || created.Load() != 1 {
		t.Errorf("there are %d projects, and %d processes have made the first one", n, created.Load())
	}
}

// testSameTrees lets two processes change everything in three trees at once. None may fail for any reason but that a token was
// changed by another, nobody may have waited for somebody who waited for them, and what is left must agree.
func testSameTrees(t *testing.T, dsn string) {
	t.Helper()
	stores := []*postgres.DB{open(t, dsn), open(t, dsn)}
	var roots []uuid.UUID
	var tokens [][]store.Token
	for range 3 {
		root := newProject(t, dsn)
		child := store.Project{ID: uuid.New(), ParentID: root.ID, Name: "Child"}
		if err := stores[0].CreateProject(t.Context(), child, nil, store.Change{At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		roots = append(roots, root.ID)
		var list []store.Token
		for i := range 8 {
			token := newToken([]uuid.UUID{root.ID, child.ID}[i%2], uuid.NewString())
			if err := stores[1].CreateToken(t.Context(), token, store.Change{At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			list = append(list, token)
		}
		tokens = append(tokens, list)
	}
	ctx := t.Context()
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for i := range 40 {
				db, tree := stores[rand.N(2)], rand.N(3)
				token := tokens[tree][rand.N(8)]
				change := store.Change{At: time.Now()}
				var err error
				switch rand.N(6) {
				case 0:
					err = db.CreateToken(ctx, newToken(token.ProjectID, uuid.NewString()), change)
				case 1:
					_, err = db.UpdateToken(ctx, roots[tree], token.ID, store.TokenUpdate{Name: new(strconv.Itoa(i))}, change)
				case 2:
					_, err = db.RotateToken(ctx, roots[tree], token.ID, store.Rotation{
						SecretHash: sha256.Sum256([]byte(uuid.NewString())), SealedSecret: []byte{2}, RetireAt: time.Now().Add(time.Duration(rand.N(2)) * time.Hour),
					}, change)
				case 3:
					err = db.DeleteToken(ctx, roots[tree], tokens[tree][7].ID, change)
				case 4:
					_, err = db.RenameProject(ctx, token.ProjectID, strconv.Itoa(i), change)
				case 5:
					err = db.RecordUse(ctx, map[uuid.UUID]time.Time{tokens[0][0].ID: time.Now(), tokens[1][1].ID: time.Now(), tokens[2][2].ID: time.Now(), token.ID: time.Now()})
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := query(t, dsn, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`); n != 0 {
		t.Errorf("%d times two transactions have waited for each other", n)
	}
	e, err := postgres.Examine(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	problems, err := e.Invariants(t.Context())
	if err := errors.Join(err, e.Close()); err != nil || len(problems) > 0 {
		t.Errorf("what is left: %v, %v", problems, err)
	}
}

// testNotify: what changes how a token authenticates is heard, and what does not is not; a connection that is lost is replaced.
func testNotify(t *testing.T, dsn string) {
	t.Helper()
	here, there := open(t, dsn), open(t, dsn)
	project := newProject(t, dsn)
	changed, missed := make(chan uuid.UUID, 1000), make(chan struct{}, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		here.Notify(ctx, func(tokens []uuid.UUID) {
			for _, token := range tokens {
				changed <- token
			}
		}, func() { missed <- struct{}{} })
	}()
	<-missed // it listens
	token := newToken(project.ID, "token")
	change := store.Change{At: time.Now()}
	expiry := time.Now().Add(time.Hour)
	steps := []func() error{
		func() error {
			_, err := there.UpdateToken(t.Context(), project.ID, token.ID, store.TokenUpdate{ExpiresAt: &expiry}, change)
			return err
		},
		func() error {
			_, err := there.UpdateToken(t.Context(), project.ID, token.ID, store.TokenUpdate{Permissions: &[]string{"fax"}}, change)
			return err
		},
		func() error {
			_, err := there.RotateToken(t.Context(), project.ID, token.ID, store.Rotation{SecretHash: sha256.Sum256([]byte("new")), SealedSecret: []byte{1}}, change)
			return err
		},
		func() error { return there.DeleteToken(t.Context(), project.ID, token.ID, change) },
	}
	if err := there.CreateToken(t.Context(), token, change); err != nil {
		t.Fatal(err)
	}
	if _, err := there.UpdateToken(t.Context(), project.ID, token.ID, store.TokenUpdate{Name: new("name")}, change); err != nil {
		t.Fatal(err)
	}
	for i, step := range steps {
		if i == 1 {
			query(t, dsn, terminate)
			<-missed // it is lost
			<-missed // and listens again
		}
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if heard := <-changed; heard != token.ID {
			t.Errorf("step %d: heard of %v, want %v", i, heard, token.ID)
		}
	}
	if len(changed) > 0 {
		t.Error("heard of something that has not changed")
	}
	cancel()
	<-ended
}

// testClockBehind: events stay in the order in which they were made when the process that makes the later one has a clock that is
// behind that of the earlier one's.
func testClockBehind(t *testing.T, dsn string) {
	t.Helper()
	db, project := open(t, dsn), newProject(t, dsn)
	ahead := uuid.Must(uuid.NewV7())
	ahead[0]++ // some years
	postgrestest.Exec(t, dsn, `INSERT INTO audit_events (id, at, action, root_id, project_id, address, request_id, changes)
		SELECT '`+ahead.String()+`', at + 1000000000, 'account.updated', root_id, project_id, '', '', '{}' FROM audit_events WHERE project_id = '`+project.ID.String()+`'`)
	for range 3 {
		if _, err := db.RenameProject(t.Context(), project.ID, "renamed", store.Change{At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	events, err := db.AuditEvents(t.Context(), store.AuditQuery{Account: project.ID, Page: store.Page{Limit: 10}})
	if err != nil || len(events) != 5 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if events[3].ID != ahead || events[0].At.Before(events[3].At) {
		t.Errorf("the event of the clock that was ahead is not behind those that came later: %v", events)
	}
}

func TestAfter(t *testing.T) {
	t.Parallel()
	latest := uuid.MustParse("01a20aec-ac43-7ffd-bfff-ffffffffffff")
	for range 5 { // over the end of the fraction and into the milliseconds
		earlier := uuid.MustParse("01000000-0000-7000-8000-" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12])
		next := postgres.After(latest, earlier)
		if bytes.Compare(next[:], latest[:]) <= 0 || next.Version() != 7 || next.Variant() != uuid.RFC4122 || next[15] != earlier[15] {
			t.Errorf("after %v comes %v", latest, next)
		}
		latest = next
	}
	if later := uuid.MustParse("02a20aec-ac43-7ffd-bfff-ffffffffffff"); postgres.After(latest, later) != later {
		t.Error("an id that is greater is changed")
	}
	if end := uuid.MustParse("01a20aec-acff-7fff-bfff-ffffffffffff"); postgres.After(end, latest).String()[:18] != "01a20aec-ad00-7000" {
		t.Errorf("after %v comes %v", end, postgres.After(end, latest))
	}
}
