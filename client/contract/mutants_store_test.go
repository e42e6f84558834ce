package contract_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// brokenStore is a store of which some methods are broken: those that are not nil.
type brokenStore struct {
	store.Store

	tokenBySecret func(store.Store, context.Context, store.SecretHash, time.Time) (store.Token, error)
	createToken   func(store.Store, context.Context, store.Token, store.Change) error
	updateToken   func(store.Store, context.Context, uuid.UUID, uuid.UUID, store.TokenUpdate, store.Change) (store.Token, error)
	rotateToken   func(store.Store, context.Context, uuid.UUID, uuid.UUID, store.Rotation, store.Change) (store.Token, error)
	deleteToken   func(store.Store, context.Context, uuid.UUID, uuid.UUID, store.Change) error
	tokens        func(store.Store, context.Context, store.TokenQuery) ([]store.Token, error)
	projects      func(store.Store, context.Context, store.ProjectQuery) ([]store.Project, error)
	rename        func(store.Store, context.Context, uuid.UUID, string, store.Change) (store.Project, error)
	recordUse     func(store.Store, context.Context, map[uuid.UUID]time.Time) error
	events        func(store.Store, context.Context, store.AuditQuery) ([]store.AuditEvent, error)
}

// broken returns what wraps the real store.
func broken(by brokenStore) func(store.Store) store.Store {
	return func(real store.Store) store.Store {
		by.Store = real
		return &by
	}
}

func (b *brokenStore) TokenBySecret(ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
	if b.tokenBySecret == nil {
		return b.Store.TokenBySecret(ctx, hash, now)
	}
	return b.tokenBySecret(b.Store, ctx, hash, now)
}

func (b *brokenStore) CreateToken(ctx context.Context, token store.Token, change store.Change) error {
	if b.createToken == nil {
		return b.Store.CreateToken(ctx, token, change)
	}
	return b.createToken(b.Store, ctx, token, change)
}

func (b *brokenStore) UpdateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change) (store.Token, error) {
	if b.updateToken == nil {
		return b.Store.UpdateToken(ctx, account, id, update, change)
	}
	return b.updateToken(b.Store, ctx, account, id, update, change)
}

func (b *brokenStore) RotateToken(ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change) (store.Token, error) {
	if b.rotateToken == nil {
		return b.Store.RotateToken(ctx, account, id, rotation, change)
	}
	return b.rotateToken(b.Store, ctx, account, id, rotation, change)
}

func (b *brokenStore) DeleteToken(ctx context.Context, account, id uuid.UUID, change store.Change) error {
	if b.deleteToken == nil {
		return b.Store.DeleteToken(ctx, account, id, change)
	}
	return b.deleteToken(b.Store, ctx, account, id, change)
}

func (b *brokenStore) Tokens(ctx context.Context, query store.TokenQuery) ([]store.Token, error) {
	if b.tokens == nil {
		return b.Store.Tokens(ctx, query)
	}
	return b.tokens(b.Store, ctx, query)
}

func (b *brokenStore) Projects(ctx context.Context, query store.ProjectQuery) ([]store.Project, error) {
	if b.projects == nil {
		return b.Store.Projects(ctx, query)
	}
	return b.projects(b.Store, ctx, query)
}

func (b *brokenStore) RenameProject(ctx context.Context, account uuid.UUID, name string, change store.Change) (store.Project, error) {
	if b.rename == nil {
		return b.Store.RenameProject(ctx, account, name, change)
	}
	return b.rename(b.Store, ctx, account, name, change)
}

func (b *brokenStore) RecordUse(ctx context.Context, uses map[uuid.UUID]time.Time) error {
	if b.recordUse == nil {
		return b.Store.RecordUse(ctx, uses)
	}
	return b.recordUse(b.Store, ctx, uses)
}

func (b *brokenStore) AuditEvents(ctx context.Context, query store.AuditQuery) ([]store.AuditEvent, error) {
	if b.events == nil {
		return b.Store.AuditEvents(ctx, query)
	}
	return b.events(b.Store, ctx, query)
}

// root returns the project at the top, and the project itself when it is not there.
func root(ctx context.Context, db store.Store, id uuid.UUID) uuid.UUID {
	project, err := db.Project(ctx, id)
	if err != nil {
		return id
	}
	return project.Root()
}

// updating breaks what an update is taken to ask for.
func updating(change func(*store.TokenUpdate)) func(store.Store) store.Store {
	return broken(brokenStore{updateToken: func(db store.Store, ctx context.Context, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
		change(&u)
		return db.UpdateToken(ctx, account, id, u, c)
	}})
}

// storeMutants keep what was done otherwise than it was done.
func storeMutants() []mutant {
	return []mutant{
		{name: "a new name drops the permissions", cases: []string{"compat.update.absent-permissions-kept", "native.update.absent-permissions-kept"}, store: updating(func(u *store.TokenUpdate) {
			if u.Name != nil && u.Permissions == nil {
				u.Permissions = &[]string{}
			}
		})},
		{name: "new permissions drop the name", cases: []string{"compat.update.absent-name-kept", "native.update.absent-name-kept"}, store: updating(func(u *store.TokenUpdate) {
			if name := "Token"; u.Permissions != nil && u.Name == nil {
				u.Name = &name
			}
		})},
		{name: "of two changes one is made", cases: []string{"compat.update.both", "native.update.both"}, store: updating(func(u *store.TokenUpdate) {
			if u.Name != nil {
				u.Permissions = nil
			}
		})},
		{name: "permissions are only ever added", cases: []string{"compat.update.permissions-replaced", "compat.update.effect"}, store: broken(brokenStore{updateToken: addsPermissions})},
		{name: "an empty update counts as a change", cases: []string{"ext.get.updated-at"}, store: broken(brokenStore{updateToken: touches})},
		{name: "an update is answered, and not kept", cases: []string{"compat.update.name", "compat.update.effect", "native.shared"}, store: broken(brokenStore{updateToken: forgets})},
		{name: "an update of one token renames all", cases: []string{"compat.update.others-kept", "native.update.others-kept"}, store: broken(brokenStore{updateToken: renamesAll})},
		{name: "a subproject reaches its parent's tokens", cases: []string{"reach.subproject-of-parent", "reach.siblings", "reach.wrong-path"}, store: broken(brokenStore{
			updateToken: func(db store.Store, ctx context.Context, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
				return db.UpdateToken(ctx, root(ctx, db, account), id, u, c)
			},
		})},
		{name: "a subproject deletes its parent's tokens", cases: []string{"reach.subproject-of-parent", "reach.siblings", "reach.wrong-path"}, store: broken(brokenStore{
			deleteToken: func(db store.Store, ctx context.Context, account, id uuid.UUID, c store.Change) error {
				return db.DeleteToken(ctx, root(ctx, db, account), id, c)
			},
		})},
		{name: "a parent does not reach its subprojects' tokens", cases: []string{"reach.parent", "reach.native-parent"}, store: broken(brokenStore{updateToken: ownOnly})},
		{name: "permissions stay as they were at the first use", cases: []string{"compat.update.effect", "native.update.effect", "compat.update.itself"}, store: stale(false)},
		{name: "a secret survives the deletion of its token", cases: []string{"compat.delete.secret-dies", "native.delete.secret-dies", "reach.parent"}, store: stale(true)},
		{name: "the first request after a deletion is let in", cases: []string{"compat.delete.secret-dies", "compat.delete.itself"}, store: lingering()},
		{name: "a deletion is answered, and not made", cases: []string{"compat.delete.twice", "native.delete.secret-dies", "ext.list.deleted"}, store: broken(brokenStore{
			deleteToken: func(store.Store, context.Context, uuid.UUID, uuid.UUID, store.Change) error { return nil },
		})},
		{name: "what does not exist can be deleted", cases: []string{"compat.delete.twice", "native.delete.unknown-token"}, store: broken(brokenStore{
			deleteToken: func(db store.Store, ctx context.Context, account, id uuid.UUID, c store.Change) error {
				if err := db.DeleteToken(ctx, account, id, c); !errors.Is(err, store.ErrNotFound) {
					return err
				}
				return nil
			},
		})},
		{name: "a creation is answered, and not made", cases: []string{"compat.create.authenticates", "native.create.subproject"}, store: broken(brokenStore{
			createToken: func(store.Store, context.Context, store.Token, store.Change) error { return nil },
		})},
		{name: "a token is made for the parent", cases: []string{"compat.create.subproject", "auth.project"}, store: broken(brokenStore{
			createToken: func(db store.Store, ctx context.Context, token store.Token, c store.Change) error {
				token.ProjectID = root(ctx, db, token.ProjectID)
				return db.CreateToken(ctx, token, c)
			},
		})},
		{name: "a new token may do everything", cases: []string{"compat.auth.permission", "auth.management-alone"}, store: broken(brokenStore{
			tokenBySecret: func(db store.Store, ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
				token, err := db.TokenBySecret(ctx, hash, now)
				token.Permissions = append(slices.Clone(token.Permissions), "management")
				return token, err
			},
		})},
		{name: "an account is renamed in the answer alone", cases: []string{"accounts.update.form", "accounts.update.json"}, store: broken(brokenStore{
			rename: func(db store.Store, ctx context.Context, account uuid.UUID, name string, _ store.Change) (store.Project, error) {
				project, err := db.Project(ctx, account)
				project.Name = name
				return project, err
			},
		})},
		{name: "a new name is that of all subprojects", cases: []string{"accounts.update.others-kept"}, store: broken(brokenStore{rename: renamesSiblings})},
		{name: "names of accounts are found without regard to case", cases: []string{"accounts.list.filter"}, store: broken(brokenStore{projects: foldsNames})},
		{name: "a subproject lists its siblings", cases: []string{"accounts.list.subproject"}, store: broken(brokenStore{
			projects: func(db store.Store, ctx context.Context, query store.ProjectQuery) ([]store.Project, error) {
				query.Account = root(ctx, db, query.Account)
				return db.Projects(ctx, query)
			},
		})},
	}
}

func addsPermissions(db store.Store, ctx context.Context, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
	if token, err := db.Token(ctx, account, id); err == nil && u.Permissions != nil {
		all := store.PermissionSet(append(*u.Permissions, token.Permissions...))
		u.Permissions = &all
	}
	return db.UpdateToken(ctx, account, id, u, c)
}

func touches(db store.Store, ctx context.Context, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
	if token, err := db.Token(ctx, account, id); err == nil && u.IsEmpty() {
		u.Name = &token.Name
	}
	return db.UpdateToken(ctx, account, id, u, c)
}

func forgets(db store.Store, ctx context.Context, account, id uuid.UUID, u store.TokenUpdate, _ store.Change) (store.Token, error) {
	token, err := db.Token(ctx, account, id)
	if u.Name != nil {
		token.Name = *u.Name
	}
	if u.Permissions != nil {
		token.Permissions = store.PermissionSet(*u.Permissions)
	}
	return token, err
}

func renamesAll(db store.Store, ctx context.Context, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
	tokens, err := db.Tokens(ctx, store.TokenQuery{Account: account, Page: store.Page{Limit: 100}})
	if err != nil {
		return store.Token{}, err
	}
	for _, token := range tokens {
		if _, err := db.UpdateToken(ctx, account, token.ID, store.TokenUpdate{Name: u.Name}, c); err != nil {
			return store.Token{}, err
		}
	}
	return db.UpdateToken(ctx, account, id, u, c)
}

func ownOnly(db store.Store, ctx context.Context, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
	if token, err := db.Token(ctx, account, id); err == nil && token.ProjectID != account {
		return store.Token{}, store.ErrNotFound
	}
	return db.UpdateToken(ctx, account, id, u, c)
}

// stale remembers who a secret was: for ever, or as long as the token exists.
func stale(evenDeleted bool) func(store.Store) store.Store {
	var mu sync.Mutex
	known := map[store.SecretHash]store.Token{}
	return broken(brokenStore{tokenBySecret: func(db store.Store, ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
		token, err := db.TokenBySecret(ctx, hash, now)
		mu.Lock()
		defer mu.Unlock()
		earlier, ok := known[hash]
		switch {
		case ok && err == nil && !evenDeleted:
			return earlier, nil
		case ok && err != nil && evenDeleted:
			return earlier, nil
		case err == nil:
			known[hash] = token
		}
		return token, err
	}})
}

// lingering lets a secret in once more after the end of its token.
func lingering() func(store.Store) store.Store {
	var mu sync.Mutex
	known := map[store.SecretHash]store.Token{}
	return broken(brokenStore{tokenBySecret: func(db store.Store, ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
		token, err := db.TokenBySecret(ctx, hash, now)
		mu.Lock()
		defer mu.Unlock()
		if earlier, ok := known[hash]; ok && err != nil {
			delete(known, hash)
			return earlier, nil
		}
		if err == nil {
			known[hash] = token
		}
		return token, err
	}})
}

func renamesSiblings(db store.Store, ctx context.Context, account uuid.UUID, name string, c store.Change) (store.Project, error) {
	projects, err := db.Projects(ctx, store.ProjectQuery{Account: root(ctx, db, account), Page: store.Page{Limit: 100}})
	if err != nil {
		return store.Project{}, err
	}
	for _, project := range projects {
		if _, err := db.RenameProject(ctx, project.ID, name, c); err != nil {
			return store.Project{}, err
		}
	}
	return db.RenameProject(ctx, account, name, c)
}

func foldsNames(db store.Store, ctx context.Context, query store.ProjectQuery) ([]store.Project, error) {
	if query.Name == "" {
		return db.Projects(ctx, query)
	}
	name := query.Name
	query.Name, query.Limit = "", 1000
	all, err := db.Projects(ctx, query)
	return slices.DeleteFunc(all, func(p store.Project) bool { return !strings.EqualFold(p.Name, name) }), err
}
