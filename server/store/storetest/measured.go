package storetest

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwire/tokenwire/server/store"
)

// testBatches is for stores that write in batches; others have nothing to say.
func testBatches(t *testing.T, s store.Store) {
	measured, ok := s.(store.Measured)
	if !ok {
		t.Skip("this store does not write in batches")
	}
	w := newWorld(t, s)
	var seen sightings
	measured.ObserveBatches(seen.observe)
	const all = 20
	var wg sync.WaitGroup
	for range all {
		wg.Go(func() {
			if err := s.CreateToken(t.Context(), newToken(w.parent.ID, "fax"), made(3)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait() // observed before it was answered
	wantErr(t, "DeleteToken", s.DeleteToken(t.Context(), w.parent.ID, newID(), made(3)), store.ErrNotFound)
	seen.want(t, map[store.Outcome]int{store.Committed: all, store.Unchanged: 1})
	if waiting := measured.WaitingChanges(); waiting != 0 {
		t.Errorf("%d changes wait, and all are answered", waiting)
	}
}

// sightings are the batches that were observed.
type sightings struct {
	mu      sync.Mutex
	changes map[store.Outcome]int
	wrong   []store.Batch
}

func (s *sightings) observe(batch store.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == nil {
		s.changes = make(map[store.Outcome]int)
	}
	s.changes[batch.Outcome] += batch.Changes
	if batch.Changes < 1 || batch.Took <= 0 {
		s.wrong = append(s.wrong, batch)
	}
}

func (s *sightings) want(t *testing.T, changes map[store.Outcome]int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(changes, s.changes); diff != "" || len(s.wrong) > 0 {
		t.Errorf("changes by the outcome of their batch (-want +got):\n%s\nand these make no sense: %v", diff, s.wrong)
	}
}
