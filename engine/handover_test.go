package engine_test

import (
	"errors"
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
	p.client.Fault = func(int) (error, bool) { return errors.New("killed"), false }
	p.client.Kick()
	p.stop(t)

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

func ready(p *process) bool {
	st := p.engine.Status()
	return st.Ready()
}

func awaitOwned(t *testing.T, p *process, n int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); p.engine.Status().Owned != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
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
