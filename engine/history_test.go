package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
	"leadstream/state/lead"
)

// TestHistoryWhateverThePartitions imports old events, in order and keyed by lead, from topics whose partitions
// have nothing to do with the shards: what happened to a lead must be what happens when its events are applied one after the
// other, so no timer may fire before an older event that is still on its way.
func TestHistoryWhateverThePartitions(t *testing.T) {
	for _, shape := range []struct{ parts, shards int32 }{{3, 4}, {7, 4}, {1, 4}, {5, 2}} {
		for _, processes := range []int{1, 2} {
			t.Run(fmt.Sprintf("partitions=%d/shards=%d/processes=%d", shape.parts, shape.shards, processes), func(t *testing.T) {
				r := newRig(t, shape.shards)
				r.sources = []engine.SourceConfig{enginetest.Source("web", "web", true)}
				r.parts = map[string]int32{"web": shape.parts}
				r.tune = func(c *engine.Config) { c.MaxPoll, c.MaxEpochRecords = 50, 40 }
				want := r.produceHistory(11, 60, 3000)
				for i := range processes - 1 {
					other := r.start(fmt.Sprintf("other%d", i), t.TempDir(), nil)
					defer other.stop(t)
				}
				p := r.start("a", t.TempDir(), nil)
				r.settle(p)
				p.stop(t)
				got := r.saidOf()
				n := 0
				for id, w := range want {
					n += len(w)
					for _, one := range w {
						if !contains(got[id], one) {
							t.Fatalf("%s was not said of %s; what was said is\n%v", one, id, got[id])
						}
					}
				}
				if n < 100 {
					t.Fatalf("only %d outputs: the test tests nothing", n)
				}
			})
		}
	}
}

// saidOf is what was put out of each lead.
func (r *rig) saidOf() map[string][]string {
	got := map[string][]string{}
	for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs} {
		for _, rec := range r.log.Output(topic) {
			got[string(rec.Key)] = append(got[string(rec.Key)], string(rec.Value))
		}
	}
	return got
}

func contains(all []string, one string) bool {
	for _, x := range all {
		if x == one {
			return true
		}
	}
	return false
}

// produceHistory writes events in time order, keyed by lead, and returns what is said of each lead when they are
// applied one after the other.
func (r *rig) produceHistory(seed uint64, leads, n int) map[string][]string {
	r.t.Helper()
	rng := rand.New(rand.NewPCG(seed, 3))
	x := r.telling(true)
	at := base - 90*86_400_000
	for range n {
		at += rng.Int64N(2 * 80 * 86_400_000 / int64(n))
		x.send(fmt.Sprintf("lead-%02d", rng.IntN(leads)), at, rng.IntN(6) == 0)
	}
	return x.said
}

// told applies events one after the other as it sends them: what it says of each lead is what has to be said.
type told struct {
	r       *rig
	history bool
	dec     engine.Decoder
	ev      *rules.Evaluator
	of      map[string]*lead.Lead
	said    map[string][]string
	n       int
}

func (r *rig) telling(history bool) *told {
	dec := r.sources[0].NewDecoder()
	dec.LimitFuture(r.set.MaxFuture())
	return &told{r: r, history: history, dec: dec, ev: r.set.NewEvaluator(), of: map[string]*lead.Lead{}, said: map[string][]string{}}
}

// send writes an event keyed by its lead: a visit, or a demo that is asked for.
func (x *told) send(id string, at int64, demo bool) {
	x.r.t.Helper()
	body := `"type":"page"`
	if demo {
		body = `"type":"track","event":"Demo Requested"`
	}
	v := fmt.Appendf(nil, `{"userId":%q,"messageId":"h%d","timestamp":%d,%s}`, id, x.n, at, body)
	x.n++
	// The records were written today.
	x.r.log.Append("web", engine.ShardOf([]byte(id), x.r.parts["web"]), []byte(id), v, base)
	var e lead.Event
	if err := x.dec.Decode(&engine.Record{Timestamp: base, Value: bytes.Clone(v)}, base, &e); err != nil {
		x.r.t.Fatal(err)
	}
	e.Source, e.History = "web", x.history
	if x.of[id] == nil {
		x.of[id] = x.r.set.NewLead(id, 1)
	}
	outs, _ := x.ev.Apply(x.of[id], &e, nil)
	x.say(id, outs)
}

func (x *told) say(id string, outs []lead.Output) {
	for i := range outs {
		x.said[id] = append(x.said[id], string(lead.AppendJSON(nil, &outs[i])))
	}
}

// pass lets time pass for a lead up to wall.
func (x *told) pass(id string, wall int64) {
	l := x.of[id]
	for l.Due <= wall {
		x.say(id, x.ev.Fire(l, l.Due, nil))
	}
}
