package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
)

// TestStoppedWhileTimersAreOverdue stops a process between two of many timers that are due, and kills it after
// some of the epochs that only checkpoint: those fire nothing, and redo of them must not either.
func TestStoppedWhileTimersAreOverdue(t *testing.T) {
	r := newRig(t, 1)
	r.parts = map[string]int32{"web": 1, "mail": 1}
	r.tune = func(c *engine.Config) {
		c.MaxEpochTimers, c.SliceLeads, c.IdleAfter, c.CheckpointInterval = 1, 1, time.Millisecond, time.Hour
	}
	gate, held := make(chan struct{}), make(chan struct{}, 1000)
	var hold atomic.Bool
	r.before = func(op string) {
		if op == "commit" && hold.Load() {
			held <- struct{}{}
			<-gate
		}
	}
	for i := range 20 {
		v := fmt.Appendf(nil, `{"userId":"lead-%d","timestamp":%d,"type":"track","event":"Demo Requested"}`, i, base)
		r.log.Append("web", 0, nil, v, base)
	}
	p := r.start("first", t.TempDir(), nil)
	r.settle(p)
	hold.Store(true)
	r.skip.Add(6 * 86_400_000)
	<-held
	hold.Store(false)
	p.client.SetFault(func(int) (error, bool) {
		if len(r.log.Output(engine.TopicState)) >= 3 {
			return errors.New("killed"), false
		}
		return nil, false
	})
	p.cancel()
	close(gate)
	if err := <-p.done; err != nil {
		t.Fatal(err)
	}
	p.client.Kick()
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(r.log.Output(engine.TopicState)); n != 3 {
		t.Fatalf("%d leads were checkpointed", n)
	}
	p = r.start("second", t.TempDir(), nil)
	r.settle(p)
	for deadline := time.Now().Add(30 * time.Second); len(r.log.Output(engine.TopicTransitions)) < 60; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d transitions", len(r.log.Output(engine.TopicTransitions)))
		}
	}
	p.stop(t)
	r.check()
}

// TestHintsInTheMiddleOfASwitch has hints that are too early come up while a rule switch is worked off, in a process that
// then dies: the next one does not have these hints, and must come to the same.
func TestHintsInTheMiddleOfASwitch(t *testing.T) {
	r := newRig(t, 1)
	r.parts = map[string]int32{"web": 1, "mail": 1}
	before := r.set
	tune := func(c *engine.Config) { c.IdleAfter, c.CheckpointInterval = time.Hour, time.Hour }
	r.tune = tune
	for day := range int64(2) {
		for i := range 150 {
			at := base + day*5*86_400_000
			v := fmt.Appendf(nil, `{"userId":"lead-%03d","timestamp":%d,"type":"page"}`, i, at)
			r.log.Append("web", 0, nil, v, at)
		}
		r.skip.Store((day + 1) * 5 * 86_400_000) // ten days after the first event only the hint is due
	}
	r.skip.Add(3_600_000)
	p := r.start("first", t.TempDir(), nil)
	r.settle(p)
	kill := func(int) (error, bool) { return errors.New("killed"), false }
	p.client.SetFault(kill)
	p.client.Kick()
	p.stop(t)

	r.set = mustRules(t, strings.Replace(testRules, ">= 10'", ">= 2'", 1))
	r.tune = func(c *engine.Config) {
		tune(c)
		c.IdleAfter, c.DirtyLimit = time.Nanosecond, 2
	}
	died := make(chan struct{})
	var once sync.Once
	p = r.start("second", t.TempDir(), func(int) (error, bool) {
		recs := r.log.Output(engine.TopicJournal)
		j, err := engine.DecodeJournal(recs[len(recs)-1].Value)
		if err != nil || j.TickEnd <= base+10*86_400_000 {
			return err, false
		}
		once.Do(func() { close(died) })
		return kill(0)
	})
	<-died
	p.client.Kick()
	p.stop(t)
	if !switching(t, r) {
		t.Fatal("the switch is done: the test tests nothing")
	}
	p = r.start("third", t.TempDir(), nil)
	r.settle(p)
	for deadline := time.Now().Add(30 * time.Second); switching(t, r) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	p.stop(t)
	rp := &enginetest.Replayer{App: "app", Shards: 1, Sources: r.sources, Rules: before, Switched: []*rules.Set{r.set}, History: r.log.Reader()}
	w, err := rp.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := rp.CheckOutputs(t.Context(), w); err != nil {
		t.Fatal(err)
	}
}
