package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
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

func TestWhoIsSlowGetsMoreTime(t *testing.T) {
	t.Parallel()
	var given []time.Duration
	slow := contender{measure: func(_ context.Context, s slot) (result, error) {
		given = append(given, s.measured)
		if s.measured < 15*time.Second {
			return result{}, fmt.Errorf("%w yet", errNoAnswer)
		}
		return result{rate: 1}, nil
	}}
	if _, err := slow.turn(t.Context(), slot{measured: 3 * time.Second}); !errors.Is(err, errNoAnswer) {
		t.Errorf("it was waited for too long: %v", given)
	}
	if want := []time.Duration{3 * time.Second, 6 * time.Second, 12 * time.Second}; !slices.Equal(given, want) {
		t.Errorf("it was given %v, want %v", given, want)
	}
	if got, err := slow.turn(t.Context(), slot{measured: 8 * time.Second}); err != nil || got.rate != 1 {
		t.Errorf("its answer is %v, %v", got, err)
	}
}
