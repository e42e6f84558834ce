//go:build unix

package postgres_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
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

// held is a store whose writers are busy, each with a project of its own, until the test releases them.
type held struct {
	*postgres.DB
	dsn     string
	project store.Project
	release func()
}

func hold(t *testing.T, dsn string) held {
	t.Helper()
	h := held{DB: open(t, dsn), dsn: dsn, project: newProject(t, dsn)}
	free := make(chan struct{})
	var wg sync.WaitGroup
	for range postgres.Writers {
		reached, project := make(chan struct{}), newProject(t, dsn)
		holding := answering(project.ID, "hold", func() { close(reached); <-free })
		wg.Go(func() {
			if err := h.CreateToken(context.WithoutCancel(t.Context()), newToken(project.ID, uuid.NewString()), holding); err != nil {
				t.Error(err)
			}
		})
		<-reached
	}
	h.release = func() { close(free); wg.Wait() }
	return h
}

// newProject is made by another process.
func newProject(t *testing.T, dsn string) store.Project {
	t.Helper()
	db := open(t, dsn)
	project := store.Project{ID: uuid.Must(uuid.NewV7()), Name: "Project"}
	if err := db.CreateProject(t.Context(), project, nil, store.Change{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return project
}

func newToken(project uuid.UUID, secret string) store.Token {
	return store.Token{
		ID: uuid.Must(uuid.NewV7()), ProjectID: project, Name: secret, SealedSecret: []byte{1}, SecretHash: sha256.Sum256([]byte(secret)),
		Permissions: []string{"management"},
	}
}

// answering is a change that calls f between its two round trips.
func answering(project uuid.UUID, key string, f func()) store.Change {
	return store.Change{At: time.Now(), Idempotency: &store.Idempotency{
		ProjectID: project, Key: key, ExpiresAt: time.Now().Add(time.Hour),
		Answer: func(store.Token) ([]byte, error) { f(); return []byte("x"), nil },
	}}
}

func isThere(t *testing.T, db store.Store, secret string) bool {
	t.Helper()
	_, err := db.TokenBySecret(t.Context(), sha256.Sum256([]byte(secret)), time.Now())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestWriter(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, nil)
	for name, run := range map[string]func(t *testing.T, h held){
		"waiting changes share a transaction": testShare,
		"one change does not poison others":   testNoPoison,
		"a change that cannot be noted":       testNoEvent,
		"a conflict with another process":     testConflict,
		"close refuses who waits":             testCloseRefuses,
		"a server that ends in a transaction": testTerminated,
		"the answer to a commit is lost":      testLostAnswer,
		"giving up":                           testGivingUp,
		"more than may wait":                  testTooMany,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, hold(t, cluster.NewDatabase(t)))
		})
	}
}

// testShare: the events of changes that were made in one transaction have it as their inserting transaction.
func testShare(t *testing.T, h held) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := h.RenameProject(t.Context(), h.project.ID, strconv.Itoa(i), store.Change{At: time.Now()}); err != nil {
				t.Error(err)
			}
		})
	}
	h.Waiting(100)
	h.release()
	wg.Wait()
	transactions, events := query(t, h.dsn, `SELECT count(DISTINCT xmin::text) FROM audit_events WHERE action = 'account.updated'`),
		query(t, h.dsn, `SELECT count(*) FROM audit_events WHERE action = 'account.updated'`)
	if transactions != 1 || events != 100 {
		t.Errorf("100 changes that waited together have left %d events in %d transactions", events, transactions)
	}
}

func query(t *testing.T, dsn, text string, args ...any) int {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(t.Context())) }()
	var n int
	if err := c.QueryRow(t.Context(), text, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// until asks until the answer is not 0.
func until(t *testing.T, dsn, text string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if query(t, dsn, text) != 0 {
			return
		}
	}
	t.Fatalf("never happened: %s", text)
}

func testNoPoison(t *testing.T, h held) {
	t.Helper()
	create := func(ctx context.Context, secret string, change store.Change) error {
		return h.CreateToken(ctx, newToken(h.project.ID, secret), change)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- create(cancelled, "cancelled", store.Change{}) }()
	h.Waiting(1)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) { // although the writers are busy
		t.Errorf("a change whose context ended while it waited: %v", err)
	}
	errNone := errors.New("no answer")
	failing := answering(h.project.ID, "failing", func() {})
	failing.Idempotency.Answer = func(store.Token) ([]byte, error) { return nil, errNone }
	results := make(map[string]error)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, change := range map[string]store.Change{
		"good": {}, "failing": failing, "also good": {}, "panicking": answering(h.project.ID, "panicking", func() { panic("a slip") }),
	} {
		wg.Go(func() {
			defer func() {
				if panicked := recover(); (panicked != nil) != (name == "panicking") {
					t.Errorf("%s: panicked with %v", name, panicked)
				}
			}()
			err := create(t.Context(), name, change)
			mu.Lock()
			defer mu.Unlock()
			results[name] = err
		})
	}
	h.Waiting(4)
	h.release()
	wg.Wait()
	for name, want := range map[string]error{"good": nil, "also good": nil, "failing": errNone} {
		if !errors.Is(results[name], want) || want == nil && results[name] != nil {
			t.Errorf("%s: %v, want %v", name, results[name], want)
		}
	}
	for name, want := range map[string]bool{"good": true, "also good": true, "failing": false, "panicking": false, "cancelled": false} {
		if isThere(t, h, name) != want {
			t.Errorf("the token of %s is there: %v", name, !want)
		}
	}
}

// testNoEvent: what cannot be in the audit trail is not made, not even by half with the changes beside it.
func testNoEvent(t *testing.T, h held) {
	t.Helper()
	token := newToken(h.project.ID, "token")
	if err := open(t, h.dsn).CreateToken(t.Context(), token, store.Change{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	never := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) // which JSON does not know
	expiring := newToken(h.project.ID, "expiring")
	expiring.ExpiresAt = never
	other := store.Project{ID: uuid.New(), Name: "Other"}
	first := newToken(other.ID, "first")
	first.ExpiresAt = never
	results := make(map[string]chan error)
	changes := map[string]func() error{
		"beside": func() error {
			return h.CreateToken(t.Context(), newToken(h.project.ID, "beside"), store.Change{At: time.Now()})
		},
		"a new token":   func() error { return h.CreateToken(t.Context(), expiring, store.Change{At: time.Now()}) },
		"a new project": func() error { return h.CreateProject(t.Context(), other, &first, store.Change{At: time.Now()}) },
		"an update": func() error {
			_, err := h.UpdateToken(t.Context(), h.project.ID, token.ID, store.TokenUpdate{ExpiresAt: &never}, store.Change{At: time.Now()})
			return err
		},
	}
	for name, change := range changes {
		result := make(chan error, 1)
		results[name] = result
		go func() { result <- change() }()
	}
	h.Waiting(len(results))
	h.release()
	for name, result := range results {
		if err := <-result; (err == nil) != (name == "beside") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := query(t, h.dsn, `SELECT (SELECT count(*) FROM tokens WHERE expires_at IS NOT NULL) + (SELECT count(*) FROM projects WHERE id = $1)`, other.ID); n != 0 {
		t.Errorf("%d of what was refused is there", n)
	}
}

// testConflict: secrets that another process is about to take in another tree, so that nobody can see it yet.
func testConflict(t *testing.T, h held) {
	t.Helper()
	other, o := newProject(t, h.dsn), connectOther(t, h.dsn)
	take := func(secret string) {
		hash := sha256.Sum256([]byte(secret))
		o.exec(t, `BEGIN`)
		o.exec(t, `INSERT INTO tokens VALUES ($1, $2, $2, 'x', '', $3, '', 0, 0)`, uuid.New(), other.ID, hash[:])
	}
	results := make(map[string]chan error)
	create := func(secret string) {
		results[secret] = make(chan error, 1)
		go func() {
			results[secret] <- h.CreateToken(t.Context(), newToken(h.project.ID, secret), store.Change{At: time.Now()})
		}()
	}
	var made, refused, failed atomic.Int32
	counts := map[store.Outcome]*atomic.Int32{store.Committed: &made, store.Unchanged: &refused, store.Failed: &failed}
	h.ObserveBatches(func(batch store.Batch) { counts[batch.Outcome].Add(int32(batch.Changes)) })
	take("taken")
	for i, secret := range []string{"first", "taken", "last"} {
		create(secret)
		h.Waiting(i + 1)
	}
	h.release()
	until(t, h.dsn, waitForLocks)
	o.exec(t, `COMMIT`)
	for secret, want := range map[string]error{"first": nil, "taken": store.ErrConflict, "last": nil} {
		if err := <-results[secret]; !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", secret, err, want)
		}
	}
	take("taken alone")
	create("taken alone")
	until(t, h.dsn, waitForLocks)
	o.exec(t, `COMMIT`)
	if err := <-results["taken alone"]; !errors.Is(err, store.ErrConflict) {
		t.Errorf("a change alone: %v", err)
	}
	if made.Load() != 2+postgres.Writers || refused.Load() != 2 || failed.Load() != 0 {
		t.Errorf("%d changes have been made, %d refused and %d failed", made.Load(), refused.Load(), failed.Load())
	}
}

func testCloseRefuses(t *testing.T, h held) {
	t.Helper()
	waiting := make(chan error, 1)
	go func() { waiting <- h.CreateToken(t.Context(), newToken(h.project.ID, "waiting"), store.Change{}) }()
	h.Waiting(1)
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	if err := <-waiting; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a change that waited when the store was closed: %v", err)
	}
	h.release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// terminate ends the connections of a database in the ways of a server that fails, besides the one that asks for it.
const terminate = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`

// testTerminated: a connection that was lost before anything was asked is replaced, and one that was lost when the commit was sent
// leaves a doubt, which is not resolved by doing the change twice.
func testTerminated(t *testing.T, h held) {
	t.Helper()
	h.release()
	for _, secret := range []string{"one", "two", "three"} {
		query(t, h.dsn, terminate)
		if err := h.CreateToken(t.Context(), newToken(h.project.ID, secret), store.Change{At: time.Now()}); err != nil {
			t.Errorf("a change on connections that were lost: %v", err)
		}
		query(t, h.dsn, terminate)
		if !isThere(t, h, secret) {
			t.Error("a change is not there")
		}
	}
	err := h.CreateToken(t.Context(), newToken(h.project.ID, "in doubt"), answering(h.project.ID, "in doubt", func() { query(t, h.dsn, terminate) }))
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a change whose connection was lost before the commit: %v", err)
	}
	if isThere(t, h, "in doubt") {
		t.Error("a change that was refused has been made")
	}
}

// testLostAnswer: the change was made, nobody can know, and it is not made again.
func testLostAnswer(t *testing.T, h held) {
	t.Helper()
	h.release()
	line := newLine(t, h.dsn)
	db := open(t, line.dsn)
	err := db.CreateToken(t.Context(), newToken(h.project.ID, "lost"), answering(h.project.ID, "lost", line.cut))
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a change whose answer was lost: %v", err)
	}
	until(t, h.dsn, `SELECT count(*) FROM tokens WHERE name = 'lost'`)
	if events := query(t, h.dsn, `SELECT count(*) FROM audit_events WHERE project_id = $1 AND action = 'token.created'`, h.project.ID); events != 1 {
		t.Errorf("there are %d events of one change", events)
	}
	if err := db.CreateToken(t.Context(), newToken(h.project.ID, "later"), store.Change{At: time.Now()}); err != nil {
		t.Errorf("a later change: %v", err)
	}
}

func testGivingUp(t *testing.T, h held) {
	t.Helper()
	h.release()
	reached, free := make(chan struct{}), make(chan struct{})
	ctx, giveUp := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		result <- h.CreateToken(ctx, newToken(h.project.ID, "begun"), answering(h.project.ID, "begun", func() { close(reached); <-free }))
	}()
	<-reached
	giveUp()
	close(free)
	if told := <-result; told != nil || !isThere(t, h, "begun") {
		t.Errorf("who has given up too late is told %v", told)
	}
}

func testTooMany(t *testing.T, h held) {
	t.Helper()
	ctx, giveUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range postgres.MaxWaiting {
		wg.Go(func() { _, _ = h.RenameProject(ctx, h.project.ID, "late", store.Change{At: time.Now()}) })
	}
	h.Waiting(postgres.MaxWaiting)
	_, err := h.RenameProject(t.Context(), h.project.ID, "too late", store.Change{At: time.Now()})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("one more than may wait: %v", err)
	}
	giveUp()
	wg.Wait()
	h.release()
}

// through is the DSN of a server behind another address.
func through(t *testing.T, dsn, address string) string {
	t.Helper()
	parsed, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Host = address
	return parsed.String()
}
