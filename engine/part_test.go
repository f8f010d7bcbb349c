package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/engine"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestPartOfAnEpoch: a shard that has something to say is committed at once, and the one beside it that has nothing to say
// not with it, but when the commit interval is over.
func TestPartOfAnEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.fs = vfs.NewMem()
		r.parts = map[string]int32{"web": 2, "mail": 2}
		r.tune = func(c *engine.Config) { c.CommitInterval, c.CheckpointInterval = time.Second, 10*time.Hour }
		p := r.start("p", "p", nil)
		send := func(shard int32, event string) {
			for i := 0; ; i++ {
				if id := fmt.Sprintf("lead-%d", i); engine.ShardOf([]byte(id), r.shards) == shard {
					r.log.Append("web", shard, nil, fmt.Appendf(nil, `{"userId":%q,"timestamp":%d,"type":"track","event":%q}`, id, r.clock(), event), r.clock())
					return
				}
			}
		}
		committed := func() [2]int {
			var n [2]int
			for s := range r.shards {
				end, _ := r.log.End(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicJournal), Partition: s})
				n[s] = int(end)
			}
			return n
		}
		send(0, "Looked")
		send(1, "Looked")
		time.Sleep(3 * time.Second)
		var got []bool // whether shard 0 and shard 1 have committed since the time before
		before := committed()
		look := func() {
			now := committed()
			got = append(got, now[0] > before[0], now[1] > before[1])
			before = now
		}
		send(0, "Looked")
		send(1, "Demo Requested")
		time.Sleep(100 * time.Millisecond)
		look()
		time.Sleep(1500 * time.Millisecond)
		look()
		if want := []bool{false, true, true, false}; !slices.Equal(got, want) {
			t.Errorf("committed were %v, want %v", got, want)
		}
		p.stop(t)
		r.check()
	})
}
