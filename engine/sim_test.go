package engine_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
	"leadstream/state"
	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	simSeeds = flag.Int("seeds", 0, "lives that TestSimulation runs; 0: 5000, or 200 with -short")
	simSeed  = flag.Uint64("seed", 0, "run only this life of TestSimulation, and say what happens")
)

// TestSimulation runs short random lives of up to three processes in virtual time: tiny epochs and caches; aborted,
// unknown and hanging transactions; answers that fail or are slow; deaths at any operation, those of a stop in order
// included; processes that stand still until their shards are others'; disks that are lost or lose their newest
// writes; a clock that jumps past timers; an import that is closed midway; rule sets that change; people who are erased; companies whose people
// join, move, merge, are separated and leave. After each of them
// the replay of the journals must give the same outputs in the same order and the same states, no timer may be
// overdue, nobody may have done an epoch again and come to other leads, accounts must hold what their members make of
// them, and what was said of the import's leads, whose events are in order, must be what a model says that knows no journals.
//
// A life depends on its seed alone: what has failed fails again with -seed.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		synctest.Test(t, func(t *testing.T) { newSim(t, *simSeed).run() })
		return
	}
	n := *simSeeds
	if n == 0 {
		n = 5000
		if testing.Short() {
			n = 200
		}
	}
	t.Cleanup(func() { checkFirmsSeen(t, n) })
	const lanes = 8
	for lane := range lanes {
		t.Run(fmt.Sprintf("lane=%d", lane), func(t *testing.T) {
			t.Parallel()
			for seed := 1 + lane; seed <= n && !t.Failed(); seed += lanes {
				synctest.Test(t, func(t *testing.T) {
					defer func() {
						if t.Failed() {
							t.Logf("again: go test ./engine -run TestSimulation -seed %d", seed)
						}
					}()
					newSim(t, uint64(seed)).run()
				})
			}
		})
	}
}

// TestSimulationRepeats runs some lives twice: every operation must happen at the same time.
func TestSimulationRepeats(t *testing.T) {
	n := uint64(40)
	if testing.Short() {
		n = 10
	}
	for seed := uint64(1); seed <= n; seed++ {
		var runs [2][]string
		for i := range runs {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, seed)
				var mu sync.Mutex
				s.trace = func(what string) {
					mu.Lock()
					defer mu.Unlock()
					runs[i] = append(runs[i], fmt.Sprintf("%9d us: %s", time.Since(s.began).Microseconds(), what))
				}
				s.run()
			})
			// What happens at the same instant happens in any order, and may be told of a nanosecond sooner or later.
			slices.Sort(runs[i])
		}
		for i := range min(len(runs[0]), len(runs[1])) {
			if a, b := runs[0][i], runs[1][i]; a != b {
				t.Errorf("seed %d: two runs differ after\n%s\nin\n%s\n%s", seed, strings.Join(runs[0][max(0, i-8):i], "\n"), a, b)
				break
			}
		}
	}
}

// sim is one random life.
type sim struct {
	*rig
	seed   uint64
	rng    *rand.Rand
	odds   enginetest.Odds
	sets   []*rules.Set
	alive  []*mortal
	disks  []*vfs.MemFS
	sent   int
	closed bool
	trace  func(string)
	erng   *rand.Rand          // draws erasures, nil without
	firms  *firms              // nil without accounts
	model  map[string][]string // what is to be said of the import's leads; nil when the rules change
}

// mortal is a process that can die.
type mortal struct {
	*process
	sim  *enginetest.Sim
	disk int
	life context.Context // ends with it
	end  context.CancelFunc
}

func newSim(t *testing.T, seed uint64) *sim {
	rng := rand.New(rand.NewPCG(seed, 77))
	s := &sim{rig: newRig(t, 1+rng.Int32N(4)), seed: seed, rng: rng}
	s.parts = map[string]int32{"web": 1 + rng.Int32N(5), "mail": 1, "old": 1 + rng.Int32N(3)}
	s.sources = append(s.sources, enginetest.Source("old", "old", true))
	if rng := rand.New(rand.NewPCG(seed, 80)); rng.IntN(14) == 0 {
		s.firms = newFirms(t, rng)
		s.set = s.firms.sets[0]
	}
	s.sets = []*rules.Set{s.set}
	switch switches := rng.IntN(2) == 0; {
	case switches && s.firms != nil:
		s.sets = s.firms.sets
	case switches:
		change := strings.NewReplacer(">= 10'", ">= 2'", "{id: visit, signal: visit, add: 3}", "{id: visit2, signal: visit, add: 4}", `"5d"`, `"3d"`)
		s.sets = append(s.sets, mustRules(t, "max_future: 2h\n"+change.Replace(testRules)), mustRules(t, strings.Replace(testRules, "< 20'", "< 25'", 1)))
	default:
		s.model = map[string][]string{}
	}
	maybe := func(n int) int { return rng.IntN(3) * (n/2 + rng.IntN(n)) } // a third of all lives is without
	s.odds = enginetest.Odds{Abort: maybe(20), Unknown: maybe(40), Hang: maybe(80), Fail: maybe(30), Slow: maybe(60)}
	s.log.Standbys(rand.New(rand.NewPCG(seed, 78)).IntN(3))
	if rng := rand.New(rand.NewPCG(seed, 79)); rng.IntN(3) == 0 || s.firms != nil && rng.IntN(2) == 0 {
		s.erng = rng
	}
	s.disks = []*vfs.MemFS{vfs.NewCrashableMem(), vfs.NewCrashableMem(), vfs.NewCrashableMem()}
	return s
}

func (s *sim) run() {
	s.t.Cleanup(s.bury)
	s.history()
	s.begin()
	for range 6 + s.rng.IntN(10) {
		s.step()
		if s.rng.IntN(2) == 0 {
			time.Sleep(time.Duration(s.rng.Int64N(40_000_000)))
		}
		s.checkAlive()
	}
	s.finish()
}

func (s *sim) checkAlive() {
	s.t.Helper()
	for _, m := range s.alive {
		select {
		case err := <-m.done:
			s.t.Fatalf("process %d ended by itself: %v", m.disk, err)
		default:
		}
	}
}

// limits draws a configuration.
func (s *sim) limits(c *engine.Config) {
	small := func(n int) int { return 1 + s.rng.IntN(1+s.rng.IntN(n)) }
	c.MaxEpochRecords, c.MaxEpochTimers, c.MaxEpochOutputs = small(60), small(20), small(20)
	c.MaxPoll, c.SliceLeads, c.CacheBytes = small(100), small(20), int64(small(100_000))
	c.DirtyLimit, c.SliceBytes = 2+small(200), small(100_000)
	c.CommitInterval = time.Duration(small(8)) * time.Millisecond
	c.CheckpointInterval = time.Duration(small(50)) * time.Millisecond
	c.IdleAfter = time.Duration(small(30)) * time.Millisecond
	c.WatermarkWait = time.Duration(small(50)) * time.Millisecond
	c.Workers = small(3)
	if s.model != nil {
		c.WatermarkWait = 10_000 * time.Hour // nobody may go on without the others
	}
}

// begin starts a process on the first disk that has none.
func (s *sim) begin() {
	s.t.Helper()
	m := &mortal{}
	for taken := true; taken; {
		taken = false
		for _, p := range s.alive {
			if p.disk == m.disk {
				taken = true
				m.disk++
			}
		}
	}
	name := fmt.Sprintf("p%d", m.disk)
	st, err := state.Open(state.Options{Dir: "state", App: "app", ClusterID: "c", Instance: name, FS: s.disks[m.disk]})
	if err != nil {
		s.t.Fatal(err)
	}
	m.sim = s.log.Sim(name, s.rng.Uint64(), s.odds)
	m.sim.Trace = s.trace
	m.sim.BatchLimit = s.rng.IntN(40)
	c := m.sim
	cfg := engine.Config{
		App: "app", Shards: s.shards, Sources: s.sources, SourcePartitions: s.parts, Rules: s.set, Clock: s.clock, CutInterval: -1,
		Inputs: c, Group: c, Committer: c, History: c, Store: st,
	}
	if *simSeed != 0 {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("process", m.disk)
	}
	s.limits(&cfg)
	e, err := engine.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	engine.SlowStore(e, m.sim.Store)
	m.process = &process{client: c.Client, engine: e, done: make(chan error, 1), store: st}
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	m.life, m.end = context.WithCancel(context.Background())
	go func() { m.done <- e.Run(ctx) }()
	go m.look(s.rng.Uint64(), s.clock)
	s.alive = append(s.alive, m)
	s.say("process %d starts", m.disk)
}

func (s *sim) say(format string, args ...any) {
	if s.trace != nil {
		s.trace("driver: " + fmt.Sprintf(format, args...))
	}
	if *simSeed != 0 {
		s.t.Logf("%9d ms: "+format, append([]any{s.clock() - base}, args...)...)
	}
}

// look reads as the API does.
func (m *mortal) look(seed uint64, clock func() int64) {
	rng := rand.New(rand.NewPCG(seed, 4))
	for m.life.Err() == nil {
		time.Sleep(time.Duration(rng.Int64N(20_000_000)))
		m.engine.Status()
		_, err := m.engine.Lead(m.life, leadName(rng), clock())
		if err != nil && !errors.Is(err, engine.ErrNotFound) && !errors.Is(err, engine.ErrNotOwned) && m.life.Err() == nil {
			panic(err)
		}
	}
}

func leadName(rng *rand.Rand) string { return fmt.Sprintf("lead-%02d", rng.IntN(1+rng.IntN(30))) }

func (s *sim) pick() *mortal { return s.alive[s.rng.IntN(len(s.alive))] }

// gone is called when a process has ended.
func (s *sim) gone(m *mortal) {
	s.alive = slices.DeleteFunc(s.alive, func(x *mortal) bool { return x == m })
}

// closeDown ends what a process leaves behind.
func (s *sim) closeDown(m *mortal) {
	s.gone(m)
	m.end()
	time.Sleep(20 * time.Millisecond) // its reader has gone
	if n := engine.Mismatches(m.engine); n > 0 {
		s.t.Errorf("process %d did %g epochs again and came to other leads", m.disk, n)
	}
	if err := m.store.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// bury ends what a failed life has left: a bubble that holds goroutines for ever can't end.
func (s *sim) bury() {
	for _, m := range s.alive {
		m.sim.Die(0)
		m.cancel()
		m.end()
		time.Sleep(time.Minute)
		_ = m.store.Close()
	}
}

// stop ends a process in order.
func (s *sim) stop(m *mortal) {
	s.t.Helper()
	s.say("process %d is stopped", m.disk)
	m.cancel()
	if err := <-m.done; err != nil {
		s.t.Fatalf("stopping in order: %v", err)
	}
}

// kill lets a process die: at once, or at one of its next operations, perhaps those of a stop in order.
func (s *sim) kill(m *mortal) {
	s.say("process %d is killed", m.disk)
	switch s.rng.IntN(3) {
	case 0: // in the middle of a stop
		m.sim.Die(1 + s.rng.IntN(20))
		m.cancel()
		time.Sleep(time.Duration(s.rng.Int64N(30_000_000)))
	case 1:
		m.sim.Die(1 + s.rng.IntN(20))
		time.Sleep(time.Duration(s.rng.Int64N(100_000_000)))
	}
	m.sim.Die(0)
	synctest.Wait()
	left := s.disks[m.disk]
	switch s.rng.IntN(4) {
	case 0:
		left = vfs.NewCrashableMem()
	case 1:
		left = left.CrashClone(vfs.CrashCloneCfg{}) // only what was synced
	case 2:
		left = left.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}) // how much is drawn of it, the disk says
	}
	m.sim.Expire(time.Duration(s.rng.Int64N(400_000_000)))
	m.cancel()
	if err := <-m.done; err != nil {
		s.say("a killed process said: %v", err)
	}
	s.say("process %d has ended", m.disk)
	s.closeDown(m)
	s.disks[m.disk] = left
}

func (s *sim) step() {
	switch k := s.rng.IntN(18); {
	case k < 6:
		s.events(1 + s.rng.IntN(60))
	case k < 9:
		if len(s.alive) < 3 {
			s.set = s.sets[s.rng.IntN(1+s.rng.IntN(len(s.sets)))]
			s.begin()
		}
	case k < 10:
		if len(s.alive) > 0 {
			m := s.pick()
			s.stop(m)
			s.closeDown(m)
		}
	case k < 12:
		if len(s.alive) > 0 {
			s.kill(s.pick())
		}
	case k < 14:
		if len(s.alive) > 0 {
			m := s.pick()
			s.say("process %d stands still", m.disk)
			m.sim.Stall(time.Duration(s.rng.Int64N(600_000_000)), 300*time.Millisecond)
		}
	case k < 17:
		s.skip.Add(s.rng.Int64N(6 * 86_400_000))
	default:
		s.closeHistory()
	}
}

func (s *sim) closeHistory() {
	if s.closed {
		return
	}
	s.closed = true
	s.say("the import is closed")
	v, err := engine.CloseSource("old")
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range s.shards {
		s.log.Append(engine.TopicName("app", engine.TopicInbox), i, nil, v, s.clock())
	}
}

// history fills the import: its leads have no other events, and theirs are in order.
func (s *sim) history() {
	at := base - 60*86_400_000
	dec, ev := s.sources[2].NewDecoder(), s.set.NewEvaluator()
	dec.LimitFuture(s.set.MaxFuture())
	of := map[string]*lead.Lead{}
	for i := range s.rng.IntN(120) {
		at += s.rng.Int64N(86_400_000)
		id := fmt.Sprintf("old-%02d", s.rng.IntN(12))
		v := fmt.Appendf(nil, `{"userId":%q,"messageId":"h%d","timestamp":%d,%s}`, id, i-s.rng.IntN(2), at,
			[]string{`"type":"page"`, `"type":"track","event":"Demo Requested"`}[s.rng.IntN(5)/4])
		s.log.Append("old", engine.ShardOf([]byte(id), s.parts["old"]), []byte(id), v, base)
		if s.model == nil {
			continue
		}
		var e lead.Event
		if err := dec.Decode(&engine.Record{Timestamp: base, Value: bytes.Clone(v)}, base, &e); err != nil {
			s.t.Fatal(err)
		}
		e.Source, e.History = "old", true
		if of[id] == nil {
			of[id] = s.set.NewLead(id, 1)
		}
		outs, _ := ev.Apply(of[id], &e, nil)
		for j := range outs {
			s.model[id] = append(s.model[id], string(lead.AppendJSON(nil, &outs[j])))
		}
	}
}
