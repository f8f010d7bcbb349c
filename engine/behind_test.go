package engine

import (
	"testing"
	"time"
)

// TestEpochEnds: with something to say at once, unless more records lie before the shards that say it than an epoch may
// take; without after the commit interval, and those of shards that are all behind after a second; at
// once when nothing is read until leads are written.
func TestEpochEnds(t *testing.T) {
	const most = 10
	tp := TopicPartition{Topic: "web"}
	now := int64(0)
	e := &Engine{cfg: Config{CommitInterval: 100 * time.Millisecond, MaxEpochRecords: most, MaxEpochTimers: 1, MaxEpochOutputs: 5, MaxEpochBytes: 1, Clock: func() int64 { return now }}}
	at := func(end int64, outputs int) *shard {
		return &shard{
			cfg: &e.cfg, maxTouched: 1, live: map[TopicPartition]*liveness{tp: {end: end}}, ep: &shardEpoch{records: make([]OutRecord, outputs), outputs: outputs},
			st: shardState{parts: []part{{TopicPartition: tp, source: &SourceConfig{}, next: 100}}},
		}
	}
	near, far := int64(100+most), int64(101+most)
	full := at(far, 0)
	full.ep.inputs = most
	for _, c := range []struct {
		name   string
		shards []*shard
		age    int64
		want   bool
	}{
		{"nothing to say", []*shard{at(near, 0)}, 99, false},
		{"nothing to say for long", []*shard{at(near, 0)}, 100, true},
		{"something to say", []*shard{at(near, 0), at(near, 1)}, 0, true},
		{"something to say, late anyway", []*shard{at(far, 1)}, 999, false},
		{"something to say, late anyway, for long", []*shard{at(far, 1)}, 1000, true},
		{"one is late, the other not", []*shard{at(far, 1), at(near, 1)}, 0, true},
		{"one is late, the other has nothing to say", []*shard{at(far, 1), at(near, 0)}, 99, false},
		{"one is late, the other has had nothing to say for long", []*shard{at(far, 1), at(near, 0)}, 100, true},
		{"late and full", []*shard{at(far, 0), full}, 0, true},
		{"late with too many outputs", []*shard{at(far, 5)}, 0, true},
	} {
		e.loop.cur = &epoch{shards: c.shards}
		if now = c.age; e.ready() != c.want {
			t.Errorf("%s, after %d ms: ready is %v", c.name, c.age, !c.want)
		}
	}
	now = 0
	e.loop.cur = &epoch{shards: []*shard{at(near, 0)}}
	e.cfg.DirtyLimit = 1
	other := &shard{}
	e.live = map[int32]*shard{0: other}
	for n, want := range []bool{false, false, true} { // with n leads that are not written
		if e.ready() != want {
			t.Errorf("with %d leads to be written, at most %d before reading stops: ready is %v", n, e.cfg.DirtyLimit, !want)
		}
		other.dirty.push(&entry{}, 1)
	}
}
