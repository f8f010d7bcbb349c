package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"leadstream/engine"
	"leadstream/state"
	"leadstream/state/lead"
)

// TestRegrouped applies the same journaled sequence with epochs that end elsewhere (between any two
// inputs, two timers included), with other cache sizes and other checkpoint times: outputs and states
// must be the same bytes.
func TestRegrouped(t *testing.T) {
	r := newRig(t, 3)
	r.tune = func(c *engine.Config) { c.MaxEpochTimers = 7 }
	r.produce(7, 80, 2500)
	p := r.start("a", t.TempDir(), nil)
	r.settle(p)
	p.stop(t)
	rest(t, r)
	regroup(t, r)
}

// rest runs the rig until it stops with no timer left that a full epoch had no room for: what is grouped anew would fire it.
func rest(t *testing.T, r *rig) {
	for cutShort(t, r) {
		p := r.start("a", t.TempDir(), nil)
		r.settle(p)
		p.stop(t)
	}
}

// cutShort says whether the last epoch of a shard that did anything ended between two timers.
func cutShort(t *testing.T, r *rig) bool {
	for shard := range r.shards {
		journal := r.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicJournal), Partition: shard})
		for _, rec := range slices.Backward(journal) {
			j, err := engine.DecodeJournal(rec.Value)
			if err != nil {
				t.Fatal(err)
			}
			if idle := j.CutOn && j.CutDue == lead.NoTime && len(j.Ranges) == 0; idle {
				continue
			}
			if j.CutOn {
				return true
			}
			break
		}
	}
	return false
}

// TestErasuresRegrouped does so with people who are erased, link and expire.
func TestErasuresRegrouped(t *testing.T) {
	r := newRig(t, 3)
	r.set = mustRules(t, eraseRules)
	r.tune = func(c *engine.Config) { c.MaxEpochTimers = 7 }
	c := &crowdErased{rig: r, rng: rand.New(rand.NewPCG(1, 1))}
	p := r.start("a", t.TempDir(), nil)
	for range 5 {
		c.some(200)
		r.settle(p)
		r.skip.Add(7 * 86_400_000)
	}
	for range 5 {
		r.settle(p)
	}
	p.stop(t)
	rest(t, r)
	regroup(t, r)
}

func regroup(t *testing.T, r *rig) {
	w := r.check()
	rec := r.log.Client("reader")
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 9))
		for shard := range r.shards {
			regroupOne(t, r, w.Leads, rec, shard, rng)
		}
	}
}

// laid says that an audit record depends on when leads are written.
func laid(r engine.Record) bool {
	return bytes.Contains(r.Value, []byte(`"type":"cleaned"`)) || bytes.Contains(r.Value, []byte(`"type":"returned"`))
}

type reader interface {
	engine.History
	engine.Inputs
	engine.Committer
	engine.Group
}

func regroupOne(t *testing.T, r *rig, want map[string]*lead.Lead, c reader, shard int32, rng *rand.Rand) {
	t.Helper()
	st, err := state.Open(state.Options{Dir: t.TempDir(), App: "app", ClusterID: "c", Instance: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	e, err := engine.New(engine.Config{App: "app", Shards: r.shards, Sources: r.sources, SourcePartitions: r.parts, Rules: r.set,
		Clock: r.clock, Inputs: c, Group: c, Committer: c, History: c, Store: st})
	if err != nil {
		t.Fatal(err)
	}
	var journal []*engine.JournalRecord
	for _, rec := range r.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicJournal), Partition: shard}) {
		j, err := engine.DecodeJournal(rec.Value)
		if err != nil {
			t.Fatal(err)
		}
		journal = append(journal, j)
	}
	read := func(tp engine.TopicPartition, from, to int64) (recs []engine.Record) {
		err := c.Read(context.Background(), tp, from, to, func(r *engine.Record) error {
			recs = append(recs, *r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return recs
	}
	out, leads, epochs, err := engine.Regroup(e, shard, journal, read, rng)
	if err != nil {
		t.Fatal(err)
	}
	if epochs <= len(journal) {
		t.Fatalf("%d epochs regrouped into %d: nothing was split", len(journal), epochs)
	}
	for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs, engine.TopicDeadletter, engine.TopicAudit} {
		first := slices.DeleteFunc(r.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", topic), Partition: shard}), laid)
		i := 0
		for _, o := range out {
			if o.Topic != topic || laid(engine.Record{Value: o.Value}) {
				continue
			}
			if i >= len(first) || !bytes.Equal(o.Value, first[i].Value) || !bytes.Equal(o.Key, first[i].Key) {
				at := []byte("nothing")
				if i < len(first) {
					at = first[i].Value
				}
				t.Fatalf("%s %d of shard %d is\n  %s\nat first\n  %s", topic, i, shard, o.Value, at)
			}
			i++
		}
		if i != len(first) {
			t.Fatalf("%s of shard %d: %d records, at first %d", topic, shard, i, len(first))
		}
	}
	if err := sameLeads(leads, want, shard, r.shards); err != nil {
		t.Fatal(err)
	}
}

func sameLeads(got, all map[string]*lead.Lead, shard, shards int32) error {
	n := 0
	for id, want := range all {
		if engine.ShardOf([]byte(id), shards) != shard {
			continue
		}
		n++
		l := got[id]
		if l == nil {
			return fmt.Errorf("lead %s is missing", id)
		}
		a, b := l.Clone(), want.Clone()
		a.Epoch, b.Epoch = 0, 0
		if x, y := lead.AppendEncode(nil, a), lead.AppendEncode(nil, b); !bytes.Equal(x, y) {
			return fmt.Errorf("lead %s is\n  %+v\nat first\n  %+v", id, a, b)
		}
	}
	if n != len(got) {
		return fmt.Errorf("%d leads, at first %d", len(got), n)
	}
	return nil
}
