package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// TestRuleSwitch changes the rule set at a restart, dies in the middle of the walk over the leads, and
// changes it back: every lead must end under the rule set in force, the state topic and the store must agree, and
// no output may be doubled.
func TestRuleSwitch(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			r := newRig(t, 2)
			r.tune = func(c *engine.Config) { c.CacheBytes, c.MaxEpochOutputs = 1<<14, 1+rng.IntN(50) }
			r.produce(seed, 120, 1200)
			dir := t.TempDir()
			p := r.start("a", dir, nil)
			r.settle(p)
			p.stop(t)

			old := r.set
			r.set = mustRules(t, strings.NewReplacer(">= 10'", ">= 2'", "{id: visit, signal: visit, add: 3}", "{id: visit2, signal: visit, add: 4}").Replace(testRules))
			if old.ID() == r.set.ID() {
				t.Fatal("the rule sets are the same")
			}
			p = r.start("a", dir, nil)
			time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
			p.client.Kick()
			p.cancel()
			if err := <-p.done; err != nil {
				t.Logf("a killed process said: %v", err)
			}
			if err := p.store.Close(); err != nil {
				t.Fatal(err)
			}
			if seed%2 == 0 {
				dir = t.TempDir()
			}
			r.produce(seed+100, 120, 300)
			p = r.start("b", dir, nil)
			r.settle(p)
			for deadline := time.Now().Add(30 * time.Second); switching(t, r) && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
			p.stop(t)
			r.checkSwitched(old.ID())
		})
	}
}

// lateInputs polls nothing before a gate is opened.
type lateInputs struct {
	engine.Inputs
	gate chan struct{}
}

func (l lateInputs) Poll(ctx context.Context, n int) ([]engine.Fetch, error) {
	select {
	case <-l.gate:
		return l.Inputs.Poll(ctx, n)
	case <-ctx.Done():
		return nil, nil
	}
}

// TestSwitchBeforeTheFirstPoll puts a rule set in force on shards that are live and have read nothing: they have no offset to
// commit, so there is no epoch to switch in (the log panics if there is).
func TestSwitchBeforeTheFirstPoll(t *testing.T) {
	r := newRig(t, 2)
	gate := make(chan struct{})
	l, _ := r.watch()
	logging := r.tune
	r.tune = func(c *engine.Config) { logging(c); c.Inputs = lateInputs{c.Inputs, gate} }
	p := r.start("a", t.TempDir(), nil)
	eventually(t, "the shards", func() bool { return l.count("shard is live") == 2 }) // before, the files of the start would win
	applied := mustRules(t, strings.Replace(testRules, ">= 10'", ">= 2'", 1))
	r.apply(applied)
	eventually(t, "the rule set", func() bool { return l.count("a rule set was applied") > 0 })
	time.Sleep(50 * time.Millisecond) // in which a shard could do what it must not
	close(gate)
	r.produce(1, 50, 300)
	r.settle(p)
	r.awaitRules(p, applied.Version())
	p.stop(t)
}

// TestApplyRules puts a rule set in force while the engine runs: it stays so after a restart with the same
// files, one that can't be read is refused, and other files at a start win.
func TestApplyRules(t *testing.T) {
	r := newRig(t, 2)
	r.produce(1, 50, 300)
	dir := t.TempDir()
	p := r.start("a", dir, nil)
	r.settle(p)
	applied := mustRules(t, strings.Replace(testRules, ">= 10'", ">= 2'", 1))
	r.apply(applied)
	r.awaitRules(p, applied.Version())
	p.stop(t)

	p = r.start("a", dir, nil)
	r.awaitRules(p, applied.Version())
	r.log.Append(engine.TopicName("app", engine.TopicRules), 0, []byte(engine.ActiveRules()), []byte(`{"version":"0123456789abcdef","file":"x"}`), base)
	time.Sleep(1200 * time.Millisecond) // it is looked at once a second
	r.produce(2, 50, 50)
	r.settle(p)
	r.awaitRules(p, applied.Version())
	p.stop(t)

	r.apply(applied)
	r.set = mustRules(t, strings.Replace(testRules, ">= 10'", ">= 7'", 1))
	p = r.start("a", dir, nil)
	r.awaitRules(p, r.set.Version())
	p.stop(t)
}

func (r *rig) apply(set *rules.Set) {
	r.t.Helper()
	var present []byte
	topic := engine.TopicName("app", engine.TopicRules)
	for _, rec := range r.log.Records(engine.TopicPartition{Topic: topic}) {
		if string(rec.Key) == engine.ActiveRules() {
			present = rec.Value
		}
	}
	recs, err := engine.ApplyRules(set, present)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, o := range recs {
		r.log.Append(topic, 0, o.Key, o.Value, base)
	}
}

// awaitRules waits until all shards' journals end under a rule set.
func (r *rig) awaitRules(p *process, version string) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		st := p.engine.Status()
		ok := st.RuleSet == version && st.Ready()
		for s := range r.shards {
			recs := r.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicJournal), Partition: s})
			j, err := engine.DecodeJournal(recs[len(recs)-1].Value)
			if err != nil {
				r.t.Fatal(err)
			}
			ok = ok && fmt.Sprintf("%016x", j.Rules) == version && (j.OldRules == 0 || j.SweepDone)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("rule set %s is not in force: %+v", version, st.RuleSet)
		}
	}
}

// switching says whether a shard has not finished its walk.
func switching(t *testing.T, r *rig) bool {
	t.Helper()
	for s := range r.shards {
		recs := r.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicJournal), Partition: s})
		j, err := engine.DecodeJournal(recs[len(recs)-1].Value)
		if err != nil {
			t.Fatal(err)
		}
		if j.Rules != uint64(r.set.ID()) || j.OldRules != 0 && !j.SweepDone {
			return true
		}
	}
	return false
}

func (r *rig) checkSwitched(old lead.RuleSetID) {
	r.t.Helper()
	states := map[string][]byte{}
	for _, rec := range r.log.Output(engine.TopicState) {
		states[string(rec.Key)] = rec.Value
	}
	for id, b := range states {
		var l lead.Lead
		if err := lead.Decode(b, &l); err != nil {
			r.t.Fatal(err)
		}
		if l.Rules == old {
			r.t.Errorf("lead %s still follows the old rule set", id)
		}
	}
	ids := map[string]bool{}
	for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs} {
		for _, rec := range r.log.Output(topic) {
			_, rest, _ := bytes.Cut(rec.Value, []byte(`"id":"`))
			id := string(rest[:32])
			if ids[id] {
				r.t.Errorf("output %s was put out twice: %s", id, rec.Value)
			}
			ids[id] = true
		}
	}
	// Every output is counted by its lead, so none is lost either.
	var seqs uint64
	for _, b := range states {
		var l lead.Lead
		if err := lead.Decode(b, &l); err != nil {
			r.t.Fatal(err)
		}
		seqs += l.Seq
	}
	if seqs != uint64(len(ids)) {
		r.t.Errorf("the leads count %d outputs, the topics hold %d", seqs, len(ids))
	}
	c := r.log.Client("reader")
	n := 0
	err := c.Read(context.Background(), engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicRules)}, engine.StartOfPartition, engine.EndOfPartition, func(*engine.Record) error {
		n++
		return nil
	})
	if err != nil || n < 2 {
		r.t.Errorf("the rules topic holds %d rule sets: %v", n, err)
	}
}
