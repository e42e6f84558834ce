package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// CreateToken adds a token.
func (db *DB) CreateToken(ctx context.Context, token store.Token, change store.Change) error {
	return db.write(ctx, "create token", func() error {
		return db.once(change, func() (plan, error) {
			if _, known := db.roots[token.ProjectID]; !known {
				return plan{}, store.ErrNotFound
			}
			return plan{keptToken(token), func() { db.addToken(token, change) }}, db.checkToken(token)
		})
	})
}

// checkToken refuses a token whose id or secret is taken.
func (db *DB) checkToken(token store.Token) error {
	if err := db.checkSeal(token.SealedSecret); err != nil {
		return err
	}
	_, idTaken := db.tokens[token.ID]
	_, secretTaken := db.secrets[token.SecretHash]
	if idTaken || secretTaken {
		return store.ErrConflict
	}
	return nil
}

func (db *DB) addToken(wanted store.Token, change store.Change) {
	home := db.worlds[db.roots[wanted.ProjectID]]
	added := &token{Token: keptToken(wanted), retired: make(map[store.SecretHash]time.Time)}
	i, _ := find(home.tokens, added.ID, tokenID)
	home.tokens = slices.Insert(home.tokens, i, added)
	db.tokens[added.ID], db.secrets[added.SecretHash] = home, added
	home.note(change, store.TokenCreated, added.ProjectID, added.ID, store.TokenCreation(keptToken(wanted)))
}

// find returns a token that an account reaches.
func (db *DB) find(account, id uuid.UUID) (*world, *token, error) {
	home, ok := db.tokens[id]
	if !ok {
		return nil, nil, store.ErrNotFound
	}
	i, _ := find(home.tokens, id, tokenID)
	if found := home.tokens[i]; home.reaches(account, found.ProjectID) {
		return home, found, nil
	}
	return nil, nil, store.ErrNotFound
}

// Token returns one token.
func (db *DB) Token(ctx context.Context, account, id uuid.UUID) (store.Token, error) {
	var token store.Token
	err := db.read(ctx, "token "+id.String(), func() error {
		_, found, err := db.find(account, id)
		if err == nil {
			token = keptToken(found.Token)
		}
		return err
	})
	return token, err
}

// Tokens returns a page of tokens.
func (db *DB) Tokens(ctx context.Context, query store.TokenQuery) ([]store.Token, error) {
	tokens := []store.Token{}
	err := db.read(ctx, "list tokens", func() error {
		home, ok := db.worlds[db.roots[query.Account]]
		if !ok {
			return store.ErrNotFound
		}
		for _, found := range readPage(home.tokens, query.Page, false, tokenID, func(t *token) bool {
			return home.reaches(query.Account, t.ProjectID) && strings.HasPrefix(t.Name, query.NamePrefix) &&
				(query.Permission == "" || slices.Contains(t.Permissions, query.Permission)) &&
				(query.Expired == nil || *query.Expired == t.expired(query.Now))
		}) {
			tokens = append(tokens, keptToken(found.Token))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tokens, nil
}

func (t *token) expired(now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(store.Kept(now))
}

// UpdateToken changes a token.
func (db *DB) UpdateToken(
	ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change,
) (store.Token, error) {
	var after store.Token
	err := db.write(ctx, "update token "+id.String(), func() error {
		if err := db.checkCredential(change); err != nil {
			return err
		}
		home, found, err := db.find(account, id)
		if err != nil {
			return err
		}
		if update.IsEmpty() {
			after = keptToken(found.Token)
			return nil
		}
		before := keptToken(found.Token)
		found.Token = update.Apply(found.Token, change.At)
		after = keptToken(found.Token)
		home.note(change, store.TokenUpdated, found.ProjectID, id, store.TokenDifference(before, keptToken(found.Token)))
		return nil
	})
	return after, err
}

// DeleteToken removes a token with its secrets.
func (db *DB) DeleteToken(ctx context.Context, account, id uuid.UUID, change store.Change) error {
	return db.write(ctx, "delete token "+id.String(), func() error {
		if err := db.checkCredential(change); err != nil {
			return err
		}
		home, found, err := db.find(account, id)
		if err != nil {
			return err
		}
		db.dropToken(found)
		home.tokens = slices.DeleteFunc(home.tokens, func(t *token) bool { return t == found })
		home.note(change, store.TokenDeleted, found.ProjectID, id, store.Changes{})
		return nil
	})
}

// dropToken takes a token out of the indexes.
func (db *DB) dropToken(t *token) {
	delete(db.tokens, t.ID)
	delete(db.secrets, t.SecretHash)
	for hash := range t.retired {
		delete(db.secrets, hash)
	}
}

// keptToken is a token as it comes back, which shares nothing with the one given.
func keptToken(t store.Token) store.Token {
	t.Permissions, t.SealedSecret = store.PermissionSet(t.Permissions), clone(t.SealedSecret)
	t.CreatedAt, t.UpdatedAt = store.Kept(t.CreatedAt), store.Kept(t.UpdatedAt)
	t.ExpiresAt, t.LastUsedAt = store.Kept(t.ExpiresAt), store.Kept(t.LastUsedAt)
	return t
}
