package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/tokenwire/tokenwire/server/plainfile"
)

// Keyset seals and opens secrets with AES-256-GCM. It is a file of its own, so that a database or its backup alone
// reveals no secret.
//
// A keyset may have several keys. Each of them opens what it has sealed; one seals. Which one that is the database says (see
// Follow), so that it changes for all servers at one moment. A keyset that was loaded from a file follows it: what no key opens is
// tried again when the file has changed, and so a new key is known as soon as somebody uses it.
type Keyset struct {
	path string // "" for a keyset in memory
	keys atomic.Pointer[keys]

	mu   sync.Mutex  // held by who replaces keys
	file os.FileInfo // of the file from which they are
}

// keys are the keys of a keyset at one moment.
type keys struct {
	handle  *keyset.Handle // its primary key is the one that seals
	sealing uint32         // its id
	aead    tink.AEAD
	signing [][]byte // the sealing key's first
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
	handle, info, err := readKeyset(path)
	if err != nil {
		return nil, err
	}
	k, err := newKeyset(handle)
	if err != nil {
		return nil, err
	}
	k.path, k.file = path, info
	return k, nil
}

func readKeyset(path string) (*keyset.Handle, os.FileInfo, error) {
	file, err := plainfile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("cannot read the keyset: %w; put the one of this database there, or name it with --keyset", err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the keyset: %w; check its owner and mode, or name another file with --keyset", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("read the keyset: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o037 != 0 {
		return nil, nil, fmt.Errorf("the keyset %s may be used by others (mode %#o); run chmod 600 on it", path, mode)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(io.LimitReader(file, maxKeysetFile)))
	if err != nil {
		return nil, nil, fmt.Errorf("%s is not a keyset; restore it from a backup or name the right file with --keyset", path)
	}
	return handle, info, nil
}

// CreateKeyset makes a new keyset and writes it to a new file at path with mode 0600. The file is complete and durable
// when CreateKeyset returns; the error wraps fs.ErrExist when there is a file already.
func CreateKeyset(path string) (*Keyset, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a keyset: %w", err)
	}
	if err := writeNew(path, path, handle); err != nil {
		return nil, fmt.Errorf("create the keyset: %w", notWritten(path, err, "choose another file with --keyset"))
	}
	return LoadKeyset(path)
}

// writeNew writes under a temporary name and links, so that a crash leaves no half a keyset and nothing is overwritten. The temporary
// name is that of a leftover of the keyset whose name is given as the second, in the same folder.
func writeNew(path, of string, handle *keyset.Handle) error {
	temporary, err := writeBeside(of, handle, nil)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary) }()
	err = os.Link(temporary, path)
	if errors.Is(err, fs.ErrNotExist) && exists(path) { // who was faster edits it already, and has taken this for a leftover
		return fs.ErrExist
	}
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// notWritten says why there is no new file at path, and what to do: one thing may be another file. The error may name a temporary file,
// and is about this one.
func notWritten(path string, err error, another ...string) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w; move it away first, or choose another name", path, fs.ErrExist)
	}
	first, err := plainfile.NotCreated(err)
	advice := another
	if first != "" {
		advice = append([]string{first}, another...)
	}
	if len(advice) == 0 {
		return fmt.Errorf("%s: %w", path, err)
	}
	return fmt.Errorf("%s: %w; %s", path, err, strings.Join(advice, ", or "))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// removeLeftovers removes what writing a keyset has left beside it that was killed.
func removeLeftovers(path string) error {
	folder, name := filepath.Split(path)
	files, err := os.ReadDir(filepath.Clean(folder))
	if err != nil {
		return fmt.Errorf("look for leftovers of the keyset: %w", err)
	}
	for _, file := range files {
		suffix, ok := strings.CutPrefix(file.Name(), name+".")
		if _, err := uuid.Parse(suffix); !ok || err != nil || len(suffix) != len(checkID.String()) || !file.Type().IsRegular() {
			continue
		}
		if err := os.Remove(folder + file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove what a command has left that was killed, with keys in it: %w", err)
		}
	}
	return nil
}

// writeBeside writes a keyset to a new file in the folder of path, durably, and returns its name. The file gets mode 0600; adopt,
// unless it is nil, may give it another.
func writeBeside(path string, handle *keyset.Handle, adopt func(*os.File) error) (string, error) {
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return "", fmt.Errorf("encode the keyset: %w", err)
	}
	temporary := path + "." + uuid.NewString()
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return "", err
	}
	if adopt != nil {
		err = adopt(file)
	}
	if err == nil {
		_, err = file.Write(text.Bytes())
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(temporary))
	}
	return temporary, nil
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
	first, err := newKeys(handle)
	if err != nil {
		return nil, err
	}
	k := &Keyset{}
	k.keys.Store(first)
	return k, nil
}

func newKeys(handle *keyset.Handle) (*keys, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use the keyset: %w", err)
	}
	signing, err := signingKeys(handle)
	if err != nil {
		return nil, err
	}
	return &keys{handle, handle.KeysetInfo().GetPrimaryKeyId(), primitive, signing}, nil
}

// Encrypt encrypts a text for a purpose. Only Decrypt with the same purpose returns it, so the result proves that this
// keyset has made it for that.
func (k *Keyset) Encrypt(purpose string, text []byte) ([]byte, error) {
	encrypted, err := k.keys.Load().aead.Encrypt(text, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return encrypted, nil
}

// Decrypt returns the text that Encrypt was given. The error wraps ErrKeysetMismatch.
func (k *Keyset) Decrypt(purpose string, encrypted []byte) ([]byte, error) {
	text, err := k.open(encrypted, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", ErrKeysetMismatch)
	}
	return text, nil
}

// Seal encrypts the secret of the token with this id. Only Open with the same id opens it, so that sealed secrets cannot
// be swapped between the rows of a database.
func (k *Keyset) Seal(id uuid.UUID, s Secret) (Sealed, error) {
	sealed, err := k.keys.Load().aead.Encrypt([]byte(s.text), id[:])
	if err != nil {
		return nil, fmt.Errorf("seal the secret of token %s: %w", id, err)
	}
	return sealed, nil
}

// Open decrypts the secret of the token with this id. The error wraps ErrKeysetMismatch.
func (k *Keyset) Open(id uuid.UUID, sealed Sealed) (Secret, error) {
	text, err := k.open(sealed, id[:])
	if err != nil {
		return Secret{}, fmt.Errorf("open the secret of token %s: %w", id, ErrKeysetMismatch)
	}
	return Secret{string(text)}, nil
}

// Check returns a value with which Fits recognises this keyset, made by the key that seals.
func (k *Keyset) Check() ([]byte, error) { return k.Seal(checkID, Secret{"keyset check"}) }

// Fits reports whether check was made by a key of this keyset.
func (k *Keyset) Fits(check []byte) bool {
	_, err := k.Open(checkID, check)
	return err == nil
}
