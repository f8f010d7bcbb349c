//go:build !race

package engine

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"leadstream/rules"
	"leadstream/state/lead"
)

// TestBytesPerLead bounds what a cached lead costs under the rule set of the benchmarks: of heap, all told (entry, maps, ring,
// texts, and what allocations are rounded up to), and encoded, as in the state topic and the store. These are counts, not
// times: who raises one of them says why.
func TestBytesPerLead(t *testing.T) {
	text, err := os.ReadFile("../bench/e2e/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Parse(rules.File{Name: "rules.yaml", Src: text})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ leads, events, heap, encoded int }{{100_000, 1, 775, 121}, {100_000, 4, 855, 223}, {10_000, 16, 1190, 559}, {5_000, 100, 2950, 2204}} {
		before := heapInUse()
		s := &shard{cache: newCache(), timers: newTimers()}
		ev, encoded := set.NewEvaluator(), 0
		var outs []lead.Output
		var buf []byte
		for i := range c.leads {
			e := s.create(fmt.Sprintf("lead-%010d", i))
			l := set.NewLead(e.id, 0)
			for n := range c.events {
				at := int64(1_780_000_000_000 + n*3_600_000 + i)
				outs, _ = ev.Apply(l, &lead.Event{Type: lead.Track, Name: "Docs Viewed", RoutingID: []byte(e.id), UserID: []byte(e.id),
					Time: at, MessageHash: 1<<63 | uint64(i)<<32 | uint64(n)}, outs[:0])
			}
			e.spec = l.Clone() // as it is after the epoch that changed it last
			e.committed.Store(e.spec)
			s.timers.arm(e, l.Due)
			s.cache.resize(e, e.spec)
			buf = lead.AppendEncode(buf[:0], l)
			encoded += len(buf)
		}
		heap := int(heapInUse()-before) / c.leads
		estimate := int(s.cache.bytes) / c.leads
		encoded /= c.leads
		t.Logf("%d events: %d bytes of heap (the cache counts %d), %d encoded", c.events, heap, estimate, encoded)
		if heap > c.heap || encoded > c.encoded {
			t.Errorf("%d events: %d bytes of heap and %d encoded, at most %d and %d", c.events, heap, encoded, c.heap, c.encoded)
		}
		if estimate < heap*9/10 || estimate > heap*5/4 {
			t.Errorf("%d events: the cache counts %d bytes of %d: its budget is not what it uses", c.events, estimate, heap)
		}
		runtime.KeepAlive(s)
	}
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
