package main

import (
	"errors"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// What was filled in through SQL must be what the product would have made: it finds the tokens, and can open their secrets.
func TestFilledTokensAreTokens(t *testing.T) {
	t.Parallel()
	const tokens = 2*rowsPerBatch + 7
	db, err := newDatabase(t.Context(), t.TempDir(), tokens)
	if err != nil {
		t.Fatal(err)
	}
	if len(db.tokens) != tokens {
		t.Fatalf("%d tokens were filled in, want %d", len(db.tokens), tokens)
	}
	opened, err := sqlite.Open(t.Context(), db.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	for _, id := range db.tokens {
		token, err := opened.Token(t.Context(), db.project, id)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := db.keyset.Open(id, token.SealedSecret)
		if err != nil || plain.Hash() != token.SecretHash {
			t.Fatalf("token %s: its secret does not fit its hash (%v)", id, err)
		}
	}
	for name, credential := range map[string]secret.Secret{"management": db.management, "fax": db.fax} {
		token, err := opened.TokenBySecret(t.Context(), credential.Hash(), time.Now())
		if err != nil || len(token.Permissions) != 1 || token.Permissions[0] != name {
			t.Errorf("the token %s has the permissions %v (%v)", name, token.Permissions, err)
		}
	}
}

// A database is not filled as a real one is unless its history is that of one.
func TestFilledDatabaseHasAHistory(t *testing.T) {
	t.Parallel()
	const tokens = rowsPerBatch + 7
	db, err := newDatabase(t.Context(), t.TempDir(), tokens)
	if err != nil {
		t.Fatal(err)
	}
	examined, err := sqlite.Examine(t.Context(), db.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = examined.Close() }()
	problems, err := examined.Invariants(t.Context())
	if err != nil || len(problems) > 0 {
		t.Errorf("doctor would find %v (%v)", problems, err)
	}
	counts, err := examined.Counts(t.Context())
	// Those of the project's creation and its first token's, of the token that may not manage, and of the others.
	if err != nil || counts.Tokens != tokens+2 || counts.Events != tokens+3 {
		t.Errorf("there are %+v (%v), want %d tokens and %d events", counts, err, tokens+2, tokens+3)
	}
	opened, err := sqlite.Open(t.Context(), db.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	events, err := opened.AuditEvents(t.Context(), store.AuditQuery{Account: db.project, TokenID: db.tokens[0], Page: store.Page{Limit: 10}})
	if err != nil || len(events) != 1 {
		t.Fatalf("a token has the events %v (%v), want one", events, err)
	}
	got := events[0]
	if got.Action != store.TokenCreated || got.Changes.Name == nil || *got.Changes.Name.New != filledName || got.Actor.TokenID != db.actor {
		t.Errorf("the event is %+v", got)
	}
}
