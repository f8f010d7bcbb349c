package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"leadstream/state/lead"
)

// redoChunk bounds the source records held in memory while epochs are applied again. Tests lower it.
var redoChunk = 50_000

// newShard makes an empty shard.
func (e *Engine) newShard(id int32) *shard {
	s := &shard{
		id: id, cfg: &e.cfg, sources: e.sources, decoders: make(map[string]Decoder, len(e.sources)),
		cache: newCache(), timers: newTimers(), live: make(map[TopicPartition]*liveness), ruleSet: e.ruleSet, newer: e.newerRules, active: &e.active,
		unlaid: map[*entry]uint64{}, laying: map[string]int{}, maxTouched: minTouched,
	}
	for topic, src := range e.sources {
		s.decoders[topic] = src.NewDecoder()
	}
	s.st = shardState{tick: noTime, cap: lead.Never, wall: noTime, rules: e.active.Load()}
	return s
}

// restore brings a shard to the state of its last committed epoch. It runs beside the shards that are live.
func (e *Engine) restore(ctx context.Context, a *arrival) (_ *shard, err error) {
	id := a.id
	jtp := TopicPartition{e.cfg.topic(TopicJournal), id}
	// The writer before may have died with a transaction open: freeing it takes milliseconds, waiting
	// for its time-out takes seconds.
	before, err := e.lastJournal(ctx, jtp, CommittedEnd)
	if err != nil {
		return nil, err
	}
	a.laps.lap("before_ms")
	if before != nil {
		if err := e.fence(ctx, a.fences, before); err != nil {
			return nil, fmt.Errorf("fencing the writer of shard %d before: %w", id, err)
		}
	}
	a.laps.lap("fence_ms")
	s := e.newShard(id)
	offsets, err := e.cfg.History.Committed(ctx, e.wantedParts(id))
	if err != nil {
		return nil, fmt.Errorf("reading the group's offsets of shard %d: %w", id, err)
	}
	a.laps.lap("offsets_ms")
	jr, err := e.readJournal(ctx, jtp, EndOfPartition)
	if err != nil {
		return nil, err
	}
	a.laps.lap("journal_ms")
	defer func() { err = e.unlessMovedOn(ctx, jtp, jr.last, err) }()
	if jr.last == nil {
		return s, e.startEmpty(ctx, s, offsets)
	}
	if err := e.sameShards(id, jr.last); err != nil {
		return nil, err
	}
	if err := e.sameTopics(id, jr.last); err != nil {
		return nil, err
	}
	if s, err = e.rebuild(ctx, s, jtp, jr, jr.last.Epoch); err != nil {
		return nil, err
	}
	a.laps.lap("redo_ms")
	return s, e.place(s, offsets, before)
}

// place compares a restored shard's places with the group's offsets, before being the last record that was committed when
// they were asked for, and makes its inputs those that are configured now.
func (e *Engine) place(s *shard, offsets map[TopicPartition]int64, before *JournalRecord) error {
	for i := range s.st.parts {
		p := &s.st.parts[i]
		if at, ok := offsets[p.TopicPartition]; ok && at != p.next {
			if before == nil || s.st.epoch != before.Epoch {
				// Someone commits epochs: the shard is another's by now, and this process has yet to hear of it.
				return fmt.Errorf("the group's offset of %s/%d is %d and its journal has gone on to epoch %d meanwhile", p.Topic, p.Partition, at, s.st.epoch)
			}
			return fmt.Errorf("the group's offset of %s/%d is %d, the journal says %d: someone has reset the group's offsets; set them back, or start a new application name to process the topic again: %w",
				p.Topic, p.Partition, at, p.next, ErrDisagree)
		}
	}
	s.reconcile(e.wantedParts(s.id))
	for i := range s.st.parts {
		// The journal's last record does not name a source that was away for a while; the group knows
		// where it was left.
		if p := &s.st.parts[i]; p.next == StartOfPartition {
			if at, ok := offsets[p.TopicPartition]; ok {
				p.next = at
			}
		}
	}
	s.done = s.st
	return nil
}

// unlessMovedOn looks again when a shard's journal and the cluster disagree. A process that stood still may have lost the shard
// without having heard of it: another commits on it while this one restores it, and what it reads is of different
// moments. That is no reason to stop: the group is about to say so.
func (e *Engine) unlessMovedOn(ctx context.Context, jtp TopicPartition, last *JournalRecord, err error) error {
	if !errors.Is(err, ErrDisagree) {
		return err
	}
	now, jerr := e.readJournal(ctx, jtp, CommittedEnd)
	if jerr != nil || now.last == nil || last != nil && now.last.Epoch == last.Epoch {
		return err
	}
	return fmt.Errorf("another process commits on shard %d while it is restored here: %s", jtp.Partition, err.Error())
}

func (e *Engine) startEmpty(ctx context.Context, s *shard, offsets map[TopicPartition]int64) error {
	for tp, at := range offsets {
		return fmt.Errorf("the group has committed offset %d of %s/%d, but shard %d has no journal: the journal topic was deleted, a restore did not come to its end, or another program uses this group: %w", at, tp.Topic, tp.Partition, s.id, ErrDisagree)
	}
	if err := e.noState(ctx, s.id); err != nil {
		return err
	}
	if err := e.cfg.Store.Drop(s.id); err != nil {
		return fmt.Errorf("clearing shard %d: %w", s.id, err)
	}
	s.reconcile(e.wantedParts(s.id))
	s.done = s.st
	return nil
}

// rebuild restores from the local store if that can be done, else from the state topic, and does no epochs after one.
func (e *Engine) rebuild(ctx context.Context, s *shard, jtp TopicPartition, jr *journalEnds, upTo uint64) (*shard, error) {
	meta, ok, err := e.cfg.Store.Meta(s.id)
	if err != nil {
		return nil, fmt.Errorf("opening shard %d in the store: %w", s.id, err)
	}
	if ok {
		switch {
		case meta.Epoch > jr.last.Epoch:
			e.log.Warn("local store is ahead of the journal and is discarded", "shard", s.id, "store_epoch", meta.Epoch, "journal_epoch", jr.last.Epoch)
		case meta.Redo+1 < jr.first && meta.Redo != jr.last.Epoch:
			e.log.Info("local store is older than the journal reaches back and is discarded", "shard", s.id, "store_redo", meta.Redo, "journal_first", jr.first)
		default:
			s.storedTo = meta.Epoch
			if err := s.readAhead(meta); err != nil {
				return nil, err
			}
			err := e.redoFrom(ctx, s, jtp, jr.last, span{meta.Redo, upTo})
			switch {
			case errors.Is(err, ErrDiverged):
				e.m.diverged.Inc()
				e.log.Error("the local store does not lead to what was journaled: restoring from the state topic", "shard", s.id, "reason", err)
			case errors.Is(err, ErrGap):
				e.log.Warn("the local store needs records that are gone: restoring from the state topic", "shard", s.id, "reason", err)
			case err != nil:
				return nil, err
			default:
				return s, s.findGraves()
			}
			s = e.newShard(s.id)
		}
	}
	last, err := e.loadState(ctx, s, jtp, jr.last)
	if err != nil {
		return nil, err
	}
	if err := e.redoFrom(ctx, s, jtp, last, span{last.Redo, max(upTo, last.Epoch)}); err != nil {
		return nil, err
	}
	return s, s.findGraves()
}

// journalEnds are the ends of a shard's journal.
type journalEnds struct {
	first uint64
	last  *JournalRecord
}

// errEnough ends a read of which no more is needed.
var errEnough = errors.New("enough")

// readJournal returns the ends of a shard's journal up to `to`.
func (e *Engine) readJournal(ctx context.Context, tp TopicPartition, to int64) (*journalEnds, error) {
	var ends journalEnds
	var err error
	if ends.last, err = e.lastJournal(ctx, tp, to); err != nil || ends.last == nil {
		return &ends, err
	}
	err = e.cfg.History.Read(ctx, tp, StartOfPartition, to, func(r *Record) error {
		j, err := DecodeJournal(r.Value)
		if err != nil {
			return fmt.Errorf("%s/%d offset %d: %w", tp.Topic, tp.Partition, r.Offset, err)
		}
		ends.first = j.Epoch
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("reading the journal of shard %d: %w", tp.Partition, err)
	}
	return &ends, nil
}

// lastJournal returns the last record of a shard's journal before `to`, nil if there is none.
func (e *Engine) lastJournal(ctx context.Context, tp TopicPartition, to int64) (last *JournalRecord, err error) {
	var value []byte
	err = e.cfg.History.Read(ctx, tp, LastOfPartition, to, func(r *Record) error {
		value = r.Value
		return nil
	})
	if err == nil && value != nil {
		last, err = DecodeJournal(value)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal of shard %d: %w", tp.Partition, err)
	}
	return last, nil
}

// span are the epochs after the first up to the second.
type span struct{ after, upTo uint64 }

// anyEpoch is an end of a span that is none.
const anyEpoch = ^uint64(0)

// redoFrom applies epochs again; last is the record of the last one that is known of.
func (e *Engine) redoFrom(ctx context.Context, s *shard, jtp TopicPartition, last *JournalRecord, epochs span) error {
	s.journalNext = StartOfPartition
	n, err := e.redoTail(ctx, s, jtp, epochs, EndOfPartition)
	if err != nil {
		return err
	}
	if n != nil {
		last = n // a standby's owner goes on meanwhile
		e.log.Info("shard redone", "shard", s.id, "epochs", last.Epoch-epochs.after, "leads_cached", len(s.cache.byID))
	} else {
		s.cleanAt = last.Epoch
	}
	return e.arrive(s, last)
}

// arrive takes over from the record of the shard's last epoch what only that knows.
func (e *Engine) arrive(s *shard, last *JournalRecord) (err error) {
	if s.st.epoch != 0 && s.st.epoch != last.Epoch {
		return fmt.Errorf("redo of shard %d came to epoch %d, the journal ends at %d: %w", s.id, s.st.epoch, last.Epoch, ErrDisagree)
	}
	s.st, err = s.stateAfter(last)
	s.done, s.journaled = s.st, last
	return err
}

// redoTail applies epochs again, in the journal from where this shard has read it to `to`. It returns the
// last record applied, nil if there was nothing to do. After an error of reading, the shard is as of some epoch.
func (e *Engine) redoTail(ctx context.Context, s *shard, jtp TopicPartition, epochs span, to int64) (last *JournalRecord, err error) {
	var chunk []*JournalRecord
	var next int64
	n, started := 0, s.st.epoch != 0
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		err := e.redoChunk(ctx, s, chunk)
		if err == nil {
			last, s.journalNext = chunk[len(chunk)-1], next
			s.journaled = last
			e.m.redone.Add(float64(len(chunk)))
		}
		chunk, n = chunk[:0], 0
		return err
	}
	err = e.cfg.History.Read(ctx, jtp, s.journalNext, to, func(r *Record) error {
		j, err := DecodeJournal(r.Value)
		if err != nil {
			return err
		}
		if j.Epoch <= epochs.after || j.Epoch > epochs.upTo {
			return nil
		}
		if !started {
			if j.Epoch != epochs.after+1 {
				return fmt.Errorf("the journal of shard %d begins at epoch %d, redo needs %d: %w", s.id, j.Epoch, epochs.after+1, ErrGap)
			}
			started = true
			s.st = s.stateBefore(j)
		}
		chunk, next = append(chunk, j), r.Offset+1
		for _, rg := range j.Ranges {
			n += rg.Count
		}
		if n >= redoChunk || len(chunk) >= 4096 {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return nil, fmt.Errorf("redoing shard %d: %w", s.id, err)
	}
	return last, nil
}

// redoChunk applies some journal records, reading each partition once.
func (e *Engine) redoChunk(ctx context.Context, s *shard, chunk []*JournalRecord) error {
	type part struct{ from, to int64 }
	spans := map[TopicPartition]part{}
	var order []TopicPartition
	for _, j := range chunk {
		for _, r := range j.Ranges {
			tp := TopicPartition{j.Parts[r.Part].Topic, j.Parts[r.Part].Partition}
			sp, ok := spans[tp]
			if !ok {
				order = append(order, tp)
				sp = part{r.From, r.Next}
			}
			spans[tp] = part{min(sp.from, r.From), max(sp.to, r.Next)}
		}
	}
	recs := map[TopicPartition][]Record{}
	for _, tp := range order {
		sp := spans[tp]
		if sp.from >= sp.to {
			continue
		}
		err := e.cfg.History.Read(ctx, tp, sp.from, sp.to, func(r *Record) error {
			recs[tp] = append(recs[tp], *r)
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading %s/%d again from offset %d to %d: %w", tp.Topic, tp.Partition, sp.from, sp.to, err)
		}
	}
	for _, j := range chunk {
		err := s.redoEpoch(j, func(r JournalRange) ([]Record, error) {
			all := recs[TopicPartition{j.Parts[r.Part].Topic, j.Parts[r.Part].Partition}]
			cmp := func(x Record, off int64) int {
				switch {
				case x.Offset < off:
					return -1
				case x.Offset > off:
					return 1
				}
				return 0
			}
			a, _ := slices.BinarySearchFunc(all, r.From, cmp)
			b, _ := slices.BinarySearchFunc(all, r.Next, cmp)
			return all[a:b], nil
		})
		if err != nil {
			s.broken = true
			return err
		}
	}
	return nil
}

// wantedParts are the input partitions of a shard as configured: its inbox first, then by topic and partition.
func (e *Engine) wantedParts(id int32) []TopicPartition {
	parts := []TopicPartition{{e.cfg.topic(TopicInbox), id}}
	e.mu.RLock()
	defer e.mu.RUnlock()
	topics := make([]string, 0, len(e.sources))
	for t := range e.sources {
		topics = append(topics, t)
	}
	slices.Sort(topics)
	for _, t := range topics {
		for p := id; p < e.partitions[t]; p += e.cfg.Shards {
			parts = append(parts, TopicPartition{t, p})
		}
	}
	return parts
}

// reconcile makes the shard's inputs those that are configured now; places that it knows are kept.
func (s *shard) reconcile(want []TopicPartition) {
	old := s.st.parts
	s.st.parts = nil
	for _, tp := range want {
		p := part{TopicPartition: tp, source: s.sources[tp.Topic], next: StartOfPartition, watermark: noTime, floor: noTime, leaderEpoch: -1}
		if i := slices.IndexFunc(old, func(o part) bool { return o.TopicPartition == tp }); i >= 0 {
			p = old[i]
		} else if p.source != nil && s.st.epoch > 0 {
			// One that is new begins where the shard is: it takes it neither back nor on, and while it is empty it follows the
			// wall clock at once if the shard does.
			p.watermark = s.st.tick
		}
		s.st.parts = append(s.st.parts, p)
	}
}
