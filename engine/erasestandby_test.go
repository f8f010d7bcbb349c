package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// keeps says whether the state topic, and a process's store, have something of the person.
func (r *rig) keeps(p *process) (topic, store bool) {
	for id, v := range r.stored() {
		if ofPerson(id, v) {
			topic = true
		}
	}
	return topic, r.nodes(p) > 0
}

func ofPerson(id string, value []byte) bool {
	for _, x := range personIDs {
		if bytes.Contains([]byte(id), []byte(x)) || bytes.Contains(value, []byte(x)) {
			return true
		}
	}
	return false
}

// nodes counts what a process's store has of the person.
func (r *rig) nodes(p *process) (n int) {
	for shard := range r.shards {
		err := p.store.Each(shard, "", func(id string, v []byte) (bool, error) {
			if ofPerson(id, v) {
				n++
			}
			return true, nil
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return n
}

// TestStandbyForgets has a standby lay in its own store what its owner has laid.
func TestStandbyForgets(t *testing.T) {
	r := newRig(t, 3)
	r.set = mustRules(t, eraseRules)
	r.log.Standbys(1)
	a := r.start("a", t.TempDir(), nil)
	b := r.start("b", t.TempDir(), nil)
	at := r.clock()
	r.person(at)
	r.settle(a)
	r.settle(a)
	eventually(t, "both to have stored the person", func() bool {
		r.event(0, r.clock(), `"anonymousId":"other","type":"page"`)
		topic, ofA := r.keeps(a)
		_, ofB := r.keeps(b)
		return topic && ofA && ofB
	})
	r.tell("jane-77", rules.Command{Kind: rules.Erase, ID: "req", Salt: []byte("s"), Time: at + 1000})
	r.awaitCleaned("req", 5)
	eventually(t, "both to have forgotten", func() bool {
		topic, ofA := r.keeps(a)
		_, ofB := r.keeps(b)
		return !topic && !ofA && !ofB
	})
	a.stop(t)
	r.settle(b)
	b.stop(t)
	r.check()
}

// TestStandbyComesBackAndForgets has a standby be away while somebody is erased, and nothing happen after it is back: what it finds in
// the journal on its way is enough for it to lay what its store has.
func TestStandbyComesBackAndForgets(t *testing.T) {
	r := newRig(t, 3)
	r.set = mustRules(t, eraseRules)
	r.log.Standbys(1)
	a, dir := r.start("a", t.TempDir(), nil), t.TempDir()
	b := r.start("b", dir, nil)
	at := r.clock()
	r.person(at)
	r.settle(a)
	eventually(t, "the standby to have stored all of the person", func() bool {
		r.event(0, r.clock(), `"anonymousId":"other","type":"page"`)
		return r.nodes(b) == 5
	})
	b.stop(t)
	r.tell("jane-77", rules.Command{Kind: rules.Erase, ID: "req", Salt: []byte("s"), Time: at + 1000})
	r.awaitCleaned("req", 5)
	b = r.start("b", dir, nil)
	eventually(t, "it to have forgotten", func() bool {
		_, store := r.keeps(b)
		return !store
	})
	a.stop(t)
	r.settle(b)
	b.stop(t)
	r.check()
}

// TestStandbyLays kills owners at any moment of an erasure: whoever takes over, from what a standby has or from
// a store, lays what is left.
func TestStandbyLays(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			r := newRig(t, 3)
			r.set = mustRules(t, eraseRules)
			r.log.Standbys(1)
			rng := rand.New(rand.NewPCG(seed, 5))
			r.tune = func(c *engine.Config) { c.SliceLeads = 1 }
			a := r.start("a", t.TempDir(), nil)
			dir := t.TempDir()
			b := r.start("b", dir, nil)
			r.produce(seed, 30, 200)
			at := r.clock()
			r.person(at)
			r.settle(a)
			r.standsBy(b)
			r.tell("jane-77", rules.Command{Kind: rules.Erase, ID: "req", Salt: []byte("s"), Time: at + 1000})
			time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
			a.kill(t)
			r.settle(b)
			if seed%3 == 0 { // and what the standby has on its disk is all there is
				b.kill(t)
				b = r.start("b", dir, nil)
			}
			r.awaitAllCleaned()
			r.settle(b)
			eventually(t, "the person to be forgotten", func() bool {
				topic, store := r.keeps(b)
				return !topic && !store
			})
			b.stop(t)
			r.check()
		})
	}
}

// TestBadLetters puts letters into an inbox that bring what is no lead: dead letters, byte for byte.
func TestBadLetters(t *testing.T) {
	r := newRig(t, 2)
	r.set = mustRules(t, eraseRules)
	dir := t.TempDir()
	p := r.start("a", dir, nil)
	at := r.clock()
	r.person(at)
	r.settle(p)
	r.tell("gone", rules.Command{Kind: rules.Erase, ID: "req", Salt: []byte("s"), Time: at + 1000})
	good := lead.AppendEncode(nil, r.set.NewLead("x", 1))
	var want [][]byte
	badLetter := func(l *rules.Letter) {
		m := engine.EncodeMessage(t, &engine.Message{Kind: engine.MessageLetter, From: -1, Letter: l})
		want = append(want, m)
		r.log.Append(engine.TopicName("app", engine.TopicInbox), engine.ShardOf([]byte(l.To), r.shards), nil, m, r.clock())
	}
	for i, state := range [][]byte{{}, []byte("nonsense"), good[:len(good)-1], append(bytes.Clone(good), 0)} {
		for _, to := range []string{"jane-77", "nobody-yet", "gone"} {
			badLetter(&rules.Letter{Kind: rules.StateLetter, To: to, From: fmt.Sprintf("from-%d", i), Cause: rules.ByAlias, Time: at, State: state})
		}
	}
	for i, bend := range []func(l *lead.Lead){
		func(l *lead.Lead) { l.Scores = append(l.Scores, lead.Score{}) },
		func(l *lead.Lead) { l.Edges = append(l.Edges, lead.Edge{}) },
		func(l *lead.Lead) { l.Stage = 999 },
		func(l *lead.Lead) { l.Signals = []lead.Signal{{Slot: 999}} },
		func(l *lead.Lead) { l.Clock = 1 << 60 },
		func(l *lead.Lead) { l.Rules++ },
	} {
		l := r.set.NewLead("x", 1)
		l.Events, l.Clock = 1, at
		bend(l)
		for _, to := range []string{"jane-77", "nobody-yet"} {
			badLetter(&rules.Letter{Kind: rules.StateLetter, To: to, From: fmt.Sprintf("bent-%d", i), Cause: rules.ByAlias, Time: at, State: lead.AppendEncode(nil, l)})
		}
	}
	badLetter(&rules.Letter{Kind: rules.MemberLetter, To: "jane-77", From: "x", Time: at, Note: &rules.Note{}})
	badLetter(&rules.Letter{Kind: rules.LinkLetter, To: rules.AccountID("acme"), From: "x", Target: "jane-77", Time: at})
	badLetter(&rules.Letter{Kind: rules.StateLetter, To: "jane-77", From: "x", Time: 1 << 61})
	r.settle(p)
	p.kill(t)
	p = r.start("a", dir, nil) // redo comes by them as well
	r.event(1, at+10, `"messageId":"z","userId":"jane-77","type":"page"`)
	r.settle(p)
	if _, err := p.engine.Lead(t.Context(), "jane-77", at+10); err != nil {
		t.Errorf("the lead after them: %v", err)
	}
	if v, err := p.engine.Lead(t.Context(), "nobody-yet", at+10); err == nil {
		t.Errorf("a letter that can't be read has made %+v", v)
	}
	p.stop(t)
	dead := map[string]int{}
	for _, rec := range r.log.Output(engine.TopicDeadletter) {
		dead[string(rec.Value)]++
	}
	for i, m := range want {
		if dead[string(m)] != 1 {
			t.Errorf("letter %d is %d times among the dead letters", i, dead[string(m)])
		}
	}
}
