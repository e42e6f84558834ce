package main

import (
	"context"
	"slices"
	"testing"
)

func TestRaceAlternatesTheOrder(t *testing.T) {
	t.Parallel()
	var turns []string
	var contenders []contender
	for _, name := range []string{"a", "b", "c"} {
		contenders = append(contenders, contender{name: name, measure: func(context.Context, slot) (result, error) {
			turns = append(turns, name)
			return result{rate: float64(len(turns))}, nil
		}})
	}
	results, err := race(t.Context(), plan{rounds: 3}, "test", 1, contenders)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "c", "a", "b", "c", "c", "b", "a", "a", "b", "c"}; !slices.Equal(turns, want) {
		t.Errorf("the turns were %v, want %v", turns, want)
	}
	if a := results["a"]; len(a) != 3 || a[0].rate != 4 {
		t.Errorf("the results of a are %v, want three without the one of the warm-up", a)
	}
}
