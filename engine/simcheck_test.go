package engine_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/state"
	"leadstream/state/lead"
)

// finish lets time pass until nothing is overdue, stops in order and checks.
func (s *sim) finish() {
	s.closeHistory()
	for _, m := range s.alive {
		m.sim.Calm()
	}
	s.odds = enginetest.Odds{}
	time.Sleep(time.Second) // those that stood still are back
	if len(s.alive) == 0 {
		s.begin()
	}
	s.skip.Add(20 * 86_400_000)
	now := s.clock()
	for begun, quiet, before := time.Now(), 0, -1; quiet < 30; time.Sleep(100 * time.Millisecond) {
		s.checkAlive()
		quiet++
		if n := len(s.log.Output(engine.TopicJournal)); n != before || !s.settled() {
			before, quiet = n, 0
		}
		if time.Since(begun) > 5*time.Minute {
			for _, p := range s.alive {
				s.t.Logf("process %d: %+v", p.disk, p.engine.Status())
			}
			s.t.Fatal("input is not applied")
		}
	}
	for len(s.alive) > 1 {
		m := s.pick()
		s.stop(m)
		s.closeDown(m)
	}
	m := s.pick()
	s.await(m)
	s.stop(m)
	s.checkStore(m, now)
	s.checkModel()
	s.closeDown(m)
}

// await returns when all shards are live in a process.
func (s *sim) await(m *mortal) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if st := m.engine.Status(); st.Ready() && st.Owned == int(s.shards) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("process %d is not ready: %+v", m.disk, m.engine.Status())
		}
	}
}

func (s *sim) replay() (*enginetest.Replayer, *enginetest.World, error) {
	rp := &enginetest.Replayer{App: "app", Shards: s.shards, Sources: s.sources, Rules: s.sets[0], Switched: s.sets, History: s.log.Reader()}
	w, err := rp.Run(context.Background())
	return rp, w, err
}

// checkStore compares everything with the replay. m owned all shards when it stopped, at rest since now.
func (s *sim) checkStore(m *mortal, now int64) {
	t := s.t
	t.Helper()
	rp, w, err := s.replay()
	if err != nil {
		t.Fatal(err)
	}
	if err := rp.CheckOutputs(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	for id, l := range w.Leads {
		if l.Due <= now {
			t.Fatalf("lead %s (shard %d) is due since %d ms", id, engine.ShardOf([]byte(id), s.shards), now-l.Due)
		}
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
	s.checkFirms(w.Leads, now)
}

// checkHints looks for the timer of every lead in the store.
func (s *sim) checkHints(m *mortal, leads map[string]*lead.Lead) {
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

// checkModel compares what was said of the import's leads with the model, which stops at their last events.
func (s *sim) checkModel() {
	s.t.Helper()
	said := map[string][]string{}
	for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs} {
		for _, rec := range s.log.Output(topic) {
			said[string(rec.Key)] = append(said[string(rec.Key)], s.comparable(string(rec.Value)))
		}
	}
	for id, want := range s.model {
		for _, one := range want {
			if !slices.Contains(said[id], s.comparable(one)) {
				s.t.Fatalf("%s was not said of %s; what was said is\n%v", one, id, said[id])
			}
		}
	}
}

// comparable is an output without its id where the model can't know it: it depends on how many were erased, or expired, before.
func (s *sim) comparable(output string) string {
	if s.erng == nil && s.firms == nil {
		return output
	}
	before, rest, _ := strings.Cut(output, `"id":"`)
	_, rest, _ = strings.Cut(rest, `"`)
	return before + rest
}
