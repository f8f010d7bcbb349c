package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
	"leadstream/state"
	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
)

// TestSchedules runs short random lives of up to three processes: tiny epochs and caches, aborted and
// unknown outcomes, kills at any commit (the last ones of a stop in order included), disks that are lost or
// lose their newest writes, shards that move, a clock that jumps past timers, an import that is closed midway,
// rule sets that change. After each of them the replay of the journals must give the same outputs in the
// same order and the same states, and no timer may be overdue.
//
// LEADSTREAM_SCHEDULES is how many are run (default: as many as fit ten seconds), LEADSTREAM_SEED the first.
func TestSchedules(t *testing.T) {
	n, first, limit := 1000, 1, 10*time.Second
	if v, err := strconv.Atoi(os.Getenv("LEADSTREAM_SCHEDULES")); err == nil {
		n, limit = v, time.Hour
	}
	if v, err := strconv.Atoi(os.Getenv("LEADSTREAM_SEED")); err == nil {
		first = v
	}
	begun := time.Now()
	for i := 0; i < n && time.Since(begun) < limit && !t.Failed(); i++ {
		t.Run(fmt.Sprintf("seed=%d", first+i), func(t *testing.T) { runSchedule(t, uint64(first+i)) })
	}
}

// schedule is one random life.
type schedule struct {
	*rig
	rng    *rand.Rand
	sets   []*rules.Set
	alive  []*mortal
	disks  []*vfs.MemFS
	calm   atomic.Bool // no more faults
	names  int
	sent   int
	closed bool
}

// mortal is a process that can be killed.
type mortal struct {
	*process
	name string
	disk int
	dead atomic.Bool
	left atomic.Int32  // commits until it is dead, if over 0
	stop chan struct{} // ends its reader
	read sync.WaitGroup
}

func runSchedule(t *testing.T, seed uint64) {
	before := goleak.IgnoreCurrent()
	defer func() {
		if !t.Failed() {
			goleak.VerifyNone(t, before)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 77))
	s := &schedule{rig: newRig(t, 1+rng.Int32N(4)), rng: rng}
	s.parts = map[string]int32{"web": 1 + rng.Int32N(5), "mail": 1, "old": 1 + rng.Int32N(2)}
	s.sources = append(s.sources, enginetest.Source("old", "old", true))
	change := strings.NewReplacer(">= 10'", ">= 2'", "{id: visit, signal: visit, add: 3}", "{id: visit2, signal: visit, add: 4}", `"5d"`, `"3d"`)
	s.sets = []*rules.Set{s.set, mustRules(t, change.Replace(testRules)), mustRules(t, strings.Replace(testRules, "< 20'", "< 25'", 1))}
	s.disks = []*vfs.MemFS{vfs.NewCrashableMem(), vfs.NewCrashableMem(), vfs.NewCrashableMem()}
	s.tune = s.limits
	s.history()
	s.start1()
	for range 6 + rng.IntN(10) {
		s.step()
		if rng.IntN(2) == 0 {
			time.Sleep(time.Duration(rng.IntN(12)) * time.Millisecond)
		}
		s.checkAlive()
	}
	s.end()
}

func (s *schedule) checkAlive() {
	s.t.Helper()
	for _, p := range s.alive {
		select {
		case err := <-p.done:
			s.t.Fatalf("%s ended by itself: %v", p.name, err)
		default:
		}
	}
}

// limits draws a configuration.
func (s *schedule) limits(c *engine.Config) {
	small := func(n int) int { return 1 + s.rng.IntN(1+s.rng.IntN(n)) }
	c.MaxEpochRecords, c.MaxEpochTimers, c.MaxEpochOutputs = small(60), small(20), small(20)
	c.MaxPoll, c.SliceLeads, c.CacheBytes = small(100), small(20), int64(small(100_000))
	c.DirtyLimit, c.SliceBytes = 2+small(200), small(100_000)
	c.CommitInterval = time.Duration(small(8)) * time.Millisecond
	c.CheckpointInterval = time.Duration(small(50)) * time.Millisecond
	c.IdleAfter = time.Duration(small(30)) * time.Millisecond
	c.WatermarkWait = time.Duration(small(50)) * time.Millisecond
	c.Workers = small(3)
}

func (s *schedule) start1() {
	taken := map[int]bool{}
	for _, p := range s.alive {
		taken[p.disk] = true
	}
	m := &mortal{stop: make(chan struct{})}
	for taken[m.disk] {
		m.disk++
	}
	s.names++
	m.name = fmt.Sprintf("p%d", s.names)
	s.fs = s.disks[m.disk]
	rng := rand.New(rand.NewPCG(s.rng.Uint64(), 3))
	fault := func(int) (error, bool) {
		if m.dead.Load() || m.left.Load() > 0 && m.left.Add(-1) == 0 {
			m.dead.Store(true)
			return errors.New("killed"), false
		}
		if s.calm.Load() {
			return nil, false
		}
		switch rng.IntN(60) {
		case 0, 1, 2:
			return engine.ErrAborted, false
		case 3:
			return errors.New("unknown outcome"), false
		case 4:
			return errors.New("unknown outcome"), true
		case 5, 6, 7, 8:
			time.Sleep(time.Duration(rng.IntN(4)) * time.Millisecond)
		}
		return nil, false
	}
	s.batch = s.rng.IntN(40)
	m.process = s.start(m.name, "state", fault)
	seed := s.rng.Uint64()
	m.read.Go(func() { m.look(rand.New(rand.NewPCG(seed, 4)), s.clock) })
	s.alive = append(s.alive, m)
}

// look reads as the API does.
func (m *mortal) look(rng *rand.Rand, clock func() int64) {
	for {
		select {
		case <-m.stop:
			return
		case <-time.After(time.Millisecond):
		}
		m.engine.Status()
		_, err := m.engine.Lead(context.Background(), leadName(rng), clock())
		if err != nil && !errors.Is(err, engine.ErrNotFound) && !errors.Is(err, engine.ErrNotOwned) {
			panic(err)
		}
	}
}

func leadName(rng *rand.Rand) string { return fmt.Sprintf("lead-%02d", rng.IntN(1+rng.IntN(30))) }

func (s *schedule) take() *mortal {
	i := s.rng.IntN(len(s.alive))
	m := s.alive[i]
	s.alive = append(s.alive[:i:i], s.alive[i+1:]...)
	return m
}

// closeDown ends what a process leaves behind.
func (s *schedule) closeDown(m *mortal) {
	close(m.stop)
	m.read.Wait()
	if err := m.store.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *schedule) kill(m *mortal) {
	if s.rng.IntN(2) == 0 { // in the middle of a stop
		m.left.Store(1 + s.rng.Int32N(10))
		m.cancel()
		time.Sleep(time.Duration(s.rng.IntN(5)) * time.Millisecond)
	}
	m.dead.Store(true)
	m.client.Kick()
	crashed := s.disks[m.disk].CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: s.rng.IntN(101), RNG: s.rng})
	m.cancel()
	if err := <-m.done; err != nil {
		s.t.Logf("a killed process said: %v", err)
	}
	s.closeDown(m)
	switch s.rng.IntN(3) {
	case 0:
		s.disks[m.disk] = vfs.NewCrashableMem()
	case 1:
		s.disks[m.disk] = crashed
	}
}

func (s *schedule) step() {
	switch k := s.rng.IntN(16); {
	case k < 6:
		s.events(1 + s.rng.IntN(60))
	case k < 9:
		if len(s.alive) < 3 {
			s.set = s.sets[s.rng.IntN(1+s.rng.IntN(len(s.sets)))]
			s.start1()
		}
	case k < 10:
		if len(s.alive) > 0 {
			m := s.take()
			m.cancel()
			if err := <-m.done; err != nil {
				s.t.Fatalf("stopping in order: %v", err)
			}
			s.closeDown(m)
		}
	case k < 12:
		if len(s.alive) > 0 {
			s.kill(s.take())
		}
	case k < 15:
		s.skip.Add(s.rng.Int64N(6 * 86_400_000))
	default:
		s.closeHistory()
	}
}

func (s *schedule) closeHistory() {
	if s.closed {
		return
	}
	s.closed = true
	v, err := engine.CloseSource("old")
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range s.shards {
		s.log.Append(engine.TopicName("app", engine.TopicInbox), i, nil, v, s.clock())
	}
}

// history fills the import.
func (s *schedule) history() {
	at := base - 60*86_400_000
	for range s.rng.IntN(80) {
		at += s.rng.Int64N(86_400_000)
		s.event("old", at)
	}
}

func (s *schedule) events(n int) {
	for range n {
		topic := "web"
		if s.rng.IntN(4) == 0 {
			topic = "mail"
		}
		at := s.clock()
		if s.rng.IntN(10) == 0 {
			at += s.rng.Int64N(8*86_400_000) - 7*86_400_000
		}
		s.event(topic, at)
	}
}

func (s *schedule) event(topic string, at int64) {
	s.sent++
	msg := s.sent
	if s.rng.IntN(20) == 0 {
		msg -= s.rng.IntN(20)
	}
	v := fmt.Sprintf(`{"userId":%q,"timestamp":%d,`, leadName(s.rng), at)
	if s.rng.IntN(2) == 0 { // without one, whatever is applied twice counts twice
		v += fmt.Sprintf(`"messageId":"m%d",`, msg)
	}
	switch s.rng.IntN(12) {
	case 0, 1:
		v += `"type":"track","event":"Demo Requested"}`
	case 2, 3:
		v += fmt.Sprintf(`"type":"track","event":"Downloaded","properties":{"points":%d}}`, s.rng.IntN(12))
	case 4, 5:
		v += fmt.Sprintf(`"type":"identify","traits":{"employees":%d,"title":%q}}`, s.rng.IntN(400), []string{"CTO", "Intern"}[s.rng.IntN(2)])
	case 6:
		v = v[:s.rng.IntN(len(v))] // broken
	default:
		v += `"type":"page","properties":{"path":"/pricing"}}`
	}
	s.log.Append(topic, s.rng.Int32N(s.parts[topic]), nil, []byte(v), min(at, s.clock()))
}

// end lets time pass until nothing is overdue, stops in order and checks.
func (s *schedule) end() {
	s.calm.Store(true)
	s.closeHistory()
	if len(s.alive) == 0 {
		s.start1()
	}
	s.skip.Add(20 * 86_400_000)
	now := s.clock()
	var why error
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if why = s.atRest(now); why == nil {
			break
		}
		s.checkAlive()
		if time.Now().After(deadline) {
			for _, p := range s.alive {
				s.t.Logf("%s: %+v", p.name, p.engine.Status())
			}
			s.t.Fatalf("not at rest: %v", why)
		}
	}
	for len(s.alive) > 0 {
		m := s.take()
		if len(s.alive) == 0 {
			s.await(m)
		}
		m.cancel()
		if err := <-m.done; err != nil {
			s.t.Fatalf("stopping in order: %v", err)
		}
		if len(s.alive) == 0 {
			defer s.checkStore(m)
			break
		}
		s.closeDown(m)
	}
}

// await returns when all shards are live in a process.
func (s *schedule) await(m *mortal) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if st := m.engine.Status(); st.Ready() && st.Owned == int(s.shards) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s is not ready: %+v", m.name, m.engine.Status())
		}
	}
}

func (s *schedule) replay() (*enginetest.Replayer, *enginetest.World, error) {
	rp := &enginetest.Replayer{App: "app", Shards: s.shards, Sources: s.sources, Rules: s.sets[0], Switched: s.sets, History: s.log.Reader()}
	w, err := rp.Run(context.Background())
	return rp, w, err
}

// atRest says what is not applied, or due and not fired.
func (s *schedule) atRest(now int64) error {
	if !s.settled() {
		return errors.New("input is not applied")
	}
	_, w, err := s.replay()
	if err != nil {
		return err
	}
	for id, l := range w.Leads {
		if l.Due <= now {
			return fmt.Errorf("lead %s (shard %d) is due since %d ms", id, engine.ShardOf([]byte(id), s.shards), now-l.Due)
		}
	}
	return nil
}

// checkStore compares everything with the replay. m owned all shards when it stopped.
func (s *schedule) checkStore(m *mortal) {
	t := s.t
	t.Helper()
	rp, w, err := s.replay()
	if err != nil {
		t.Fatal(err)
	}
	if err := rp.CheckOutputs(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	topic, stored := map[string][]byte{}, map[string][]byte{}
	for _, rec := range s.log.Output(engine.TopicState) {
		topic[string(rec.Key)] = rec.Value
	}
	for i := range s.shards {
		err := m.store.Each(i, "", func(id string, v []byte) (bool, error) {
			stored[id] = append([]byte(nil), v...)
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.CheckStates(topic); err != nil {
		t.Fatalf("state topic: %v", err)
	}
	if err := w.CheckStates(stored); err != nil {
		t.Fatalf("store: %v", err)
	}
	s.checkHints(m, w.Leads)
	s.closeDown(m)
}

// checkHints looks for the timer of every lead in the store.
func (s *schedule) checkHints(m *mortal, leads map[string]*lead.Lead) {
	s.t.Helper()
	for i := range s.shards {
		hints := map[string]int64{}
		// 4096 are more than there are leads.
		all, err := m.store.Hints(i, state.Hint{Due: math.MinInt64}, lead.Never-1, 4096)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, h := range all {
			if _, ok := hints[h.ID]; !ok {
				hints[h.ID] = h.Due
			}
		}
		for id, l := range leads {
			if engine.ShardOf([]byte(id), s.shards) != i || l.Due == lead.Never {
				continue
			}
			if at, ok := hints[id]; !ok || at > l.Due {
				s.t.Fatalf("lead %s is due at %d, its hint in the store is at %d (%t)", id, l.Due, at, ok)
			}
		}
	}
}
