// Package storetest is the suite that every adapter of package store passes. Each obligation that stands on the
// interface has its case here; an adapter's test calls Run with a function that opens a fresh store.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// Open returns a fresh, empty store. The suite closes it.
type Open func(t *testing.T) store.Store

// testCase is an obligation.
type testCase struct {
	name string
	run  func(t *testing.T, s store.Store)
}

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	cases := []testCase{
		{"Bootstrap/only the first", testBootstrapOnlyTheFirst},
		{"Bootstrap/concurrent calls", testBootstrapConcurrently},
		{"CreateProject/is found and listed", testProjectIsFoundAndListed},
		{"CreateProject/taken ids and secrets", testProjectConflicts},
		{"CreateProject/parents", testProjectParents},
		{"CreateProject/without a token", testProjectWithoutToken},
		{"Projects/accounts and names", testProjectQueries},
		{"Projects/pages", testProjectPages},
		{"RenameProject/changes the name alone", testRenameProject},
		{"CreateToken/is found by its secret", testTokenIsFound},
		{"CreateToken/keeps every text", testTokenKeepsTexts},
		{"CreateToken/refusals", testTokenRefusals},
		{"UpdateToken/keeps what is absent", testUpdateKeepsWhatIsAbsent},
		{"UpdateToken/empty update changes nothing", testUpdateEmpty},
		{"UpdateToken/permissions are a set", testUpdatePermissionSet},
		{"UpdateToken/time never goes back", testUpdateTime},
		{"UpdateToken/expiry is set and removed", testUpdateExpiry},
		{"UpdateToken/accounts", testUpdateAccounts},
		{"UpdateToken/concurrent fields survive", testUpdateConcurrently},
		{"DeleteToken/is gone", testDelete},
		{"DeleteToken/accounts", testDeleteAccounts},
		{"DeleteToken/exactly one succeeds", testDeleteConcurrently},
		{"UpdateToken/while it is deleted", testUpdateWhileDeleted},
		{"Token/accounts", testTokenAccounts},
		{"Tokens/accounts", testTokensOfAccounts},
		{"Tokens/filters", testTokenFilters},
		{"Tokens/pages", testTokenPages},
		{"TokenBySecret/expired tokens", testExpiredTokens},
		{"RotateToken/the old secret ends", testRotate},
		{"RotateToken/grace", testRotateWithGrace},
		{"RotateToken/grace ends with the token", testGraceEndsWithTheToken},
		{"RotateToken/no grace ends every old secret", testRotateEndsAll},
		{"RotateToken/refusals", testRotateRefusals},
		{"Credential/revoked before the change", testCredentialRevoked},
		{"Credential/revoked during the change", testCredentialRevokedMeanwhile},
		{"Credential/good", testCredentialGood},
		{"TokenByRepetition/the same answer and nothing else", testRepetition},
		{"RecordUse/latest time", testRecordUse},
		{"Idempotency/same request", testIdempotencyReplay},
		{"Idempotency/other request", testIdempotencyMismatch},
		{"Idempotency/per project and for a time", testIdempotencyScope},
		{"Idempotency/failed changes keep nothing", testIdempotencyFailure},
		{"Idempotency/concurrent requests", testIdempotencyConcurrently},
		{"AuditEvents/one for each change", testAuditTrail},
		{"AuditEvents/none for what did not happen", testAuditNothing},
		{"AuditEvents/times never go back", testAuditOrder},
		{"AuditEvents/accounts", testAuditAccounts},
		{"AuditEvents/filters", testAuditFilters},
		{"AuditEvents/pages", testAuditPages},
		{"KeysetCheck/keeps the first", testKeysetCheck},
		{"ended contexts change nothing", testEndedContexts},
		{"Measured/each change is in one batch", testBatches},
		{"Close/later calls", testClose},
	}
	for _, c := range append(cases, sealedCases()...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() { _ = s.Close() })
			c.run(t, s)
		})
	}
}

// at is a time with more digits than a store keeps, in a zone that it does not keep.
func at(minute int) time.Time {
	return time.Date(2026, time.March, 29, 2, minute, 7, 123456789, time.FixedZone("east", 3600))
}

// made is a change at that minute, by somebody.
func made(minute int) store.Change {
	return store.Change{At: at(minute), Actor: store.Actor{
		ProjectID: uuid.MustParse("1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11"),
		TokenID:   uuid.MustParse("ea14556a-984f-11ee-b9d1-0242ac120002"),
		Address:   "192.0.2.7", RequestID: "request-7",
	}}
}

// kept is how a store returns t.
func kept(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}

func newProject(parent uuid.UUID) store.Project {
	return store.Project{ID: newID(), ParentID: parent, Name: "Project", CreatedAt: at(1), UpdatedAt: at(1)}
}

func newToken(project uuid.UUID, permissions ...string) store.Token {
	id := newID()
	return store.Token{
		ID: id, ProjectID: project, Name: "Token", Permissions: store.PermissionSet(permissions),
		SecretHash: sha256.Sum256(id[:]), SealedSecret: append([]byte("sealed"), id[:]...),
		CreatedAt: at(2), UpdatedAt: at(2),
	}
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// world is a project with a subproject, a stranger, and a token of each.
type world struct {
	parent, child, stranger                store.Project
	parentToken, childToken, strangerToken store.Token
}

func newWorld(t *testing.T, s store.Store) world {
	t.Helper()
	w := world{parent: newProject(uuid.Nil), stranger: newProject(uuid.Nil)}
	w.child = newProject(w.parent.ID)
	w.parentToken = newToken(w.parent.ID, "management")
	w.childToken = newToken(w.child.ID, "management")
	w.strangerToken = newToken(w.stranger.ID, "management")
	must(t, s.CreateProject(t.Context(), w.parent, new(w.parentToken), made(1)))
	must(t, s.CreateProject(t.Context(), w.child, new(w.childToken), made(1)))
	must(t, s.CreateProject(t.Context(), w.stranger, new(w.strangerToken), made(1)))
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// wantToken compares what the store has with want.
func wantToken(t *testing.T, s store.Store, want store.Token) {
	t.Helper()
	got, err := s.TokenBySecret(t.Context(), want.SecretHash, at(2))
	must(t, err)
	diffToken(t, got, want)
}

func diffToken(t *testing.T, got, want store.Token) {
	t.Helper()
	want.CreatedAt, want.UpdatedAt = kept(want.CreatedAt), kept(want.UpdatedAt)
	want.ExpiresAt, want.LastUsedAt = kept(want.ExpiresAt), kept(want.LastUsedAt)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("token (-want +got):\n%s", diff)
	}
}

// concurrently runs f n times at once and returns how often it returned nil; every other error must be want.
func concurrently(t *testing.T, n int, want error, f func(i int) error) int {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { <-start; errs[i] = f(i) })
	}
	close(start)
	wg.Wait()
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
		} else if !errors.Is(err, want) {
			t.Errorf("concurrent call: got error %v, want nil or %v", err, want)
		}
	}
	return succeeded
}

func testKeysetCheck(t *testing.T, s store.Store) {
	none, err := s.KeysetCheck(t.Context())
	must(t, err)
	if none != nil {
		t.Errorf("KeysetCheck before it was set = %q, want nil", none)
	}
	for _, value := range []string{"first", "second"} {
		got, err := s.InitKeysetCheck(t.Context(), []byte(value))
		must(t, err)
		if string(got) != "first" {
			t.Errorf("InitKeysetCheck(%s) = %s, want first", value, got)
		}
	}
	got, err := s.KeysetCheck(t.Context())
	must(t, err)
	if string(got) != "first" {
		t.Errorf("KeysetCheck = %s, want first", got)
	}
}

// everyMethod calls each method once, with arguments that would succeed.
func everyMethod(s store.Store, w world) map[string]func(context.Context) error {
	name := "renamed"
	project := newProject(uuid.Nil)
	return map[string]func(context.Context) error{
		"Bootstrap": func(ctx context.Context) error {
			_, err := s.Bootstrap(ctx, project, newToken(project.ID), made(1))
			return err
		},
		"CreateProject": func(ctx context.Context) error {
			return s.CreateProject(ctx, project, new(newToken(project.ID)), made(1))
		},
		"Project":     func(ctx context.Context) error { _, err := s.Project(ctx, w.parent.ID); return err },
		"Projects":    func(ctx context.Context) error { _, err := s.Projects(ctx, allProjects); return err },
		"CreateToken": func(ctx context.Context) error { return s.CreateToken(ctx, newToken(w.parent.ID), made(3)) },
		"UpdateToken": func(ctx context.Context) error {
			_, err := s.UpdateToken(ctx, w.parent.ID, w.parentToken.ID, store.TokenUpdate{Name: &name}, made(3))
			return err
		},
		"DeleteToken": func(ctx context.Context) error { return s.DeleteToken(ctx, w.parent.ID, w.parentToken.ID, made(3)) },
		"TokenBySecret": func(ctx context.Context) error {
			_, err := s.TokenBySecret(ctx, w.parentToken.SecretHash, at(2))
			return err
		},
		"KeysetCheck":     func(ctx context.Context) error { _, err := s.KeysetCheck(ctx); return err },
		"InitKeysetCheck": func(ctx context.Context) error { _, err := s.InitKeysetCheck(ctx, []byte("other")); return err },
		"MoveKeysetCheck": func(ctx context.Context) error { _, err := s.MoveKeysetCheck(ctx, nil, []byte("other")); return err },
		"CountSealed":     func(ctx context.Context) error { _, _, err := s.CountSealed(ctx); return err },
		"SealedSecrets":   func(ctx context.Context) error { _, err := s.SealedSecrets(ctx, uuid.Nil, 1); return err },
		"SealedAnswers":   func(ctx context.Context) error { _, err := s.SealedAnswers(ctx, store.AnswerPlace{}, 1); return err },
		"Reseal": func(ctx context.Context) error {
			_, err := s.Reseal(ctx, []store.ResealedSecret{{TokenID: w.childToken.ID, Before: w.childToken.SealedSecret, After: []byte("again")}}, nil)
			return err
		},
		"RenameProject": func(ctx context.Context) error {
			_, err := s.RenameProject(ctx, w.parent.ID, name, made(3))
			return err
		},
		"Token": func(ctx context.Context) error { _, err := s.Token(ctx, w.parent.ID, w.parentToken.ID); return err },
		"Tokens": func(ctx context.Context) error {
			_, err := s.Tokens(ctx, store.TokenQuery{Account: w.parent.ID, Page: store.Page{Limit: 1}})
			return err
		},
		"RotateToken": func(ctx context.Context) error {
			_, err := s.RotateToken(ctx, w.parent.ID, w.parentToken.ID, newRotation(3), made(3))
			return err
		},
		"RecordUse": func(ctx context.Context) error {
			return s.RecordUse(ctx, map[uuid.UUID]time.Time{w.parentToken.ID: at(3)})
		},
		"TokenByRepetition": func(ctx context.Context) error {
			_, err := s.TokenByRepetition(ctx, w.parentToken.ID, w.parentToken.SecretHash, w.parent.ID, "key", at(2))
			if errors.Is(err, store.ErrNotFound) { // which is what it finds
				return nil
			}
			return err
		},
		"AuditEvents": func(ctx context.Context) error {
			_, err := s.AuditEvents(ctx, store.AuditQuery{Account: w.parent.ID, Page: store.Page{Limit: 1}})
			return err
		},
		"Ping": s.Ping,
	}
}

func testEndedContexts(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	before := everything(t, s, w)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range everyMethod(s, w) {
		wantErr(t, name, call(cancelled), context.Canceled)
	}
	after := everything(t, s, w)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what is stored, before and after (-before +after):\n%s", diff)
	}
}

// everything is what a store returns about a world, in lists.
func everything(t *testing.T, s store.Store, w world) []any {
	t.Helper()
	projects, err := s.Projects(t.Context(), allProjects)
	must(t, err)
	all := []any{projects}
	for _, account := range []uuid.UUID{w.parent.ID, w.stranger.ID} {
		tokens, err := s.Tokens(t.Context(), store.TokenQuery{Account: account, Page: store.Page{Limit: 100}})
		must(t, err)
		all = append(all, tokens, events(t, s, store.AuditQuery{Account: account}))
	}
	check, err := s.KeysetCheck(t.Context())
	must(t, err)
	return append(all, check)
}

func testClose(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	must(t, s.Close())
	for name, call := range everyMethod(s, w) {
		wantErr(t, name, call(t.Context()), store.ErrUnavailable)
	}
}
