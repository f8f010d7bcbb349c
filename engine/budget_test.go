package engine_test

import (
	"fmt"
	"testing"

	"leadstream/engine"
)

// TestEpochsLeaveRoomInTheCache: an epoch of new leads ends where they would take too much of a small cache, though it may have
// many more records.
func TestEpochsLeaveRoomInTheCache(t *testing.T) {
	const leads, most = 3500, 1000 // the least bound there is
	r := newRig(t, 1)
	r.parts = map[string]int32{"web": 1, "mail": 1}
	r.tune = func(c *engine.Config) { c.CacheBytes = 1 << 16 }
	for i := range leads {
		v := fmt.Sprintf(`{"userId":"lead-%d","messageId":"m","timestamp":%d,"type":"page"}`, i, base)
		r.log.Append("web", 0, nil, []byte(v), base)
	}
	p := r.start("a", t.TempDir(), nil)
	r.settle(p)
	p.stop(t)
	records, largest := 0, 0
	for _, rec := range r.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicJournal)}) {
		j, err := engine.DecodeJournal(rec.Value)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, x := range j.Ranges {
			n += x.Count
		}
		records, largest = records+n, max(largest, n)
	}
	if records != leads || largest != most {
		t.Errorf("%d records, %d in the largest epoch; want %d, and %d", records, largest, leads, most)
	}
}
