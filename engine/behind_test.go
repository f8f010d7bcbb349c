package engine

import (
	"testing"
	"time"
)

// TestEpochEnds: for the shards with something to say at once, unless more records lie before them than an epoch may
// take; for all after the commit interval, or, where all are behind, after a second; and at once
// when one has no more room, or nothing is read until leads are written.
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
		name      string
		shards    []*shard
		age       int64
		all, some bool
	}{
		{"nothing to say", []*shard{at(near, 0)}, 99, false, false},
		{"nothing to say for long", []*shard{at(near, 0)}, 100, true, false},
		{"something to say", []*shard{at(near, 0), at(near, 1)}, 0, false, true},
		{"something to say, late anyway", []*shard{at(far, 1)}, 999, false, false},
		{"something to say, late anyway, for long", []*shard{at(far, 1)}, 1000, true, false},
		{"one is late, the other not", []*shard{at(far, 1), at(near, 1)}, 0, false, true},
		{"one is late, the other has nothing to say", []*shard{at(far, 1), at(near, 0)}, 99, false, false},
		{"one is late, the other has had nothing to say for long", []*shard{at(far, 1), at(near, 0)}, 100, true, false},
		{"late and full", []*shard{at(far, 0), full}, 0, true, true},
		{"late with too many outputs", []*shard{at(far, 5)}, 0, true, true},
	} {
		e.loop.cur = &epoch{shards: c.shards}
		now = c.age
		if all, some := e.ready(); all != c.all || some != c.some {
			t.Errorf("%s, after %d ms: ready is %v for all and %v for some, want %v and %v", c.name, c.age, all, some, c.all, c.some)
		}
	}
	now = 0
	e.loop.cur = &epoch{shards: []*shard{at(near, 0)}}
	e.cfg.DirtyLimit = 1
	other := &shard{}
	e.live = map[int32]*shard{0: other}
	for n, want := range []bool{false, false, true} { // with n leads that are not written
		if all, _ := e.ready(); all != want {
			t.Errorf("with %d leads to be written, at most %d before reading stops: ready is %v", n, e.cfg.DirtyLimit, all)
		}
		other.dirty.push(&entry{}, 1)
	}
}
