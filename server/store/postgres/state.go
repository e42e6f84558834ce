package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// state is what a transaction has read, as far as its changes need it, with what they have made of it so far.
type state struct {
	locked   map[uuid.UUID]bool // the top-level projects whose trees nobody else changes meanwhile
	empty    bool               // there is no project at all
	check    []byte             // the keyset check, for changes that keep sealed values
	projects map[uuid.UUID]store.Project
	tokens   map[uuid.UUID]token
	secrets  map[store.SecretHash]secret
	answers  map[answerKey]answer
	latest   map[uuid.UUID]moment // by top-level project

	dirty writes
}

// token is a token with its top-level project.
type token struct {
	store.Token
	root uuid.UUID
}

// secret is whose secret it is, or was.
type secret struct {
	token   uuid.UUID
	retired bool
	until   int64 // when a retired one ends, in microseconds
	added   bool  // it was retired in this transaction
}

type answer struct {
	fingerprint [32]byte
	text        []byte
	expiresAt   int64

	by   uuid.UUID         // the token that has asked for the change
	with *store.SecretHash // and its secret
}

// moment is the latest event of a trail.
type moment struct {
	id uuid.UUID
	at int64
}

func newState() *state {
	return &state{
		locked: make(map[uuid.UUID]bool), projects: make(map[uuid.UUID]store.Project), tokens: make(map[uuid.UUID]token),
		secrets: make(map[store.SecretHash]secret), answers: make(map[answerKey]answer), latest: make(map[uuid.UUID]moment),
		dirty: newWrites(),
	}
}

// needsLock says that a change touches a tree that was not known before it was read.
type needsLock struct{ project uuid.UUID }

func (e *needsLock) Error() string {
	return fmt.Sprintf("project %s has to be locked first", e.project)
}

// checkCredential makes sure that a change may be made by who has asked for it.
func (s *state) checkCredential(change store.Change) error {
	if change.Credential == nil {
		return nil
	}
	found, ok := s.secrets[change.Credential.SecretHash]
	if !ok {
		return store.ErrRevoked
	}
	caller := s.tokens[found.token]
	if !s.locked[caller.root] {
		return &needsLock{caller.root}
	}
	now := micro(change.At)
	expired := !caller.ExpiresAt.IsZero() && micro(caller.ExpiresAt) <= now
	if expired || found.retired && found.until <= now || !slices.Contains(caller.Permissions, change.Credential.Permission) {
		return store.ErrRevoked
	}
	return nil
}

// root returns the project at the top of a project's tree.
func (s *state) root(id uuid.UUID) (uuid.UUID, error) {
	project, ok := s.projects[id]
	if !ok {
		return uuid.Nil, store.ErrNotFound
	}
	return project.Root(), nil
}

// token returns a token that belongs to account or to a subproject of account.
func (s *state) token(account, id uuid.UUID) (token, error) {
	found, ok := s.tokens[id]
	if !ok || found.ProjectID != account && found.root != account {
		return token{}, store.ErrNotFound
	}
	return found, nil
}

// put makes a token what it is from now on.
func (s *state) put(t token) {
	s.dirty.token(t.ID, s.tokens)
	s.tokens[t.ID] = t
	s.secrets[t.SecretHash] = secret{token: t.ID}
}

// checkSeal refuses a value of another key than that of the keyset check. The lock is held until the end of the transaction: nobody
// moves the check meanwhile.
func (s *state) checkSeal(sealed []byte) error { return checkSeal(s.check, sealed) }

// checkFree makes sure that nobody has this secret, or had it lately.
func (s *state) checkFree(hash store.SecretHash) error {
	if _, taken := s.secrets[hash]; taken {
		return store.ErrConflict
	}
	return nil
}

// findAnswer returns a *store.Replay or store.ErrKeyReused when the key has been used.
func (s *state) findAnswer(claim store.Idempotency, now time.Time) error {
	kept, ok := s.answers[answerKey{claim.ProjectID, claim.Key}]
	switch {
	case !ok || kept.expiresAt <= micro(now):
		return nil
	case kept.fingerprint != claim.Fingerprint:
		return store.ErrKeyReused
	}
	return &store.Replay{Answer: kept.text}
}

// answer makes the answer that is kept.
func (s *state) answer(claim store.Idempotency, token store.Token) ([]byte, error) {
	if _, err := s.root(claim.ProjectID); err != nil {
		return nil, err
	}
	text, err := claim.Answer(token)
	if err == nil {
		err = s.checkSeal(text)
	}
	return text, err
}

// keepAnswer keeps the answer of a change that has been made.
func (s *state) keepAnswer(change store.Change, text []byte) {
	claim := change.Idempotency
	kept := answer{fingerprint: claim.Fingerprint, text: text, expiresAt: micro(claim.ExpiresAt), by: change.Actor.TokenID}
	if change.Credential != nil {
		kept.with = &change.Credential.SecretHash
	}
	key := answerKey{claim.ProjectID, claim.Key}
	s.answers[key] = kept
	s.dirty.answers[key] = true
}

// written is an event that can be noted. It is made before its change, which is not to stay half made.
type written struct {
	store.AuditEvent
	changes string
}

func write(event store.AuditEvent) (written, error) {
	changes, err := json.Marshal(event.Changes)
	if err != nil {
		return written{}, fmt.Errorf("encode the changes of an event: %w", err)
	}
	return written{event, string(changes)}, nil
}

// note adds the event of a change. Changes wait for each other, so that a later one may have begun earlier, or come from a machine
// whose clock is behind; the times and ids of events do not go back.
func (s *state) note(event written, root uuid.UUID) {
	at := micro(event.At)
	if latest, ok := s.latest[root]; ok {
		at = max(at, latest.at)
		event.ID = after(latest.id, event.ID)
	}
	s.latest[root] = moment{event.ID, at}
	s.dirty.events.add(event, at, root)
}

// after returns id if it is greater than latest, and otherwise the next id of version 7 behind latest, with the random end of id.
func after(latest, id uuid.UUID) uuid.UUID {
	if slices.Compare(id[:], latest[:]) > 0 {
		return id
	}
	copy(id[:8], latest[:8])
	// Milliseconds are in the first 48 bits, the version in the next four, and the fraction in the next twelve.
	for _, i := range []int{7, 6, 5, 4, 3, 2, 1, 0} {
		if i == 6 {
			if id[6]&0x0f < 0x0f {
				id[6]++
				break
			}
			id[6] &= 0xf0
			continue
		}
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}
