package enginetest

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// Replayer replays journals with none of the engine's machinery: no epochs, cache, store or hints, one
// shard after another. It shares only the rules and the decoders.
type Replayer struct {
	App     string
	Shards  int32
	Sources []engine.SourceConfig
	// Rules is the rule set that the first epochs followed; Switched are those that journals switch to.
	Rules    *rules.Set
	Switched []*rules.Set
	History  engine.History
}

func (r *Replayer) ruleSet(id uint64) (*rules.Set, error) {
	for _, x := range append([]*rules.Set{r.Rules}, r.Switched...) {
		if uint64(x.ID()) == id {
			return x, nil
		}
	}
	return nil, fmt.Errorf("a journal names rule set %016x, which the replay was not given", id)
}

// World is what a replay arrives at.
type World struct {
	// Leads are all leads by id.
	Leads map[string]*lead.Lead
	// Outputs are the values put out by topic and shard, in order.
	Outputs map[engine.Topic]map[int32][][]byte
	// Sent counts the inbox messages by shard they were sent to and value.
	Sent map[int32]map[string]int
	// Next is the position the journals end at, by input partition.
	Next map[engine.TopicPartition]int64
	// Epochs and Records count what was replayed.
	Epochs, Records int
}

// Run replays all shards. The journals must not have been cut.
func (r *Replayer) Run(ctx context.Context) (*World, error) {
	w := &World{
		Leads: map[string]*lead.Lead{}, Outputs: map[engine.Topic]map[int32][][]byte{},
		Sent: map[int32]map[string]int{}, Next: map[engine.TopicPartition]int64{},
	}
	for s := range r.Shards {
		sr := &shardReplay{r: r, w: w, id: s, tick: math.MinInt64, marks: map[engine.TopicPartition]int64{},
			leads: map[string]*lead.Lead{}, dec: map[string]engine.Decoder{}, src: map[string]engine.SourceConfig{}}
		for _, src := range r.Sources {
			sr.dec[src.Topic], sr.src[src.Topic] = src.NewDecoder(), src
		}
		tp := engine.TopicPartition{Topic: engine.TopicName(r.App, engine.TopicJournal), Partition: s}
		err := r.History.Read(ctx, tp, engine.StartOfPartition, engine.EndOfPartition, func(rec *engine.Record) error {
			j, err := engine.DecodeJournal(rec.Value)
			if err != nil {
				return err
			}
			return sr.epoch(ctx, j)
		})
		if err != nil {
			return nil, fmt.Errorf("replaying shard %d: %w", s, err)
		}
	}
	return w, nil
}

type shardReplay struct {
	r      *Replayer
	w      *World
	id     int32
	last   uint64
	tick   int64
	marks  map[engine.TopicPartition]int64
	leads  map[string]*lead.Lead
	dues   dueHeap
	rules  *rules.Set
	old    *rules.Set // while a switch is worked off
	moved  int64      // the switch's tick
	ev     *rules.Evaluator
	dec    map[string]engine.Decoder
	src    map[string]engine.SourceConfig
	event  lead.Event
	sentTo map[int32]int64
	salt   []byte
	erased uint32
	gone   map[string]*lead.Lead // the last versions of nodes that are gone
}

func (s *shardReplay) epoch(ctx context.Context, j *engine.JournalRecord) error {
	if j.Epoch != s.last+1 {
		return fmt.Errorf("epoch %d follows %d", j.Epoch, s.last)
	}
	s.last = j.Epoch
	s.w.Epochs++
	left := 0
	for _, rg := range j.Ranges {
		left += rg.Count
	}
	for _, p := range j.Parts {
		tp := engine.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		if _, known := s.marks[tp]; !known && s.last > 1 && p.WatermarkStart == j.TickStart {
			s.marks[tp] = p.WatermarkStart // a partition that is new begins where the shard is
		}
	}
	if s.tick != j.TickStart {
		return fmt.Errorf("epoch %d starts at tick %d, replay is at %d", j.Epoch, j.TickStart, s.tick)
	}
	if err := s.follow(j); err != nil {
		return err
	}
	s.advance(j)
	if j.OldRules != 0 {
		s.sweep(j)
	}
	s.fire(j, left == 0)
	for _, rg := range j.Ranges {
		p := j.Parts[rg.Part]
		tp := engine.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		if at, ok := s.w.Next[tp]; ok && at != rg.From {
			return fmt.Errorf("epoch %d reads %s/%d from %d, the epoch before ended at %d", j.Epoch, tp.Topic, tp.Partition, rg.From, at)
		}
		s.w.Next[tp] = rg.Next
		n, sum := 0, uint32(0)
		err := s.r.History.Read(ctx, tp, rg.From, rg.Next, func(rec *engine.Record) error {
			n++
			left--
			s.w.Records++
			sum = crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), rec.Value)
			if err := s.record(j, tp, rec); err != nil {
				return err
			}
			s.advance(j)
			s.fire(j, left == 0)
			return nil
		})
		if err != nil {
			return err
		}
		if n != rg.Count || sum != rg.Sum {
			return fmt.Errorf("epoch %d: %s/%d %d to %d holds %d records (%08x), journaled %d (%08x)", j.Epoch, tp.Topic, tp.Partition, rg.From, rg.Next, n, sum, rg.Count, rg.Sum)
		}
	}
	if s.tick != j.TickEnd {
		return fmt.Errorf("epoch %d ends at tick %d, replay at %d", j.Epoch, j.TickEnd, s.tick)
	}
	return nil
}

// follow takes over the epoch's rule sets.
func (s *shardReplay) follow(j *engine.JournalRecord) (err error) {
	if s.rules == nil || uint64(s.rules.ID()) != j.Rules {
		if s.rules != nil && (j.OldRules != uint64(s.rules.ID()) || j.SweptFrom != "" || j.SwitchTick != s.tick) {
			return fmt.Errorf("epoch %d follows rule set %016x, the one before %016x, with no switch between", j.Epoch, j.Rules, uint64(s.rules.ID()))
		}
		if s.rules, err = s.r.ruleSet(j.Rules); err != nil {
			return err
		}
		s.ev = s.rules.NewEvaluator()
		for _, d := range s.dec {
			d.LimitFuture(s.rules.MaxFuture())
		}
	}
	s.old, s.moved = nil, j.SwitchTick
	if j.OldRules != 0 {
		s.old, err = s.r.ruleSet(j.OldRules)
	}
	return err
}

// sweep brings the leads that the epoch looked at under the new rule set, in order of their ids.
func (s *shardReplay) sweep(j *engine.JournalRecord) {
	var ids []string
	for id := range s.leads {
		if id > j.SweptFrom && (j.SweepDone || id <= j.SweptTo) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		s.migrate(s.leads[id])
	}
}

// migrate brings a lead under the rule set in force if it is not yet.
func (s *shardReplay) migrate(l *lead.Lead) {
	if l.Rules != s.rules.ID() {
		s.put(s.ev.Migrate(l, s.old, max(s.moved, l.Clock), nil))
		s.armed(l)
	}
}

func (s *shardReplay) mark(tp engine.TopicPartition) int64 {
	if m, ok := s.marks[tp]; ok {
		return m
	}
	return math.MinInt64
}

func (s *shardReplay) advance(j *engine.JournalRecord) {
	low, any := int64(math.MaxInt64), false
	for _, p := range j.Parts {
		if _, source := s.src[p.Topic]; source {
			any = true
			low = min(low, max(p.Floor, s.mark(engine.TopicPartition{Topic: p.Topic, Partition: p.Partition})))
		}
	}
	if !any {
		low = j.Base
	}
	s.tick = max(s.tick, min(j.Cap, low))
}

// fire fires what is due at the tick, in order; in the epoch's last gap no further than it was cut.
func (s *shardReplay) fire(j *engine.JournalRecord, lastGap bool) {
	for s.dues.Len() > 0 && s.dues[0].due <= s.tick {
		d := s.dues[0]
		if lastGap && j.CutOn && (d.due > j.CutDue || d.due == j.CutDue && d.id > j.CutLead) {
			return
		}
		heap.Pop(&s.dues)
		l := s.leads[d.id]
		if l == nil || l.Due != d.due {
			continue
		}
		s.migrate(l)
		s.put(s.ev.Fire(l, d.due, nil))
		s.armed(l)
	}
}

func (s *shardReplay) armed(l *lead.Lead) {
	if l.Due != lead.Never {
		heap.Push(&s.dues, due{l.Due, l.ID})
	}
}

func (s *shardReplay) put(outs []lead.Output) {
	s.letters(nil) // what timers wrote
	for i := range outs {
		t := engine.TopicTransitions
		if outs[i].Kind == lead.HandOff {
			t = engine.TopicHandoffs
		}
		s.out(t, lead.AppendJSON(nil, &outs[i]))
	}
}

func (s *shardReplay) out(t engine.Topic, value []byte) {
	if s.w.Outputs[t] == nil {
		s.w.Outputs[t] = map[int32][][]byte{}
	}
	s.w.Outputs[t][s.id] = append(s.w.Outputs[t][s.id], value)
}

func (s *shardReplay) record(j *engine.JournalRecord, tp engine.TopicPartition, r *engine.Record) error {
	src, ok := s.src[tp.Topic]
	if !ok {
		return s.message(j, r)
	}
	if err := s.dec[tp.Topic].Decode(r, j.Wall, &s.event); err != nil {
		var d *engine.DeadLetter
		if !errors.As(err, &d) {
			return err
		}
		s.out(engine.TopicDeadletter, r.Value)
		return nil
	}
	s.event.Source, s.event.History = src.Name, src.History
	s.marks[tp] = max(s.mark(tp), min(s.event.Time, r.Timestamp, j.Wall))
	if id := string(s.event.RoutingID); id[0] == 0 && rules.IsIdentifier(id) {
		s.out(engine.TopicDeadletter, r.Value)
		return nil
	}
	if id := string(s.event.RoutingID); engine.ShardOf(s.event.RoutingID, s.r.Shards) != s.id {
		s.forward(id, nil, tp, r)
		return nil
	}
	s.apply(string(s.event.RoutingID), nil, tp, r)
	return nil
}

func (s *shardReplay) message(j *engine.JournalRecord, r *engine.Record) error {
	m, err := engine.DecodeMessage(r.Value)
	if err != nil {
		s.out(engine.TopicDeadletter, r.Value)
		return nil
	}
	switch m.Kind {
	case engine.MessageCommand:
		return s.command(j, r, m)
	case engine.MessageCloseSource:
		return nil
	}
	s.got(m)
	if m.Kind == engine.MessageLetter {
		return s.letter(m.Letter, r)
	}
	orig := engine.Record{Offset: m.Offset, Timestamp: m.Timestamp, Value: m.Value, Headers: m.Headers}
	if err := s.dec[m.Topic].Decode(&orig, m.Timestamp, &s.event); err != nil {
		return fmt.Errorf("a forwarded event can't be decoded: %w", err)
	}
	s.event.Source, s.event.History = m.Source, s.src[m.Topic].History
	s.event.Time = m.Time
	id, route := string(s.event.RoutingID), (*rules.Route)(nil)
	if m.To != "" {
		id, route = m.To, &m.Route
	}
	s.apply(id, route, engine.TopicPartition{Topic: m.Topic, Partition: m.Partition}, &orig)
	return nil
}

// CheckOutputs compares the outputs that a committed reader sees with the replay's, in order, and
// that no inbox message was lost or doubled.
func (r *Replayer) CheckOutputs(ctx context.Context, w *World) error {
	for _, t := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs, engine.TopicDeadletter, engine.TopicAudit} {
		for s := range r.Shards {
			want, i := w.Outputs[t][s], 0
			tp := engine.TopicPartition{Topic: engine.TopicName(r.App, t), Partition: s}
			err := r.History.Read(ctx, tp, engine.StartOfPartition, engine.EndOfPartition, func(rec *engine.Record) error {
				if t == engine.TopicAudit && (bytes.Contains(rec.Value, []byte(`"type":"cleaned"`)) || bytes.Contains(rec.Value, []byte(`"type":"returned"`))) {
					return nil // that depends on when leads are written
				}
				if i >= len(want) {
					return fmt.Errorf("%s/%d holds more than the %d records of the replay: %s", tp.Topic, s, len(want), rec.Value)
				}
				if !bytes.Equal(want[i], rec.Value) {
					return fmt.Errorf("%s/%d record %d is\n  %s\nthe replay says\n  %s", tp.Topic, s, i, rec.Value, want[i])
				}
				i++
				return nil
			})
			if err != nil {
				return err
			}
			if i != len(want) {
				return fmt.Errorf("%s/%d holds %d records, the replay %d: lost %d", tp.Topic, s, i, len(want), len(want)-i)
			}
		}
	}
	var off []error // all of them: what was sent otherwise than it arrived stands beside it
	for s, m := range w.Sent {
		for text, n := range m {
			if n != 0 {
				off = append(off, fmt.Errorf("inbox of shard %d: a message was sent %+d times more often than applied: %s", s, n, text))
			}
		}
	}
	return errors.Join(off...)
}

// CheckStates compares leads as encoded by the engine with the replay's. Which epoch a version was made
// in is not part of a lead's meaning.
func (w *World) CheckStates(got map[string][]byte) error {
	for id, want := range w.Leads {
		b, ok := got[id]
		if !ok {
			return fmt.Errorf("lead %q is missing", id)
		}
		var l lead.Lead
		if err := lead.Decode(b, &l); err != nil {
			return fmt.Errorf("lead %q: %w", id, err)
		}
		l.Epoch = 0
		c := want.Clone()
		c.Epoch = 0
		if !bytes.Equal(lead.AppendEncode(nil, &l), lead.AppendEncode(nil, c)) {
			return fmt.Errorf("lead %q is\n  %+v\nthe replay says\n  %+v", id, l, *c)
		}
	}
	for id, b := range got {
		var l lead.Lead
		if w.Leads[id] != nil || b == nil {
			continue
		}
		if err := lead.Decode(b, &l); err != nil || !l.Gone {
			return fmt.Errorf("there is a lead %q, the replay has none (%w)", id, err)
		}
	}
	return nil
}

// due and dueHeap order leads by (due, id).
type due struct {
	due int64
	id  string
}

type dueHeap []due

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].id < h[j].id
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
