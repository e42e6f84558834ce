// Package store defines what tokenwire keeps, and what whoever keeps it must promise.
//
// A Store holds projects and their API tokens. The adapters are in the folders below (sqlite); package
// storetest is the suite that each of them passes. The obligations stand on the methods of Store, and each has
// its case there. Nothing in this package knows HTTP, and nothing here holds a secret in plain text: a token has
// the SHA-256 of its secret, for look-up, and the secret sealed by package secret, because the API returns it.
package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
)

// What a Store's methods return, wrapped, besides the errors of a context that ended. Use errors.Is.
var (
	// ErrNotFound says that there is no such project or token, or not for this account.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that an id or a secret is taken.
	ErrConflict = errors.New("already exists")
	// ErrUnavailable says that the database cannot answer at the moment, and that nothing was changed.
	ErrUnavailable = errors.New("database unavailable")
)

// Project owns tokens. It is the account of the Compatibility API.
type Project struct {
	ID uuid.UUID
	// ParentID is the owner of a subproject, and uuid.Nil for a top-level project. There is one level of nesting.
	ParentID  uuid.UUID
	Name      string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// IsSubproject reports whether another project owns p.
func (p Project) IsSubproject() bool { return p.ParentID != uuid.Nil }

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
}

// TokenUpdate is a change to a token. What is nil is kept.
type TokenUpdate struct {
	Name        *string
	Permissions *[]string
	// At is the time of the change. UpdatedAt never goes back, also when clocks do.
	At time.Time
}

// IsEmpty reports whether u changes nothing.
func (u TokenUpdate) IsEmpty() bool { return u.Name == nil && u.Permissions == nil }

// PermissionSet returns the set of these permissions in its one form: sorted, each once, never nil.
func PermissionSet(permissions []string) []string {
	set := append([]string{}, permissions...)
	slices.Sort(set)
	return slices.Compact(set)
}

// Store keeps projects and tokens. Its methods may be called from many goroutines at once.
//
// Every change is atomic: it happened whole or not at all. It is durable when the method returns nil, and visible to
// every call that begins after that. Times come back in UTC, cut to microseconds; texts are compared byte by byte. A
// method whose context has ended returns an error that wraps the context's, and has changed nothing.
type Store interface {
	// Bootstrap adds project and its first token if there is no project at all, and reports whether it did. Of
	// several concurrent calls one does.
	Bootstrap(ctx context.Context, project Project, first Token) (bool, error)

	// CreateProject adds project and its first token, both or neither. It must return ErrConflict when an id or the
	// secret is taken, and ErrNotFound when the parent does not exist or is a subproject itself.
	CreateProject(ctx context.Context, project Project, first Token) error

	// Project must return ErrNotFound when there is no such project.
	Project(ctx context.Context, id uuid.UUID) (Project, error)

	// Projects returns all projects in the order of their creation.
	Projects(ctx context.Context) ([]Project, error)

	// CreateToken must return ErrConflict when the id or the secret is taken, and ErrNotFound when the project does
	// not exist.
	CreateToken(ctx context.Context, token Token) error

	// UpdateToken changes a token that belongs to account or to a subproject of account, and returns it as it is
	// then. It must return ErrNotFound for any other. Concurrent updates of different fields must all survive; an
	// empty update must change nothing, UpdatedAt included.
	UpdateToken(ctx context.Context, account, id uuid.UUID, update TokenUpdate) (Token, error)

	// DeleteToken removes a token that belongs to account or to a subproject of account. It must return ErrNotFound
	// for any other, and of several concurrent calls for one token exactly one may succeed.
	DeleteToken(ctx context.Context, account, id uuid.UUID) error

	// TokenBySecret must return ErrNotFound when no token has this secret.
	TokenBySecret(ctx context.Context, hash SecretHash) (Token, error)

	// KeysetCheck returns the value with which the keyset in use is told from others, or ErrNotFound.
	KeysetCheck(ctx context.Context) ([]byte, error)

	// InitKeysetCheck keeps value if there is none yet, and returns the one that is kept.
	InitKeysetCheck(ctx context.Context, value []byte) ([]byte, error)

	// Ping must return an error when the database does not answer.
	Ping(ctx context.Context) error

	// Close waits for running calls. Every method called afterwards must return ErrUnavailable.
	Close() error
}
