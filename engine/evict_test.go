package engine

import (
	"fmt"
	"testing"

	"leadstream/state/lead"
)

// TestEvictLeavesRoom: what is cached makes room for the versions of the open epoch and of the one in flight, but for no more
// than half of the cache.
func TestEvictLeavesRoom(t *testing.T) {
	const share = 64 * leadBytes
	for _, c := range []struct{ open, inFlight, want int }{{0, 0, 64}, {5, 0, 59}, {5, 7, 52}, {1000, 0, 32}} {
		s := &shard{cache: newCache(), timers: newTimers(), ep: &shardEpoch{touched: make([]touched, c.open)}}
		e := &Engine{m: newMetrics(nil)}
		e.cacheShare.Store(share)
		e.loop.flight = &epoch{shards: []*shard{s}, parts: []*shardEpoch{{touched: make([]touched, c.inFlight)}}}
		for i := range 100 {
			x := s.create(fmt.Sprint(i))
			x.spec, x.used = &lead.Lead{}, false
			x.committed.Store(x.spec)
			x.size = leadBytes
			s.cache.bytes += leadBytes
		}
		e.evict([]*shard{s})
		if got := len(s.cache.byID); got != c.want {
			t.Errorf("with %d open and %d in flight %d leads stay, want %d", c.open, c.inFlight, got, c.want)
		}
	}
}
