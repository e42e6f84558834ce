package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/secret"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// file is a keyset in a file, and its editor.
func file(t *testing.T) (string, *secret.Keyset, *secret.Editor) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset")
	_, err := secret.CreateKeyset(path)
	check(t, err)
	loaded, err := secret.LoadKeyset(path)
	check(t, err)
	e, err := secret.EditKeyset(path)
	check(t, err)
	t.Cleanup(func() { _ = e.Close() })
	return path, loaded, e
}

// TestKeysetFollowsItsFile: who has loaded a keyset opens what a newer key has sealed, and seals with the key of the check.
func TestKeysetFollowsItsFile(t *testing.T) {
	t.Parallel()
	_, server, e := file(t)
	id, plain := uuid.New(), secret.New()
	old, err := server.Seal(id, plain)
	check(t, err)
	link := server.Sign("links", []byte("text"))
	before := server.Sealing()

	added, err := e.AddKey()
	check(t, err)
	if e.Sealing() != before || added == before {
		t.Fatalf("a key that was added seals already")
	}
	move, err := e.CheckBy(added)
	check(t, err)
	if e.Sealing() != before {
		t.Error("CheckBy has changed which key seals")
	}
	check(t, e.Follow(move))
	check(t, e.Promote(added))
	sealed, err := e.Seal(id, plain)
	check(t, err)
	if secret.KeyID(sealed) != added || secret.KeyID(old) != before {
		t.Errorf("sealed with %d and %d, want %d and %d", secret.KeyID(sealed), secret.KeyID(old), added, before)
	}
	if opened, err := server.Open(id, sealed); err != nil || opened != plain {
		t.Errorf("what the new key has sealed: %v", err)
	}
	if server.Sealing() != before {
		t.Error("the server seals with the new key before it was told to")
	}
	check(t, verify(server, "links", e.Sign("links", []byte("text"))))
	check(t, server.Follow(move))
	if server.Sealing() != added {
		t.Error("the server does not seal with the key of the check")
	}
	check(t, verify(server, "links", link))
	again, err := server.Reseal(id, old)
	check(t, err)
	if opened, err := e.Open(id, again); err != nil || opened != plain || secret.KeyID(again) != added {
		t.Errorf("what was sealed again: %v", err)
	}

	check(t, e.KeepOnly(added))
	if _, err := server.Refresh(); err != nil || len(server.Keys()) != 1 {
		t.Errorf("the server has the keys %v (%v), want one", server.Keys(), err)
	}
	if _, err := server.Open(id, old); !errors.Is(err, secret.ErrKeysetMismatch) {
		t.Errorf("what a removed key has sealed: %v", err)
	}
	if err := verify(server, "links", link); !errors.Is(err, secret.ErrKeysetMismatch) {
		t.Errorf("a link of a removed key: %v", err)
	}
}

// TestKeysetWithoutTheKey: a server with another file does not follow, and goes on sealing as before.
func TestKeysetWithoutTheKey(t *testing.T) {
	t.Parallel()
	_, server, _ := file(t)
	_, _, e := file(t)
	foreign, err := e.Check()
	check(t, err)
	before := server.Sealing()
	if err := server.Follow(foreign); !errors.Is(err, secret.ErrKeysetMismatch) || server.Sealing() != before {
		t.Errorf("Follow of a foreign check: %v; key %d seals, want %d", err, server.Sealing(), before)
	}
}

// TestKeysetWhoseFileBreaks: the keys from before go on.
func TestKeysetWhoseFileBreaks(t *testing.T) {
	t.Parallel()
	path, server, _ := file(t)
	id, plain := uuid.New(), secret.New()
	sealed, err := server.Seal(id, plain)
	check(t, err)
	for _, breakIt := range []func() error{
		func() error { return os.WriteFile(path, []byte("no keyset"), 0o600) },
		func() error { return os.Chmod(path, 0o644) },
		func() error { return os.Remove(path) },
	} {
		check(t, breakIt())
		if _, err := server.Refresh(); err == nil {
			t.Error("Refresh has not noticed")
		}
		if opened, err := server.Open(id, sealed); err != nil || opened != plain {
			t.Errorf("Open: %v", err)
		}
	}
}

func TestOneEditorAtATime(t *testing.T) {
	t.Parallel()
	path, _, e := file(t)
	if _, err := secret.EditKeyset(path); !errors.Is(err, secret.ErrBusy) {
		t.Errorf("a second editor: %v", err)
	}
	check(t, e.Close())
	second, err := secret.EditKeyset(path)
	check(t, err)
	check(t, second.Close())
}

// TestEditedFile: its mode stays, a link to it stays one, and nothing is left beside it.
func TestEditedFile(t *testing.T) {
	t.Parallel()
	path, _, e := file(t)
	check(t, e.Close())
	check(t, os.Chmod(path, 0o640))
	link := filepath.Join(t.TempDir(), "link")
	check(t, os.Symlink(path, link))
	e, err := secret.EditKeyset(link)
	check(t, err)
	_, err = e.AddKey()
	check(t, err)
	saved := path + ".saved"
	check(t, e.SaveAs(saved))
	if err := e.SaveAs(saved); !errors.Is(err, fs.ErrExist) {
		t.Errorf("SaveAs over a file: %v", err)
	}
	copied, err := secret.LoadKeyset(saved)
	if err != nil || len(copied.Keys()) != 2 {
		t.Errorf("the saved keyset: %v", err)
	}
	check(t, e.Close())
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is none any more (%v)", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file has mode %v (%v), want 0640", info.Mode(), err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 2 {
		t.Errorf("the folder has %d files (%v), want 2", len(files), err)
	}
}

// TestLeftovers: what a command has left that was killed is gone after the next one, and nothing else is.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	path, _, e := file(t)
	saved := filepath.Join(t.TempDir(), "saved")
	check(t, e.Close())
	leave := func(of string) {
		t.Helper()
		content, err := os.ReadFile(path)
		check(t, err)
		check(t, os.WriteFile(of+"."+uuid.NewString(), content, 0o600))
	}
	kept := []string{path + ".saved", path + "." + uuid.NewString() + ".saved", filepath.Join(filepath.Dir(path), "other."+uuid.NewString())}
	for _, name := range kept {
		check(t, os.WriteFile(name, nil, 0o600))
	}
	leave(path)
	leave(path)
	leave(saved)
	link := filepath.Join(t.TempDir(), "link")
	check(t, os.Symlink(path, link))
	e, err := secret.EditKeyset(link)
	check(t, err)
	check(t, e.SaveAs(saved))
	check(t, e.Close())
	for folder, want := range map[string]int{filepath.Dir(path): 1 + len(kept), filepath.Dir(saved): 1} {
		if files, err := os.ReadDir(folder); err != nil || len(files) != want {
			t.Errorf("%s has %v (%v), want %d files", folder, files, err, want)
		}
	}
	for _, name := range kept {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

// TestSaveAsInTheSameFolder: until it is complete, a copy beside the keyset has a name by which the next editor finds it as a leftover.
// Its own name would be too long for one.
func TestSaveAsInTheSameFolder(t *testing.T) {
	t.Parallel()
	path, _, e := file(t)
	saved := filepath.Join(filepath.Dir(path), strings.Repeat("x", 250))
	check(t, e.SaveAs(saved))
	if copied, err := secret.LoadKeyset(saved); err != nil || len(copied.Keys()) != 1 {
		t.Errorf("the saved keyset: %v", err)
	}
}

// TestNoNewFile: why there is none is said with the name that it should have, and what to do.
func TestNoNewFile(t *testing.T) {
	t.Parallel()
	path, _, e := file(t)
	folder := filepath.Dir(path)
	check(t, os.WriteFile(filepath.Join(folder, "there"), nil, 0o600))
	for name, want := range map[string]string{
		"there":   "there: file already exists; move it away first, or choose another name",
		"none/x":  "none/x: no such file or directory; create the directory",
		"there/x": "there/x: not a directory",
	} {
		err := e.SaveAs(filepath.Join(folder, name))
		if err == nil || !strings.HasSuffix(err.Error(), want) || !strings.Contains(err.Error(), "save the keyset") {
			t.Errorf("SaveAs %s: %v, want %q", name, err, want)
		}
	}
	_, err := secret.CreateKeyset(filepath.Join(folder, "none/x"))
	if err == nil || !strings.HasSuffix(err.Error(), "none/x: no such file or directory; create the directory, or choose another file with --keyset") {
		t.Errorf("CreateKeyset: %v", err)
	}
	if _, err := secret.CreateKeyset(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateKeyset over a file: %v", err)
	}
}
