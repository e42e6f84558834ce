package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// opened is a store whose files somebody takes away, and what it has acknowledged.
type opened struct {
	*sqlite.DB
	path string
	made []string
}

func openAt(t *testing.T, path string) *opened {
	t.Helper()
	o := &opened{DB: open(t, path), path: path}
	for range 20 {
		o.make(t)
	}
	return o
}

// make makes one more project, and reports whether that was acknowledged. Nothing else than unavailability may keep it from that.
func (o *opened) make(t *testing.T) bool {
	t.Helper()
	name := fmt.Sprint("Project ", len(o.made))
	err := o.CreateProject(t.Context(), store.Project{ID: uuid.New(), Name: name, CreatedAt: time.Now()}, nil, store.Change{At: time.Now()})
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("a change: %v", err)
	}
	if err == nil {
		o.made = append(o.made, name)
	}
	return err == nil
}

// want looks whether everything that was acknowledged is there, once each.
func (o *opened) want(t *testing.T, db *sqlite.DB) {
	t.Helper()
	projects, err := db.Projects(t.Context(), store.ProjectQuery{Page: store.Page{Limit: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range projects {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	want := slices.Sorted(slices.Values(o.made))
	if !slices.Equal(names, want) {
		t.Errorf("there are %d projects, want the %d that were acknowledged", len(names), len(want))
	}
}

// wantAfterClose closes the store, and looks whether everything is there when it is opened again.
func (o *opened) wantAfterClose(t *testing.T) {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	o.want(t, open(t, o.path))
}

// crash copies the files as a killed process leaves them, and opens the copy.
func (o *opened) crash(t *testing.T) *sqlite.DB {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "tokenwire.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(o.path + suffix)
		if err == nil {
			err = os.WriteFile(copied+suffix, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return open(t, copied)
}

// TestRemovedLog: whichever of the files beside a database are removed while it is open, the next change is not acknowledged before
// everything is where it will be found again.
func TestRemovedLog(t *testing.T) {
	t.Parallel()
	for name, suffixes := range map[string][]string{"log": {"-wal"}, "index": {"-shm"}, "both": {"-wal", "-shm"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			removeWhileOpen(t, openAt(t, filepath.Join(t.TempDir(), "tokenwire.db")), suffixes)
		})
	}
	t.Run("behind a link", func(t *testing.T) { // they lie beside the file, and not beside the link
		t.Parallel()
		link, file := filepath.Join(t.TempDir(), "tokenwire.db"), filepath.Join(t.TempDir(), "target.db")
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(file, link)); err != nil {
			t.Fatal(err)
		}
		o := openAt(t, link)
		o.path = file
		removeWhileOpen(t, o, []string{"-wal", "-shm"})
	})
}

func removeWhileOpen(t *testing.T, o *opened, suffixes []string) {
	t.Helper()
	for range 5 {
		for _, suffix := range suffixes {
			if err := os.Remove(o.path + suffix); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			if !o.make(t) {
				t.Error("a change was refused though nothing was in the way of mending")
			}
			o.want(t, o.DB)
		}
		if err := o.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		o.want(t, o.crash(t))
	}
	o.wantAfterClose(t)
}

// TestRemovedLogAndClosed: what was acknowledged before the log was removed is there when the database was closed.
func TestRemovedLogAndClosed(t *testing.T) {
	t.Parallel()
	for _, suffixes := range [][]string{{"-wal"}, {"-shm"}, {"-wal", "-shm"}} {
		o := openAt(t, filepath.Join(t.TempDir(), "tokenwire.db"))
		for _, suffix := range suffixes {
			if err := os.Remove(o.path + suffix); err != nil {
				t.Fatal(err)
			}
		}
		o.wantAfterClose(t)
	}
}

// TestRemovedLogAtOnce: so it is when nothing was written before.
func TestRemovedLogAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokenwire.db")
	o := &opened{DB: open(t, path), path: path}
	if err := os.Remove(o.path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if !o.make(t) {
		t.Error("a change was refused though nothing was in the way of mending")
	}
	o.want(t, o.crash(t))
}

// TestRemovedLogMeanwhile: a change whose log goes while it is made is not acknowledged, and the next finds everything mended.
func TestRemovedLogMeanwhile(t *testing.T) {
	t.Parallel()
	o := openAt(t, filepath.Join(t.TempDir(), "tokenwire.db"))
	project := store.Project{ID: uuid.New(), Name: "Project"}
	if err := o.CreateProject(t.Context(), project, nil, store.Change{}); err != nil {
		t.Fatal(err)
	}
	o.made = append(o.made, project.Name)
	token := store.Token{ID: uuid.New(), ProjectID: project.ID, Name: "T", SealedSecret: []byte{1}}
	remove := answering(project.ID, "key", func() {
		if err := os.Remove(o.path + "-wal"); err != nil {
			t.Error(err)
		}
	})
	if err := o.CreateToken(t.Context(), token, remove); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a change whose log was removed before it was committed: %v, want %v", err, store.ErrUnavailable)
	}
	if !o.make(t) {
		t.Error("the next change was refused")
	}
	o.want(t, o.crash(t))
}

// TestAnotherLog: where there is somebody else's log, changes are refused, and go on when it is moved away.
func TestAnotherLog(t *testing.T) {
	t.Parallel()
	o := openAt(t, filepath.Join(t.TempDir(), "tokenwire.db"))
	if err := os.Rename(o.path+"-wal", o.path+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.path+"-wal", []byte("what another program has written"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if o.make(t) {
			t.Fatal("a change was acknowledged that nobody would find again")
		}
		if err := o.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Ping says %v, want %v", err, store.ErrUnavailable)
		}
	}
	if err := os.Remove(o.path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if !o.make(t) {
		t.Error("a change was refused when the other log was gone")
	}
	o.want(t, o.DB)
	o.want(t, o.crash(t))
}

// intruders are what can lie where a file of the database has to be.
func intruders() map[string]func(path string) error {
	return map[string]func(string) error{
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
	}
}

// TestReplacedByNoFile: where something lies that is no file, changes are refused until it is moved away, the error says so, and nothing
// is lost, also when the database is closed before.
func TestReplacedByNoFile(t *testing.T) {
	t.Parallel()
	for kind, intrude := range intruders() {
		for _, suffix := range []string{"-wal", "-shm"} {
			t.Run(kind+suffix, func(t *testing.T) {
				t.Parallel()
				o := openAt(t, filepath.Join(t.TempDir(), "tokenwire.db"))
				replace := func() {
					t.Helper()
					if err := errors.Join(os.Remove(o.path+suffix), intrude(o.path+suffix)); err != nil {
						t.Fatal(err)
					}
				}
				replace()
				want := suffix + " is " + kind + ", and no ordinary file; move it away: then the server goes on, and nothing is lost"
				for range 3 {
					if o.make(t) {
						t.Error("a change was acknowledged")
					}
					if err := o.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), want) {
						t.Errorf("Ping says %v, want %q", err, want)
					}
				}
				if err := os.Remove(o.path + suffix); err != nil {
					t.Fatal(err)
				}
				if !o.make(t) {
					t.Error("a change was refused when it was moved away")
				}
				o.want(t, o.DB)
				o.want(t, o.crash(t))
				replace()
				_ = o.Close()
				_ = os.Remove(o.path + suffix) // closing may have done so
				o.want(t, open(t, o.path))
			})
		}
	}
}

// TestNoFileBesideTheDatabase: what is no file is refused before SQLite opens it, which would wait for ever for whoever writes into a pipe.
func TestNoFileBesideTheDatabase(t *testing.T) {
	t.Parallel()
	for kind, intrude := range intruders() {
		for _, suffix := range []string{"-wal", "-shm", "-journal"} {
			for _, size := range []string{"new", "empty", "full"} {
				t.Run(kind+suffix+" "+size, func(t *testing.T) {
					t.Parallel()
					path := filepath.Join(t.TempDir(), "tokenwire.db")
					switch size {
					case "empty":
						if err := os.WriteFile(path, nil, 0o600); err != nil {
							t.Fatal(err)
						}
					case "full":
						if err := open(t, path).Close(); err != nil {
							t.Fatal(err)
						}
					}
					if err := intrude(path + suffix); err != nil {
						t.Fatal(err)
					}
					want := suffix + " is " + kind + ", and no ordinary file; move it away"
					for doing, do := range map[string]func() error{
						"Open":    func() error { _, err := sqlite.Open(t.Context(), path); return err },
						"Examine": func() error { _, err := sqlite.Examine(t.Context(), path); return err },
						"Copy":    func() error { return sqlite.Copy(t.Context(), path, path+".copy", nil) },
					} {
						exists := size != "new" || doing == "Open" // the others want a database
						if err := do(); err == nil || exists && !strings.Contains(err.Error(), want) {
							t.Errorf("%s says %v, want %q", doing, err, want)
						}
					}
				})
			}
		}
	}
}

// TestWatch: what was acknowledged before the log was removed is saved also when nobody changes anything, and the log says so.
func TestWatch(t *testing.T) {
	t.Parallel()
	o := openAt(t, filepath.Join(t.TempDir(), "tokenwire.db"))
	lines := make(chan string, 100)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { o.Watch(ctx, slog.New(slog.NewTextHandler(lineWriter(lines), nil))) })
	defer wg.Wait()
	defer stop()
	if err := os.Remove(o.path + "-wal"); err != nil {
		t.Fatal(err)
	}
	next := func() string {
		select {
		case line := <-lines:
			return line
		case <-time.After(time.Minute):
			t.Fatal("it says nothing")
			return ""
		}
	}
	if line := next(); !strings.Contains(line, "level=WARN") || !strings.Contains(line, "nothing is lost") {
		t.Errorf("when the log was saved: %s", line)
	}
	o.want(t, o.crash(t))
	if err := errors.Join(os.Remove(o.path+"-wal"), os.WriteFile(o.path+"-new", []byte("another"), 0o600), os.Rename(o.path+"-new", o.path+"-wal")); err != nil {
		t.Fatal(err)
	}
	for {
		line := next()
		if strings.Contains(line, "nothing is lost") { // it was seen between the two
			continue
		}
		if !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "move "+o.path+"-wal away") {
			t.Errorf("when there is another log: %s", line)
		}
		break
	}
	if err := os.Remove(o.path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if line := next(); !strings.Contains(line, "nothing is lost") {
		t.Errorf("when the other log was gone: %s", line)
	}
	o.want(t, o.crash(t))
}

// lineWriter gets one line at a time.
type lineWriter chan<- string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}
