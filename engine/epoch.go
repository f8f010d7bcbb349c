package engine

import (
	"slices"

	"leadstream/rules"
	"leadstream/state"
	"leadstream/state/lead"
)

// epoch is one transaction's worth of work over all shards of the process.
type epoch struct {
	opened int64 // wall clock
	shards []*shard
	parts  []*shardEpoch // of shards, same order, once sealed
	ends   []shardState  // their states after it
	slice  *slice
	fence  Fence
	tx     Transaction
	// journalAt is the index in tx.Records of the first journal record; one for each of shards follows.
	journalAt int
	journals  []*JournalRecord // not encoded yet
	bytes     int
}

func (ep *epoch) add(s *shard) {
	if !slices.Contains(ep.shards, s) {
		ep.shards = append(ep.shards, s)
	}
}

func (ep *epoch) full() bool {
	return slices.ContainsFunc(ep.shards, (*shard).full)
}

// urgent says that it has something to say that is not late already.
func (ep *epoch) urgent() bool { return slices.ContainsFunc(ep.shards, (*shard).speaks) }

// speaks says that the shard has something to say in the open epoch, and is not behind.
func (s *shard) speaks() bool { return len(s.ep.records) > 0 && !s.behind() }

// part takes out the shards that may wait, and returns them as an open epoch, nil if there are none.
func (ep *epoch) part(mayWait func(*shard) bool) *epoch {
	rest := &epoch{opened: ep.opened, fence: ep.fence}
	var now []*shard
	for _, s := range ep.shards {
		if mayWait(s) {
			rest.shards = append(rest.shards, s)
		} else {
			now = append(now, s)
		}
	}
	if ep.shards = now; len(rest.shards) == 0 {
		return nil
	}
	return rest
}

// behind says that all its shards are.
func (ep *epoch) behind() bool {
	return !slices.ContainsFunc(ep.shards, func(s *shard) bool { return !s.behind() })
}

// seal closes the epoch for changes: the shards may begin the next one. Their states become those that
// a commit publishes.
func (ep *epoch) seal(writer string, slots int, logic string, publish func(*rules.Set) []OutRecord) {
	slices.SortFunc(ep.shards, func(a, b *shard) int { return int(a.id) - int(b.id) })
	for _, s := range ep.shards {
		s.checkEpoch()
		ep.parts = append(ep.parts, s.ep)
		ep.ends = append(ep.ends, s.st)
		s.ep = nil
	}
	if ep.slice != nil {
		s := ep.slice.shard
		i := slices.Index(ep.shards, s)
		ep.slice.epoch, ep.slice.extra = ep.parts[i].number, s.encodeAhead(ep.slice)
		ep.slice.redo = s.redoPoint(ep.parts[i].number, len(ep.parts[i].touched) > 0)
	}
	most := 2 * len(ep.shards)
	for _, part := range ep.parts {
		most += len(part.records)
	}
	if ep.slice != nil {
		most += len(ep.slice.entries) + len(ep.slice.bars)
	}
	ep.tx.Records = make([]OutRecord, 0, most)
	for i := range ep.shards {
		stamp(ep.parts[i].records, ep.shards[i].id, ep.parts[i].number)
		ep.tx.Records = append(ep.tx.Records, ep.parts[i].records...)
		ep.tx.Records = append(ep.tx.Records, publish(ep.ends[i].rules)...)
		for _, p := range ep.ends[i].parts {
			if p.next >= 0 {
				ep.tx.Offsets = append(ep.tx.Offsets, Position{p.TopicPartition, p.next, p.leaderEpoch})
			}
		}
	}
	if ep.slice != nil {
		i := slices.Index(ep.shards, ep.slice.shard)
		cleaned := ep.slice.cleaned(ep.ends[i].salt)
		stamp(cleaned, ep.slice.shard.id, ep.slice.epoch)
		ep.tx.Records = append(ep.tx.Records, cleaned...)
		ep.tx.Records = append(ep.tx.Records, ep.slice.records()...)
	}
	ep.journalAt = len(ep.tx.Records)
	for i, s := range ep.shards {
		j := s.journal(ep.parts[i], &ep.ends[i])
		j.Unlaid = s.oldestUnlaid(ep.parts[i], ep.slice)
		j.Writer, j.Slots, j.Logic = writer, slots, logic
		ep.journals = append(ep.journals, j)
		ep.tx.Records = append(ep.tx.Records, OutRecord{Topic: TopicJournal, Partition: s.id})
	}
	ep.tx.Fence = ep.fence
}

// encode fills in the values of the state and journal records. It reads versions that nobody changes any more, so
// it may run beside the next epoch.
func (ep *epoch) encode() error {
	ep.encodeSlice()
	for i, j := range ep.journals {
		if j.Epoch%digestEvery == 0 {
			j.Digested, j.Digest = true, digest(j.Epoch, j.TickEnd, ep.parts[i].touched)
		}
		v, err := j.encode()
		if err != nil {
			return err
		}
		ep.tx.Records[ep.journalAt+i].Value = v
	}
	return nil
}

// encodedGuess is about how many bytes a lead's id and encoding take; a wrong guess costs a copy.
const encodedGuess = 384

func (ep *epoch) encodeSlice() {
	if ep.slice == nil {
		return
	}
	ep.bytes += ep.slice.encode(ep.tx.Records[ep.stateAt():ep.journalAt])
}

// stateAt is the index in tx.Records of the slice's first record.
func (ep *epoch) stateAt() int { return ep.journalAt - len(ep.slice.entries) - len(ep.slice.bars) }

// records are those of the state topic, without keys and values.
func (sl *slice) records() []OutRecord {
	out := make([]OutRecord, len(sl.entries)+len(sl.bars))
	for i := range out {
		out[i] = OutRecord{Topic: TopicState, Partition: sl.shard.id}
	}
	return out
}

// record returns whose record i of the slice is, and its version, nil for a tombstone.
func (sl *slice) record(i int) (id string, v *lead.Lead) {
	n := len(sl.entries)
	if i >= n {
		return sl.bars[i-n].id, sl.bars[i-n].version
	}
	x := &sl.entries[i]
	if x.tomb {
		return x.entry.id, nil
	}
	return x.entry.id, x.version
}

// encode fills in keys and values of the slice's records, and returns how many bytes the values have. All are in one
// buffer: one for each lead, grown step by step, were a sixth of all that the engine allocated.
func (sl *slice) encode(records []OutRecord) (bytes int) {
	buf, ends := make([]byte, 0, encodedGuess*len(records)), make([]int, 0, 2*len(records))
	for i := range records {
		id, v := sl.record(i)
		buf = append(buf, id...)
		ends = append(ends, len(buf))
		if v != nil {
			buf = lead.AppendEncode(buf, v)
		}
		ends = append(ends, len(buf))
	}
	from := 0
	for i := range records {
		key, value := ends[2*i], ends[2*i+1]
		records[i].Key = buf[from:key:key]
		if value > key {
			records[i].Value = buf[key:value:value]
		}
		bytes += value - key
		from = value
	}
	return bytes
}

// journal builds the record of one shard's epoch.
func (s *shard) journal(ep *shardEpoch, end *shardState) *JournalRecord {
	j := &JournalRecord{
		Version: journalVersion, Epoch: ep.number, Wall: end.wall, Cap: end.cap,
		TickStart: ep.start.tick, TickEnd: end.tick,
		Ranges: ep.ranges, Closed: end.closed, Rules: uint64(end.rules.ID()),
		Base: end.base, Watermark: end.sourceTime(), CaughtUp: s.atEnd(), Read: end.read, Sent: end.sent, Got: end.got,
		Redo: s.redoPoint(ep.number, len(ep.touched) > 0),
		Salt: end.salt, ErasedStart: ep.start.erased, ErasedEnd: end.erased, Shards: s.cfg.Shards, Moved: s.moved,
		OldSalts: end.oldSalts,
	}
	if from := &ep.start; from.oldRules != nil {
		j.OldRules, j.SwitchTick = uint64(from.oldRules.ID()), from.switchTick
		j.SweptFrom, j.SweptTo, j.SweepDone = from.sweptTo, end.sweptTo, end.oldRules == nil
	}
	if ep.cut {
		j.CutOn, j.CutDue, j.CutLead = true, ep.lastDue, ep.lastID
	}
	for i := range end.parts {
		p := &end.parts[i]
		j.Parts = append(j.Parts, JournalPart{
			Topic: p.Topic, Partition: p.Partition, WatermarkStart: ep.start.parts[i].watermark,
			Watermark: p.watermark, Floor: p.floor, Next: p.next, LeaderEpoch: p.leaderEpoch, TopicID: s.cfg.TopicIDs[p.Topic],
		})
	}
	return j
}

// publish makes a committed epoch what readers see.
func (s *shard) publish(ep *shardEpoch, end shardState) {
	s.done = end
	for _, t := range ep.touched {
		t.entry.committed.Store(t.lead)
		s.cache.resize(t.entry, t.lead)
		s.dirty.push(t.entry, ep.number)
		if t.lead.Gone && t.lead.UserID != "" {
			s.urgent = ep.number
		}
		s.noteGone(t.entry, t.lead)
	}
}

// rollback drops all that was done since the last committed epoch.
func (s *shard) rollback(eps ...*shardEpoch) {
	for _, ep := range eps {
		if ep == nil {
			continue
		}
		for _, t := range ep.touched {
			c := t.entry.committed.Load()
			if c == nil {
				if s.cache.byID[t.entry.id] == t.entry {
					s.timers.drop(&t.entry.timer)
					s.cache.remove(t.entry)
				}
				continue
			}
			t.entry.spec, t.entry.made = c, false
			switch {
			case t.entry.laid:
				s.leave(t.entry)
			case !c.Gone:
				s.timers.arm(t.entry, c.Due)
			}
		}
	}
	s.st, s.ep = s.done, nil
	s.watching = watching{}
	s.queue, s.at, s.sweep = nil, 0, nil
}

// stored is called when a slice is in the store too.
func (s *shard) stored(sl *slice) {
	for i := range sl.entries {
		x := &sl.entries[i]
		x.entry.storing--
		if x.version.Gone && !x.tomb {
			s.bury(x.entry)
		}
		s.laid(x)
		delete(s.ahead, x.entry.id)
	}
	s.barsDone(sl.bars, true)
}

// entities turns a slice into what the store writes; records are its state records.
func (sl *slice) entities(records []OutRecord) []state.Entity {
	out := make([]state.Entity, len(sl.entries), len(records))
	for i, x := range sl.entries {
		out[i] = state.Entity{ID: x.entry.id, Value: records[i].Value, Due: x.version.Due, OldDue: x.oldDue}
		if x.tomb {
			out[i].Due = lead.Never
		}
	}
	for i, c := range sl.bars {
		out = append(out, state.Entity{ID: c.id, Value: records[len(sl.entries)+i].Value, Due: c.due, OldDue: c.oldDue})
	}
	return out
}
