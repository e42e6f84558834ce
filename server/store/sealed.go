package store

import (
	"bytes"

	"github.com/google/uuid"
)

// KeyPrefix is how many bytes at the beginning of a sealed value say which key has sealed it.
const KeyPrefix = 5

// SameKey reports whether a value was sealed with the key of a keyset check, for adapters. Without a check any key is good.
func SameKey(check, sealed []byte) bool {
	return len(check) < KeyPrefix || bytes.HasPrefix(sealed, check[:KeyPrefix])
}

// SealedSecret is the sealed secret of a token, and the hash by which the token is found.
type SealedSecret struct {
	TokenID uuid.UUID
	Hash    SecretHash
	Sealed  []byte
}

// AnswerPlace says for which idempotency key of which project an answer is kept.
type AnswerPlace struct {
	ProjectID uuid.UUID
	Key       string
}

// SealedAnswer is an answer that is kept, sealed.
type SealedAnswer struct {
	AnswerPlace
	Sealed []byte
}

// ResealedSecret is the secret of a token, sealed again.
type ResealedSecret struct {
	TokenID       uuid.UUID
	Before, After []byte
}

// ResealedAnswer is an answer that is kept, sealed again.
type ResealedAnswer struct {
	AnswerPlace
	Before, After []byte
}
