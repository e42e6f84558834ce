package secret

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Editor changes the file of a keyset. There is one at a time: two that added a key each would lose one of them, and what it has
// sealed. Each change replaces the file by one that is complete and durable, so that a crash leaves the one or the other. It may leave
// the new one beside it as well, under another name and with old keys in it: the next editor removes that.
type Editor struct {
	*Keyset
	file string // which path names, behind links
	lock *os.File
}

// ErrBusy says that somebody else is changing the keyset.
var ErrBusy = errors.New("another command is changing this keyset; wait until it has ended")

// EditKeyset loads a keyset to change its file. The caller closes it.
func EditKeyset(path string) (*Editor, error) {
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the keyset: %w; name the right file with --keyset", err)
	}
	lock, err := lockDirectory(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	loaded, err := LoadKeyset(file)
	if err == nil {
		err = removeLeftovers(file)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Editor{loaded, file, lock}, nil
}

// Close lets others change the keyset. It can be used still.
func (e *Editor) Close() error { return e.lock.Close() }

// AddKey adds a key that opens, and does not seal yet, and returns its id.
func (e *Editor) AddKey() (uint32, error) {
	var added uint32
	err := e.change(func(m *keyset.Manager) error {
		var err error
		added, err = m.Add(aead.AES256GCMKeyTemplate())
		return err
	})
	return added, err
}

// CheckBy returns the check by which Follow finds this key.
func (e *Editor) CheckBy(id uint32) ([]byte, error) {
	if !slices.Contains(e.Keys(), id) {
		return nil, fmt.Errorf("there is no key %d: %w", id, ErrKeysetMismatch)
	}
	before := e.Sealing()
	if err := e.sealWith(id); err != nil {
		return nil, err
	}
	check, err := e.Check()
	return check, errors.Join(err, e.sealWith(before))
}

// Promote writes down which key seals, for who makes a database with this keyset.
func (e *Editor) Promote(id uint32) error {
	return e.change(func(m *keyset.Manager) error { return m.SetPrimary(id) })
}

// KeepOnly removes every key but this one, for good.
func (e *Editor) KeepOnly(id uint32) error {
	return e.change(func(m *keyset.Manager) error {
		if err := m.SetPrimary(id); err != nil {
			return err
		}
		for _, key := range e.Keys() {
			if key == id {
				continue
			}
			if err := m.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// SaveAs writes the keyset as it is to a new file with mode 0600. The error wraps fs.ErrExist when there is a file already. What is left
// of it when it is killed the next editor removes in the folder of the keyset, and the next SaveAs with the same name elsewhere.
func (e *Editor) SaveAs(path string) error {
	handle, _, err := readKeyset(e.file)
	if err != nil {
		return fmt.Errorf("save the keyset: %w", err)
	}
	if err := e.saveNew(path, handle); err != nil {
		return fmt.Errorf("save the keyset: %w", notWritten(path, err))
	}
	return nil
}

func (e *Editor) saveNew(path string, handle *keyset.Handle) error {
	if sameFolder(path, e.file) {
		return writeNew(path, e.file, handle)
	}
	if err := removeLeftovers(path); err != nil {
		return err
	}
	return writeNew(path, path, handle)
}

// sameFolder reports whether two files lie in one folder. What cannot be looked at is none.
func sameFolder(a, b string) bool {
	first, firstErr := os.Stat(filepath.Dir(a))
	second, secondErr := os.Stat(filepath.Dir(b))
	return firstErr == nil && secondErr == nil && os.SameFile(first, second)
}

// change replaces the file. Its owner and its mode stay: who could read it can.
func (e *Editor) change(do func(*keyset.Manager) error) error {
	handle, info, err := readKeyset(e.file)
	if err != nil {
		return err
	}
	manager := keyset.NewManagerFromHandle(handle)
	if err := do(manager); err != nil {
		return fmt.Errorf("change the keyset: %w", err)
	}
	if handle, err = manager.Handle(); err != nil {
		return fmt.Errorf("change the keyset: %w", err)
	}
	temporary, err := writeBeside(e.file, handle, func(file *os.File) error { return adopt(file, info) })
	if err != nil {
		return fmt.Errorf("cannot write the keyset: %w; run this as its owner, where its folder can be written to", err)
	}
	if err := os.Rename(temporary, e.file); err != nil {
		return errors.Join(fmt.Errorf("cannot replace the keyset: %w", err), os.Remove(temporary))
	}
	if err := syncDirectory(filepath.Dir(e.file)); err != nil {
		return fmt.Errorf("cannot make the keyset durable: %w", err)
	}
	if _, err := e.Refresh(); err != nil {
		return err
	}
	return e.verify(handle)
}

// verify makes sure that what was written is what is read: nothing is sealed with a key that is not in the file.
func (e *Editor) verify(written *keyset.Handle) error {
	read, _, err := readKeyset(e.file)
	if err != nil {
		return err
	}
	if insecurecleartextkeyset.KeysetMaterial(read).String() != insecurecleartextkeyset.KeysetMaterial(written).String() {
		return fmt.Errorf("the keyset %s is not what was written; another program has changed it", e.file)
	}
	return nil
}
