package main

import (
	"errors"
	"slices"
	"testing"

	"github.com/tokenwire/tokenwire/server/rekey"
	"github.com/tokenwire/tokenwire/server/secret"
)

// TestKeysOf: the keys are shown in one order, those that are missing last, and what was found can be counted afterwards.
func TestKeysOf(t *testing.T) {
	t.Parallel()
	keyset, err := secret.NewKeyset()
	check(t, err)
	seals := keyset.Sealing()
	found := rekey.Found{
		ByKey: map[uint32]rekey.Use{seals: {Secrets: 1}, seals + 1: {Secrets: 2}, seals + 2: {Answers: 3}, seals + 3: {Secrets: 4}, seals + 4: {Secrets: 5}},
		Total: 15, Broken: 14, Errors: []error{errors.New("why")},
	}
	for range 20 {
		var ids []uint32
		for _, key := range keysOf(keyset, found) {
			ids = append(ids, key.ID)
		}
		if want := []uint32{seals, seals + 1, seals + 2, seals + 3, seals + 4}; !slices.Equal(ids, want) {
			t.Errorf("the keys are %v, want %v", ids, want)
		}
	}
	if err := found.Err(); err == nil || err.Error() != "14 of 15: why" {
		t.Errorf("what is broken: %v", err)
	}
	if others := found.Others(seals); others != 14 {
		t.Errorf("%d are sealed with other keys", others)
	}
}
