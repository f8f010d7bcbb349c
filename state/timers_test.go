package state

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"leadstream/state/lead"
)

func TestHintsOrderAndBounds(t *testing.T) {
	s := openMem(t)
	var all []Hint
	for _, due := range []int64{math.MinInt64, -5, 0, 7, 7_000_000_000_000, math.MaxInt64 - 1} {
		for _, id := range []string{"a", "a\x00", "b"} {
			all = append(all, Hint{due, id})
		}
	}
	for i := len(all) - 1; i >= 0; i-- { // Written in another order than read.
		id := all[i].ID
		checkpoint(t, s, 5, Meta{}, Entity{ID: fmt.Sprint(i), Value: []byte{1}, Due: lead.Never, OldDue: lead.Never})
		if err := s.AddHints(5, []Hint{{all[i].Due, id}}); err != nil {
			t.Fatal(err)
		}
	}
	// Neighbours, which no bound may let in.
	checkpoint(t, s, 4, Meta{}, entity("z", 1, math.MaxInt64-1, lead.Never))
	checkpoint(t, s, 6, Meta{}, entity("a", 1, math.MinInt64, lead.Never))
	for after := range all {
		for _, to := range []int64{math.MinInt64, -6, -5, 0, 6, 7, 8_000_000_000_000, math.MaxInt64} {
			for _, limit := range []int{0, 1, 4, 100} {
				var want []Hint
				for _, h := range all[after+1:] {
					if h.Due <= to && len(want) < limit {
						want = append(want, h)
					}
				}
				got, err := s.Hints(5, all[after], to, limit)
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("after %v to %d, at most %d: %v, %v; want %v", all[after], to, limit, got, err, want)
				}
			}
		}
	}
}

func TestRemoveHintsKeepsWhatStoredEntitiesNeed(t *testing.T) {
	s := openMem(t)
	checkpoint(t, s, 0, Meta{}, entity("a", 1, 100, lead.Never), entity("b", 1, lead.Never, lead.Never),
		Entity{ID: "odd", Value: []byte("no lead"), Due: 5, OldDue: lead.Never})
	ahead := []Hint{{40, "a"}, {50, "b"}, {60, "gone"}}
	if err := s.AddHints(0, ahead); err != nil {
		t.Fatal(err)
	}
	n, err := s.RemoveHints(0, append(ahead, Hint{100, "a"}, Hint{5, "odd"}))
	if err != nil || n != 3 {
		t.Fatalf("removed %d, %v", n, err)
	}
	if got := read(t, s, 0).Hints; !reflect.DeepEqual(got, []Hint{{5, "odd"}, {100, "a"}}) {
		t.Fatalf("left: %v", got)
	}
}
