package engine

import (
	"fmt"
	"slices"

	"leadstream/state/lead"
)

// redo is recovery's way of running a shard: inputs, ticks and borders come from a journal record,
// entities that are stored at this epoch or later are skipped, and nothing is put out.
type redo struct {
	rec    *JournalRecord
	inputs int      // records in all ranges of rec
	aside  []*entry // due in the eyes of a later version: not this epoch's to fire
}

// stopsBefore says whether firing ended before t when the epoch ran first.
func (r *redo) stopsBefore(ep *shardEpoch, t *timer) bool {
	if !r.rec.CutOn || ep.inputs < r.inputs {
		return false
	}
	return !t.before(r.rec.CutDue, r.rec.CutLead) && (t.due != r.rec.CutDue || t.id != r.rec.CutLead)
}

// putAside takes a skipped lead's hint out of the way until the epoch is done.
func (r *redo) putAside(s *shard, e *entry) {
	s.timers.drop(&e.timer)
	r.aside = append(r.aside, e)
}

// redoEpoch applies one journal record. read returns the records of one of its ranges.
func (s *shard) redoEpoch(j *JournalRecord, read func(JournalRange) ([]Record, error)) error {
	s.redo = &redo{rec: j}
	defer func() { s.redo = nil }()
	for _, r := range j.Ranges {
		s.redo.inputs += r.Count
	}
	if j.Epoch != s.st.epoch+1 {
		return fmt.Errorf("journal of shard %d goes from epoch %d to %d: %w", s.id, s.st.epoch, j.Epoch, ErrDisagree)
	}
	s.adoptParts(j)
	c := clockInput{wall: j.Wall, cap: j.Cap, base: j.Base, floors: make([]int64, len(s.st.parts))}
	for i := range j.Parts {
		c.floors[i] = j.Parts[i].Floor
	}
	if err := s.setRules(&s.st, j, j.SweptFrom, true); err != nil {
		return err
	}
	s.begin(c)
	if err := s.sweepSome(); err != nil {
		return err
	}
	if _, err := s.fireDue(); err != nil {
		return err
	}
	for _, r := range j.Ranges {
		if err := s.redoRange(j, r, read); err != nil {
			return err
		}
	}
	for _, e := range s.redo.aside {
		s.timers.arm(e, e.spec.Due)
	}
	if s.st.tick != j.TickEnd {
		return fmt.Errorf("redo of epoch %d of shard %d ends at tick %d, the journal says %d: %w", j.Epoch, s.id, s.st.tick, j.TickEnd, ErrDisagree)
	}
	s.st.read, s.st.sent, s.st.got = j.Read, slices.Clone(j.Sent), slices.Clone(j.Got)
	if s.st.erased != j.ErasedEnd {
		return fmt.Errorf("redo of epoch %d of shard %d counts %d erasures, the journal says %d: %w", j.Epoch, s.id, s.st.erased, j.ErasedEnd, ErrDisagree)
	}
	ep, end := s.ep, s.st
	if err := s.checkDigest(j, ep); err != nil {
		return err
	}
	s.checkEpoch()
	s.ep = nil
	s.publish(ep, end)
	return nil
}

func (s *shard) redoRange(j *JournalRecord, r JournalRange, read func(JournalRange) ([]Record, error)) error {
	p := &s.st.parts[r.Part]
	recs, err := read(r)
	if err != nil {
		return err
	}
	if p.source != nil && s.decoders[p.Topic] == nil {
		return fmt.Errorf("epoch %d of shard %d read topic %s, which is no longer a source: configure it again until a clean stop: %w", j.Epoch, s.id, p.Topic, ErrDisagree)
	}
	p.next = r.From
	f := Fetch{TopicPartition: p.TopicPartition, From: r.From, Next: r.Next, LeaderEpoch: j.Parts[r.Part].LeaderEpoch, Records: recs}
	s.at = 0
	if _, err := s.runFetch(r.Part, &f); err != nil {
		return err
	}
	s.at = 0
	got := s.ep.ranges[len(s.ep.ranges)-1]
	if got != r {
		return fmt.Errorf("redo of epoch %d of shard %d: %s/%d offsets %d to %d hold %d records with checksum %08x, the journal says offsets %d to %d, %d records, %08x: the topic was changed: %w",
			j.Epoch, s.id, p.Topic, p.Partition, got.From, got.Next, got.Count, got.Sum, r.From, r.Next, r.Count, r.Sum, ErrDisagree)
	}
	return nil
}

// adoptParts takes over the record's input partitions: sources come and go between two epochs.
func (s *shard) adoptParts(j *JournalRecord) {
	old := s.st.parts
	s.st.parts = make([]part, 0, len(j.Parts))
	for _, jp := range j.Parts {
		p := part{TopicPartition: TopicPartition{jp.Topic, jp.Partition}, source: s.sources[jp.Topic], next: jp.Next, watermark: jp.WatermarkStart, floor: noTime, leaderEpoch: -1}
		if i := slices.IndexFunc(old, func(o part) bool { return o.TopicPartition == p.TopicPartition }); i >= 0 {
			p = old[i]
		}
		s.st.parts = append(s.st.parts, p)
	}
}

// setRules makes st follow the rule sets of a journal record.
func (s *shard) setRules(st *shardState, j *JournalRecord, sweptTo string, switching bool) (err error) {
	if st.rules, err = s.ruleSet(lead.RuleSetID(j.Rules)); err != nil {
		return err
	}
	st.oldRules, st.switchTick, st.sweptTo = nil, j.SwitchTick, ""
	if j.OldRules != 0 && switching {
		st.sweptTo = sweptTo
		st.oldRules, err = s.ruleSet(lead.RuleSetID(j.OldRules))
	}
	return err
}

// stateBefore is the shard's state as epoch j began, but for its rules.
func (s *shard) stateBefore(j *JournalRecord) shardState {
	st := shardState{epoch: j.Epoch - 1, tick: j.TickStart, cap: j.Cap, wall: j.Wall, base: j.Base, closed: slices.Clone(j.Closed),
		salt: slices.Clone(j.Salt), oldSalts: j.OldSalts, erased: j.ErasedStart}
	for i, jp := range j.Parts {
		p := part{TopicPartition: TopicPartition{jp.Topic, jp.Partition}, source: s.sources[jp.Topic],
			next: jp.Next, watermark: jp.WatermarkStart, floor: noTime, leaderEpoch: jp.LeaderEpoch}
		for _, r := range j.Ranges {
			if r.Part == i {
				p.next = r.From
				break
			}
		}
		st.parts = append(st.parts, p)
	}
	return st
}

// stateAfter is the shard's state as epoch j ended.
func (s *shard) stateAfter(j *JournalRecord) (shardState, error) {
	st := s.stateBefore(j)
	st.epoch, st.tick, st.erased = j.Epoch, j.TickEnd, j.ErasedEnd
	st.read, st.sent, st.got = j.Read, slices.Clone(j.Sent), slices.Clone(j.Got)
	for i, jp := range j.Parts {
		st.parts[i].watermark, st.parts[i].next = jp.Watermark, jp.Next
	}
	return st, s.setRules(&st, j, j.SweptTo, !j.SweepDone)
}
