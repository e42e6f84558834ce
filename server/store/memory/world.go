package memory

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// world is a top-level project with everything that belongs to it. Its lists are in the order of the ids.
type world struct {
	root     uuid.UUID
	projects []store.Project
	tokens   []*token
	events   []store.AuditEvent
	answers  map[answerKey]keptAnswer
}

// token is a token with the secrets that it had before, and until when each works.
type token struct {
	store.Token
	retired map[store.SecretHash]time.Time
}

type answerKey struct {
	project uuid.UUID
	key     string
}

type keptAnswer struct {
	fingerprint [32]byte
	answer      []byte
	expiresAt   time.Time
	token       uuid.UUID // who asked for the change, and with which secret
	secret      store.SecretHash
}

// keepAnswer keeps the answer of a change.
func (w *world) keepAnswer(change store.Change, answer []byte) {
	claim := change.Idempotency
	kept := keptAnswer{fingerprint: claim.Fingerprint, answer: answer, expiresAt: store.Kept(claim.ExpiresAt), token: change.Actor.TokenID}
	if change.Credential != nil {
		kept.secret = change.Credential.SecretHash
	}
	w.answers[answerKey{claim.ProjectID, claim.Key}] = kept
}

// findAnswer returns a *store.Replay or store.ErrKeyReused when the key has been used.
func (w *world) findAnswer(claim store.Idempotency, now time.Time) error {
	maps.DeleteFunc(w.answers, func(_ answerKey, a keptAnswer) bool { return !a.expiresAt.After(store.Kept(now)) })
	earlier, ok := w.answers[answerKey{claim.ProjectID, claim.Key}]
	switch {
	case !ok:
		return nil
	case earlier.fingerprint == claim.Fingerprint:
		return &store.Replay{Answer: clone(earlier.answer)}
	}
	return store.ErrKeyReused
}

// project returns a project of this world. It exists: the index says so.
func (w *world) project(id uuid.UUID) *store.Project {
	i, _ := find(w.projects, id, projectID)
	return &w.projects[i]
}

// reaches reports whether an account reaches what belongs to owner.
func (w *world) reaches(account, owner uuid.UUID) bool { return account == owner || account == w.root }

// note adds the event of a change. The times of events do not go back.
func (w *world) note(change store.Change, action store.Action, project, token uuid.UUID, changes store.Changes) {
	event := store.NewAuditEvent(change, action, project, token, changes)
	event.At = store.Kept(event.At)
	if last := len(w.events) - 1; last >= 0 {
		event.At = store.Later(w.events[last].At, event.At)
	}
	i, _ := find(w.events, event.ID, eventID)
	w.events = slices.Insert(w.events, i, event)
}

func projectID(p store.Project) uuid.UUID  { return p.ID }
func tokenID(t *token) uuid.UUID           { return t.ID }
func eventID(e store.AuditEvent) uuid.UUID { return e.ID }

// find returns where an id is in a list, or where it would be.
func find[T any](list []T, id uuid.UUID, idOf func(T) uuid.UUID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(item T, id uuid.UUID) int {
		itemID := idOf(item)
		return bytes.Compare(itemID[:], id[:])
	})
}

// readPage returns the part of a list that a page asks for, of those entries that are selected.
func readPage[T any](list []T, page store.Page, newestFirst bool, idOf func(T) uuid.UUID, selected func(T) bool) []T {
	part := cut(list, page, newestFirst, idOf)
	skip := page.Offset
	if page.After != nil || page.Before != nil {
		skip = 0
	}
	descending := newestFirst != (page.Before != nil) // a page that ends before an entry is read backwards from there
	items := []T{}
	for i := 0; i < len(part) && len(items) < page.Limit; i++ {
		item := part[i]
		if descending {
			item = part[len(part)-1-i]
		}
		switch {
		case !selected(item):
		case skip > 0:
			skip--
		default:
			items = append(items, item)
		}
	}
	if page.Before != nil {
		slices.Reverse(items)
	}
	return items
}

// cut returns the part of a list, in the order of the ids, on the side of an entry on which a page lies.
func cut[T any](list []T, page store.Page, newestFirst bool, idOf func(T) uuid.UUID) []T {
	after, before := page.After, page.Before
	if newestFirst {
		after, before = before, after
	}
	if before != nil {
		to, _ := find(list, *before, idOf)
		list = list[:to]
	}
	if after != nil {
		from, found := find(list, *after, idOf)
		if found {
			from++
		}
		list = list[from:]
	}
	return list
}
