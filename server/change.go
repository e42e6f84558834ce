package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// idempotencyKey is the header with which a client makes a request repeatable.
const idempotencyKey = "Idempotency-Key"

// idempotencyPeriod is how long an idempotency key is remembered.
const idempotencyPeriod = 24 * time.Hour

// change returns who makes a change, and when. Without a request it is the operator.
func (s *Server) change(ctx context.Context) store.Change {
	caller, authenticated := callerFrom(ctx)
	from := notesOf(ctx)
	change := store.Change{At: s.now(ctx), Actor: store.Actor{
		ProjectID: caller.ProjectID, TokenID: caller.TokenID, Address: from.address, RequestID: from.id,
	}}
	if authenticated {
		change.Credential = &caller.credential
	}
	return change
}

// repeatable is a request that a client may send again with the same idempotency key.
type repeatable struct {
	key       *string // nil: the client has given none
	operation string
	request   any // what must be equal for the same answer; marshals to JSON
	// check, unless it is nil, is a rule that depends on the time. A request that comes again is not held to it: it was
	// met when the change was made.
	check func(now time.Time) error
}

func (r repeatable) checkAt(now time.Time) error {
	if r.check == nil {
		return nil
	}
	return r.check(now)
}

// once makes a change at most once for its idempotency key. The answer is known when the change has been made; it is kept,
// sealed, in the same transaction. When the request comes again the answer from then is returned, and nothing happens.
func once[T any](ctx context.Context, s *Server, r repeatable, answer func(store.Token) T, do func(store.Change) (store.Token, error)) (T, error) {
	var nothing T
	change := s.change(ctx)
	if r.key == nil {
		if err := r.checkAt(change.At); err != nil {
			return nothing, err
		}
		token, err := do(change)
		if err != nil {
			return nothing, err
		}
		return answer(token), nil
	}
	caller, _ := callerFrom(ctx)
	purpose := secret.AnswerPurpose(caller.ProjectID)
	fingerprint, err := fingerprint(r)
	if err != nil {
		return nothing, err
	}
	change.Idempotency = &store.Idempotency{
		ProjectID: caller.ProjectID, Key: *r.key, Fingerprint: fingerprint, ExpiresAt: change.At.Add(idempotencyPeriod),
		OnlyReplay: caller.onlyReplay,
		Answer: func(token store.Token) ([]byte, error) {
			if err := r.checkAt(change.At); err != nil {
				return nil, err
			}
			text, err := json.Marshal(answer(token))
			if err != nil {
				return nil, fmt.Errorf("encode the answer: %w", err)
			}
			return s.config.Keyset.Encrypt(purpose, text)
		},
	}
	token, err := do(change)
	if replay, ok := errors.AsType[*store.Replay](err); ok {
		return replayed[T](s, purpose, replay.Answer)
	}
	if err != nil {
		return nothing, err
	}
	return answer(token), nil
}

func replayed[T any](s *Server, purpose string, sealed []byte) (T, error) {
	var answer T
	text, err := s.config.Keyset.Decrypt(purpose, sealed)
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		return answer, fmt.Errorf("read the answer that was kept: %w", err)
	}
	return answer, nil
}

func fingerprint(r repeatable) ([32]byte, error) {
	text, err := json.Marshal([]any{r.operation, r.request})
	if err != nil {
		return [32]byte{}, fmt.Errorf("encode the request: %w", err)
	}
	return sha256.Sum256(text), nil
}
