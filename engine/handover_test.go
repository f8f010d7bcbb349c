package engine_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/state"
	"leadstream/state/lead"
)

// gated is a decoder that stands still while its gate is closed.
type gated struct {
	engine.Decoder
	gate <-chan struct{}
}

func (g gated) Decode(r *engine.Record, wall int64, ev *lead.Event) error {
	<-g.gate
	return g.Decoder.Decode(r, wall, ev)
}

// TestLostAndGainedWhileRestoring takes a shard from a process that is restoring it, lets another process commit
// on it, and gives it back before the first restoration is done: that one is out of date.
func TestLostAndGainedWhileRestoring(t *testing.T) {
	r := newRig(t, 2)
	r.tune = func(c *engine.Config) { c.CheckpointInterval = time.Hour }
	r.produce(1, 40, 300)
	p := r.start("first", t.TempDir(), nil)
	r.settle(p)
	p.kill(t)

	open := r.sources
	gate := make(chan struct{})
	r.sources = append([]engine.SourceConfig(nil), open...)
	for i, src := range open {
		r.sources[i].NewDecoder = func() engine.Decoder { return gated{src.NewDecoder(), gate} }
	}
	slow := r.start("slow", t.TempDir(), nil)
	awaitOwned(t, slow, 2)
	r.sources = open
	other := r.start("other", t.TempDir(), nil)
	awaitOwned(t, slow, 1)
	for deadline := time.Now().Add(30 * time.Second); !ready(other); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the other process is not ready: %+v", other.engine.Status())
		}
	}
	before := other.engine.Status().Shards[0].Epoch
	r.produce(2, 40, 300)
	for deadline := time.Now().Add(30 * time.Second); other.engine.Status().Shards[0].Epoch == before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the other process does nothing")
		}
	}
	other.stop(t)
	awaitOwned(t, slow, 2)
	close(gate)
	r.settle(slow)
	slow.stop(t)
	r.check()
}

// TestClocksAgreeAgain has the broker's clock seem two minutes off once, as after a pause of the process: timers must
// fire again without an event.
func TestClocksAgreeAgain(t *testing.T) {
	r := newRig(t, 1)
	r.parts = map[string]int32{"web": 1, "mail": 1}
	var off atomic.Int64
	r.log = enginetest.New("app", 1, func() int64 { return r.clock() - off.Load() })
	r.tune = func(c *engine.Config) { c.IdleAfter = time.Millisecond }
	off.Store(120_000)
	r.log.Append("web", 0, nil, fmt.Appendf(nil, `{"userId":"somebody","messageId":"m","timestamp":%d,"type":"track","event":"Demo Requested"}`, r.clock()), r.clock())
	p := r.start("a", t.TempDir(), nil)
	r.settle(p)
	for deadline := time.Now().Add(30 * time.Second); journaled(r) < 2; time.Sleep(time.Millisecond) { // it is asked again
		if time.Now().After(deadline) {
			t.Fatal("the broker is not asked for its time")
		}
	}
	n := len(r.log.Output(engine.TopicTransitions))
	r.skip.Add(6 * 86_400_000)
	off.Store(0)
	for deadline := time.Now().Add(30 * time.Second); len(r.log.Output(engine.TopicTransitions)) == n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no timer fires")
		}
	}
	p.stop(t)
	r.check()
}

func journaled(r *rig) int {
	return len(r.log.Output(engine.TopicJournal))
}

// TestSourceComesBack takes a source out of the configuration and puts it back: its events are not applied again.
func TestSourceComesBack(t *testing.T) {
	r := newRig(t, 2)
	both, dir := r.sources, t.TempDir()
	r.produce(1, 40, 300)
	for i := range 3 {
		r.sources = both
		if i == 1 {
			r.sources = both[:1]
			r.produce(2, 40, 300) // some of them on the source that is away
		}
		r.parts = map[string]int32{}
		for _, s := range r.sources {
			r.parts[s.Topic] = map[string]int32{"web": 5, "mail": 2}[s.Topic]
		}
		p := r.start("a", dir, nil)
		r.settle(p)
		p.stop(t)
	}
	r.check()
}

// TestRestoredIsWritten restores changed leads from the journal and then hears nothing: they are checkpointed all
// the same, or the next restoration takes as long again.
func TestRestoredIsWritten(t *testing.T) {
	r := newRig(t, 1)
	r.tune = func(c *engine.Config) { c.CheckpointInterval = time.Hour }
	r.produce(1, 40, 300)
	p := r.start("first", t.TempDir(), nil)
	r.settle(p)
	p.kill(t)
	r.tune = nil
	p = r.start("second", t.TempDir(), nil)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if st := p.engine.Status(); ready(p) && st.Shards[0].DirtyLeads == 0 && len(r.log.Output(engine.TopicState)) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("leads stay dirty: %+v", p.engine.Status())
		}
	}
	p.stop(t)
	r.check()
}

// TestReadersSeeWhatIsCommitted holds a transaction up: what it changes is not to be seen before it is committed.
func TestReadersSeeWhatIsCommitted(t *testing.T) {
	r := newRig(t, 1)
	gate, held := make(chan struct{}), make(chan struct{}, 1000)
	var hold atomic.Bool
	r.before = func(op string) {
		if op == "commit" && hold.Load() {
			held <- struct{}{}
			<-gate
		}
	}
	p := r.start("a", t.TempDir(), nil)
	event := func(n int) {
		r.log.Append("web", 0, nil, fmt.Appendf(nil, `{"userId":"somebody","messageId":"m%d","timestamp":%d,"type":"page"}`, n, base), base)
	}
	see := func(want int) {
		t.Helper()
		v, err := p.engine.Lead(t.Context(), "somebody", base)
		if want == 0 && errors.Is(err, engine.ErrNotFound) {
			return
		}
		if err != nil || int(v.Events) != want {
			t.Fatalf("seen: %+v, %v, want %d events", v, err, want)
		}
	}
	await := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			if v, err := p.engine.Lead(t.Context(), "somebody", base); err == nil && int(v.Events) == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d events are not seen", want)
			}
		}
	}
	r.settle(p)
	hold.Store(true)
	event(1)
	<-held
	see(0)
	hold.Store(false)
	gate <- struct{}{}
	await(1)
	hold.Store(true)
	event(2)
	<-held
	see(1)
	hold.Store(false)
	gate <- struct{}{}
	await(2)
	p.stop(t)
}

func ready(p *process) bool {
	st := p.engine.Status()
	return st.Ready()
}

func awaitOwned(t *testing.T, p *process, n int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); p.engine.Status().Owned != n; time.Sleep(time.Millisecond) {
		if len(p.done) > 0 || time.Now().After(deadline) {
			t.Fatalf("owns %d shards, want %d", p.engine.Status().Owned, n)
		}
	}
}

// TestLostWhileStoring loses a shard while leads of it are on their way to the store: it must not go before
// they are there, or they overwrite newer ones when it has come back.
func TestLostWhileStoring(t *testing.T) {
	r := newRig(t, 2)
	st, err := state.Open(state.Options{Dir: t.TempDir(), App: "app", ClusterID: "c", Instance: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	c := r.log.Client("x")
	e, err := engine.New(engine.Config{App: "app", Shards: r.shards, Sources: []engine.SourceConfig{enginetest.Source("web", "web", false)},
		SourcePartitions: r.parts, Rules: r.set, Clock: r.clock, Inputs: c, Group: c, Committer: c, History: c, Store: st})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := engine.LoseWhileStoring(e, 1); err != nil || n != 0 {
		t.Fatalf("%d slices were on their way when the shard went: %v", n, err)
	}
}
