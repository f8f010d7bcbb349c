package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// drain brings an application to rest.
func (r *rig) drain(moved string) {
	r.t.Helper()
	before := r.tune
	r.tune = func(c *engine.Config) { c.Drain = &engine.Drain{Moved: moved} }
	defer func() { r.tune = before }()
	if err := r.ends(r.t.TempDir()); err != nil {
		r.t.Fatal(err)
	}
}

// TestDrain stops applications in the middle of their work: after a drain nothing is in any inbox, no more was read from the
// sources, nothing starts, and after another one everything goes on as if nothing had been.
func TestDrain(t *testing.T) {
	left := 0
	for seed := range uint64(4) {
		r := newRig(t, 3)
		r.batch = 20
		r.tune = func(c *engine.Config) { c.MaxEpochRecords = 20 }
		r.produce(seed, 40, 1500)
		dir := t.TempDir()
		p := r.start("a", dir, nil)
		for r.log.Committed() < 300 {
			time.Sleep(100 * time.Microsecond)
		}
		p.stop(t)
		for s := range r.shards {
			if end, at := r.log.End(engine.TopicPartition{Topic: "app.inbox", Partition: s}); at < end {
				left++
			}
		}
		read := r.log.Committed()
		r.drain("next")
		for s := range r.shards {
			tp := engine.TopicPartition{Topic: "app.inbox", Partition: s}
			err := r.log.Reader().Read(context.Background(), tp, at(r, tp), engine.EndOfPartition, func(*engine.Record) error {
				return fmt.Errorf("there is something in the inbox of shard %d", s)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if now := r.log.Committed(); now != read {
			t.Fatalf("%d records of sources are read, %d were before", now, read)
		}
		says(t, r.ends(dir), engine.ErrDisagree, `given up for "next"`, "--cancel")
		r.drain("")
		r.batch = 0
		r.settleAndStop(dir)
		r.check()
	}
	if left == 0 {
		t.Fatal("no inbox had anything left: the test tests nothing")
	}
}

func at(r *rig, tp engine.TopicPartition) int64 {
	_, committed := r.log.End(tp)
	return committed
}

// TestErasedStaysErased: an id that was erased is barred on whatever shard it comes to among another number of them, and on
// the next number after that.
func TestErasedStaysErased(t *testing.T) {
	r := newRig(t, 3)
	r.set = mustRules(t, eraseRules)
	begin := r.clock() - 1000
	const people = 30
	for i := range people {
		r.event(int32(i), begin, `"type":"page","userId":"erased-%d"`, i)
		r.event(int32(i), begin, `"type":"page","userId":"stays-%d"`, i)
	}
	p := r.start("a", t.TempDir(), nil)
	r.settle(p)
	for i := range people {
		r.tell(fmt.Sprintf("erased-%d", i), rules.Command{Kind: rules.Erase, ID: fmt.Sprintf("req-%d", i), By: "office", Salt: fmt.Appendf(nil, "salt-%d", i), Time: begin + 500})
	}
	for i := range people {
		r.awaitCleaned(fmt.Sprintf("req-%d", i), 1)
	}
	p.stop(t)
	for _, shards := range []int32{5, 2, 4} {
		r.drain("next")
		r = r.rekeyed(r.snapshot(), shards)
		for i := range people {
			r.event(int32(i), begin+1, `"type":"page","userId":"erased-%d"`, i) // of before the erasure
			r.event(int32(i), begin+1, `"type":"page","userId":"stays-%d"`, i)
		}
		r.settleAndStop(t.TempDir())
		n := 0
		for id, v := range r.stored() {
			var l lead.Lead
			if err := lead.Decode(v, &l); err != nil {
				t.Fatal(err)
			}
			switch {
			case l.Gone:
			case len(id) > 6 && id[:6] == "erased":
				t.Fatalf("%d shards: %s is back", shards, id)
			default:
				n++
			}
		}
		if n != people {
			t.Fatalf("%d shards: %d leads, want %d", shards, n, people)
		}
	}
}
