package engine

import (
	"fmt"
	"hash/crc32"
	"slices"
	"sort"
	"sync/atomic"

	"leadstream/rules"
	"leadstream/state/lead"
)

// shard is one replicated state machine: it owns its leads, their timers and its place in time. One
// goroutine at a time runs it. What it does is a pure function of its journaled inputs; the cache, the
// store and the heap of hints decide only how fast.
type shard struct {
	id  int32
	cfg *Config
	// sources by topic, and their decoders for this shard's goroutine.
	sources  map[string]*SourceConfig
	decoders map[string]Decoder

	cache   *cache
	timers  *timers
	dirty   dirtyList
	ev      *rules.Evaluator
	evRules *rules.Set // whose evaluator ev is
	ruleSet func(lead.RuleSetID) (*rules.Set, error)
	// newer puts a rule set in force that came from another process before this one heard of it; see switchesFirst.
	newer       func(lead.RuleSetID) (bool, error)
	switchFirst bool
	active      *atomic.Pointer[rules.Set] // what to switch to
	event       lead.Event
	nearby      nearby
	watching    watching
	near        *entry // perhaps the lead of the record that is applied
	outs        []lead.Output
	text        []byte // memory of emit
	letters     []rules.Letter

	// st is the speculative state; done the committed one.
	st, done shardState
	// ep is the open epoch's part of this shard, nil between epochs.
	ep *shardEpoch
	// maxTouched bounds the leads that an epoch changes, those that a rule switch walks over aside.
	maxTouched int

	// queue is input polled but not applied; at counts the records of queue[0] that were.
	queue []Fetch
	at    int
	// live describes the partitions' ends; it decides floors, which the journal records.
	live map[TopicPartition]*liveness

	graves []grave           // what is gone and still stored
	unlaid map[*entry]uint64 // nodes that are gone and not laid, by the epoch in which they went
	laying map[string]int    // bars that are on their way to the store
	over   []lapse           // bars whose time is over
	urgent uint64            // the last epoch in which somebody who waits had something erased
	sweep  *sweep            // the walk of a rule switch, nil when there is none
	redo   *redo             // set during recovery
	// journalNext is the offset in the journal after the last record done again.
	journalNext int64
	// journaled is the record of the last epoch done again.
	journaled *JournalRecord
	broken    bool // doing an epoch again failed midway
	// storedRedo is the redo point of the store, of a standby; ahead are the leads, with their epochs, that the
	// store is ahead of the state topic with.
	storedRedo uint64
	ahead      map[string]uint64
	// storedTo is the latest epoch of which the store may have had leads when recovery began.
	storedTo uint64
	// cleanAt is the last epoch after which nothing was left to write.
	cleanAt uint64
	moved   string // the application that takes this one's place, once it is to
}

// shardState is the part of a shard's state that is not leads. It is small and copied whole, so that an
// abort is an assignment.
type shardState struct {
	epoch uint64
	tick  int64
	cap   int64
	wall  int64
	base  int64 // time of a shard without source partitions
	read  int64 // source records, since the beginning
	// sent and got count events forwarded to and got from each shard; nil while there was none.
	sent, got []int64
	// parts are the input partitions: the inbox first, then by topic and partition.
	parts  []part
	closed []string // history sources that were closed, sorted
	// salt is what erased ids are hashed with, that of the shard's first erasure; nil before. It is never changed in place.
	// erased counts all that asked for something to be erased: a lead that comes again is of a later incarnation.
	salt     []byte
	oldSalts [][]byte // of before the number of shards was changed; never changed
	erased   uint32

	rules      *rules.Set
	oldRules   *rules.Set // while a switch is worked off, else nil
	switchTick int64
	sweptTo    string
}

// part is one input partition's place: its position and its time.
type part struct {
	TopicPartition
	source      *SourceConfig // nil for the inbox
	next        int64         // position; StartOfPartition before the first fetch
	watermark   int64         // latest event time read, bounded by the record's own timestamp
	floor       int64         // the wall clock while it counts as caught up, else noTime
	leaderEpoch int32
}

func (st *shardState) clone() shardState {
	c := *st
	c.parts = slices.Clone(st.parts)
	c.closed = slices.Clone(st.closed)
	c.sent, c.got = slices.Clone(st.sent), slices.Clone(st.got)
	return c
}

func (st *shardState) part(tp TopicPartition) int {
	for i := range st.parts {
		if st.parts[i].TopicPartition == tp {
			return i
		}
	}
	return -1
}

// sourceTime is the smallest time of the source partitions: the shard's own watermark. A shard without
// source partitions is where its base is.
func (st *shardState) sourceTime() int64 {
	low, any := lead.Never, false
	for i := range st.parts {
		p := &st.parts[i]
		if p.source == nil {
			continue
		}
		any = true
		low = min(low, max(p.floor, p.watermark))
	}
	if !any {
		return st.base
	}
	return low
}

func (st *shardState) advance() { st.tick = max(st.tick, min(st.cap, st.sourceTime())) }

// shardEpoch collects what one epoch does on one shard.
type shardEpoch struct {
	number  uint64
	start   shardState // as the epoch began, floors set
	ranges  []JournalRange
	touched []touched
	records []OutRecord

	inputs, bytes, outputs, fired, forwarded int
	stats                                    epochStats
	swept                                    bool // the walk of a rule switch has had its turn
	walked                                   int  // leads in touched by that walk

	// cut is set when firing stopped between two timers: last is what had fired since the last record.
	cut     bool
	lastDue int64
	lastID  string
}

type touched struct {
	entry *entry
	lead  *lead.Lead
}

// clockInput is what an epoch takes from outside time: the only place where a clock comes in.
type clockInput struct {
	wall, cap, base int64
	floors          []int64 // by part
}

// begin opens this shard's part of an epoch under new clock readings.
func (s *shard) begin(c clockInput) {
	if s.ep != nil {
		return
	}
	s.st = s.st.clone()
	s.st.epoch++
	s.st.wall, s.st.cap, s.st.base = c.wall, c.cap, c.base
	for i := range s.st.parts {
		s.st.parts[i].floor = c.floors[i]
	}
	s.switchFirst = false
	s.switchRules()
	s.useRules()
	s.ep = &shardEpoch{number: s.st.epoch, start: s.st.clone()}
	s.st.advance()
	s.newGap()
}

// beginIdle opens this shard's part of an epoch that applies nothing and fires nothing: it only carries
// leads to checkpoint. Timers may be overdue (the epoch before was full), so the journal says that firing stopped
// before the first.
func (s *shard) beginIdle(c clockInput) {
	s.begin(c)
	s.ep.cut = true
}

func (s *shard) newGap() { s.ep.cut, s.ep.lastDue, s.ep.lastID = false, noTime, "" }

// placed says that some input's place is known. Before, a shard that has never read anything can commit nothing: a transaction without
// offsets is not fenced. What it reads first tells where its inputs begin.
func (s *shard) placed() bool {
	return slices.ContainsFunc(s.st.parts, func(p part) bool { return p.next >= 0 })
}

// due says whether there is something to do at the given clock readings.
func (s *shard) due(c clockInput) (bool, error) {
	if len(s.queue) > 0 {
		return true, nil
	}
	if !s.placed() {
		return false, nil
	}
	if s.st.oldRules != nil || s.wantsSwitch() {
		return true, nil
	}
	return s.overdue(c)
}

// passed says whether time has passed something that the open epoch, whose clock readings are those of its beginning, does not see: it
// ends, and the next one does it. One that is behind is late anyway.
func (s *shard) passed(c clockInput) (bool, error) {
	switch {
	case len(s.queue) == 0:
		return s.due(c)
	case s.behind():
		return false, nil
	}
	return s.overdue(c)
}

// overdue says whether a timer has come due at the given clock readings.
func (s *shard) overdue(c clockInput) (bool, error) {
	st := shardState{tick: s.st.tick, cap: c.cap, wall: c.wall, base: c.base, parts: slices.Clone(s.st.parts)}
	for i := range st.parts {
		st.parts[i].floor = c.floors[i]
	}
	st.advance()
	t, err := s.nextTimer(st.tick)
	return t != nil, err
}

func (s *shard) nextTimer(tick int64) (*timer, error) {
	return s.timers.next(tick, s.cfg.Store, s.id, func(id string) bool { return s.cache.byID[id] != nil })
}

// full says that the epoch must be committed before the shard goes on.
func (s *shard) full() bool {
	ep := s.ep
	if s.redo != nil {
		return false // the journal says where it ended
	}
	return s.switchFirst || len(ep.touched)-ep.walked >= s.maxTouched || ep.inputs >= s.cfg.MaxEpochRecords || ep.fired >= s.cfg.MaxEpochTimers ||
		ep.outputs >= s.cfg.MaxEpochOutputs || ep.bytes >= s.cfg.MaxEpochBytes
}

// run applies the queue until it is empty or the epoch is full: timers that are due, then record by
// record, each followed by the timers that the tick has passed.
func (s *shard) run() error {
	if err := s.sweepSome(); err != nil {
		return err
	}
	if more, err := s.fireDue(); err != nil || !more {
		return err
	}
	for len(s.queue) > 0 && !s.full() {
		f := &s.queue[0]
		i := s.st.part(f.TopicPartition)
		if i < 0 {
			return fmt.Errorf("records of %s/%d, which is no input of shard %d: %w", f.Topic, f.Partition, s.id, ErrDisagree)
		}
		p := &s.st.parts[i]
		if s.at == 0 {
			if p.next == StartOfPartition {
				p.next = f.From
			}
			if p.next != f.From {
				return fmt.Errorf("records of %s/%d begin at offset %d, expected %d: %w", f.Topic, f.Partition, f.From, p.next, ErrDisagree)
			}
		}
		more, err := s.runFetch(i, f)
		if err != nil || !more {
			return err
		}
		if f.Free != nil {
			f.Free(f.Records)
		}
		s.queue[0] = Fetch{} // let go of the batch
		s.queue, s.at = s.queue[1:], 0
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// runFetch applies what is left of a fetch; false when the epoch is full.
func (s *shard) runFetch(i int, f *Fetch) (bool, error) {
	p := &s.st.parts[i]
	s.ep.ranges = append(s.ep.ranges, JournalRange{Part: i, From: p.next, Next: p.next})
	r := &s.ep.ranges[len(s.ep.ranges)-1]
	s.nearby.begin(s.at)
	defer func() { s.nearby.begin(0); s.near = nil }()
	for s.at < len(f.Records) {
		if s.full() {
			return false, nil
		}
		rec := &f.Records[s.at]
		if first, err := s.switchesFirst(p, rec); first || err != nil {
			return false, err
		}
		s.near = s.nearby.of(s.cache, f.Records, s.at)
		s.at++
		r.Count++
		r.Sum = crc32.Update(r.Sum, castagnoli, rec.Value)
		r.Next, p.next = rec.Offset+1, rec.Offset+1
		s.ep.inputs++
		s.ep.bytes += len(rec.Key) + len(rec.Value)
		s.newGap()
		if err := s.applyRecord(p, rec); err != nil {
			return false, err
		}
		s.st.advance()
		more, err := s.fireDue()
		if err != nil {
			return false, err
		}
		if !more {
			return false, nil
		}
	}
	r.Next, p.next, p.leaderEpoch = f.Next, f.Next, f.LeaderEpoch
	return true, nil
}

// enqueue adds what a poll brought, in the order the epoch applies it: inbox by offset, then sources by
// topic, partition and offset.
func (s *shard) enqueue(fetches []Fetch) {
	from := len(s.queue)
	s.queue = append(s.queue, fetches...)
	added := s.queue[from:]
	for i := range added {
		for j := range added[i].Records {
			r := &added[i].Records[j]
			added[i].bytes += len(r.Key) + len(r.Value)
		}
	}
	inbox := s.cfg.topic(TopicInbox)
	sort.SliceStable(added, func(i, j int) bool {
		a, b := &added[i], &added[j]
		if (a.Topic == inbox) != (b.Topic == inbox) {
			return a.Topic == inbox
		}
		if a.Topic != b.Topic {
			return a.Topic < b.Topic
		}
		if a.Partition != b.Partition {
			return a.Partition < b.Partition
		}
		return a.From < b.From
	})
}

// queued counts records waiting.
func (s *shard) queued() int {
	n := -s.at
	for i := range s.queue {
		n += len(s.queue[i].Records)
	}
	return n
}

// fireDue fires all timers due at or before the tick, by (due, lead); false when the epoch is full
// before all have fired.
func (s *shard) fireDue() (bool, error) {
	for {
		t, err := s.nextTimer(s.st.tick)
		if err != nil {
			return false, err
		}
		if t == nil {
			return true, nil
		}
		if s.redo != nil && s.redo.stopsBefore(s.ep, t) {
			return false, nil
		}
		if s.full() {
			s.ep.cut = true
			return false, nil
		}
		if err := s.fire(t); err != nil {
			return false, err
		}
	}
}

// fire looks at the lead whose hint has come up and fires what is due.
func (s *shard) fire(t *timer) error {
	due, id := t.due, t.id
	if rules.IsBar(id) { // it fires nothing: see grave.go
		s.timers.drop(t)
		s.lapsed(id)
		return nil
	}
	e, err := s.load([]byte(id))
	if err != nil {
		return err
	}
	if e == nil { // a hint of a lead that is gone
		s.timers.drop(t)
		return nil
	}
	if e.spec.Gone { // a restart has found it
		s.timers.drop(&e.timer)
		s.bury(e)
		return nil
	}
	if e.spec.Due != due {
		// Also of a lead that a rule switch has not come to: a hint that is out of date may be gone after a
		// restart, so it must decide nothing, not even when the lead is migrated.
		s.timers.move(e, e.spec.Due)
		return nil
	}
	l, err := s.touch(e)
	if err != nil {
		return err
	}
	if l == nil { // redo: the store has a later version
		s.redo.putAside(s, e)
		return nil
	}
	s.outs = s.ev.Fire(l, due, s.outs[:0])
	s.ep.fired++
	s.ep.lastDue, s.ep.lastID = due, id
	s.emit()
	if l.Due <= due {
		panic(fmt.Sprintf("bug: a timer due at %d left the lead due at %d", due, l.Due))
	}
	s.timers.move(e, l.Due)
	return nil
}
