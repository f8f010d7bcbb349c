package engine

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"leadstream/state"
	"leadstream/state/lead"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/vmihailenco/msgpack/v5"
)

// With a few leads the tests come past all borders.
func init() { maxStubs, sweepLeads, redoChunk, digestEvery = 8, 5, 40, 2 }

// Mismatches counts the epochs that an engine did again and came to other leads than their writer.
func Mismatches(e *Engine) float64 {
	reg := prometheus.NewRegistry()
	reg.MustRegister(e.m.diverged)
	found, err := reg.Gather()
	if err != nil {
		panic(err)
	}
	return found[0].GetMetric()[0].GetCounter().GetValue()
}

// DigestOf is the digest of an epoch that left a lead so.
func DigestOf(l *lead.Lead) uint64 { return digest(1, 2, []touched{{nil, l}}) }

// SlowStore has f called before each write of a slice to the store. It must be called before Run.
func SlowStore(e *Engine, f func()) { e.beforeStore = f }

// Regroup applies a journaled sequence of one shard again with other epoch borders, cache sizes and
// checkpoint times, all drawn from rng, and returns what it puts out, in order, and its leads.
func Regroup(e *Engine, id int32, journal []*JournalRecord, read func(TopicPartition, int64, int64) []Record, rng *rand.Rand) (out []OutRecord, leads map[string]*lead.Lead, epochs int, err error) {
	s := e.newShard(id)
	s.reconcile(e.wantedParts(id))
	s.done = s.st
	for _, j := range journal {
		c := clockInput{wall: j.Wall, cap: j.Cap, base: j.Base}
		for _, p := range j.Parts {
			c.floors = append(c.floors, p.Floor)
		}
		var fetches []Fetch
		for _, r := range j.Ranges {
			p := j.Parts[r.Part]
			tp := TopicPartition{p.Topic, p.Partition}
			fetches = append(fetches, Fetch{TopicPartition: tp, From: r.From, Next: r.Next, LeaderEpoch: -1, Records: read(tp, r.From, r.Next)})
		}
		s.queue = fetches
		for {
			s.cfg.MaxEpochRecords, s.cfg.MaxEpochTimers, s.cfg.MaxEpochOutputs = 1+rng.IntN(9), 1+rng.IntN(3), 1+rng.IntN(9)
			s.begin(c)
			// An epoch that only carried leads to checkpoint fired nothing, and nothing may come after it: a stop writes all.
			idle := j.CutOn && j.CutDue == noTime && len(fetches) == 0
			if !idle {
				if err := s.run(); err != nil {
					return nil, nil, 0, err
				}
			}
			more := !idle && s.full() || len(s.queue) > 0
			ep, end := s.ep, s.st
			s.ep = nil
			s.publish(ep, end)
			out = append(out, ep.records...)
			epochs++
			if rng.IntN(3) == 0 {
				if err := checkpointSome(s, end.epoch, 1+rng.IntN(20)); err != nil {
					return nil, nil, 0, err
				}
			}
			s.cache.shrink(int64(rng.IntN(60_000)), func(x *entry) { s.timers.release(x, x.storedDue) })
			if !more {
				break
			}
		}
	}
	if err := checkpointSome(s, s.st.epoch, 1<<30); err != nil {
		return nil, nil, 0, err
	}
	leads = map[string]*lead.Lead{}
	err = e.cfg.Store.Each(id, "", func(id string, v []byte) (bool, error) {
		l := new(lead.Lead)
		err := lead.Decode(v, l)
		if !l.Gone {
			leads[id] = l
		}
		return true, err
	})
	return out, leads, epochs, err
}

// LoseWhileStoring takes a shard away while a slice of it is on its way to the store, and says how many
// still are when the group hears that it may go.
func LoseWhileStoring(e *Engine, id int32) (inStore int, err error) {
	s := e.newShard(id)
	s.reconcile(e.wantedParts(id))
	s.done = s.st
	e.live[id] = s
	e.loop.owned, e.loop.restoring = map[int32]bool{id: true}, map[int32]context.CancelFunc{}
	e.loop.inStore = 1
	go func() {
		c := <-e.pollCmds
		e.pending.Add(-1)
		close(c.done)
		e.stored <- &epoch{slice: &slice{shard: s}}
	}()
	inStore = -1
	err = e.change(Change{Lost: []int32{id}, Done: func() { inStore = e.loop.inStore }})
	return inStore, err
}

func checkpointSome(s *shard, epoch uint64, n int) error {
	sl := &slice{shard: s, epoch: epoch}
	sl.entries, sl.bars = s.exhume(s.take(n, 1<<40, ^uint64(0)), n)
	recs := sl.records()
	sl.encode(recs)
	sl.redo = s.redoPoint(epoch, false)
	if err := s.cfg.Store.Checkpoint(s.id, sl.entities(recs), state.Meta{Epoch: epoch, Redo: sl.redo}); err != nil {
		return err
	}
	s.stored(sl)
	return nil
}

// EncodeMessage encodes a message for an inbox.
func EncodeMessage(t testing.TB, m *Message) []byte {
	b, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// EncodeJournal1 encodes a record as the first format did.
func EncodeJournal1(t testing.TB, j *JournalRecord) []byte {
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	err := enc.EncodeArrayLen(28)
	for _, f := range []any{j.Version, j.Epoch, j.Writer, j.Slots, j.Logic, j.Wall, j.Cap, j.TickStart, j.TickEnd, j.CutOn, j.CutDue, j.CutLead,
		j.Parts, j.Ranges, j.Closed, j.Rules, j.OldRules, j.SwitchTick, j.SweptFrom, j.SweptTo, j.SweepDone, j.Base, j.Watermark, j.CaughtUp,
		j.Read, j.Sent, j.Got, j.Redo} {
		err = errors.Join(err, enc.Encode(f))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
