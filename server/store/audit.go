package store

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Change says when and by whom a change is made, for the audit trail, and under which idempotency key.
type Change struct {
	// At is the time of the change.
	At    time.Time
	Actor Actor
	// Credential is what the caller has authenticated with. It is nil for the operator.
	Credential *Credential
	// Idempotency is nil when the request has no key.
	Idempotency *Idempotency
}

// Credential is a secret, and the permission without which a change must not be made.
type Credential struct {
	SecretHash SecretHash
	Permission string
}

// Actor is who makes a change. The operator on the command line has neither project nor address.
type Actor struct {
	ProjectID uuid.UUID
	TokenID   uuid.UUID
	Address   string
	RequestID string
}

// Idempotency is a request that may be sent again.
type Idempotency struct {
	// ProjectID and Key identify the request.
	ProjectID uuid.UUID
	Key       string
	// Fingerprint is equal for equal requests.
	Fingerprint [32]byte
	// Answer makes what is kept, and returned when the request comes again, from the token as it is after the change; a new
	// project's gets the zero Token. It must seal a secret. When it fails the change does not happen.
	Answer func(Token) ([]byte, error)
	// ExpiresAt is when the key may be used anew.
	ExpiresAt time.Time
	// OnlyReplay forbids the change: when there is no answer to return, the error is ErrRevoked.
	OnlyReplay bool
}

// Replay is the answer that was given to the same request before. It is an error so that no caller takes a change that
// did not happen for one that did.
type Replay struct{ Answer []byte }

// Error says what a Replay means.
func (*Replay) Error() string { return "the request was carried out before" }

// Action is what was done to a project or a token.
type Action string

// The actions of the audit trail.
const (
	ProjectCreated Action = "account.created"
	ProjectRenamed Action = "account.updated"
	TokenCreated   Action = "token.created"
	TokenUpdated   Action = "token.updated"
	TokenRotated   Action = "token.rotated"
	TokenDeleted   Action = "token.deleted"
)

// AuditEvent is one entry of the audit trail.
type AuditEvent struct {
	ID     uuid.UUID
	At     time.Time
	Action Action
	// ProjectID is the project that was changed, or whose token was.
	ProjectID uuid.UUID
	// TokenID is the token that was changed, or uuid.Nil.
	TokenID uuid.UUID
	Actor   Actor
	Changes Changes
}

// Changes has the old and the new value of each field that a change concerned. A new token or project has no old values.
type Changes struct {
	Name        *Values[string]    `json:"name,omitempty"`
	Permissions *Values[[]string]  `json:"permissions,omitempty"`
	ExpiresAt   *Values[time.Time] `json:"expires_at,omitempty"`
}

// Values is a field before and after a change; nil where it had no value.
type Values[T any] struct {
	Old *T `json:"old"`
	New *T `json:"new"`
}

// AuditQuery selects events of an account and of its subprojects.
type AuditQuery struct {
	Account uuid.UUID
	// Action, unless it is empty, selects one kind of event.
	Action Action
	// TokenID, unless it is uuid.Nil, selects the events of one token.
	TokenID uuid.UUID
	// From and Until, unless they are zero, bound the time: from From on, and before Until.
	From, Until time.Time
	Page
}

// NewAuditEvent returns the event of a change, for adapters. Ids of later events are greater.
func NewAuditEvent(change Change, action Action, project, token uuid.UUID, changes Changes) AuditEvent {
	return AuditEvent{
		ID: uuid.Must(uuid.NewV7()), At: change.At, Action: action, ProjectID: project, TokenID: token,
		Actor: change.Actor, Changes: changes,
	}
}

// TokenCreation returns the values that a new token has.
func TokenCreation(token Token) Changes {
	changes := Changes{Name: &Values[string]{New: &token.Name}, Permissions: &Values[[]string]{New: &token.Permissions}}
	if !token.ExpiresAt.IsZero() {
		changes.ExpiresAt = &Values[time.Time]{New: optionalTime(token.ExpiresAt)}
	}
	return changes
}

// NameDifference returns the values of a name that was changed, or nothing when it is the same.
func NameDifference(before, after string) Changes {
	if before == after {
		return Changes{}
	}
	return Changes{Name: &Values[string]{&before, &after}}
}

// TokenDifference returns the values that differ between two states of a token.
func TokenDifference(before, after Token) Changes {
	changes := NameDifference(before.Name, after.Name)
	if !slices.Equal(before.Permissions, after.Permissions) {
		changes.Permissions = &Values[[]string]{&before.Permissions, &after.Permissions}
	}
	if !before.ExpiresAt.Equal(after.ExpiresAt) {
		changes.ExpiresAt = &Values[time.Time]{optionalTime(before.ExpiresAt), optionalTime(after.ExpiresAt)}
	}
	return changes
}

// optionalTime returns t as a store keeps it, and nil for the zero time.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = Kept(t)
	return &t
}
