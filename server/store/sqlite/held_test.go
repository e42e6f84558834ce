package sqlite_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// held is a store whose writer is busy until the test releases it.
type held struct {
	*sqlite.DB
	path    string
	project store.Project
	release func()
}

func hold(t *testing.T) held {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokenwire.db")
	h := held{DB: open(t, path), path: path, project: store.Project{ID: uuid.New(), Name: "Project"}}
	if err := h.CreateProject(t.Context(), h.project, nil, store.Change{}); err != nil {
		t.Fatal(err)
	}
	reached, free := make(chan struct{}), make(chan struct{})
	holding := answering(h.project.ID, "hold", func() { close(reached); <-free })
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.CreateToken(context.WithoutCancel(t.Context()), h.token("hold"), holding); err != nil {
			t.Error(err)
		}
	})
	<-reached
	h.release = func() { close(free); wg.Wait() }
	return h
}

// answering is a change that calls f in its transaction.
func answering(project uuid.UUID, key string, f func()) store.Change {
	return store.Change{At: time.Now(), Idempotency: &store.Idempotency{
		ProjectID: project, Key: key, ExpiresAt: time.Now().Add(time.Hour),
		Answer: func(store.Token) ([]byte, error) { f(); return []byte("x"), nil },
	}}
}

func (h held) token(secret string) store.Token {
	token := store.Token{ID: uuid.New(), ProjectID: h.project.ID, Name: secret, SealedSecret: []byte{1}}
	copy(token.SecretHash[:], secret)
	return token
}

// commits counts the transactions in the write-ahead log: the last frame of each says how large the database is then. The log of
// these tests is too short to begin anew.
func (h held) commits(t *testing.T) int {
	t.Helper()
	const header, frameHeader, page = 32, 24, 4096
	log, err := os.ReadFile(h.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	commits := 0
	for at := header; at+frameHeader+page <= len(log); at += frameHeader + page {
		if binary.BigEndian.Uint32(log[at+4:]) != 0 {
			commits++
		}
	}
	return commits
}

func (h held) rename(t *testing.T, name string) {
	t.Helper()
	if _, err := h.RenameProject(t.Context(), h.project.ID, name, store.Change{At: time.Now()}); err != nil {
		t.Error(err)
	}
}
