package storetest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// testPages checks what every list promises about its pages; all is the whole list in its order.
func testPages(t *testing.T, all []uuid.UUID, list func(store.Page) ([]uuid.UUID, error)) {
	t.Helper()
	gone := func(id uuid.UUID) *uuid.UUID { // an id between two entries, as of one that was removed
		id[15] ^= 1
		return &id
	}
	n := len(all)
	before := 2 // what is in front of an id that differs in its last bit from that of entry 2
	if bytes.Compare(gone(all[2])[:], all[2][:]) > 0 == (bytes.Compare(all[0][:], all[1][:]) < 0) {
		before = 3
	}
	for _, c := range []struct {
		what string
		page store.Page
		want []uuid.UUID
	}{
		{"all", store.Page{Limit: n}, all},
		{"more than all", store.Page{Limit: n + 1}, all},
		{"the beginning", store.Page{Limit: 2}, all[:2]},
		{"with an offset", store.Page{Limit: 2, Offset: 3}, all[3:5]},
		{"an offset beyond the end", store.Page{Limit: 2, Offset: n}, nil},
		{"after an entry", store.Page{Limit: 2, After: &all[1]}, all[2:4]},
		{"after the last", store.Page{Limit: 2, After: &all[n-1]}, nil},
		{"before an entry", store.Page{Limit: 2, Before: &all[4]}, all[2:4]},
		{"before the second", store.Page{Limit: 2, Before: &all[1]}, all[:1]},
		{"before the first", store.Page{Limit: 2, Before: &all[0]}, nil},
		{"after an entry that is gone", store.Page{Limit: n, After: gone(all[2])}, all[before:]},
		{"before an entry that is gone", store.Page{Limit: n, Before: gone(all[2])}, all[:before]},
	} {
		got, err := list(c.page)
		must(t, err)
		if diff := cmp.Diff(append([]uuid.UUID{}, c.want...), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func sorted(ids []uuid.UUID) []uuid.UUID {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}
