package engine

import (
	"testing"

	"leadstream/state/lead"
)

// TestGravesAreLaidOnce: a node that was erased, and erased again before the first was laid, is noted once more each time that it
// is looked at, but laid once. A second tombstone would remove who has come by the id since.
func TestGravesAreLaidOnce(t *testing.T) {
	s := &shard{cache: newCache(), timers: newTimers(), unlaid: map[*entry]uint64{}, laying: map[string]int{}}
	e := s.create("who")
	erased := func(epoch uint64) *lead.Lead {
		v := &lead.Lead{ID: e.id, Epoch: epoch, Due: noTime, Node: lead.Node{Gone: true}}
		e.spec = v
		e.committed.Store(v)
		s.bury(e)
		return v
	}
	all := func(*lead.Lead) bool { return true }
	none := func(*lead.Lead) bool { return false }
	erased(1)
	erased(2)
	s.lay(10, none) // drops that of epoch 1
	s.bury(e)
	if n := len(s.graves); n != 1 {
		t.Errorf("it is noted %d times", n)
	}
	s.graves = append(s.graves, s.graves[0])
	tombs, _ := s.lay(10, all)
	if len(tombs) != 1 {
		t.Fatalf("%d tombstones", len(tombs))
	}
	e.storing-- // it is in the store
	s.laid(&tombs[0])
	if s.cache.byID[e.id] != nil {
		t.Error("it is in the cache still")
	}
	if tombs, _ = s.lay(10, all); len(tombs) != 0 {
		t.Error("another tombstone for who is not there any more")
	}
	if len(s.graves) != 0 {
		t.Errorf("%d graves are left", len(s.graves))
	}
}
