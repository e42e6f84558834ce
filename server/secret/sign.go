package secret

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// signatureSize is the length of a signature, in bytes: HMAC-SHA256, cut to half.
const signatureSize = 16

// signingKeys derives a key for signatures from each key of a keyset, the primary one's first. What is signed comes and goes
// with every list; it must not use up the number of messages that one AES-GCM key may seal.
func signingKeys(handle *keyset.Handle) ([][]byte, error) {
	material := insecurecleartextkeyset.KeysetMaterial(handle)
	var keys [][]byte
	for _, key := range material.GetKey() {
		derived, err := hkdf.Key(sha256.New, key.GetKeyData().GetValue(), nil, "tokenwire signatures", sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("derive a signing key: %w", err)
		}
		if keys = append(keys, derived); key.GetKeyId() == material.GetPrimaryKeyId() {
			keys[0], keys[len(keys)-1] = keys[len(keys)-1], keys[0]
		}
	}
	return keys, nil
}

// Sign returns text with a signature in front of it. It hides nothing; Verify with the same purpose proves that this keyset
// has made it for that.
func (k *Keyset) Sign(purpose string, text []byte) []byte {
	return append(signature(k.keys.Load().signing[0], purpose, text), text...)
}

// Verify returns the text that Sign was given. The error wraps ErrKeysetMismatch.
func (k *Keyset) Verify(purpose string, signed []byte) ([]byte, error) {
	if len(signed) < signatureSize {
		return nil, fmt.Errorf("verify: %w", ErrKeysetMismatch)
	}
	current := k.keys.Load()
	for current != nil {
		if text := current.verify(purpose, signed); text != nil {
			return text, nil
		}
		current = k.newerThan(current)
	}
	return nil, fmt.Errorf("verify: %w", ErrKeysetMismatch)
}

// verify returns nil when no key has made the signature.
func (k *keys) verify(purpose string, signed []byte) []byte {
	text := signed[signatureSize:]
	for _, key := range k.signing {
		if hmac.Equal(signed[:signatureSize], signature(key, purpose, text)) {
			return text
		}
	}
	return nil
}

func signature(key []byte, purpose string, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%d:%s", len(purpose), purpose) // never fails
	mac.Write(text)
	return mac.Sum(nil)[:signatureSize]
}
