package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestShardsWithoutSourcesStayInThePast reads events of long ago from a source that is no import, in bursts with silence between
// them: its shards stay in the time of their events until they are idle, and so must those that have no partition of their
// own and live on what is forwarded to them. What happened to their leads must be what happens when the events are applied one
// after the other; once all is idle, up to the wall clock.
func TestShardsWithoutSourcesStayInThePast(t *testing.T) {
	lives, n := uint64(60), 0
	if testing.Short() {
		lives = 10
	}
	for seed := range lives {
		synctest.Test(t, func(t *testing.T) { n += pastLife(t, seed) })
	}
	if n < 100 {
		t.Fatalf("only %d outputs: the test tests nothing", n)
	}
}

// pastLife returns how much was said of leads on shards without sources.
func pastLife(t *testing.T, seed uint64) (n int) {
	rng := rand.New(rand.NewPCG(seed, 9))
	r := newRig(t, 2+rng.Int32N(4))
	r.fs = vfs.NewMem()
	r.sources = []engine.SourceConfig{enginetest.Source("web", "web", false)}
	r.parts = map[string]int32{"web": 1 + rng.Int32N(r.shards-1)}
	r.tune = func(c *engine.Config) {
		c.MaxPoll, c.MaxEpochRecords, c.MaxEpochTimers = 1+rng.IntN(50), 1+rng.IntN(40), 1+rng.IntN(20)
		c.IdleAfter, c.WatermarkWait = 4*time.Second, 4*time.Second
	}
	x := r.telling(false)
	alive := []*process{r.start("p0", "p0", nil)}
	at := base - 90*86_400_000
	for i := range 10 {
		for range 1 + rng.IntN(60) {
			at += rng.Int64N(6 * 3_600_000)
			x.send(fmt.Sprintf("lead-%02d", rng.IntN(30)), at, rng.IntN(6) == 0)
		}
		time.Sleep(time.Duration(rng.Int64N(int64(300 * time.Millisecond))))
		switch k := rng.IntN(6); {
		case k == 0 && len(alive) < 2:
			name := fmt.Sprintf("p%d", i+1)
			alive = append(alive, r.start(name, name, nil))
		case k == 1 && len(alive) > 1:
			alive[0].stop(t)
			alive = alive[1:]
		}
	}
	time.Sleep(time.Second)
	early := r.saidOf()
	time.Sleep(4 * time.Second)
	wall := r.clock()
	time.Sleep(4 * time.Second) // timers that are due by then have fired, whoever they waited for
	r.settle(alive[0])
	for _, p := range alive {
		p.stop(t)
	}
	late := r.saidOf()
	for id := range x.of {
		if engine.ShardOf([]byte(id), r.shards) < r.parts["web"] {
			continue
		}
		n += len(x.said[id])
		if m := len(early[id]); m < len(x.said[id]) {
			t.Fatalf("seed %d: %d things were said of %s, want %d", seed, m, id, len(x.said[id]))
		}
		x.pass(id, wall)
		for _, one := range x.said[id] {
			if !slices.Contains(late[id], one) {
				t.Fatalf("seed %d: %s was not said of %s; what was said is\n%v", seed, one, id, late[id])
			}
		}
	}
	r.check()
	return n
}
