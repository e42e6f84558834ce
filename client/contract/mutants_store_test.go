package contract_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// hooks replace methods of the store: those that are not nil. They get the real one.
type hooks struct {
	tokenBySecret func(context.Context, store.Store, store.SecretHash, time.Time) (store.Token, error)
	createToken   func(context.Context, store.Store, store.Token, store.Change) error
	updateToken   func(context.Context, store.Store, uuid.UUID, uuid.UUID, store.TokenUpdate, store.Change) (store.Token, error)
	rotateToken   func(context.Context, store.Store, uuid.UUID, uuid.UUID, store.Rotation, store.Change) (store.Token, error)
	deleteToken   func(context.Context, store.Store, uuid.UUID, uuid.UUID, store.Change) error
	tokens        func(context.Context, store.Store, store.TokenQuery) ([]store.Token, error)
	projects      func(context.Context, store.Store, store.ProjectQuery) ([]store.Project, error)
	rename        func(context.Context, store.Store, uuid.UUID, string, store.Change) (store.Project, error)
	events        func(context.Context, store.Store, store.AuditQuery) ([]store.AuditEvent, error)
}

type hooksKey struct{}

// broken breaks the store for the requests of one mutant.
func broken(by hooks) breaker {
	return func(next http.Handler, _ servertest.Project) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), hooksKey{}, by)))
		})
	}
}

// breakableStore is the real store, but for requests with hooks. So all mutants share one server.
type breakableStore struct{ store.Store }

func breakable(real store.Store) store.Store { return breakableStore{real} }

func hooksOf(ctx context.Context) hooks {
	by, _ := ctx.Value(hooksKey{}).(hooks)
	return by
}

// unchecked lets a server that is wrong about credentials be wrong to the end: the real one checks them again as it makes a change.
func unchecked(ctx context.Context, change store.Change) store.Change {
	if hooksOf(ctx).tokenBySecret != nil {
		change.Credential = nil
	}
	return change
}

func (s breakableStore) TokenBySecret(ctx context.Context, hash store.SecretHash, now time.Time) (store.Token, error) {
	if hook := hooksOf(ctx).tokenBySecret; hook != nil {
		return hook(ctx, s.Store, hash, now)
	}
	return s.Store.TokenBySecret(ctx, hash, now)
}

func (s breakableStore) CreateToken(ctx context.Context, token store.Token, change store.Change) error {
	change = unchecked(ctx, change)
	if hook := hooksOf(ctx).createToken; hook != nil {
		return hook(ctx, s.Store, token, change)
	}
	return s.Store.CreateToken(ctx, token, change)
}

func (s breakableStore) UpdateToken(ctx context.Context, account, id uuid.UUID, update store.TokenUpdate, change store.Change) (store.Token, error) {
	change = unchecked(ctx, change)
	if hook := hooksOf(ctx).updateToken; hook != nil {
		return hook(ctx, s.Store, account, id, update, change)
	}
	return s.Store.UpdateToken(ctx, account, id, update, change)
}

func (s breakableStore) RotateToken(ctx context.Context, account, id uuid.UUID, rotation store.Rotation, change store.Change) (store.Token, error) {
	change = unchecked(ctx, change)
	if hook := hooksOf(ctx).rotateToken; hook != nil {
		return hook(ctx, s.Store, account, id, rotation, change)
	}
	return s.Store.RotateToken(ctx, account, id, rotation, change)
}

func (s breakableStore) DeleteToken(ctx context.Context, account, id uuid.UUID, change store.Change) error {
	change = unchecked(ctx, change)
	if hook := hooksOf(ctx).deleteToken; hook != nil {
		return hook(ctx, s.Store, account, id, change)
	}
	return s.Store.DeleteToken(ctx, account, id, change)
}

func (s breakableStore) Tokens(ctx context.Context, query store.TokenQuery) ([]store.Token, error) {
	if hook := hooksOf(ctx).tokens; hook != nil {
		return hook(ctx, s.Store, query)
	}
	return s.Store.Tokens(ctx, query)
}

func (s breakableStore) Projects(ctx context.Context, query store.ProjectQuery) ([]store.Project, error) {
	if hook := hooksOf(ctx).projects; hook != nil {
		return hook(ctx, s.Store, query)
	}
	return s.Store.Projects(ctx, query)
}

func (s breakableStore) RenameProject(ctx context.Context, account uuid.UUID, name string, change store.Change) (store.Project, error) {
	change = unchecked(ctx, change)
	if hook := hooksOf(ctx).rename; hook != nil {
		return hook(ctx, s.Store, account, name, change)
	}
	return s.Store.RenameProject(ctx, account, name, change)
}

func (s breakableStore) AuditEvents(ctx context.Context, query store.AuditQuery) ([]store.AuditEvent, error) {
	if hook := hooksOf(ctx).events; hook != nil {
		return hook(ctx, s.Store, query)
	}
	return s.Store.AuditEvents(ctx, query)
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
func updating(change func(*store.TokenUpdate)) breaker {
	return broken(hooks{updateToken: func(ctx context.Context, db store.Store, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
		change(&u)
		return db.UpdateToken(ctx, account, id, u, c)
	}})
}

// storeMutants keep what was done otherwise than it was done.
func storeMutants() []mutant {
	return []mutant{
		{name: "a new name drops the permissions", cases: []string{"compat.update.absent-permissions-kept", "native.update.absent-permissions-kept"}, handler: updating(func(u *store.TokenUpdate) {
			if u.Name != nil && u.Permissions == nil {
				u.Permissions = &[]string{}
			}
		})},
		{name: "new permissions drop the name", cases: []string{"compat.update.absent-name-kept", "native.update.absent-name-kept"}, handler: updating(func(u *store.TokenUpdate) {
			if name := "Token"; u.Permissions != nil && u.Name == nil {
				u.Name = &name
			}
		})},
		{name: "of two changes one is made", cases: []string{"compat.update.both", "native.update.both"}, handler: updating(func(u *store.TokenUpdate) {
			if u.Name != nil {
				u.Permissions = nil
			}
		})},
		{name: "permissions are only ever added", cases: []string{"compat.update.permissions-replaced", "compat.update.effect"}, handler: broken(hooks{updateToken: addsPermissions})},
		{name: "an empty update counts as a change", cases: []string{"ext.get.updated-at"}, handler: broken(hooks{updateToken: touches})},
		{name: "an update is answered, and not kept", cases: []string{"compat.update.name", "compat.update.effect", "native.shared"}, handler: broken(hooks{updateToken: forgets})},
		{name: "an update of one token renames all", cases: []string{"compat.update.others-kept", "native.update.others-kept"}, handler: broken(hooks{updateToken: renamesAll})},
		{name: "a subproject reaches its parent's tokens", cases: []string{"reach.subproject-of-parent", "reach.siblings", "reach.wrong-path"}, handler: broken(hooks{
			updateToken: func(ctx context.Context, db store.Store, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
				return db.UpdateToken(ctx, root(ctx, db, account), id, u, c)
			},
		})},
		{name: "a subproject deletes its parent's tokens", cases: []string{"reach.subproject-of-parent", "reach.siblings", "reach.wrong-path"}, handler: broken(hooks{
			deleteToken: func(ctx context.Context, db store.Store, account, id uuid.UUID, c store.Change) error {
				return db.DeleteToken(ctx, root(ctx, db, account), id, c)
			},
		})},
		{name: "a parent does not reach its subprojects' tokens", cases: []string{"reach.parent", "reach.native-parent"}, handler: broken(hooks{updateToken: ownOnly})},
		{name: "permissions stay as they were at the first use", cases: []string{"compat.update.effect", "native.update.effect", "compat.update.itself"}, handler: stale(false)},
		{name: "a secret survives the deletion of its token", cases: []string{"compat.delete.secret-dies", "native.delete.secret-dies", "reach.parent"}, handler: stale(true)},
		{name: "the first request after a deletion is let in", cases: []string{"compat.delete.secret-dies", "compat.delete.itself"}, handler: lingering()},
		{name: "a deletion is answered, and not made", cases: []string{"compat.delete.twice", "native.delete.secret-dies", "ext.list.deleted"}, handler: broken(hooks{
			deleteToken: func(context.Context, store.Store, uuid.UUID, uuid.UUID, store.Change) error { return nil },
		})},
		{name: "what does not exist can be deleted", cases: []string{"compat.delete.twice", "native.delete.unknown-token"}, handler: broken(hooks{
			deleteToken: func(ctx context.Context, db store.Store, account, id uuid.UUID, c store.Change) error {
				if err := db.DeleteToken(ctx, account, id, c); !errors.Is(err, store.ErrNotFound) {
					return err
				}
				return nil
			},
		})},
		{name: "a creation is answered, and not made", cases: []string{"compat.create.authenticates", "native.create.subproject"}, handler: broken(hooks{
			createToken: func(context.Context, store.Store, store.Token, store.Change) error { return nil },
		})},
		{name: "a token is made for the parent", cases: []string{"compat.create.subproject", "auth.project"}, handler: broken(hooks{
			createToken: func(ctx context.Context, db store.Store, token store.Token, c store.Change) error {
				token.ProjectID = root(ctx, db, token.ProjectID)
				return db.CreateToken(ctx, token, c)
			},
		})},
		{name: "a new token may do everything", cases: []string{"compat.auth.permission", "auth.management-alone"}, handler: broken(hooks{
			tokenBySecret: func(ctx context.Context, db store.Store, hash store.SecretHash, now time.Time) (store.Token, error) {
				token, err := db.TokenBySecret(ctx, hash, now)
				token.Permissions = append(slices.Clone(token.Permissions), "management")
				return token, err
			},
		})},
		{name: "an account is renamed in the answer alone", cases: []string{"accounts.update.form", "accounts.update.json"}, handler: broken(hooks{
			rename: func(ctx context.Context, db store.Store, account uuid.UUID, name string, _ store.Change) (store.Project, error) {
				project, err := db.Project(ctx, account)
				project.Name = name
				return project, err
			},
		})},
		{name: "a new name is that of all subprojects", cases: []string{"accounts.update.others-kept"}, handler: broken(hooks{rename: renamesSiblings})},
		{name: "names of accounts are found without regard to case", cases: []string{"accounts.list.filter"}, handler: broken(hooks{projects: foldsNames})},
		{name: "a subproject lists its siblings", cases: []string{"accounts.list.subproject"}, handler: broken(hooks{
			projects: func(ctx context.Context, db store.Store, query store.ProjectQuery) ([]store.Project, error) {
				query.Account = root(ctx, db, query.Account)
				return db.Projects(ctx, query)
			},
		})},
	}
}

func addsPermissions(ctx context.Context, db store.Store, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
	if token, err := db.Token(ctx, account, id); err == nil && u.Permissions != nil {
		all := store.PermissionSet(append(*u.Permissions, token.Permissions...))
		u.Permissions = &all
	}
	return db.UpdateToken(ctx, account, id, u, c)
}

func touches(ctx context.Context, db store.Store, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
	if token, err := db.Token(ctx, account, id); err == nil && u.IsEmpty() {
		u.Name = &token.Name
	}
	return db.UpdateToken(ctx, account, id, u, c)
}

func forgets(ctx context.Context, db store.Store, account, id uuid.UUID, u store.TokenUpdate, _ store.Change) (store.Token, error) {
	token, err := db.Token(ctx, account, id)
	if u.Name != nil {
		token.Name = *u.Name
	}
	if u.Permissions != nil {
		token.Permissions = store.PermissionSet(*u.Permissions)
	}
	return token, err
}

func renamesAll(ctx context.Context, db store.Store, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
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

func ownOnly(ctx context.Context, db store.Store, account, id uuid.UUID, u store.TokenUpdate, c store.Change) (store.Token, error) {
	if token, err := db.Token(ctx, account, id); err == nil && token.ProjectID != account {
		return store.Token{}, store.ErrNotFound
	}
	return db.UpdateToken(ctx, account, id, u, c)
}

// stale remembers who a secret was: for ever, or as long as the token exists.
func stale(evenDeleted bool) breaker {
	var mu sync.Mutex
	known := map[store.SecretHash]store.Token{}
	return broken(hooks{tokenBySecret: func(ctx context.Context, db store.Store, hash store.SecretHash, now time.Time) (store.Token, error) {
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
func lingering() breaker {
	var mu sync.Mutex
	known := map[store.SecretHash]store.Token{}
	return broken(hooks{tokenBySecret: func(ctx context.Context, db store.Store, hash store.SecretHash, now time.Time) (store.Token, error) {
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

func renamesSiblings(ctx context.Context, db store.Store, account uuid.UUID, name string, c store.Change) (store.Project, error) {
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

func foldsNames(ctx context.Context, db store.Store, query store.ProjectQuery) ([]store.Project, error) {
	if query.Name == "" {
		return db.Projects(ctx, query)
	}
	name := query.Name
	query.Name, query.Limit = "", 1000
	all, err := db.Projects(ctx, query)
	return slices.DeleteFunc(all, func(p store.Project) bool { return !strings.EqualFold(p.Name, name) }), err
}
