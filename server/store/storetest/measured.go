package storetest

import (
	"sync"
	"testing"

	"github.com/tokenwire/tokenwire/server/store"
)

// testBatches is for stores that write in batches; others have nothing to say.
func testBatches(t *testing.T, s store.Store) {
	measured, ok := s.(store.Measured)
	if !ok {
		t.Skip("this store does not write in batches")
	}
	w := newWorld(t, s)
	var mu sync.Mutex
	changes, wrong := 0, 0
	measured.ObserveBatches(func(batch store.Batch) {
		mu.Lock()
		defer mu.Unlock()
		changes += batch.Changes
		if batch.Changes < 1 || batch.Took <= 0 || batch.Failed {
			wrong++
		}
	})
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
	mu.Lock()
	defer mu.Unlock()
	if changes != all || wrong != 0 {
		t.Errorf("%d changes were observed, and %d of the batches make no sense; want %d and none", changes, wrong, all)
	}
	if waiting := measured.WaitingChanges(); waiting != 0 {
		t.Errorf("%d changes wait, and all are answered", waiting)
	}
}
