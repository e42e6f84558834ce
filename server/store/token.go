package store

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// SecretHash is the SHA-256 of a token's secret.
type SecretHash [32]byte

// Token is an API token of one project.
type Token struct {
	ID        uuid.UUID
	ProjectID uuid.UUID
	Name      string
	// Permissions is a set: see PermissionSet.
	Permissions  []string
	SecretHash   SecretHash
	SealedSecret []byte
	CreatedAt    time.Time
	UpdatedAt    time.Time
	// ExpiresAt is when the token stops to authenticate. The zero time means never.
	ExpiresAt time.Time
	// LastUsedAt is when the token authenticated last, to the minute or so. The zero time means never.
	LastUsedAt time.Time
}

// TokenUpdate is a change to a token. What is nil is kept.
type TokenUpdate struct {
	Name        *string
	Permissions *[]string
	// ExpiresAt removes the expiry when it points to the zero time.
	ExpiresAt *time.Time
}

// IsEmpty reports whether u changes nothing.
func (u TokenUpdate) IsEmpty() bool {
	return u.Name == nil && u.Permissions == nil && u.ExpiresAt == nil
}

// Apply returns a token as it is after the update, for adapters.
func (u TokenUpdate) Apply(token Token, at time.Time) Token {
	if u.Name != nil {
		token.Name = *u.Name
	}
	if u.Permissions != nil {
		token.Permissions = PermissionSet(*u.Permissions)
	}
	if u.ExpiresAt != nil {
		token.ExpiresAt = Kept(*u.ExpiresAt)
	}
	token.UpdatedAt = Later(token.UpdatedAt, at)
	return token
}

// Rotation is a new secret of a token.
type Rotation struct {
	SecretHash   SecretHash
	SealedSecret []byte
	// RetireAt is when the earlier secrets stop to work.
	RetireAt time.Time
}

// PermissionSet returns the set of these permissions in its one form: sorted, each once, never nil.
func PermissionSet(permissions []string) []string {
	set := append([]string{}, permissions...)
	slices.Sort(set)
	return slices.Compact(set)
}

// TokenQuery selects tokens of an account and of its subprojects.
type TokenQuery struct {
	Account uuid.UUID
	// NamePrefix, unless it is empty, selects names that begin with it.
	NamePrefix string
	// Permission, unless it is empty, selects tokens that hold it.
	Permission string
	// Expired, if it is not nil, selects tokens that have expired at Now, or those that have not.
	Expired *bool
	Now     time.Time
	Page
}
