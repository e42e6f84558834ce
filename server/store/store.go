// Package store defines what tokenwire keeps, and what whoever keeps it must promise.
//
// A Store holds projects, their API tokens, and the trail of every change to them. The adapters are in the folders below
// (memory, postgres and sqlite); package storetest is the suite that each of them passes. The obligations stand on the methods of Store, and
// each has its case there. Nothing in this package knows HTTP, and nothing here holds a secret in plain text: a token
// has the SHA-256 of its secret, for look-up, and the secret sealed by package secret, because the API returns it.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// What a Store's methods return, wrapped, besides *Replay and the errors of a context that ended. Use errors.Is.
var (
	// ErrNotFound says that there is no such project or token, or not for this account.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that an id or a secret is taken.
	ErrConflict = errors.New("already exists")
	// ErrKeyReused says that an idempotency key was used for another request.
	ErrKeyReused = errors.New("idempotency key used for another request")
	// ErrRevoked says that the credential of a change does not authenticate any more, or has lost its permission.
	ErrRevoked = errors.New("credential revoked")
	// ErrStaleSeal says that a value was sealed with another key than the one that seals now. Seal it again.
	ErrStaleSeal = errors.New("sealed with a key that is not in use any more")
	// ErrUnavailable says that the database cannot answer at the moment, and that nothing was changed; or, when the connection to it
	// was lost in the middle of a commit, that it is not known whether something was. The text of the error tells the two apart.
	ErrUnavailable = errors.New("database unavailable")
)

// Store keeps projects, tokens and the audit trail. Its methods may be called from many goroutines at once.
//
// Every change is atomic, together with its event in the audit trail and the answer that it keeps for its idempotency key:
// all of it happened, or nothing. It is durable when the method returns nil, and visible to every call that begins after
// that. Times come back in UTC, cut to microseconds; texts are compared byte by byte. A method whose context has ended
// returns an error that wraps the context's, and has changed nothing.
//
// A change with a Credential must not be made, and must return ErrRevoked, unless the credential authenticates at change.At and
// holds the permission - when the change is made, not when it was asked for: once the deletion of a token is answered, no change
// by that token happens any more. That includes an empty update, which returns a secret. A repetition (see Idempotency) is not
// held to it.
//
// While there is a keyset check, a change must not be made, and must return ErrStaleSeal, if it would keep a sealed value - a secret,
// or the answer for an idempotency key - that was not sealed with the key of the check (see SameKey). That is decided when the change
// is made: once MoveKeysetCheck is answered, nothing is kept any more that was sealed with the key from before.
//
// CreateProject, CreateToken and RotateToken honour an idempotency key; no other method looks at change.Idempotency. With
// one whose key the project has used within its lifetime they must change nothing, and return a *Replay with the answer that was kept then if
// the fingerprints are equal, and ErrKeyReused if not. Of several concurrent changes with one key exactly one happens.
type Store interface {
	// Bootstrap adds project and its first token if there is no project at all, and reports whether it did. Of
	// several concurrent calls one does.
	Bootstrap(ctx context.Context, project Project, first Token, change Change) (bool, error)

	// CreateProject adds project and, unless it is nil, its first token: both or neither. It must return ErrConflict when
	// an id or the secret is taken, and ErrNotFound when the parent does not exist or is a subproject itself.
	CreateProject(ctx context.Context, project Project, first *Token, change Change) error

	// Project must return ErrNotFound when there is no such project.
	Project(ctx context.Context, id uuid.UUID) (Project, error)

	// Projects returns a page of the projects that the query names, in the order of their ids. It must return ErrNotFound
	// when there is no such account.
	Projects(ctx context.Context, query ProjectQuery) ([]Project, error)

	// RenameProject renames account, or returns ErrNotFound. UpdatedAt never goes back.
	RenameProject(ctx context.Context, account uuid.UUID, name string, change Change) (Project, error)

	// CreateToken must return ErrConflict when the id or the secret is taken, and ErrNotFound when the project does
	// not exist.
	CreateToken(ctx context.Context, token Token, change Change) error

	// Token returns a token that belongs to account or to a subproject of account, and ErrNotFound for any other.
	Token(ctx context.Context, account, id uuid.UUID) (Token, error)

	// Tokens returns a page of the tokens that belong to an account or to its subprojects, in the order of their ids. It
	// must return ErrNotFound when there is no such account.
	Tokens(ctx context.Context, query TokenQuery) ([]Token, error)

	// UpdateToken changes a token that belongs to account or to a subproject of account, and returns it as it is
	// then. It must return ErrNotFound for any other. Concurrent updates of different fields must all survive; an
	// empty update must change nothing, UpdatedAt included, and leave no event.
	UpdateToken(ctx context.Context, account, id uuid.UUID, update TokenUpdate, change Change) (Token, error)

	// RotateToken gives a token that belongs to account or to a subproject of account a new secret. It must return
	// ErrNotFound for any other, and ErrConflict when the secret is taken. The secrets that the token had before work until
	// rotation.RetireAt at the latest, and not at all if that is not after change.At.
	RotateToken(ctx context.Context, account, id uuid.UUID, rotation Rotation, change Change) (Token, error)

	// DeleteToken removes a token that belongs to account or to a subproject of account, with all of its secrets. It must
	// return ErrNotFound for any other, and of several concurrent calls for one token exactly one may succeed.
	DeleteToken(ctx context.Context, account, id uuid.UUID, change Change) error

	// TokenBySecret returns the token that authenticates with this secret at this time, be it the current one or one that
	// is not retired yet. It must return ErrNotFound when there is none, or when the token has expired. Its SecretHash is
	// the one asked for, and its ExpiresAt when that secret stops to authenticate.
	TokenBySecret(ctx context.Context, hash SecretHash, now time.Time) (Token, error)

	// TokenByRepetition returns the token with this id when it has made a change under this idempotency key of the project, with
	// this secret, and the answer is kept still; the secret need not work any more. Otherwise, or when the token has expired, it
	// must return ErrNotFound. It lets a token that has replaced its own secret ask again for an answer that was lost. Its
	// SecretHash is the one asked for.
	TokenByRepetition(ctx context.Context, id uuid.UUID, hash SecretHash, project uuid.UUID, key string, now time.Time) (Token, error)

	// RecordUse notes when tokens were used last. An earlier time must not replace a later one, and a token that does
	// not exist any more is no error. UpdatedAt stays as it is, and no event is left.
	RecordUse(ctx context.Context, uses map[uuid.UUID]time.Time) error

	// AuditEvents returns a page of the changes to an account and its subprojects, newest first: in the order in which they were
	// made, with times that never go back from one to the next, so that who has read up to a time misses nothing after it. It
	// must return ErrNotFound when there is no such account. No method can change or remove an event.
	AuditEvents(ctx context.Context, query AuditQuery) ([]AuditEvent, error)

	// KeysetCheck returns the value with which the keyset in use is told from others, or nil when there is none yet.
	KeysetCheck(ctx context.Context) ([]byte, error)

	// InitKeysetCheck keeps value if there is none yet, and returns the one that is kept.
	InitKeysetCheck(ctx context.Context, value []byte) ([]byte, error)

	// MoveKeysetCheck replaces the keyset check by another one if it is from, and returns the one that is kept then.
	MoveKeysetCheck(ctx context.Context, from, to []byte) ([]byte, error)

	// CountSealed returns how many sealed secrets and answers there are.
	CountSealed(ctx context.Context) (secrets, answers int, err error)

	// SealedSecrets returns the sealed secrets of at most limit tokens of all projects, in the order of their ids: of those behind
	// this id.
	SealedSecrets(ctx context.Context, after uuid.UUID, limit int) ([]SealedSecret, error)

	// SealedAnswers returns at most limit of the answers that are kept for idempotency keys, in the order of project and key: of
	// those behind this place. The zero place is before all.
	SealedAnswers(ctx context.Context, after AnswerPlace, limit int) ([]SealedAnswer, error)

	// Reseal keeps other sealed values in the place of those that are kept, and returns in how many places it has done so. Where the
	// value is not the one from before any more it must change nothing, and that is no error: somebody else has changed it. All of it
	// happens, or nothing. It leaves no event, and UpdatedAt as it is.
	Reseal(ctx context.Context, secrets []ResealedSecret, answers []ResealedAnswer) (int, error)

	// Ping must return an error when the database does not answer.
	Ping(ctx context.Context) error

	// Close waits for running calls. Every method called afterwards must return ErrUnavailable.
	Close() error
}

// Notifier is what a store does besides that several processes use at once.
type Notifier interface {
	// Notify calls changed with tokens whose secrets, permissions or expiry have changed, or that were deleted, soon after any
	// process has done so; and missed whenever it may not have heard of some. It returns when ctx has ended or the store is
	// closed. A change may be passed on late or not at all: it is for speed, and nobody may rely on it alone.
	Notify(ctx context.Context, changed func(tokens []uuid.UUID), missed func())
}

// Counts are how many rows a database has.
type Counts struct{ Projects, Tokens, Events int64 }

// Snapshot is a copy of the state of a top-level project with everything that belongs to it. Only the store that has made it
// can read it.
type Snapshot any

// Worlds is what the store of a sandbox does besides. A world is a top-level project with its subprojects, their tokens, the
// answers to their idempotency keys and the audit trail.
type Worlds interface {
	// Snapshot returns a copy of a world, which later changes do not touch, or ErrNotFound.
	Snapshot(ctx context.Context, project uuid.UUID) (Snapshot, error)

	// Restore puts a world back as it was, whatever became of it: all of it, or nothing. It must return ErrConflict when an id
	// or a secret is another world's now. A snapshot may be restored many times.
	Restore(ctx context.Context, snapshot Snapshot) error

	// Remove forgets a world, or returns ErrNotFound.
	Remove(ctx context.Context, project uuid.UUID) error
}
