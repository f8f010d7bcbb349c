package engine

import (
	"context"
	"fmt"

	"leadstream/state"
	"leadstream/state/lead"
)

// loadState fills the store from the state topic, last being a record of the journal that was read before. Values
// that are written meanwhile, if the writer is not fenced because this is a standby, are of epochs that are skipped. It
// returns the record whose redo point holds for what was loaded.
func (e *Engine) loadState(ctx context.Context, s *shard, jtp TopicPartition, last *JournalRecord) (_ *JournalRecord, err error) {
	id := s.id
	if err := e.cfg.Store.Drop(id); err != nil {
		return nil, fmt.Errorf("clearing shard %d: %w", id, err)
	}
	ld, err := e.cfg.Store.Load(id)
	if err != nil {
		return nil, fmt.Errorf("loading shard %d: %w", id, err)
	}
	defer func() {
		if err != nil {
			ld.Abort()
		}
	}()
	e.loaded[id].Store(0)
	from := StartOfPartition
	now := last
	for first, tombstones := true, true; tombstones; first = false {
		if !first {
			// A tombstone is written when the redo point has passed what it removes, and the record that we know may be
			// older: redo would come by when the node was still there, and not find it. So we go by a record that is not,
			// and read on to where that was written.
			last = now
		}
		from, tombstones, err = e.loadSome(ctx, id, ld, from)
		if err != nil {
			return nil, fmt.Errorf("loading shard %d from the state topic: %w", id, err)
		}
		j, err := e.lastJournal(ctx, jtp, EndOfPartition)
		if err != nil {
			return nil, err
		}
		if j != nil {
			now = j
		}
	}
	s.storedTo = max(last.Epoch, now.Epoch)
	e.log.Info("restored from the state topic", "shard", id, "records", e.loaded[id].Load())
	return last, ld.Finish(state.Meta{Epoch: s.storedTo, Redo: last.Redo})
}

// loadSome loads the state topic from an offset to its present end. It returns where that is, and whether there was a tombstone.
func (e *Engine) loadSome(ctx context.Context, id int32, ld *state.Loader, from int64) (next int64, tombstones bool, err error) {
	next = from
	tp := TopicPartition{e.cfg.topic(TopicState), id}
	err = e.cfg.History.Read(ctx, tp, from, EndOfPartition, func(r *Record) error {
		next = r.Offset + 1
		if n := e.loaded[id].Add(1); n%1_000_000 == 0 {
			e.log.Info("restoring from the state topic", "shard", id, "records", n)
		}
		if r.Value == nil {
			tombstones = true
			return ld.Add(string(r.Key), nil, lead.Never)
		}
		due, err := lead.EncodedDue(r.Value)
		if err != nil {
			return fmt.Errorf("state topic, shard %d, offset %d: %w", id, r.Offset, err)
		}
		return ld.Add(string(r.Key), r.Value, due)
	})
	return next, tombstones, err
}
