package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"leadstream/rules"
	"leadstream/state"
	"leadstream/state/lead"
)

// Fleet runs all shards of an application, one small step at a time and with nothing around them: what an epoch wrote
// is there for the others when it is committed. It is for tests of what shards say to each other.
type Fleet struct {
	e      *Engine
	rng    *rand.Rand
	shards []*shard
	logs   map[TopicPartition][]Record
	// journal is what each shard has committed.
	journal [][]*JournalRecord
	used    []bool // shards that have something in the store
	// Wall is the clock; Out is all that was put out, Messages counts what was sent to inboxes, Faults aborts and crashes.
	Wall             int64
	Out              []OutRecord
	Messages, Faults int
	// Clean makes no more faults.
	Clean bool
	// Stores has leads written to the store and evicted.
	Stores bool
}

// NewFleet makes the shards of an engine that does not run.
func NewFleet(e *Engine, rng *rand.Rand, wall int64) *Fleet {
	f := &Fleet{e: e, rng: rng, Wall: wall, logs: map[TopicPartition][]Record{}}
	f.journal, f.used = make([][]*JournalRecord, e.cfg.Shards), make([]bool, e.cfg.Shards)
	for id := range e.cfg.Shards {
		f.shards = append(f.shards, f.empty(id))
	}
	return f
}

func (f *Fleet) empty(id int32) *shard {
	s := f.e.newShard(id)
	s.reconcile(f.e.wantedParts(id))
	for i := range s.st.parts {
		s.st.parts[i].next = 0
	}
	s.done = s.st
	return s
}

// Close takes what it left out of the store.
func (f *Fleet) Close() error {
	var errs []error
	for id, used := range f.used {
		if used {
			errs = append(errs, f.e.cfg.Store.Drop(int32(id)))
		}
	}
	return errors.Join(errs...)
}

// Append adds a record to a topic.
func (f *Fleet) Append(tp TopicPartition, key, value []byte) {
	log := f.logs[tp]
	f.logs[tp] = append(log, Record{Offset: int64(len(log)), Timestamp: f.Wall, Key: key, Value: value})
}

// Inbox is the partition of an id's inbox.
func (f *Fleet) Inbox(id string) TopicPartition {
	return TopicPartition{f.e.cfg.topic(TopicInbox), ShardOf([]byte(id), f.e.cfg.Shards)}
}

// Waiting lists the shards that have input.
func (f *Fleet) Waiting() []int {
	var list []int
	for i, s := range f.shards {
		if slices.ContainsFunc(s.st.parts, func(p part) bool { return p.next < int64(len(f.logs[p.TopicPartition])) }) {
			list = append(list, i)
		}
	}
	return list
}

// Step applies some of a shard's input in one epoch.
func (f *Fleet) Step(i int) error {
	s := f.shards[i]
	s.cfg.MaxEpochRecords = 1 + f.rng.IntN(1+f.rng.IntN(50))
	floors := make([]int64, len(s.st.parts))
	for i := range floors {
		floors[i] = noTime
	}
	var fetches []Fetch
	for _, p := range s.st.parts {
		log := f.logs[p.TopicPartition][p.next:]
		if len(log) == 0 {
			continue
		}
		log = log[:1+f.rng.IntN(len(log))]
		fetches = append(fetches, Fetch{TopicPartition: p.TopicPartition, From: p.next, Next: p.next + int64(len(log)), LeaderEpoch: -1, Records: log})
	}
	s.enqueue(fetches)
	s.begin(clockInput{wall: f.Wall, cap: lead.Never, base: noTime, floors: floors})
	if err := s.run(); err != nil {
		return err
	}
	if !f.Clean && f.rng.IntN(12) == 0 {
		f.Faults++
		if f.rng.IntN(2) == 0 {
			s.rollback(s.ep)
			return nil
		}
		return f.crash(i)
	}
	ep, end := s.ep, s.st
	s.ep = nil
	j := s.journal(ep, &end)
	if j.Epoch%digestEvery == 0 {
		j.Digested, j.Digest = true, digest(j.Epoch, j.TickEnd, ep.touched)
	}
	f.journal[i] = append(f.journal[i], j)
	for _, r := range ep.records {
		if r.Topic == TopicInbox {
			f.Messages++
			f.Append(TopicPartition{f.e.cfg.topic(TopicInbox), r.Partition}, r.Key, r.Value)
			continue
		}
		f.Out = append(f.Out, r)
	}
	s.publish(ep, end)
	s.queue, s.at = nil, 0 // what is left is read again
	if f.Stores && f.rng.IntN(10) == 0 {
		f.used[i] = true
		if err := checkpointSome(s, end.epoch, 1+f.rng.IntN(10)); err != nil {
			return err
		}
		s.cache.shrink(int64(f.rng.IntN(20_000)), func(x *entry) { s.timers.release(x, x.storedDue) })
	}
	if !f.Clean && f.rng.IntN(30) == 0 {
		f.Faults++
		return f.crash(i)
	}
	return nil
}

// crash forgets a shard and brings it back from the store and the journal.
func (f *Fleet) crash(i int) error {
	s := f.empty(int32(i))
	meta, _, err := f.e.cfg.Store.Meta(int32(i))
	if err != nil {
		return err
	}
	if !f.used[i] {
		meta = state.Meta{}
	}
	s.storedTo = meta.Epoch
	for k, j := range f.journal[i] {
		if j.Epoch <= meta.Redo {
			if k == len(f.journal[i])-1 {
				if s.st, err = s.stateAfter(j); err != nil {
					return err
				}
			}
			continue
		}
		if j.Epoch == meta.Redo+1 {
			s.st = s.stateBefore(j)
		}
		err := s.redoEpoch(j, func(r JournalRange) ([]Record, error) {
			p := j.Parts[r.Part]
			return f.logs[TopicPartition{p.Topic, p.Partition}][r.From:r.Next], nil
		})
		if err != nil {
			return fmt.Errorf("redo: %w", err)
		}
	}
	s.done = s.st
	f.shards[i] = s
	return nil
}

// Node returns what is kept of an id, nil if there is nothing.
func (f *Fleet) Node(id string) (*lead.Lead, error) {
	e, err := f.shards[ShardOf([]byte(id), f.e.cfg.Shards)].load([]byte(id))
	if e == nil {
		return nil, err
	}
	return e.spec, err
}

// Each calls fn for each node that is there.
func (f *Fleet) Each(fn func(l *lead.Lead)) error {
	for i, s := range f.shards {
		ids := map[string]bool{}
		for id := range s.cache.byID {
			ids[id] = true
		}
		if f.used[i] {
			err := f.e.cfg.Store.Each(int32(i), "", func(id string, _ []byte) (bool, error) {
				ids[id] = true
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		for id := range ids {
			e, err := s.load([]byte(id))
			if err != nil {
				return err
			}
			if !absent(e) {
				fn(e.spec)
			}
		}
	}
	return nil
}

// LayAll has all that is gone laid, where leads are written to the store at all.
func (f *Fleet) LayAll() error {
	for i, s := range f.shards {
		for range 3 {
			if !f.used[i] {
				break
			}
			if err := checkpointSome(s, s.st.epoch, 1<<30); err != nil {
				return err
			}
		}
		if f.used[i] && len(s.graves) > 0 {
			return fmt.Errorf("%d nodes of shard %d are gone and not laid", len(s.graves), i)
		}
	}
	return nil
}

// SwitchOne makes one shard follow another rule set that the others have not heard of.
func (f *Fleet) SwitchOne(i int32, set *rules.Set) {
	f.e.mu.Lock()
	f.e.ruleSets[set.ID()] = set
	f.e.mu.Unlock()
	f.shards[i].active = new(atomic.Pointer[rules.Set])
	f.shards[i].active.Store(set)
}
