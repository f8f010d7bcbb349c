package engine_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/engine"
)

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// watch has the next processes write to a log and metrics of their own.
func (r *rig) watch() (*logged, *prometheus.Registry) {
	l, reg := &logged{}, prometheus.NewRegistry()
	r.tune = func(c *engine.Config) {
		c.Logger, c.Registerer = slog.New(slog.NewTextHandler(l, nil)), reg
		c.MaxEpochRecords, c.CacheBytes, c.SliceLeads = 50, 60_000, 20
	}
	return l, reg
}

// value is the sum of a metric over its labels.
func value(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range all {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}

// standsBy waits until a process has every shard, its own live and the others followed to the journal's end.
func (r *rig) standsBy(p *process) {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		n := 0
		for _, h := range p.engine.Holdings() {
			end := uint64(0)
			if recs := r.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicJournal), Partition: h.Shard}); len(recs) > 0 {
				j, err := engine.DecodeJournal(recs[len(recs)-1].Value)
				if err != nil {
					r.t.Fatal(err)
				}
				end = j.Epoch
			}
			if h.Kind >= engine.HoldingReady && h.Epoch == end {
				n++
			}
		}
		if n == int(r.shards) {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	r.t.Fatalf("it does not follow all shards: %+v", p.engine.Holdings())
}

// TestStandbyTakesOver kills an owner whose shards are followed, then lets the standby's disk be all there is.
func TestStandbyTakesOver(t *testing.T) {
	r := newRig(t, 4)
	r.log.Standbys(1)
	a := r.start("a", t.TempDir(), nil)
	l, reg := r.watch()
	dir := t.TempDir()
	b := r.start("b", dir, nil)
	for i := range uint64(4) {
		r.produce(10+i, 100, 400)
		r.settle(a)
	}
	r.standsBy(b)
	before := l.count("restored from the state topic")
	a.client.SetFault(func(int) (error, bool) { return errors.New("killed"), false })
	a.client.Kick()
	r.produce(20, 100, 400)
	r.settle(b)
	a.stop(t)
	if n := value(t, reg, "leadstream_engine_takeovers_total"); n != 2 {
		t.Errorf("%v shards were taken over from standbys, want 2", n)
	}
	if n := l.count("restored from the state topic") - before; n > 0 {
		t.Errorf("%d shards were loaded", n)
	}
	if t.Failed() {
		t.Log(l.text())
	}
	r.stores(t, b) // nothing that it did so far needed to be
	b.kill(t)
	l, _ = r.watch()
	c := r.start("b", dir, nil)
	r.settle(c)
	c.stop(t)
	if n := l.count("restored from the state topic"); n > 0 {
		t.Errorf("the store was of no use for %d shards:\n%s", n, l.text())
	}
	r.check()
}

// stores waits until a process has something of every shard in its store, and sends events until then: an owner says how
// far its checkpoints are with the next epoch that it has something to write in.
func (r *rig) stores(t *testing.T, p *process) {
	t.Helper()
	more := uint64(100)
	eventually(t, "the process to store leads", func() bool {
		metas := 0
		for s := range r.shards {
			if m, ok, err := p.store.Meta(s); err == nil && ok && m.Redo > 0 {
				metas++
			}
		}
		if metas < int(r.shards) {
			more++
			r.produce(more, 100, 20)
		}
		return metas == int(r.shards)
	})
}

// TestStandbyRestarts ends a standby and begins it again: what it has on disk is where it goes on.
func TestStandbyRestarts(t *testing.T) {
	r := newRig(t, 4)
	r.log.Standbys(1)
	a := r.start("a", t.TempDir(), nil)
	dir := t.TempDir()
	b := r.start("b", dir, nil)
	r.produce(1, 100, 1500)
	r.settle(a)
	r.standsBy(b)
	r.stores(t, b)
	r.settle(a)
	b.stop(t)
	r.produce(2, 100, 300)
	l, _ := r.watch()
	b = r.start("b", dir, nil)
	r.produce(3, 100, 300)
	r.settle(a)
	r.standsBy(b)
	if n := l.count("restored from the state topic"); n > 0 {
		t.Errorf("%d shards were loaded although the disk had them", n)
	}
	a.stop(t)
	r.settle(b)
	b.stop(t)
	r.check()
}

// TestStandbyDiverges has a standby see other events than the owner: it says so and begins anew; the owner goes on.
func TestStandbyDiverges(t *testing.T) {
	r := newRig(t, 2)
	r.log.Standbys(1)
	a := r.start("a", t.TempDir(), nil)
	straight := r.sources
	bend := true
	r.sources = slices.Clone(straight)
	for i, src := range straight {
		r.sources[i].NewDecoder = func() engine.Decoder { return crooked{src.NewDecoder(), &bend} }
	}
	l, reg := r.watch()
	b := r.start("b", t.TempDir(), nil)
	for seed := uint64(1); value(t, reg, "leadstream_engine_digest_mismatches_total") == 0; seed++ {
		r.produce(seed, 50, 200)
		time.Sleep(5 * time.Millisecond)
		if seed > 2000 {
			t.Fatal("nothing is noticed")
		}
	}
	if l.count("a standby came to other leads than the owner") == 0 || l.count("shard=0")+l.count("shard=1") == 0 {
		t.Error("the log does not say so")
	}
	// What b itself owns it has read in its own way: the replay would not agree, and need not.
	for _, p := range []*process{b, a} {
		p.cancel()
		if err := <-p.done; err != nil {
			t.Logf("%v", err)
		}
		if err := p.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
