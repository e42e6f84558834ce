package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/clientapi"
)

// AuditEvent is one change to an account, and who made it. An extension of tokenwire.
type AuditEvent struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	// Action is what was done, such as "token.updated".
	Action string `json:"action"`
	// ProjectID is the project that was changed, or whose token was; TokenID is empty unless it was a token.
	ProjectID string `json:"project_id"`
	TokenID   string `json:"token_id,omitempty"`
	Actor     Actor  `json:"actor"`
	// Changes has each field that the change concerned, by its name in the API.
	Changes map[string]ValueChange `json:"changes"`
}

// Actor is who made a change. The operator on the server's command line has none of these.
type Actor struct {
	ProjectID string `json:"project_id,omitempty"`
	TokenID   string `json:"token_id,omitempty"`
	Address   string `json:"address,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// ValueChange is a field before and after a change: a string, a []Permission, a time.Time, or nil where there was no
// value.
type ValueChange struct {
	Old any `json:"old"`
	New any `json:"new"`
}

// ListAuditEventsParams selects events. Its zero value selects all of them.
type ListAuditEventsParams struct {
	// Action, if not empty, selects one kind of event, such as "token.updated".
	Action string
	// TokenID, if not empty, selects the events of one token (a UUID), which need not exist any more.
	TokenID string
	// From and Until, if not zero, bound the time: from From on, and before Until.
	From, Until time.Time
	// PageSize is how many events one request fetches: 1 to 1000, by default 50.
	PageSize int
}

// ListAuditEvents iterates over the changes to the account, its subprojects and their tokens, newest first. It
// fetches a page when the loop gets there, and stops after the first error. An extension of tokenwire.
//
// Errors: [ErrUnauthorized], [ErrNotFound] when the account is not the project's, [ErrBadRequest] when a
// parameter is out of bounds, [*ArgumentError].
func (c *Client) ListAuditEvents(ctx context.Context, params ListAuditEventsParams) iter.Seq2[*AuditEvent, error] {
	first := func() (*http.Request, error) {
		account, err := parseID("account ID", c.account)
		if err != nil {
			return nil, err
		}
		query := &clientapi.ListAuditEventsParams{
			Action: optional(clientapi.AuditAction(params.Action)), From: optional(params.From), Until: optional(params.Until),
		}
		if query.PageSize, err = pageSize(params.PageSize); err != nil {
			return nil, err
		}
		if params.TokenID != "" {
			token, err := parseID("TokenID", params.TokenID)
			if err != nil {
				return nil, err
			}
			query.TokenID = &token
		}
		return clientapi.NewListAuditEventsRequest(c.server, account, query)
	}
	return pages(ctx, c, "list audit events", first, func(page clientapi.AuditPage) ([]*AuditEvent, string) {
		events := make([]*AuditEvent, len(page.AuditEvents))
		for i, wire := range page.AuditEvents {
			events[i] = ownEvent(wire)
		}
		return events, orZero(page.NextPageURI)
	})
}

func ownEvent(wire clientapi.AuditEvent) *AuditEvent {
	event := &AuditEvent{
		ID: wire.ID.String(), Time: wire.CreatedAt, Action: string(wire.Action), ProjectID: wire.ProjectID.String(),
		TokenID: idText(wire.TokenID), Changes: make(map[string]ValueChange),
		Actor: Actor{
			ProjectID: idText(wire.Actor.ProjectID), TokenID: idText(wire.Actor.TokenID),
			Address: orZero(wire.Actor.Address), RequestID: orZero(wire.Actor.RequestID),
		},
	}
	if change := wire.Changes.Name; change != nil {
		event.Changes["name"] = ValueChange{orNil(change.Old), orNil(change.New)}
	}
	if change := wire.Changes.ExpiresAt; change != nil {
		event.Changes["expires_at"] = ValueChange{orNil(change.Old), orNil(change.New)}
	}
	if change := wire.Changes.Permissions; change != nil {
		event.Changes["permissions"] = ValueChange{permissionsOrNil(change.Old), permissionsOrNil(change.New)}
	}
	return event
}

// idText returns "" for null.
func idText[T fmt.Stringer](value nullable.Nullable[T]) string {
	got, err := value.Get()
	if err != nil {
		return ""
	}
	return got.String()
}

func orNil[T any](value nullable.Nullable[T]) any {
	got, err := value.Get()
	if err != nil {
		return nil
	}
	return got
}

func permissionsOrNil(value nullable.Nullable[[]clientapi.Permission]) any {
	got, err := value.Get()
	if err != nil {
		return nil
	}
	return ownPermissions(got)
}
