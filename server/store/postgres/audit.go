package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tokenwire/tokenwire/server/store"
)

const columnsOfEvent = `id, at, action, project_id, token_id, actor_project_id, actor_token_id, address, request_id, changes`

// AuditEvents returns a page of events.
func (db *DB) AuditEvents(ctx context.Context, query store.AuditQuery) ([]store.AuditEvent, error) {
	l := &list{columns: columnsOfEvent, from: `audit_events`, newestFirst: true}
	if query.Action != "" {
		l.where(`action = ?`, string(query.Action))
	}
	if query.TokenID != uuid.Nil {
		l.where(`token_id = ?`, id(query.TokenID))
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

func scanEvent(row pgx.CollectableRow) (store.AuditEvent, error) {
	var event store.AuditEvent
	var eventID, project, token, actorProject, actorToken pgtype.UUID
	var at int64
	var action string
	var changes []byte
	err := row.Scan(&eventID, &at, &action, &project, &token, &actorProject, &actorToken, &event.Actor.Address, &event.Actor.RequestID, &changes)
	if err != nil {
		return event, err
	}
	event.ID, event.At, event.Action = eventID.Bytes, fromMicro(at), store.Action(action)
	event.ProjectID, event.TokenID = project.Bytes, token.Bytes
	event.Actor.ProjectID, event.Actor.TokenID = actorProject.Bytes, actorToken.Bytes
	if err := json.Unmarshal(changes, &event.Changes); err != nil {
		return event, fmt.Errorf("decode the changes of event %s: %w", event.ID, err)
	}
	return event, nil
}

// events are new ones, by column.
type events struct {
	ids, roots, projects, tokens, actorProjects, actorTokens array[pgtype.UUID]
	at                                                       array[int64]
	actions, addresses, requests, changes                    array[string]
}

func (e *events) add(event written, at int64, root uuid.UUID) {
	e.ids, e.at, e.actions = append(e.ids, id(event.ID)), append(e.at, at), append(e.actions, string(event.Action))
	e.roots, e.projects = append(e.roots, id(root)), append(e.projects, id(event.ProjectID))
	e.tokens = append(e.tokens, optionalID(event.TokenID))
	e.actorProjects = append(e.actorProjects, optionalID(event.Actor.ProjectID))
	e.actorTokens = append(e.actorTokens, optionalID(event.Actor.TokenID))
	e.addresses, e.requests = append(e.addresses, event.Actor.Address), append(e.requests, event.Actor.RequestID)
	e.changes = append(e.changes, event.changes)
}

const insertEvents = `INSERT INTO audit_events (` + columnsOfEvent + `, root_id)
	SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[],
		$10::text[], $11::uuid[])`

func (e *events) queue(b *pgx.Batch) {
	if len(e.ids) > 0 {
		b.Queue(insertEvents, e.ids, e.at, e.actions, e.projects, e.tokens, e.actorProjects, e.actorTokens, e.addresses, e.requests,
			e.changes, e.roots)
	}
}
