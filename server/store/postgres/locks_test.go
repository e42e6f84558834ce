//go:build unix

package postgres_test

import (
	"context"
	"crypto/sha256"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// patient is for those who hold locks on purpose: a slow machine must not let the server end them.
const patient = "&statement_timeout=0&lock_timeout=0&idle_in_transaction_session_timeout=0"

// TestLocks: what another connection holds is waited for, and what two wait for each other is made in the end.
func TestLocks(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	for name, run := range map[string]func(t *testing.T, dsn string){
		"the first project is made by one": testBootstrapWaits,
		"the use of tokens waits":          testUseWaits,
		"sealing again waits for a change": testResealWaits,
		"a deadlock is no caller's affair": testDeadlock,
		"expired answers go with a change": testPurge,
		"who waits holds up nobody else":   testWaitsAlone,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, cluster.NewDatabase(t)+patient)
		})
	}
}

// other is a connection that takes locks.
type other struct{ *pgx.Conn }

func connectOther(t *testing.T, dsn string) other {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return other{c}
}

func (o other) exec(t *testing.T, text string, args ...any) {
	t.Helper()
	if _, err := o.Exec(t.Context(), text, args...); err != nil {
		t.Fatal(err)
	}
}

const waitForLocks = `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`

// waits returns when so many wait for a lock, or when a call has ended that should have.
func waits(t *testing.T, dsn string, n int, ended *atomic.Int32) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if query(t, dsn, waitForLocks) >= n {
			return
		}
		if ended.Load() > 0 {
			t.Error("it has not waited")
			return
		}
	}
	t.Errorf("there are not %d that wait", n)
}

// testBootstrapWaits: those who are ready at the same time make the first project one after the other.
func testBootstrapWaits(t *testing.T, dsn string) {
	t.Helper()
	stores := make([]*postgres.DB, 6)
	for i := range stores {
		stores[i] = open(t, dsn)
	}
	o := connectOther(t, dsn)
	o.exec(t, `SELECT pg_advisory_lock($1)`, postgres.BootstrapLock)
	var created, ended atomic.Int32
	var wg sync.WaitGroup
	for _, db := range stores {
		wg.Go(func() {
			defer ended.Add(1)
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
	waits(t, dsn, len(stores), &ended)
	o.exec(t, `SELECT pg_advisory_unlock($1)`, postgres.BootstrapLock)
	wg.Wait()
	if n := query(t, dsn, `SELECT count(*) FROM projects`); n != 1 || created.Load() != 1 {
		t.Errorf("there are %d projects, and %d processes have made the first one", n, created.Load())
	}
}

// testUseWaits: the use of tokens is recorded under the locks of a change, so that the rows of the tokens are locked by one at a time.
func testUseWaits(t *testing.T, dsn string) {
	t.Helper()
	db, project := open(t, dsn), newProject(t, dsn)
	token := newToken(project.ID, "used")
	if err := db.CreateToken(t.Context(), token, store.Change{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	o := connectOther(t, dsn)
	o.exec(t, `BEGIN`)
	o.exec(t, `SELECT 1 FROM projects WHERE id = $1 FOR NO KEY UPDATE`, project.ID)
	var ended atomic.Int32
	result := make(chan error, 1)
	go func() {
		result <- db.RecordUse(context.WithoutCancel(t.Context()), map[uuid.UUID]time.Time{token.ID: time.Now()})
		ended.Add(1)
	}()
	waits(t, dsn, 1, &ended)
	o.exec(t, `COMMIT`)
	if err := <-result; err != nil || query(t, dsn, `SELECT count(*) FROM tokens WHERE last_used_at IS NOT NULL`) != 1 {
		t.Errorf("the use is not recorded: %v", err)
	}
}

// testResealWaits: a change has read what the old key has sealed, and writes it. It must not do so after it was sealed again.
func testResealWaits(t *testing.T, dsn string) {
	t.Helper()
	h := hold(t, dsn)
	rotating := open(t, dsn)
	token := newToken(h.project.ID, "sealed")
	token.SealedSecret = []byte("key_1")
	if err := rotating.CreateToken(t.Context(), token, store.Change{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	reached, free := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(free) })
	t.Cleanup(release)
	ctx := context.WithoutCancel(t.Context())
	var changes, sealing sync.WaitGroup
	changes.Go(func() {
		if _, err := h.UpdateToken(ctx, h.project.ID, token.ID, store.TokenUpdate{Name: new("renamed")}, store.Change{At: time.Now()}); err != nil {
			t.Error(err)
		}
	})
	changes.Go(func() { // in the same transaction, which it holds
		between := answering(h.project.ID, "between", func() { close(reached); <-free })
		if err := h.CreateToken(ctx, newToken(h.project.ID, "between"), between); err != nil {
			t.Error(err)
		}
	})
	h.Waiting(2)
	h.release()
	<-reached
	var ended atomic.Int32
	sealing.Go(func() {
		n, err := rotating.Reseal(ctx, []store.ResealedSecret{{TokenID: token.ID, Before: token.SealedSecret, After: []byte("key_2")}}, nil)
		if err != nil || n != 1 {
			t.Errorf("%d sealed again, %v", n, err)
		}
		ended.Add(1)
	})
	waits(t, dsn, 1, &ended)
	release()
	changes.Wait()
	sealing.Wait()
	found, err := h.Token(t.Context(), h.project.ID, token.ID)
	if err != nil || found.Name != "renamed" || string(found.SealedSecret) != "key_2" {
		t.Errorf("%s was sealed with %s, %v", found.Name, found.SealedSecret, err)
	}
}

// testDeadlock: a change that PostgreSQL ends so that another transaction can go on is made again, and its caller hears nothing of it.
func testDeadlock(t *testing.T, dsn string) {
	t.Helper()
	project := newProject(t, dsn)
	db := open(t, dsn+"&deadlock_timeout=10ms") // it notices first
	token := newToken(project.ID, "contended")
	if err := db.CreateToken(t.Context(), token, store.Change{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	o := connectOther(t, dsn)
	o.exec(t, `SET deadlock_timeout = '1h'`)
	o.exec(t, `BEGIN`)
	o.exec(t, `SELECT 1 FROM tokens WHERE id = $1 FOR UPDATE`, token.ID)
	reached, free := make(chan struct{}), make(chan struct{})
	release, arrive := sync.OnceFunc(func() { close(free) }), sync.OnceFunc(func() { close(reached) })
	t.Cleanup(release)
	result := make(chan error, 1)
	go func() {
		rotation := store.Rotation{SecretHash: sha256.Sum256([]byte("new")), SealedSecret: []byte{1}, RetireAt: time.Now()}
		_, err := db.RotateToken(context.WithoutCancel(t.Context()), project.ID, token.ID, rotation,
			answering(project.ID, "rotate", func() { arrive(); <-free }))
		result <- err
	}()
	<-reached
	got := make(chan error, 1)
	go func() {
		_, err := o.Exec(context.WithoutCancel(t.Context()), `SELECT 1 FROM projects WHERE id = $1 FOR UPDATE`, project.ID)
		got <- err
	}()
	waits(t, dsn, 1, new(atomic.Int32))
	release()
	if err := <-got; err != nil {
		t.Fatalf("the other transaction was ended: %v", err)
	}
	o.exec(t, `COMMIT`)
	if err := <-result; err != nil {
		t.Errorf("a change that was in a deadlock: %v", err)
	}
	if n := query(t, dsn, `SELECT count(*) FROM audit_events WHERE action = 'token.rotated'`); n != 1 {
		t.Errorf("it was made %d times", n)
	}
	if !isThere(t, db, "new") || isThere(t, db, "contended") {
		t.Error("the token has the secret from before")
	}
}

// testPurge: a change under an idempotency key takes away answers that have expired by then.
func testPurge(t *testing.T, dsn string) {
	t.Helper()
	db, project := open(t, dsn), newProject(t, dsn)
	for i, key := range []string{"expires", "stays", "later"} {
		change := answering(project.ID, key, func() {})
		change.At = change.At.Add(time.Duration(i) * time.Hour)
		change.Idempotency.ExpiresAt = change.At.Add([]time.Duration{90 * time.Minute, 24 * time.Hour, 24 * time.Hour}[i])
		if err := db.CreateToken(t.Context(), newToken(project.ID, key), change); err != nil {
			t.Fatal(err)
		}
	}
	until(t, dsn, `SELECT count(*) WHERE NOT EXISTS (SELECT 1 FROM idempotent_answers WHERE key = 'expires')`)
	if n := query(t, dsn, `SELECT count(*) FROM idempotent_answers`); n != 2 {
		t.Errorf("%d answers are kept, want 2", n)
	}
}

// testWaitsAlone: while a change waits for a lock, others are made, also behind one that has removed expired answers.
func testWaitsAlone(t *testing.T, dsn string) {
	t.Helper()
	db, locked, free := open(t, dsn), newProject(t, dsn), newProject(t, dsn)
	o := connectOther(t, dsn)
	o.exec(t, `BEGIN`)
	o.exec(t, `SELECT 1 FROM projects WHERE id = $1 FOR NO KEY UPDATE`, locked.ID)
	waited := make(chan error, 1)
	go func() {
		waited <- db.CreateToken(context.WithoutCancel(t.Context()), newToken(locked.ID, "waits"), store.Change{At: time.Now()})
	}()
	until(t, dsn, waitForLocks)
	for i, change := range []store.Change{{At: time.Now()}, answering(free.ID, "keyed", func() {}), {At: time.Now()}} {
		if err := db.CreateToken(t.Context(), newToken(free.ID, strconv.Itoa(i)), change); err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	}
	select {
	case err := <-waited:
		t.Fatalf("the others were made after the one that waits, which has ended with %v", err)
	default:
	}
	o.exec(t, `COMMIT`)
	if err := <-waited; err != nil {
		t.Error(err)
	}
}
