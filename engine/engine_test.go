package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
	"leadstream/state"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const testRules = `
signals:
  visit: {match: 'event.type == "page"'}
  demo: {match: 'event.name == "Demo Requested"'}
  download: {match: 'event.name == "Downloaded"'}
scores:
  engagement:
    half_life: 7d
    max: 100
    lines:
      - {id: visit, signal: visit, add: 3}
      - {id: demo, signal: demo, add: 40}
      - {id: download, signal: download, add: event.properties.points, limit: {times: 3, per: 1d}}
      - {id: silent, inactive: 10d, add: -5}
  fit:
    lines:
      - {id: size, when: 'traits.employees >= 200', add: 40}
      - {id: title, when: 'traits.title == "CTO"', add: 40}
    grades: {A: 75, B: 40, C: 10, D: 0}
stages: [visitor, lead, mql, sql, recycled]
transitions:
  - {from: visitor, to: lead, when: 'score.engagement >= 10'}
  - {from: lead, to: mql, when: 'score.engagement >= 35', reason: engaged}
  - {from: mql, to: lead, when: 'score.engagement < 20', reason: cooled}
  - {from: mql, to: recycled, when: 'in_stage() >= duration("5d")', reason: stale}
  - {from: recycled, to: visitor, when: 'count("visit", "7d") == 0', reason: quiet}
handoffs:
  - {name: hot, when: 'score.engagement >= 50 && grade.fit in ["A", "B"]', cooldown: 3d, assign: {team: sales}}
`

const base = int64(1_780_000_000_000) // 2026-05-28

var parsed sync.Map // source -> *rules.Set: thousands of tests run the same few

func mustRules(t testing.TB, src string) *rules.Set {
	t.Helper()
	if set, ok := parsed.Load(src); ok {
		return set.(*rules.Set)
	}
	set, err := rules.Parse(rules.File{Name: "test.yaml", Src: []byte(src)})
	if err != nil {
		t.Fatal(err)
	}
	parsed.Store(src, set)
	return set
}

// rig is one test's log and processes.
type rig struct {
	t       testing.TB
	log     *enginetest.Log
	shards  int32
	sources []engine.SourceConfig
	parts   map[string]int32
	set     *rules.Set
	began   time.Time
	skip    atomic.Int64 // added to the clock
	tune    func(*engine.Config)
	before  func(op string)
	batch   int    // the next process's BatchLimit
	fs      vfs.FS // of the next process's store; nil is the disk
}

func newRig(t testing.TB, shards int32) *rig {
	r := &rig{t: t, shards: shards, set: mustRules(t, testRules), began: time.Now(), parts: map[string]int32{"web": 5, "mail": 2}}
	r.sources = []engine.SourceConfig{enginetest.Source("web", "web", false), enginetest.Source("mail", "mail", false)}
	r.log = enginetest.New("app", shards, r.clock)
	return r
}

func (r *rig) clock() int64 { return base + r.skip.Load() + time.Since(r.began).Milliseconds() }

// process is one running engine.
type process struct {
	client *enginetest.Client
	engine *engine.Engine
	cancel context.CancelFunc
	done   chan error
	store  *state.Store
}

func (r *rig) start(name, dir string, fault func(int) (error, bool)) *process {
	r.t.Helper()
	st, err := state.Open(state.Options{Dir: dir, App: "app", ClusterID: "c", Instance: name, FS: r.fs})
	if err != nil {
		r.t.Fatal(err)
	}
	c := r.log.Client(name)
	c.Before, c.BatchLimit = r.before, r.batch
	c.Fault = fault
	cfg := engine.Config{
		App: "app", Shards: r.shards, Sources: r.sources, SourcePartitions: r.parts, Rules: r.set, Clock: r.clock,
		CommitInterval: 5 * time.Millisecond, CheckpointInterval: 40 * time.Millisecond, CutInterval: -1, IdleAfter: time.Hour,
		Inputs: c, Group: c, Committer: c, History: c, Store: st,
	}
	if os.Getenv("LEADSTREAM_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if r.tune != nil {
		r.tune(&cfg)
	}
	e, err := engine.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{client: c, engine: e, cancel: cancel, done: make(chan error, 1), store: st}
	go func() { p.done <- e.Run(ctx) }()
	return p
}

// stop ends a process in order.
func (p *process) stop(t testing.TB) {
	t.Helper()
	p.cancel()
	if err := <-p.done; err != nil {
		t.Fatalf("engine: %v", err)
	}
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// kill ends a process as a crash does: nothing that it tries on its way out is committed.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.client.SetFault(func(int) (error, bool) { return errors.New("killed"), false })
	p.client.Kick()
	p.stop(t)
}

// settle waits until a process is live and all input is applied and committed.
func (r *rig) settle(p *process) {
	r.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for time.Now().Before(deadline) {
		if st := p.engine.Status(); st.Ready() && r.settled() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatal("the input was not applied within a minute")
}

func (r *rig) settled() bool {
	for topic, n := range r.parts {
		for p := range n {
			if end, at := r.log.End(engine.TopicPartition{Topic: topic, Partition: p}); at < end {
				return false
			}
		}
	}
	for s := range r.shards {
		if end, at := r.log.End(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicInbox), Partition: s}); at < end {
			return false
		}
	}
	return true
}

// produce writes n events of some leads over some weeks before base: in time order, but on partitions
// that have nothing to do with their keys, some late, some twice, some broken.
func (r *rig) produce(seed uint64, leads, n int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	at := base - 40*86_400_000
	for i := range n {
		at += rng.Int64N(2 * 40 * 86_400_000 / int64(n))
		ts := at
		if rng.IntN(20) == 0 {
			ts -= rng.Int64N(3 * 86_400_000)
		}
		id := fmt.Sprintf("lead-%03d", int(float64(leads)*rng.Float64()*rng.Float64()))
		topic, parts := "web", r.parts["web"]
		if rng.IntN(4) == 0 {
			topic, parts = "mail", r.parts["mail"]
		}
		msg := fmt.Sprintf("m%d", i)
		if i > 10 && rng.IntN(30) == 0 {
			msg = fmt.Sprintf("m%d", i-rng.IntN(10))
		}
		v := fmt.Sprintf(`{"userId":%q,"messageId":%q,"timestamp":%d,`, id, msg, ts)
		switch rng.IntN(12) {
		case 0:
			v += `"type":"track","event":"Demo Requested"}`
		case 1, 2:
			v += fmt.Sprintf(`"type":"track","event":"Downloaded","properties":{"points":%d}}`, rng.IntN(12))
		case 3:
			v += fmt.Sprintf(`"type":"identify","traits":{"employees":%d,"title":%q}}`, rng.IntN(400), []string{"CTO", "Intern"}[rng.IntN(2)])
		case 4:
			v = v[:rng.IntN(len(v))] // broken
		default:
			v += `"type":"page","properties":{"path":"/pricing"}}`
		}
		r.log.Append(topic, rng.Int32N(parts), []byte(id), []byte(v), at)
	}
}

// check replays the journals and compares outputs and, read from the state topic after a clean stop, states.
func (r *rig) check() *enginetest.World {
	r.t.Helper()
	rp := &enginetest.Replayer{App: "app", Shards: r.shards, Sources: r.sources, Rules: r.set, History: r.log.Client("checker")}
	w, err := rp.Run(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := rp.CheckOutputs(context.Background(), w); err != nil {
		r.t.Fatal(err)
	}
	got := map[string][]byte{}
	for _, rec := range r.log.Output(engine.TopicState) {
		got[string(rec.Key)] = rec.Value
	}
	if err := w.CheckStates(got); err != nil {
		r.t.Fatal(err)
	}
	for topic, n := range r.parts {
		for p := range n {
			tp := engine.TopicPartition{Topic: topic, Partition: p}
			if end, _ := r.log.End(tp); w.Next[tp] != end {
				r.t.Fatalf("%s/%d was journaled up to %d of %d", topic, p, w.Next[tp], end)
			}
		}
	}
	return w
}

func TestReplayOfTheJournalGivesTheSame(t *testing.T) {
	for _, shards := range []int32{1, 4} {
		t.Run(fmt.Sprintf("shards=%d", shards), func(t *testing.T) {
			r := newRig(t, shards)
			r.produce(1, 150, 4000)
			p := r.start("a", t.TempDir(), nil)
			r.settle(p)
			p.stop(t)
			w := r.check()
			if n := len(r.log.Output(engine.TopicTransitions)); n < 100 {
				t.Fatalf("only %d transitions: the test tests nothing", n)
			}
			t.Logf("%d epochs, %d records, %d transitions, %d hand-offs", w.Epochs, w.Records, len(r.log.Output(engine.TopicTransitions)), len(r.log.Output(engine.TopicHandoffs)))
		})
	}
}

// TestFaults aborts transactions, loses their outcome and replaces processes, with and without their disk.
func TestFaults(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			r := newRig(t, 4)
			rng := rand.New(rand.NewPCG(seed, 2))
			r.tune = func(c *engine.Config) {
				c.MaxEpochRecords, c.MaxEpochTimers, c.MaxPoll = 20+rng.IntN(200), 1+rng.IntN(20), 10+rng.IntN(300)
				c.CacheBytes, c.SliceLeads = 1<<(10+rng.IntN(10)), 1+rng.IntN(60)
			}
			fault := func(n int) (error, bool) {
				switch n % 17 {
				case 5:
					return engine.ErrAborted, false
				case 11:
					return fmt.Errorf("unknown outcome"), n%2 == 0
				}
				return nil, false
			}
			dir := t.TempDir()
			for i := range 5 {
				r.produce(seed*100+uint64(i), 100, 600)
				p := r.start(fmt.Sprintf("p%d", i), dir, fault)
				time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
				p.client.Kick() // what it does from now on is a zombie's
				if i == 2 {
					dir = t.TempDir() // the disk is lost
				}
				time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
				p.cancel()
				if err := <-p.done; err != nil {
					t.Logf("a killed process said: %v", err)
				}
				if err := p.store.Close(); err != nil {
					t.Fatal(err)
				}
			}
			p := r.start("last", dir, nil)
			r.settle(p)
			p.stop(t)
			r.check()
		})
	}
}

// TestTwoProcesses moves shards between processes while events flow.
func TestTwoProcesses(t *testing.T) {
	r := newRig(t, 6)
	r.produce(3, 100, 1500)
	a := r.start("a", t.TempDir(), nil)
	time.Sleep(20 * time.Millisecond)
	b := r.start("b", t.TempDir(), nil)
	r.produce(4, 100, 1500)
	r.settle(a)
	a.stop(t)
	r.produce(5, 100, 500)
	r.settle(b)
	b.stop(t)
	r.check()
}
