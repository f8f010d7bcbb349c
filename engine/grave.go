package engine

import (
	"math"

	"leadstream/rules"
	"leadstream/state"
	"leadstream/state/lead"
)

// grave is a version that is stored and says that its node is gone.
type grave struct {
	entry   *entry
	version *lead.Lead
}

// cell is a record of the state topic, and of the store, that is not the version of an entry: a bar, or the end of one.
type cell struct {
	id          string
	version     *lead.Lead // nil removes it
	due, oldDue int64
}

// bury notes that a node that is gone is stored under its own id.
func (s *shard) bury(e *entry) {
	v := e.committed.Load()
	if v == nil || !v.Gone || v.Due != noTime || e.grave == v {
		return
	}
	e.grave, s.unlaid[e] = v, v.Epoch
	s.graves = append(s.graves, grave{e, v})
}

// findGraves notes the nodes that the store has and that are gone, after a restart: their hints are the earliest.
func (s *shard) findGraves() error {
	hints, err := s.cfg.Store.Hints(s.id, state.Hint{Due: noTime}, noTime, math.MaxInt)
	if err != nil {
		return err
	}
	for _, h := range hints {
		e, err := s.load([]byte(h.ID))
		if err != nil {
			return err
		}
		if e != nil {
			s.bury(e)
		}
	}
	return nil
}

// noteGone keeps count of what is gone and not laid, when an epoch is committed.
func (s *shard) noteGone(e *entry, v *lead.Lead) {
	if e.laid = false; v.Gone {
		s.unlaid[e] = v.Epoch
	} else {
		delete(s.unlaid, e)
	}
}

// oldestUnlaid is the first epoch in which a node went that the state topic still has once the epoch is committed, 0 if it
// has none. A standby, which sees no state topic, may lay in its own store what went before.
func (s *shard) oldestUnlaid(ep *shardEpoch, sl *slice) uint64 {
	var first uint64
	note := func(epoch uint64) {
		if first == 0 || epoch < first {
			first = epoch
		}
	}
	for _, t := range ep.touched {
		if t.lead.Gone {
			note(ep.number)
		}
	}
	laid := map[*entry]bool{}
	if sl != nil && sl.shard == s && len(s.unlaid) > 0 {
		for _, x := range sl.entries {
			laid[x.entry] = x.tomb
		}
	}
	for e, epoch := range s.unlaid {
		if !laid[e] {
			note(epoch)
		}
	}
	return first
}

// laidInTopic is called when a slice is committed.
func (sl *slice) laidInTopic() {
	for _, x := range sl.entries {
		if x.tomb && x.entry.committed.Load() == x.version {
			delete(sl.shard.unlaid, x.entry)
		}
	}
}

// exhume appends up to n tombstones to what a slice takes, of nodes that redo can't bring back any more once the
// slice is written, with the bars that take their places, and removes bars whose time is over.
func (s *shard) exhume(taken []sliced, n int) ([]sliced, []cell) {
	oldest := s.dirty.oldest()
	tombs, bars := s.lay(n, func(v *lead.Lead) bool { return oldest == 0 || oldest > v.Epoch })
	return append(taken, tombs...), s.expire(bars, n-len(tombs))
}

// lay takes up to n nodes that are gone and of which may says so.
func (s *shard) lay(n int, may func(*lead.Lead) bool) (tombs []sliced, bars []cell) {
	left := s.graves[:0]
	for _, g := range s.graves {
		e := g.entry
		switch {
		case e.committed.Load() != g.version || e.queued:
			if e.grave == g.version { // and not a later one, which has its own place here
				e.grave = nil // Somebody is there again, and is written over it.
			}
		case e.laid: // The entry is left to itself, and another may be there by now under its id.
		case n <= 0 || e.spec != g.version || e.storing > 0 || !may(g.version):
			left = append(left, g)
		default:
			tombs = append(tombs, sliced{entry: e, version: g.version, oldDue: e.storedDue, tomb: true})
			bars = s.layBar(bars, g.version)
			e.storedDue = lead.Never
			e.storing++
			n--
		}
	}
	clear(s.graves[len(left):])
	s.graves = left
	return tombs, bars
}

// layBar appends what takes the place of a node that is gone. A bar of before is removed if this one bars nothing.
func (s *shard) layBar(bars []cell, v *lead.Lead) []cell {
	if s.done.salt == nil || rules.IsIdentifier(v.ID) {
		return bars
	}
	// One whose time is over is laid as well: epochs in which it was not may be done again.
	c := cell{id: rules.BarID(s.done.salt, v.ID), due: lead.Never, oldDue: lead.Never}
	if c.version = rules.Bar(v, s.done.salt); c.version != nil {
		c.due = c.version.Due
	}
	// What can't be read leaves a hint that is out of date, which does no harm.
	if was, err := s.fromStore(c.id); err == nil && was != nil {
		c.oldDue = was.Due
	} else if c.version == nil {
		return bars
	}
	s.laying[c.id]++
	return append(bars, c)
}

// lapse is a bar whose time is over.
type lapse struct {
	id    string
	since uint64 // the epoch after which that is sure, 0 before it is
}

// lapsed notes that a bar's time seems to be over. It may be noted twice: the second time it is not there any more.
func (s *shard) lapsed(id string) { s.over = append(s.over, lapse{id: id}) }

// expire appends up to n ends of bars: of those whose time was over in all the epochs that may be done again. They are
// looked at in the order in which they were noted: what is behind one that has to wait has to wait as well.
func (s *shard) expire(bars []cell, n int) []cell {
	for ; len(s.over) > 0 && n > 0; s.over = s.over[1:] {
		l := &s.over[0]
		was, err := s.fromStore(l.id)
		if err != nil || s.laying[l.id] > 0 {
			break
		}
		if was == nil {
			continue
		}
		if was.Due > s.done.tick { // it is another one by now, or the epoch in which it was over was not committed
			s.timers.hint(l.id, was.Due)
			continue
		}
		if l.since == 0 {
			l.since = s.done.epoch
		}
		if s.redoPoint(s.done.epoch, false) < l.since {
			break
		}
		s.laying[l.id]++
		bars = append(bars, cell{id: l.id, due: lead.Never, oldDue: was.Due})
		n--
	}
	return bars
}

// barsDone is called when a slice's bars are stored, or were not committed.
func (s *shard) barsDone(bars []cell, stored bool) {
	for _, c := range bars {
		if s.laying[c.id]--; s.laying[c.id] == 0 {
			delete(s.laying, c.id)
		}
		switch {
		case stored:
			s.timers.hint(c.id, c.due)
		case c.version == nil:
			s.lapsed(c.id)
		}
	}
}

// hurry is the epoch up to which leads are written without waiting: somebody waits to hear that what was erased
// is gone for good.
func (s *shard) hurry() uint64 {
	if s.urgent != 0 && (s.dirty.len() == 0 || s.dirty.oldest() > s.urgent) {
		s.urgent = 0
	}
	return s.urgent
}

// cleaned are the audit records of a slice's tombstones.
func (sl *slice) cleaned(salt []byte) []OutRecord {
	var out []OutRecord
	for _, x := range sl.entries {
		if !x.tomb {
			continue
		}
		for _, request := range rules.Requests(x.version) {
			out = append(out, AuditRecord{Type: AuditCleaned, Request: request, Subject: rules.Subject(salt, x.entry.id)}.record(sl.shard.id))
		}
	}
	return out
}

// laid takes a node out of the cache whose tombstone is stored.
func (s *shard) laid(x *sliced) {
	e := x.entry
	if !x.tomb || e.committed.Load() != x.version || e.queued || e.storing != 0 {
		return
	}
	if e.laid = true; e.spec == x.version {
		s.leave(e)
	}
}

// leave takes an entry out of the cache.
func (s *shard) leave(e *entry) {
	if s.cache.byID[e.id] == e {
		s.timers.drop(&e.timer)
		s.cache.remove(e)
	}
}
