package engine

import (
	"context"
	"errors"
	"fmt"
)

// A snapshot is a copy of all shards as of one cut: an epoch of each, such that whatever a shard has got from another was
// sent in an epoch that the copy has as well. What was sent and not applied by then is still in the inboxes; there it
// is told from what later epochs sent by its origin.
//
// It is made as a standby is: each shard is loaded from its state topic into a store of its own and follows its
// journal, so that it may be taken while the application runs, and nobody notices.

// Snapshot is such a copy.
type Snapshot struct {
	e      *Engine
	shards []*shard
	cut    []uint64 // the epoch of each shard
}

// snapshotRounds bounds how often the shards are followed before the cut, which needs to do again only what came since.
const snapshotRounds = 5

// snapshotTries is how often a shard is loaded again when its journal was cut meanwhile.
const snapshotTries = 3

// TakeSnapshot copies all shards into cfg.Store, which must be empty and is the Snapshot's from then on. Of cfg it needs App, Shards,
// Sources, SourcePartitions, Rules, Clock, History and Store. say is called with how far it is, and may be nil.
func TakeSnapshot(ctx context.Context, cfg Config, say func(shard int32, leads int64)) (*Snapshot, error) {
	cfg = cfg.withDefaults()
	if cfg.App == "" || cfg.Rules == nil || cfg.History == nil || cfg.Store == nil || cfg.Clock == nil || cfg.Shards < 1 {
		return nil, errors.New("snapshot: application, shards, rules, clock, history and store are required")
	}
	x := &Snapshot{e: newEngine(cfg), cut: make([]uint64, cfg.Shards)}
	x.e.cacheShare.Store(cfg.CacheBytes / int64(cfg.Shards))
	for id := range cfg.Shards {
		s, err := x.load(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("copying shard %d: %w", id, err)
		}
		x.shards = append(x.shards, s)
		if say != nil {
			say(id, x.e.loaded[id].Load())
		}
	}
	for range snapshotRounds {
		n := uint64(0)
		for _, s := range x.shards {
			before := s.done.epoch
			if err := x.follow(ctx, s, anyEpoch, CommittedEnd); err != nil {
				return nil, err
			}
			n += s.done.epoch - before
		}
		if n < 100 {
			break
		}
	}
	return x, x.finish(ctx)
}

func (x *Snapshot) journal(id int32) TopicPartition {
	return TopicPartition{x.e.cfg.topic(TopicJournal), id}
}

// load copies a shard as of some epoch.
func (x *Snapshot) load(ctx context.Context, id int32) (*shard, error) {
	for try := 1; ; try++ {
		jr, err := x.e.readJournal(ctx, x.journal(id), EndOfPartition)
		if err != nil {
			return nil, err
		}
		s := x.e.newShard(id)
		s.journalNext = StartOfPartition
		if jr.last == nil {
			return s, x.e.noState(ctx, id)
		}
		if err := x.e.sameCount(id, jr.last); err != nil {
			return nil, err
		}
		s, err = x.e.rebuild(ctx, s, x.journal(id), jr, anyEpoch)
		if err == nil {
			return s, x.storeAll(s)
		}
		if !errors.Is(err, ErrGap) || try == snapshotTries {
			return nil, err
		}
	}
}

// follow does again what a shard's journal has up to an epoch.
func (x *Snapshot) follow(ctx context.Context, s *shard, upTo uint64, to int64) error {
	if upTo <= s.done.epoch {
		return nil
	}
	if _, err := x.e.redoTail(ctx, s, x.journal(s.id), span{s.done.epoch, upTo}, to); err != nil {
		return err
	}
	return x.storeAll(s)
}

// storeAll writes all changed leads to the store.
func (x *Snapshot) storeAll(s *shard) error {
	for s.dirty.len() > 0 {
		taken := s.take(x.e.cfg.SliceLeads, x.e.cfg.SliceBytes, ^uint64(0))
		if err := x.e.storeAlone(s, &slice{shard: s, entries: taken}, s.done.epoch); err != nil {
			return err
		}
		for _, y := range taken {
			y.entry.storing--
			s.bury(y.entry)
		}
	}
	s.cache.shrink(x.e.cacheShare.Load(), func(y *entry) { s.timers.release(y, y.storedDue) })
	return nil
}

// finish makes the cut and brings each shard to it.
func (x *Snapshot) finish(ctx context.Context) error {
	ends := make([]*journalTail, len(x.shards))
	for i, s := range x.shards {
		ends[i] = &journalTail{x: x, id: s.id, next: s.journalNext, inbox: map[uint64]int64{}}
		if err := ends[i].read(ctx, CommittedEnd); err != nil {
			return err
		}
		x.cut[i] = max(s.done.epoch, ends[i].last)
	}
	if err := x.close(ctx, ends); err != nil {
		return err
	}
	for i, s := range x.shards {
		if err := x.follow(ctx, s, x.cut[i], EndOfPartition); err != nil {
			return err
		}
		if s.done.epoch != x.cut[i] {
			return fmt.Errorf("the copy of shard %d is at epoch %d instead of %d: %w", s.id, s.done.epoch, x.cut[i], ErrDisagree)
		}
	}
	return nil
}

// close moves the cut on until nothing was applied on one side of it that was sent on the other. It ends: what was
// applied was committed before, so the cut never passes what was committed when it was begun.
func (x *Snapshot) close(ctx context.Context, ends []*journalTail) error {
	for again := true; again; {
		again = false
		for i, s := range x.shards {
			to, err := ends[i].inboxAt(ctx, x.cut[i])
			if err != nil {
				return err
			}
			from := ends[i].checked
			if from == 0 && len(s.done.parts) > 0 {
				from = s.done.parts[0].next
			}
			if to <= from {
				continue
			}
			tp := TopicPartition{x.e.cfg.topic(TopicInbox), s.id}
			err = x.e.cfg.History.Read(ctx, tp, from, to, func(r *Record) error {
				if a, k, ok := origin(r); ok && int(a) < len(x.cut) && k > x.cut[a] {
					x.cut[a], again = k, true
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("reading the inbox of shard %d: %w", s.id, err)
			}
			ends[i].checked = to
		}
	}
	return nil
}

// journalTail is what a shard's journal holds beyond what was followed.
type journalTail struct {
	x       *Snapshot
	id      int32
	next    int64
	last    uint64
	inbox   map[uint64]int64 // by epoch: the position in the inbox after it
	checked int64            // the inbox's records before it were looked at
}

func (t *journalTail) read(ctx context.Context, to int64) error {
	err := t.x.e.cfg.History.Read(ctx, t.x.journal(t.id), t.next, to, func(r *Record) error {
		j, err := DecodeJournal(r.Value)
		if err != nil {
			return err
		}
		t.next = r.Offset + 1
		if j.Epoch <= t.last || len(j.Parts) == 0 {
			return nil
		}
		t.last, t.inbox[j.Epoch] = j.Epoch, j.Parts[0].Next
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the journal of shard %d: %w", t.id, err)
	}
	return nil
}

// inboxAt is the position in the inbox after an epoch; 0 if the shard was there before.
func (t *journalTail) inboxAt(ctx context.Context, epoch uint64) (int64, error) {
	if epoch > t.last && epoch > t.x.shards[t.id].done.epoch {
		if err := t.read(ctx, EndOfPartition); err != nil {
			return 0, err
		}
		if epoch > t.last {
			return 0, fmt.Errorf("an inbox holds what epoch %d of shard %d sent, and its journal ends at %d: %w", epoch, t.id, t.last, ErrDisagree)
		}
	}
	return t.inbox[epoch], nil
}
