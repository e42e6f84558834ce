package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

const columnsOfEvent = `id, at, action, project_id, token_id, actor_project_id, actor_token_id, address, request_id, changes`

// insertEvent adds an event in the transaction of the change that it describes. Changes wait for each other, so that a later one
// may have begun earlier; the times of events do not go back.
func insertEvent(ctx context.Context, tx *statements, event store.AuditEvent) error {
	changes, err := json.Marshal(event.Changes)
	if err != nil {
		return fmt.Errorf("encode the changes of an event: %w", err)
	}
	_, err = tx.ExecContext(ctx, `WITH account AS (SELECT root_id AS root FROM projects WHERE id = ?1)
		INSERT INTO audit_events (`+columnsOfEvent+`, root_id)
		SELECT ?2, max(?3, coalesce((SELECT at FROM audit_events WHERE root_id = root ORDER BY id DESC LIMIT 1), ?3)),
			?4, ?1, ?5, ?6, ?7, ?8, ?9, ?10, root FROM account`,
		event.ProjectID[:], event.ID[:], micro(event.At), string(event.Action), optionalID(event.TokenID),
		optionalID(event.Actor.ProjectID), optionalID(event.Actor.TokenID), event.Actor.Address, event.Actor.RequestID,
		string(changes))
	return err
}

// AuditEvents returns a page of events.
func (db *DB) AuditEvents(ctx context.Context, query store.AuditQuery) ([]store.AuditEvent, error) {
	events, err := db.listEvents(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list audit events: %w", explain(ctx, err))
	}
	return events, nil
}

func (db *DB) listEvents(ctx context.Context, query store.AuditQuery) ([]store.AuditEvent, error) {
	l := &list{columns: columnsOfEvent, from: `audit_events`, newestFirst: true}
	if err := l.account(ctx, db.read, query.Account, `project_id`); err != nil {
		return nil, err
	}
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
	return readPage(ctx, db.read, l, query.Page, scanEvent)
}

func scanEvent(row scanner) (store.AuditEvent, error) {
	var event store.AuditEvent
	var at int64
	var changes []byte
	err := row.Scan(&event.ID, &at, &event.Action, &event.ProjectID, &event.TokenID,
		&event.Actor.ProjectID, &event.Actor.TokenID, &event.Actor.Address, &event.Actor.RequestID, &changes)
	if err != nil {
		return store.AuditEvent{}, err
	}
	event.At = fromMicro(at)
	if err := json.Unmarshal(changes, &event.Changes); err != nil {
		return store.AuditEvent{}, fmt.Errorf("decode the changes of event %s: %w", event.ID, err)
	}
	return event, nil
}
