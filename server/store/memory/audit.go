package memory

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// AuditEvents returns a page of events.
func (db *DB) AuditEvents(ctx context.Context, query store.AuditQuery) ([]store.AuditEvent, error) {
	events := []store.AuditEvent{}
	err := db.read(ctx, "list audit events", func() error {
		home, ok := db.worlds[db.roots[query.Account]]
		if !ok {
			return store.ErrNotFound
		}
		for _, event := range readPage(home.events, query.Page, true, eventID, func(e store.AuditEvent) bool {
			return home.reaches(query.Account, e.ProjectID) && matches(query, e)
		}) {
			events = append(events, copyOf(event))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

func matches(query store.AuditQuery, e store.AuditEvent) bool {
	return (query.Action == "" || query.Action == e.Action) &&
		(query.TokenID == uuid.Nil || query.TokenID == e.TokenID) &&
		(query.From.IsZero() || !e.At.Before(store.Kept(query.From))) &&
		(query.Until.IsZero() || e.At.Before(store.Kept(query.Until)))
}

// copyOf shares nothing with the event, so that the trail is append-only for whoever reads it too.
func copyOf(e store.AuditEvent) store.AuditEvent {
	e.Changes.Name = copyValues(e.Changes.Name)
	e.Changes.ExpiresAt = copyValues(e.Changes.ExpiresAt)
	if e.Changes.Permissions = copyValues(e.Changes.Permissions); e.Changes.Permissions != nil {
		for _, list := range []*[]string{e.Changes.Permissions.Old, e.Changes.Permissions.New} {
			if list != nil {
				*list = slices.Clone(*list)
			}
		}
	}
	return e
}

func copyValues[T any](values *store.Values[T]) *store.Values[T] {
	if values == nil {
		return nil
	}
	copied := store.Values[T]{}
	if values.Old != nil {
		copied.Old = new(*values.Old)
	}
	if values.New != nil {
		copied.New = new(*values.New)
	}
	return &copied
}
