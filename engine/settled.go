package engine

import (
	"context"
	"fmt"
	"slices"

	"leadstream/state/lead"
)

// Journal is the record that a copy of a shard begins with: of the cut's epoch, with nothing to be done again. nil when
// nothing was ever committed for the shard, which then begins as any new one.
func (x *Snapshot) Journal(id int32) *JournalRecord {
	s := x.shards[id]
	if s.done.epoch == 0 {
		return nil
	}
	st := &s.done
	j := &JournalRecord{
		Version: journalVersion, Epoch: st.epoch, Wall: st.wall, Cap: st.cap, TickStart: st.tick, TickEnd: st.tick,
		Closed: slices.Clone(st.closed), Rules: uint64(st.rules.ID()), SwitchTick: st.switchTick, Base: st.base, Watermark: st.sourceTime(),
		Read: st.read, Sent: slices.Clone(st.sent), Got: slices.Clone(st.got), Redo: st.epoch, Salt: slices.Clone(st.salt), OldSalts: st.oldSalts,
		ErasedStart: st.erased, ErasedEnd: st.erased, Unlaid: s.oldestUnlaid(&shardEpoch{}, nil),
		Shards: x.e.cfg.Shards, Writer: copyist,
	}
	if st.oldRules != nil {
		j.OldRules, j.SweptFrom, j.SweptTo = uint64(st.oldRules.ID()), st.sweptTo, st.sweptTo
	}
	for i := range st.parts {
		p := &st.parts[i]
		j.Parts = append(j.Parts, JournalPart{Topic: p.Topic, Partition: p.Partition, WatermarkStart: p.watermark, Watermark: p.watermark,
			Floor: noTime, Next: p.next, LeaderEpoch: p.leaderEpoch, TopicID: x.e.cfg.TopicIDs[p.Topic]})
	}
	return j
}

// copyist is the writer that the records of copies name. It has no transactions.
const copyist = "copy"

// Entities calls fn with all entities of a shard, encoded, by ascending id. fn may not keep value.
func (x *Snapshot) Entities(id int32, fn func(id string, value []byte) error) error {
	err := x.e.cfg.Store.Each(id, "", func(id string, value []byte) (bool, error) { return true, fn(id, value) })
	if err != nil {
		return fmt.Errorf("reading the copy of shard %d: %w", id, err)
	}
	return nil
}

// Inbox calls fn with what was sent to a shard up to the cut, or comes from outside, and was not applied by then. A command
// without a time gets the one at which it was written.
func (x *Snapshot) Inbox(ctx context.Context, id int32, fn func(*Record) error) error {
	from := StartOfPartition
	if st := &x.shards[id].done; len(st.parts) > 0 {
		from = st.parts[0].next
	}
	return x.sent(ctx, TopicPartition{x.e.cfg.topic(TopicInbox), id}, from, func(r *Record) error {
		m, err := DecodeMessage(r.Value)
		if err != nil || m.Kind != MessageCommand || m.Command.Time != 0 {
			return fn(r) //nolint:nilerr // it becomes a dead letter when it is applied
		}
		c := *r
		m.Command.Time = r.Timestamp
		if c.Value, err = m.encode(); err != nil {
			return err
		}
		return fn(&c)
	})
}

// Audit calls fn with the records of a shard's audit topic up to the cut.
func (x *Snapshot) Audit(ctx context.Context, id int32, fn func(*Record) error) error {
	return x.sent(ctx, TopicPartition{x.e.cfg.topic(TopicAudit), id}, StartOfPartition, fn)
}

// sent reads what is in a partition and does not come from an epoch after the cut.
func (x *Snapshot) sent(ctx context.Context, tp TopicPartition, from int64, fn func(*Record) error) error {
	err := x.e.cfg.History.Read(ctx, tp, from, EndOfPartition, func(r *Record) error {
		if a, k, ok := origin(r); ok && (int(a) >= len(x.cut) || k > x.cut[a]) {
			return nil
		}
		return fn(r)
	})
	if err != nil {
		return fmt.Errorf("copying %s/%d: %w", tp.Topic, tp.Partition, err)
	}
	return nil
}

// RuleSets calls fn with the records of the rules topic. They may be of after the cut: a rule set that is not in force yet
// comes into force later.
func (x *Snapshot) RuleSets(ctx context.Context, fn func(*Record) error) error {
	tp := TopicPartition{x.e.cfg.topic(TopicRules), 0}
	if err := x.e.cfg.History.Read(ctx, tp, StartOfPartition, EndOfPartition, fn); err != nil {
		return fmt.Errorf("copying %s: %w", tp.Topic, err)
	}
	return nil
}

// Encode returns the record's value.
func (j *JournalRecord) Encode() ([]byte, error) { return j.encode() }

// Renumber makes the records of copies those of a later epoch than any that the application has come to so far, wall being the
// wall clock in ms: epochs take longer. So what is left of a run before, in a local store or a second copy of
// the same snapshot, is never taken for this one's.
func Renumber(js []*JournalRecord, wall int64) {
	epoch := uint64(max(0, wall))
	for _, j := range js {
		if j != nil {
			epoch = max(epoch, j.Epoch+1)
		}
	}
	for _, j := range js {
		if j != nil {
			j.Epoch, j.Redo = epoch, epoch
		}
	}
}

// Tick is the shard's time in ms after the epoch, false when it has none yet.
func (j *JournalRecord) Tick() (int64, bool) { return j.TickEnd, j.TickEnd != noTime }

// CheckEntity returns what is wrong with an encoded entity that is to be written to a state topic under id, of a shard whose
// last epoch is given.
func CheckEntity(id string, value []byte, epoch uint64) error {
	var l lead.Lead
	if err := lead.Decode(value, &l); err != nil {
		return fmt.Errorf("decoding an entity: %w", err)
	}
	if l.ID != id {
		return fmt.Errorf("an entity is not the one of its key: %w", ErrDisagree)
	}
	if l.Epoch > epoch {
		return fmt.Errorf("an entity is of epoch %d, its shard of %d: %w", l.Epoch, epoch, ErrDisagree)
	}
	return nil
}
