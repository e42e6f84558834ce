package main

import (
	"errors"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// What was filled in through SQL must be what the product would have made: it finds the tokens, and can open their secrets.
func TestFilledTokensAreTokens(t *testing.T) {
	t.Parallel()
	const tokens = 2*rowsPerStatement + 7
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
