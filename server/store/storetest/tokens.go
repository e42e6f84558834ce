package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

func testTokenIsFound(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	token := newToken(w.child.ID, "fax", "calling")
	must(t, s.CreateToken(t.Context(), token, made(2)))
	wantToken(t, s, token)
	almost := token.SecretHash
	almost[31] ^= 1
	_, err := s.TokenBySecret(t.Context(), almost, at(2))
	wantErr(t, "a hash that differs in one bit", err, store.ErrNotFound)
}

func testTokenKeepsTexts(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for _, name := range []string{
		"MiXed Case", "mixed case", " spaces ", "'; DROP TABLE tokens; --", "100%_\\", "naïve 日本語 🙂", "e\u0301", "\u00e9",
		"line\nbreak", strings.Repeat("🙂", 255),
	} {
		token := newToken(w.parent.ID)
		token.Name = name
		must(t, s.CreateToken(t.Context(), token, made(2)))
		wantToken(t, s, token)
	}
}

func testTokenRefusals(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	sameID := newToken(w.parent.ID)
	sameID.ID = w.strangerToken.ID
	wantErr(t, "taken id", s.CreateToken(t.Context(), sameID, made(2)), store.ErrConflict)
	sameSecret := newToken(w.parent.ID)
	sameSecret.SecretHash = w.strangerToken.SecretHash
	wantErr(t, "taken secret", s.CreateToken(t.Context(), sameSecret, made(2)), store.ErrConflict)
	wantErr(t, "no project", s.CreateToken(t.Context(), newToken(newID()), made(2)), store.ErrNotFound)
	wantToken(t, s, w.strangerToken)
}

func testUpdateKeepsWhatIsAbsent(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	want := newToken(w.parent.ID, "chat", "fax")
	must(t, s.CreateToken(t.Context(), want, made(2)))
	name, permissions, none := "New name", []string{"video"}, []string{}
	for i, update := range []store.TokenUpdate{
		{Name: &name}, {Permissions: &permissions}, {Permissions: &none}, {Name: &name, Permissions: &permissions},
	} {
		if update.Name != nil {
			want.Name = *update.Name
		}
		if update.Permissions != nil {
			want.Permissions = *update.Permissions
		}
		want.UpdatedAt = at(3 + i)
		got, err := s.UpdateToken(t.Context(), w.parent.ID, want.ID, update, made(3+i))
		must(t, err)
		diffToken(t, got, want)
		wantToken(t, s, want)
	}
	wantToken(t, s, w.parentToken)
}

func testUpdateEmpty(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	got, err := s.UpdateToken(t.Context(), w.parent.ID, w.parentToken.ID, store.TokenUpdate{}, made(9))
	must(t, err)
	diffToken(t, got, w.parentToken)
	wantToken(t, s, w.parentToken)
	_, err = s.UpdateToken(t.Context(), w.parent.ID, newID(), store.TokenUpdate{}, made(9))
	wantErr(t, "empty update of a token that does not exist", err, store.ErrNotFound)
	_, err = s.UpdateToken(t.Context(), w.parent.ID, w.strangerToken.ID, store.TokenUpdate{}, made(9))
	wantErr(t, "empty update of a stranger's token", err, store.ErrNotFound)
}

func testUpdatePermissionSet(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	permissions := []string{"video", "chat", "video", "calling", "chat"}
	got, err := s.UpdateToken(t.Context(), w.parent.ID, w.parentToken.ID, store.TokenUpdate{Permissions: &permissions}, made(3))
	must(t, err)
	if diff := cmp.Diff([]string{"calling", "chat", "video"}, got.Permissions); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"video", "chat", "video", "calling", "chat"}, permissions); diff != "" {
		t.Errorf("the caller's slice was changed (-want +got):\n%s", diff)
	}
}

func testUpdateTime(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	name := "later"
	for _, minute := range []int{5, 1} {
		got, err := s.UpdateToken(t.Context(), w.parent.ID, w.parentToken.ID, store.TokenUpdate{Name: &name}, made(minute))
		must(t, err)
		if !got.UpdatedAt.Equal(kept(at(5))) {
			t.Errorf("UpdatedAt is %v after an update at minute %d, want %v", got.UpdatedAt, minute, kept(at(5)))
		}
	}
}

// reach says which account reaches which project's tokens.
func reach(w world) []struct {
	what    string
	account uuid.UUID
	token   store.Token
	allowed bool
} {
	return []struct {
		what    string
		account uuid.UUID
		token   store.Token
		allowed bool
	}{
		{"a project's own", w.parent.ID, w.parentToken, true},
		{"its subproject's", w.parent.ID, w.childToken, true},
		{"a subproject's own", w.child.ID, w.childToken, true},
		{"its parent's", w.child.ID, w.parentToken, false},
		{"a stranger's", w.parent.ID, w.strangerToken, false},
		{"a stranger's, from a subproject", w.child.ID, w.strangerToken, false},
		{"of an account that does not exist", newID(), w.parentToken, false},
	}
}

func testTokenAccounts(t *testing.T, s store.Store) {
	for _, r := range reach(newWorld(t, s)) {
		got, err := s.Token(t.Context(), r.account, r.token.ID)
		if !r.allowed {
			wantErr(t, r.what, err, store.ErrNotFound)
			continue
		}
		must(t, err)
		diffToken(t, got, r.token)
	}
}

func tokenIDs(tokens []store.Token) []uuid.UUID {
	ids := []uuid.UUID{}
	for _, token := range tokens {
		ids = append(ids, token.ID)
	}
	return ids
}

func testTokensOfAccounts(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for _, c := range []struct {
		what    string
		account uuid.UUID
		want    []store.Token
	}{
		{"a parent, with its subproject", w.parent.ID, []store.Token{w.parentToken, w.childToken}},
		{"a subproject", w.child.ID, []store.Token{w.childToken}},
		{"a stranger", w.stranger.ID, []store.Token{w.strangerToken}},
	} {
		got, err := s.Tokens(t.Context(), store.TokenQuery{Account: c.account, Page: store.Page{Limit: 10}})
		must(t, err)
		if diff := cmp.Diff(sorted(tokenIDs(c.want)), tokenIDs(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
	_, err := s.Tokens(t.Context(), store.TokenQuery{Account: newID(), Page: store.Page{Limit: 10}})
	wantErr(t, "tokens of an account that does not exist", err, store.ErrNotFound)
}

func testTokenFilters(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	add := func(name string, expires int, permissions ...string) uuid.UUID {
		token := newToken(w.child.ID, permissions...)
		token.Name = name
		if expires != 0 {
			token.ExpiresAt = at(expires)
		}
		must(t, s.CreateToken(t.Context(), token, made(2)))
		return token.ID
	}
	percent, accent := add("100%_\\x", 10, "fax"), add("Éa", 0, "chat", "fax", "video")
	last := add("éa", 20, "video")
	yes, no := true, false
	for _, c := range []struct {
		what  string
		query store.TokenQuery
		want  []uuid.UUID
	}{
		{"a prefix", store.TokenQuery{NamePrefix: "100%_\\"}, []uuid.UUID{percent}},
		{"a pattern is no pattern", store.TokenQuery{NamePrefix: "1%"}, nil},
		{"a prefix of two bytes", store.TokenQuery{NamePrefix: "É"}, []uuid.UUID{accent}},
		{"a permission", store.TokenQuery{Permission: "fax"}, []uuid.UUID{percent, accent}},
		{"a part of a permission", store.TokenQuery{Permission: "vide"}, nil},
		{"expired", store.TokenQuery{Expired: &yes, Now: at(10)}, []uuid.UUID{percent}},
		{"not expired", store.TokenQuery{Expired: &no, Now: at(10)}, []uuid.UUID{w.childToken.ID, accent, last}},
		{"all filters", store.TokenQuery{NamePrefix: "é", Permission: "video", Expired: &no, Now: at(19)}, []uuid.UUID{last}},
	} {
		c.query.Account, c.query.Limit = w.child.ID, 10
		got, err := s.Tokens(t.Context(), c.query)
		must(t, err)
		if diff := cmp.Diff(sorted(append([]uuid.UUID{}, c.want...)), tokenIDs(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func testTokenPages(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	ids := []uuid.UUID{w.parentToken.ID, w.childToken.ID}
	for range 5 {
		token := newToken(w.child.ID)
		must(t, s.CreateToken(t.Context(), token, made(2)))
		ids = append(ids, token.ID)
	}
	testPages(t, sorted(ids), func(page store.Page) ([]uuid.UUID, error) {
		tokens, err := s.Tokens(t.Context(), store.TokenQuery{Account: w.parent.ID, Page: page})
		return tokenIDs(tokens), err
	})
}

func testUpdateAccounts(t *testing.T, s store.Store) {
	name := "reached"
	for _, r := range reach(newWorld(t, s)) {
		got, err := s.UpdateToken(t.Context(), r.account, r.token.ID, store.TokenUpdate{Name: &name}, made(3))
		if !r.allowed {
			wantErr(t, r.what, err, store.ErrNotFound)
			continue
		}
		must(t, err)
		if got.ID != r.token.ID || got.Name != name {
			t.Errorf("%s: got token %v named %q", r.what, got.ID, got.Name)
		}
	}
}

func testDelete(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	must(t, s.DeleteToken(t.Context(), w.parent.ID, w.parentToken.ID, made(3)))
	_, err := s.TokenBySecret(t.Context(), w.parentToken.SecretHash, at(2))
	wantErr(t, "look-up of a deleted token", err, store.ErrNotFound)
	wantErr(t, "second deletion", s.DeleteToken(t.Context(), w.parent.ID, w.parentToken.ID, made(3)), store.ErrNotFound)
	_, err = s.UpdateToken(t.Context(), w.parent.ID, w.parentToken.ID, store.TokenUpdate{}, made(3))
	wantErr(t, "update of a deleted token", err, store.ErrNotFound)
	wantToken(t, s, w.childToken)
	wantToken(t, s, w.strangerToken)
}

func testDeleteAccounts(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for _, r := range reach(w) {
		token := newToken(r.token.ProjectID)
		must(t, s.CreateToken(t.Context(), token, made(2)))
		err := s.DeleteToken(t.Context(), r.account, token.ID, made(3))
		if r.allowed {
			must(t, err)
			continue
		}
		wantErr(t, r.what, err, store.ErrNotFound)
		wantToken(t, s, token)
	}
}

func testUpdateConcurrently(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for round := range 20 {
		name, permissions := fmt.Sprintf("round %d", round), []string{fmt.Sprintf("permission-%d", round)}
		updates := []store.TokenUpdate{{Name: &name}, {Permissions: &permissions}}
		concurrently(t, len(updates), nil, func(i int) error {
			_, err := s.UpdateToken(context.Background(), w.parent.ID, w.parentToken.ID, updates[i], made(3))
			return err
		})
		got, err := s.TokenBySecret(t.Context(), w.parentToken.SecretHash, at(2))
		must(t, err)
		if got.Name != name || !cmp.Equal(got.Permissions, permissions) {
			t.Fatalf("round %d: token is %q with %v: one of two updates of different fields is lost", round, got.Name, got.Permissions)
		}
	}
}

func testDeleteConcurrently(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	succeeded := concurrently(t, 8, store.ErrNotFound, func(int) error {
		return s.DeleteToken(context.Background(), w.parent.ID, w.parentToken.ID, made(3))
	})
	if succeeded != 1 {
		t.Errorf("%d of 8 deletions of one token succeeded, want 1", succeeded)
	}
}

func testUpdateWhileDeleted(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	name := "too late"
	for range 20 {
		token := newToken(w.parent.ID)
		must(t, s.CreateToken(t.Context(), token, made(2)))
		concurrently(t, 2, store.ErrNotFound, func(i int) error {
			if i == 0 {
				return s.DeleteToken(context.Background(), w.parent.ID, token.ID, made(3))
			}
			_, err := s.UpdateToken(context.Background(), w.parent.ID, token.ID, store.TokenUpdate{Name: &name}, made(3))
			return err
		})
		_, err := s.TokenBySecret(t.Context(), token.SecretHash, at(2))
		wantErr(t, "a token that was updated while it was deleted", err, store.ErrNotFound)
	}
}
