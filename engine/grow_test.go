package engine_test

import (
	"fmt"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/state/lead"
)

// TestSourceGrows gives a source more partitions while it is read, more than once, some of them with records in them
// before anybody hears of it. A process is killed in between, and what comes after redoes epochs before and after.
func TestSourceGrows(t *testing.T) {
	for seed := range uint64(6) {
		r := newRig(t, 1+int32(seed%4))
		r.parts["web"] = 2
		r.batch = 10
		r.tune = func(c *engine.Config) { c.MaxEpochRecords, c.CheckpointInterval = 15, time.Hour }
		dir := t.TempDir()
		r.produce(seed, 30, 400)
		p := r.start("a", dir, nil)
		for i, n := range []int32{3, 7} {
			time.Sleep(time.Duration(seed) * time.Millisecond) // whatever it has come to by then
			r.parts["web"] = n
			r.produce(seed+10*uint64(i+1), 30, 400) // on the new ones as well
			p.engine.SourceGrown("web", n)
			p.engine.SourceGrown("web", 1)
			p.engine.SourceGrown("none", 9)
			if i == 0 && seed%2 == 0 {
				r.settle(p)
				p.kill(t)
				p = r.start("a", dir, nil)
			}
		}
		r.settle(p)
		p.stop(t)
		r.check()
	}
}

// TestEmptyPartitionHoldsNothingBack: a partition that is new and empty neither stops the time of its shard nor moves it.
func TestEmptyPartitionHoldsNothingBack(t *testing.T) {
	r := newRig(t, 1)
	r.parts["web"], r.parts["mail"] = 1, 1
	r.skip.Store(0)
	tick := func(p *process) int64 { return p.engine.Status().Shards[0].Tick }
	send := func() {
		for _, topic := range []string{"web", "mail"} {
			r.log.Append(topic, 0, nil, fmt.Appendf(nil, `{"userId":"u","timestamp":%d,"type":"page"}`, r.clock()), r.clock())
		}
	}
	send()
	p := r.start("a", t.TempDir(), nil)
	r.settle(p)
	for deadline := time.Now().Add(30 * time.Second); tick(p) < r.clock()-200; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not follow the wall clock")
		}
		send()
	}
	r.parts["web"] = 2
	p.engine.SourceGrown("web", 2)
	grown := r.clock()
	for deadline := time.Now().Add(30 * time.Second); tick(p) < grown+50; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("its time stands still: %d ms before the growth", grown-tick(p))
		}
		send()
	}
	if at := tick(p); at > r.clock() || at == lead.Never {
		t.Fatalf("its time has jumped to %d", at)
	}
	p.stop(t)
	r.check()
}
