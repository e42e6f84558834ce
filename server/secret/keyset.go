package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keyset seals and opens secrets with AES-256-GCM. It is a file of its own, so that a database or its backup alone
// reveals no secret.
type Keyset struct {
	aead    tink.AEAD
	signing [][]byte // the primary key's first
}

// Sealed is a secret in the form in which it is stored.
type Sealed = []byte

// checkID is the associated data of the check value; no token has it for an id.
var checkID = uuid.Nil

// ErrKeysetMismatch says that a value was sealed with another keyset, for another token, or was damaged.
var ErrKeysetMismatch = errors.New("the keyset does not fit")

// maxKeysetFile bounds what LoadKeyset reads; a keyset with a hundred keys is smaller.
const maxKeysetFile = 1 << 20

// LoadKeyset reads the keyset in the file at path. It refuses a file that others may read. The error wraps
// fs.ErrNotExist when there is no file.
func LoadKeyset(path string) (*Keyset, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("cannot read the keyset: %w; check its owner and mode, or name another file with --keyset", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the keyset: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o037 != 0 {
		return nil, fmt.Errorf("the keyset %s may be used by others (mode %#o); run chmod 600 on it", path, mode)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(io.LimitReader(file, maxKeysetFile)))
	if err != nil {
		return nil, fmt.Errorf("%s is not a keyset; restore it from a backup or name the right file with --keyset", path)
	}
	return newKeyset(handle)
}

// CreateKeyset makes a new keyset and writes it to a new file at path with mode 0600. The file is complete and durable
// when CreateKeyset returns; the error wraps fs.ErrExist when there is a file already.
func CreateKeyset(path string) (*Keyset, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a keyset: %w", err)
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return nil, fmt.Errorf("encode the keyset: %w", err)
	}
	if err := writeNew(path, text.Bytes()); err != nil {
		return nil, fmt.Errorf("create the keyset: %w; make the directory writable or choose another file with --keyset", err)
	}
	return newKeyset(handle)
}

// writeNew writes under a temporary name and links, so that a crash leaves no half a keyset and nothing is overwritten.
func writeNew(path string, content []byte) error {
	temporary := path + "." + uuid.NewString()
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary) }()
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Link(temporary, path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// syncDirectory makes the name of a new file survive a power cut. Where directories cannot be synced, nothing is lost by trying.
func syncDirectory(path string) error {
	directory, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	_ = directory.Sync()
	return directory.Close()
}

// NewKeyset returns a keyset that exists in memory only, for tests and sandboxes.
func NewKeyset() (*Keyset, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a keyset: %w", err)
	}
	return newKeyset(handle)
}

func newKeyset(handle *keyset.Handle) (*Keyset, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use the keyset: %w", err)
	}
	signing, err := signingKeys(handle)
	if err != nil {
		return nil, err
	}
	return &Keyset{primitive, signing}, nil
}

// Encrypt encrypts a text for a purpose. Only Decrypt with the same purpose returns it, so the result proves that this
// keyset has made it for that.
func (k *Keyset) Encrypt(purpose string, text []byte) ([]byte, error) {
	encrypted, err := k.aead.Encrypt(text, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return encrypted, nil
}

// Decrypt returns the text that Encrypt was given. The error wraps ErrKeysetMismatch.
func (k *Keyset) Decrypt(purpose string, encrypted []byte) ([]byte, error) {
	text, err := k.aead.Decrypt(encrypted, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", ErrKeysetMismatch)
	}
	return text, nil
}

// Seal encrypts the secret of the token with this id. Only Open with the same id opens it, so that sealed secrets cannot
// be swapped between the rows of a database.
func (k *Keyset) Seal(id uuid.UUID, s Secret) (Sealed, error) {
	sealed, err := k.aead.Encrypt([]byte(s.text), id[:])
	if err != nil {
		return nil, fmt.Errorf("seal the secret of token %s: %w", id, err)
	}
	return sealed, nil
}

// Open decrypts the secret of the token with this id. The error wraps ErrKeysetMismatch.
func (k *Keyset) Open(id uuid.UUID, sealed Sealed) (Secret, error) {
	text, err := k.aead.Decrypt(sealed, id[:])
	if err != nil {
		return Secret{}, fmt.Errorf("open the secret of token %s: %w", id, ErrKeysetMismatch)
	}
	return Secret{string(text)}, nil
}

// Check returns a value with which Fits recognises this keyset.
func (k *Keyset) Check() ([]byte, error) { return k.Seal(checkID, Secret{"keyset check"}) }

// Fits reports whether check was made by this keyset.
func (k *Keyset) Fits(check []byte) bool {
	_, err := k.Open(checkID, check)
	return err == nil
}
