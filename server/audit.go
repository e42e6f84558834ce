package server

import (
	"context"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/store"
)

// ListAuditEvents is the operation list_audit_events.
func (s *Server) ListAuditEvents(ctx context.Context, request serverapi.ListAuditEventsRequestObject) (serverapi.ListAuditEventsResponseObject, error) {
	account, err := s.account(ctx, request.AccountSid)
	if err != nil {
		return nil, err
	}
	params := request.Params
	query, filters := auditQuery(account, params)
	events, links, err := readPage(s, listing{account, accountsPath + "/" + account.String() + "/audit_events", filters},
		pageQuery{params.Page, params.PageSize, params.PageToken},
		func(page store.Page) ([]store.AuditEvent, error) {
			query.Page = page
			return s.config.Store.AuditEvents(ctx, query)
		},
		func(e store.AuditEvent) uuid.UUID { return e.ID })
	if err != nil {
		return nil, err
	}
	page := serverapi.AuditPage{
		URI: links.uri, FirstPageURI: links.first, NextPageURI: links.next, PreviousPageURI: links.previous,
		Page: links.page, PageSize: links.size, AuditEvents: make([]serverapi.AuditEvent, 0, len(events)),
	}
	for _, event := range events {
		page.AuditEvents = append(page.AuditEvents, auditAnswer(event))
	}
	return serverapi.ListAuditEvents200JSONResponse{Body: page}, nil
}

func auditQuery(account uuid.UUID, params serverapi.ListAuditEventsParams) (store.AuditQuery, url.Values) {
	query, filters := store.AuditQuery{Account: account}, url.Values{}
	if params.Action != nil {
		query.Action = store.Action(*params.Action)
		filters.Set("Action", string(query.Action))
	}
	if params.TokenID != nil {
		query.TokenID = *params.TokenID
		filters.Set("TokenId", query.TokenID.String())
	}
	if params.From != nil {
		query.From = *params.From
		filters.Set("From", query.From.UTC().Format(time.RFC3339Nano))
	}
	if params.Until != nil {
		query.Until = *params.Until
		filters.Set("Until", query.Until.UTC().Format(time.RFC3339Nano))
	}
	return query, filters
}

func auditAnswer(event store.AuditEvent) serverapi.AuditEvent {
	answer := serverapi.AuditEvent{
		ID: event.ID, CreatedAt: event.At, Action: serverapi.AuditAction(event.Action), ProjectID: event.ProjectID,
		TokenID: optional(event.TokenID), Actor: serverapi.AuditActor{
			ProjectID: optional(event.Actor.ProjectID), TokenID: optional(event.Actor.TokenID),
			Address: optional(event.Actor.Address), RequestID: optional(event.Actor.RequestID),
		},
	}
	if name := event.Changes.Name; name != nil {
		answer.Changes.Name = &serverapi.TextChange{Old: fromPointer(name.Old), New: fromPointer(name.New)}
	}
	if expiry := event.Changes.ExpiresAt; expiry != nil {
		answer.Changes.ExpiresAt = &serverapi.TimeChange{Old: fromPointer(expiry.Old), New: fromPointer(expiry.New)}
	}
	if permissions := event.Changes.Permissions; permissions != nil {
		answer.Changes.Permissions = &serverapi.PermissionsChange{Old: permissionsOf(permissions.Old), New: permissionsOf(permissions.New)}
	}
	return answer
}

// optional shows the zero value as null.
func optional[T comparable](value T) nullable.Nullable[T] {
	var zero T
	if value == zero {
		return nullable.NewNullNullable[T]()
	}
	return nullable.NewNullableWithValue(value)
}

func fromPointer[T any](value *T) nullable.Nullable[T] {
	if value == nil {
		return nullable.NewNullNullable[T]()
	}
	return nullable.NewNullableWithValue(*value)
}

func permissionsOf(stored *[]string) nullable.Nullable[[]serverapi.Permission] {
	if stored == nil {
		return nullable.NewNullNullable[[]serverapi.Permission]()
	}
	return nullable.NewNullableWithValue(wirePermissions(*stored))
}
