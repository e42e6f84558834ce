package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const columnsOfEvent = `id, at, action, project_id, token_id, actor_project_id, actor_token_id, address, request_id, changes`

// note adds the event of a change. Changes wait for each other, so that a later one may have begun earlier; the times of events
// do not go back.
func (t *tx) note(event store.AuditEvent) error {
	changes, err := json.Marshal(event.Changes)
	if err != nil {
		return fmt.Errorf("encode the changes of an event: %w", err)
	}
	root, err := t.root(event.ProjectID)
	if err != nil {
		return err
	}
	latest, err := t.latestEvent(root)
	if err != nil {
		return err
	}
	at := max(micro(event.At), latest)
	t.latest[root] = at
	return t.exec(`INSERT INTO audit_events (`+columnsOfEvent+`, root_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		event.ID[:], at, string(event.Action), event.ProjectID[:], optionalID(event.TokenID),
		optionalID(event.Actor.ProjectID), optionalID(event.Actor.TokenID), event.Actor.Address, event.Actor.RequestID,
		string(changes), root[:])
}

// latestEvent returns the time of the latest event of a root, in microseconds, or a time before any.
func (t *tx) latestEvent(root uuid.UUID) (int64, error) {
	if at, ok := t.latest[root]; ok {
		return at, nil
	}
	// Without the cast SQLite would plan this anew each time, because there is a partial index.
	at, err := one(t.conn, int64At0, `SELECT at FROM audit_events WHERE root_id = CAST(? AS BLOB) ORDER BY id DESC LIMIT 1`, root[:])
	if errors.Is(err, errNoRow) {
		return math.MinInt64, nil
	}
	return at, err
}

// AuditEvents returns a page of events.
func (db *DB) AuditEvents(ctx context.Context, query store.AuditQuery) ([]store.AuditEvent, error) {
	l := &list{columns: columnsOfEvent, from: `audit_events`, newestFirst: true}
	if query.Action != "" {
		l.where(`action = ?`, string(query.Action))
	}
	if query.TokenID != uuid.Nil {
		l.where(`token_id = ?`, query.TokenID[:])
	}
	if !query.From.IsZero() {
		l.where(`at >= ?`, micro(query.From))
	}
	if !query.Until.IsZero() {
		l.where(`at < ?`, micro(query.Until))
	}
	events, err := readPage(ctx, db, l, query.Account, `project_id`, query.Page, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("list audit events: %w", err)
	}
	return events, nil
}

func scanEvent(r row) (store.AuditEvent, error) {
	event := store.AuditEvent{
		ID: r.id(0), At: r.time(1), Action: store.Action(r.text(2)), ProjectID: r.id(3), TokenID: r.id(4),
		Actor: store.Actor{ProjectID: r.id(5), TokenID: r.id(6), Address: r.text(7), RequestID: r.text(8)},
	}
	if err := json.Unmarshal(r.bytes(9), &event.Changes); err != nil {
		return store.AuditEvent{}, fmt.Errorf("decode the changes of event %s: %w", event.ID, err)
	}
	return event, nil
}
