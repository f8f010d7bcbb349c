package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
)

// TestDeadWriterIsNotWaitedFor lets processes die with a transaction open that nobody ends. Whoever gets their shards
// ends it: its time-out, ten seconds, is not waited for.
func TestDeadWriterIsNotWaitedFor(t *testing.T) {
	var open [2]int // without and with standbys
	for seed := uint64(1); seed <= 40; seed++ {
		synctest.Test(t, func(t *testing.T) {
			s := newSim(t, seed)
			s.odds, s.sets, s.model, s.closed = enginetest.Odds{}, s.sets[:1], nil, true
			t.Cleanup(s.bury)
			s.log.Standbys(int(seed % 2))
			s.begin()
			s.begin()
			s.events(60)
			time.Sleep(time.Duration(500+s.rng.IntN(100)) * time.Millisecond)
			m := s.pick()
			m.sim.Die(1 + s.rng.IntN(12))
			s.events(60)
			time.Sleep(200 * time.Millisecond)
			m.sim.Die(0)
			m.cancel()
			if err := <-m.done; err != nil {
				s.say("a killed process said: %v", err)
			}
			s.closeDown(m)
			open[seed%2] += s.log.Undecided(fmt.Sprintf("p%d", m.disk))
			m.sim.Expire(0)
			other := s.pick()
			time.Sleep(time.Second)
			if st := other.engine.Status(); !st.Ready() || st.Owned != int(s.shards) {
				t.Fatalf("seed %d: not ready a second after the other's session ended: %+v", seed, st)
			}
			s.stop(other)
			s.closeDown(other)
		})
	}
	if open[0] == 0 || open[1] == 0 {
		t.Fatal("no process died with a transaction open: the test tests nothing")
	}
}

// ends runs one process on a rig until it ends by itself, and returns what it said.
func (r *rig) ends(dir string) error {
	r.t.Helper()
	p := r.start("a", dir, nil)
	defer p.store.Close()
	select {
	case err := <-p.done:
		return err
	case <-time.After(30 * time.Second):
		r.t.Fatalf("it goes on: %+v", p.engine.Status())
		return nil
	}
}

// filled is a rig on which one process has applied some events and stopped in order, leaving its store in dir.
func filled(t *testing.T) (r *rig, dir string) {
	r, dir = newRig(t, 2), t.TempDir()
	r.produce(1, 40, 300)
	p := r.start("a", dir, nil)
	r.settle(p)
	p.stop(t)
	return r, dir
}

// says fails the test unless an error is of a kind and names what a person needs to know.
func says(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("it said %v, want %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("it said %q, which does not name %q", err, w)
		}
	}
}

// TestOffsetsWereReset: someone has set the group's offsets back. Going on would count events twice.
func TestOffsetsWereReset(t *testing.T) {
	r, dir := filled(t)
	r.log.SetOffset(engine.TopicPartition{Topic: "web", Partition: 1}, 3)
	says(t, r.ends(dir), engine.ErrDisagree, "web/1", "is 3", "set them back")
}

// TestJournalWasDeleted: the group has offsets, but there is no journal to say what was done up to them.
func TestJournalWasDeleted(t *testing.T) {
	r, dir := filled(t)
	for s := range r.shards {
		r.log.Truncate(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicJournal), Partition: s}, 0)
	}
	says(t, r.ends(dir), engine.ErrDisagree, "journal topic was deleted")
}

// TestStoreAheadOfTheJournal: the journal ends before what the local store holds, as after topics were restored from a
// copy. The store is discarded, not believed.
func TestStoreAheadOfTheJournal(t *testing.T) {
	ahead, dir := newRig(t, 1), t.TempDir()
	ahead.tune = func(c *engine.Config) { c.MaxEpochRecords = 2 }
	ahead.produce(1, 10, 300)
	ahead.settleAndStop(dir)
	r := newRig(t, 1)
	r.produce(2, 10, 50)
	r.settleAndStop(t.TempDir())
	if a, b := journaled(ahead), journaled(r); a <= b {
		t.Fatalf("the store is of epoch %d, the journal of %d: the test tests nothing", a, b)
	}
	r.produce(3, 10, 50)
	r.settleAndStop(dir)
	r.check()
}

func (r *rig) settleAndStop(dir string) {
	p := r.start("a", dir, nil)
	r.settle(p)
	p.stop(r.t)
}

// TestSourceIsGone: retention has taken records that redo needs, and nothing else has what came of them.
func TestSourceIsGone(t *testing.T) {
	r := newRig(t, 1)
	r.tune = func(c *engine.Config) { c.CheckpointInterval = time.Hour }
	r.produce(1, 40, 300)
	p := r.start("a", t.TempDir(), nil)
	r.settle(p)
	p.kill(t) // it checkpoints nothing
	tp := engine.TopicPartition{Topic: "web", Partition: 2}
	if err := r.log.Reader().Cut(t.Context(), tp, 10); err != nil {
		t.Fatal(err)
	}
	says(t, r.ends(t.TempDir()), engine.ErrGap, "web/2", fmt.Sprint(10))
}

// TestSourceWasChanged: another topic has taken the source's name, as after it was deleted and made anew.
func TestSourceWasChanged(t *testing.T) {
	r := newRig(t, 1)
	r.tune = func(c *engine.Config) { c.CheckpointInterval = time.Hour }
	r.produce(1, 40, 300)
	p := r.start("a", t.TempDir(), nil)
	r.settle(p)
	p.kill(t)
	tp := engine.TopicPartition{Topic: "web", Partition: 2}
	recs := r.log.Records(tp)
	r.log.Truncate(tp, 0)
	for i := range recs {
		r.log.Append(tp.Topic, tp.Partition, recs[i].Key, append([]byte(" "), recs[i].Value...), recs[i].Timestamp)
	}
	says(t, r.ends(t.TempDir()), engine.ErrDisagree, "web/2", "the topic was changed")
}

// TestTopicMadeAnew: a source was deleted and made anew, with more in it than was read. Going on at the old position would leave
// out what is before.
func TestTopicMadeAnew(t *testing.T) {
	r := newRig(t, 2)
	id := "first"
	r.tune = func(c *engine.Config) { c.TopicIDs = map[string]string{"web": id} }
	r.produce(1, 40, 300)
	dir := t.TempDir()
	r.settleAndStop(dir)
	r.settleAndStop(dir) // the same one is no trouble
	id = "second"
	says(t, r.ends(dir), engine.ErrDisagree, `"web"`, "made anew", "another name")
	id = "first"
	r.settleAndStop(dir)
	r.check()
}
