package contract_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// retiring breaks when the earlier secrets of a rotated token stop.
func retiring(when func(rotation store.Rotation, now time.Time) time.Time) breaker {
	return broken(hooks{rotateToken: func(ctx context.Context, db store.Store, account, id uuid.UUID, rotation store.Rotation, c store.Change) (store.Token, error) {
		rotation.RetireAt = when(rotation, c.At)
		return db.RotateToken(ctx, account, id, rotation, c)
	}})
}

// querying breaks which tokens are looked for.
func querying(change func(context.Context, store.Store, *store.TokenQuery)) breaker {
	return broken(hooks{tokens: func(ctx context.Context, db store.Store, query store.TokenQuery) ([]store.Token, error) {
		change(ctx, db, &query)
		return db.Tokens(ctx, query)
	}})
}

// lifeMutants keep the extensions otherwise than they promise.
func lifeMutants() []mutant {
	return []mutant{
		{name: "the old secret outlives a rotation", cases: []string{"ext.rotate.old-dies", "ext.rotate.itself"}, handler: retiring(func(_ store.Rotation, now time.Time) time.Time {
			return now.Add(time.Hour)
		})},
		{name: "there is no grace period", cases: []string{"ext.rotate.grace", "ext.rotate.grace-end"}, handler: retiring(func(_ store.Rotation, now time.Time) time.Time {
			return now
		})},
		{name: "a grace period never ends", cases: []string{"ext.rotate.grace-end"}, handler: retiring(func(rotation store.Rotation, now time.Time) time.Time {
			if rotation.RetireAt.After(now) {
				return now.Add(time.Hour)
			}
			return rotation.RetireAt
		})},
		{name: "a rotation forgets the permissions", cases: []string{"ext.rotate.answer"}, handler: broken(hooks{
			rotateToken: func(ctx context.Context, db store.Store, account, id uuid.UUID, rotation store.Rotation, c store.Change) (store.Token, error) {
				token, err := db.RotateToken(ctx, account, id, rotation, c)
				token.Permissions = nil
				return token, err
			},
		})},
		{name: "tokens do not expire", cases: []string{"ext.expiry.end"}, handler: broken(hooks{
			tokenBySecret: func(ctx context.Context, db store.Store, hash store.SecretHash, _ time.Time) (store.Token, error) {
				return db.TokenBySecret(ctx, hash, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
			},
		})},
		{name: "an update removes the expiry", cases: []string{"ext.compat.expiry.update", "ext.native.expiry.update"}, handler: updating(func(u *store.TokenUpdate) {
			if u.ExpiresAt == nil {
				u.ExpiresAt = &time.Time{}
			}
		})},
		{name: "null does not remove the expiry", cases: []string{"ext.compat.expiry.update", "ext.expiry.end"}, handler: updating(func(u *store.TokenUpdate) {
			if u.ExpiresAt != nil && u.ExpiresAt.IsZero() {
				u.ExpiresAt = nil
			}
		})},
		{name: "the last use is not recorded", cases: []string{"ext.get.last-used"}, handler: set(on("GET", tokenPath), 200, "last_used_at", nil)},
		{name: "the beginning of a name is found without regard to case", cases: []string{"ext.list.name-prefix"}, handler: broken(hooks{
			tokens: func(ctx context.Context, db store.Store, query store.TokenQuery) ([]store.Token, error) {
				prefix := strings.ToLower(query.NamePrefix)
				query.NamePrefix = ""
				all, err := db.Tokens(ctx, query)
				return slices.DeleteFunc(all, func(k store.Token) bool { return !strings.HasPrefix(strings.ToLower(k.Name), prefix) }), err
			},
		})},
		{name: "the beginning of a name is found anywhere", cases: []string{"ext.list.name-prefix"}, handler: broken(hooks{
			tokens: func(ctx context.Context, db store.Store, query store.TokenQuery) ([]store.Token, error) {
				part := query.NamePrefix
				query.NamePrefix = ""
				all, err := db.Tokens(ctx, query)
				return slices.DeleteFunc(all, func(k store.Token) bool { return !strings.Contains(k.Name, part) }), err
			},
		})},
		{name: "a subproject's list has its parent's tokens", cases: []string{"ext.list.accounts"}, handler: querying(func(ctx context.Context, db store.Store, query *store.TokenQuery) {
			query.Account = root(ctx, db, query.Account)
		})},
		{name: "pages are counted, and move when tokens go", cases: []string{"ext.pages.stable"}, handler: broken(hooks{tokens: byOffset()})},
		{name: "the end of a token leaves no event", cases: []string{"ext.audit.life"}, handler: broken(hooks{
			events: func(ctx context.Context, db store.Store, query store.AuditQuery) ([]store.AuditEvent, error) {
				all, err := db.AuditEvents(ctx, query)
				return slices.DeleteFunc(all, func(e store.AuditEvent) bool { return e.Action == store.TokenDeleted }), err
			},
		})},
		{name: "events do not have the earlier values", cases: []string{"ext.audit.life", "ext.audit.account"}, handler: broken(hooks{
			events: func(ctx context.Context, db store.Store, query store.AuditQuery) ([]store.AuditEvent, error) {
				all, err := db.AuditEvents(ctx, query)
				for i := range all {
					if all[i].Changes.Name != nil {
						all[i].Changes.Name.Old = nil
					}
				}
				return all, err
			},
		})},
		{name: "a subproject sees its parent's events", cases: []string{"ext.audit.accounts"}, handler: broken(hooks{
			events: func(ctx context.Context, db store.Store, query store.AuditQuery) ([]store.AuditEvent, error) {
				query.Account = root(ctx, db, query.Account)
				return db.AuditEvents(ctx, query)
			},
		})},
		{name: "the events of all tokens are found for one", cases: []string{"ext.audit.life", "ext.audit.filters"}, handler: broken(hooks{
			events: func(ctx context.Context, db store.Store, query store.AuditQuery) ([]store.AuditEvent, error) {
				query.TokenID = uuid.Nil
				return db.AuditEvents(ctx, query)
			},
		})},
	}
}

// byOffset begins a page after as many entries as were shown before, whatever has become of them.
func byOffset() func(context.Context, store.Store, store.TokenQuery) ([]store.Token, error) {
	var mu sync.Mutex
	shown := map[uuid.UUID]int{} // how many entries stood up to this one
	return func(ctx context.Context, db store.Store, query store.TokenQuery) ([]store.Token, error) {
		mu.Lock()
		defer mu.Unlock()
		before := query.Offset
		if query.After != nil {
			before = shown[*query.After]
			query.After, query.Offset = nil, before
		}
		page, err := db.Tokens(ctx, query)
		for i, token := range page {
			shown[token.ID] = before + i + 1
		}
		return page, err
	}
}
