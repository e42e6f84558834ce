package secret

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// keyPrefix is how many bytes at the beginning of a sealed value say which key has sealed it: a one, and the key's id.
const keyPrefix = 5

// KeyID returns the id of the key that has sealed a value, or 0 for what is no sealed value.
func KeyID(sealed []byte) uint32 {
	if len(sealed) < keyPrefix || sealed[0] != 1 {
		return 0
	}
	return binary.BigEndian.Uint32(sealed[1:keyPrefix])
}

// AnswerPurpose is what the answers are encrypted for that are kept for the idempotency keys of a project.
func AnswerPurpose(project uuid.UUID) string { return "idempotent answer of " + project.String() }

// open decrypts, with the keys that are in the file now if those from before do not fit.
func (k *Keyset) open(sealed, context []byte) ([]byte, error) {
	current := k.keys.Load()
	for {
		text, err := current.aead.Decrypt(sealed, context)
		if err == nil {
			return text, nil
		}
		if current = k.newerThan(current); current == nil {
			return nil, err
		}
	}
}

// newerThan returns the keys that have replaced these, or nil if they are those in the file still.
func (k *Keyset) newerThan(before *keys) *keys {
	if _, err := k.Refresh(); err != nil {
		return nil // the keys from before go on; who watches the file reports it
	}
	if current := k.keys.Load(); current != before {
		return current
	}
	return nil
}

// Refresh reads the file again if it is another one than before, and reports whether it was. When it cannot be read, the keys that
// are known go on.
func (k *Keyset) Refresh() (bool, error) {
	if k.path == "" {
		return false, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(k.path)
	if err != nil {
		return false, fmt.Errorf("look at the keyset: %w", err)
	}
	if os.SameFile(info, k.file) && info.ModTime().Equal(k.file.ModTime()) && info.Size() == k.file.Size() {
		return false, nil
	}
	handle, info, err := readKeyset(k.path)
	if err != nil {
		return false, err
	}
	if err := k.replace(handle, k.keys.Load().sealing); err != nil {
		return false, err
	}
	k.file = info
	return true, nil
}

// replace makes these the keys, and the one with this id the one that seals: the file's primary key if there is no such one.
func (k *Keyset) replace(handle *keyset.Handle, sealing uint32) error {
	manager := keyset.NewManagerFromHandle(handle)
	if manager.SetPrimary(sealing) == nil {
		var err error
		if handle, err = manager.Handle(); err != nil {
			return fmt.Errorf("use the keyset: %w", err)
		}
	}
	after, err := newKeys(handle)
	if err == nil {
		k.keys.Store(after)
	}
	return err
}

// Follow makes the key that has made a check the one that seals. The error wraps ErrKeysetMismatch: this keyset does not have the
// key.
func (k *Keyset) Follow(check []byte) error {
	if !k.Fits(check) { // which looks for the key in the file, too
		return fmt.Errorf("key %d seals: %w", KeyID(check), ErrKeysetMismatch)
	}
	return k.sealWith(KeyID(check))
}

func (k *Keyset) sealWith(id uint32) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	current := k.keys.Load()
	if current.sealing == id {
		return nil
	}
	return k.replace(current.handle, id)
}

// Reseal seals the secret of a token again, with the key that seals now.
func (k *Keyset) Reseal(id uuid.UUID, sealed Sealed) (Sealed, error) {
	plain, err := k.Open(id, sealed)
	if err != nil {
		return nil, err
	}
	return k.Seal(id, plain)
}

// ResealAnswer does the same to an answer that is kept for a project.
func (k *Keyset) ResealAnswer(project uuid.UUID, sealed []byte) ([]byte, error) {
	purpose := AnswerPurpose(project)
	text, err := k.Decrypt(purpose, sealed)
	if err != nil {
		return nil, err
	}
	return k.Encrypt(purpose, text)
}

// Sealing returns the id of the key that seals.
func (k *Keyset) Sealing() uint32 { return k.keys.Load().sealing }

// Keys returns the ids of the keys, oldest first.
func (k *Keyset) Keys() []uint32 {
	var ids []uint32
	for _, key := range k.keys.Load().handle.KeysetInfo().GetKeyInfo() {
		ids = append(ids, key.GetKeyId())
	}
	return ids
}
