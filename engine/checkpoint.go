package engine

import "leadstream/state/lead"

// dirtyList holds a shard's changed, unwritten leads in the order of the epochs that first changed them.
type dirtyList struct {
	q    []*entry
	from int // q[from:] is the list
}

func (d *dirtyList) len() int { return len(d.q) - d.from }

// push queues an entry that a committed epoch has changed. An entry whose earlier version is being
// written goes in as well: what is being written does not hold this change.
func (d *dirtyList) push(e *entry, epoch uint64) {
	if e.queued {
		return
	}
	e.queued, e.dirtySince = true, epoch
	d.q = append(d.q, e)
}

func (d *dirtyList) pop() *entry {
	e := d.q[d.from]
	d.q[d.from] = nil
	d.from++
	if d.from > 1024 && d.from*2 > len(d.q) {
		n := copy(d.q, d.q[d.from:])
		clear(d.q[n:])
		d.q, d.from = d.q[:n], 0
	}
	e.queued = false
	return e
}

// oldest is the first epoch whose changes are not written, 0 if there is none.
func (d *dirtyList) oldest() uint64 {
	if d.len() == 0 {
		return 0
	}
	return d.q[d.from].dirtySince
}

// slice is a run of leads that one transaction writes to the state topic, and the store after it.
type slice struct {
	shard   *shard
	entries []sliced
	bars    []cell // written after the entries
	redo    uint64 // the redo point once it is written
	epoch   uint64 // of the transaction
	extra   []byte // of the store's meta
}

type sliced struct {
	entry   *entry
	version *lead.Lead
	since   uint64 // dirtySince, to put it back on an abort
	tomb    bool   // the version is gone: a tombstone is written
	oldDue  int64  // the hint the store holds when this is written: that of the slice before
}

// take removes up to n of the oldest entries, as long as they became dirty at or before the epoch
// `upTo`, and bounded by bytes of heap.
func (s *shard) take(n, bytes int, upTo uint64) []sliced {
	if s.dirty.len() == 0 || s.dirty.oldest() > upTo {
		return nil
	}
	out := make([]sliced, 0, min(n, s.dirty.len()))
	for s.dirty.len() > 0 && len(out) < n && bytes > 0 && s.dirty.oldest() <= upTo {
		e := s.dirty.pop()
		v := e.committed.Load()
		out = append(out, sliced{entry: e, version: v, since: e.dirtySince, oldDue: e.storedDue})
		bytes -= int(e.size)
		e.dirtySince, e.storedDue = 0, v.Due
		e.storing++
	}
	return out
}

// putBack undoes take and exhume after an abort.
func (s *shard) putBack(sl *slice) {
	s.barsDone(sl.bars, false)
	taken := sl.entries
	if len(taken) == 0 {
		return
	}
	q := make([]*entry, 0, len(taken)+s.dirty.len())
	for _, x := range taken {
		x.entry.storing--
		if x.tomb { // the redo point is past it, and must not go back
			x.entry.storedDue = x.oldDue
			s.graves = append(s.graves, grave{x.entry, x.version})
			continue
		}
		x.entry.queued, x.entry.dirtySince, x.entry.storedDue = true, x.since, x.oldDue
		q = append(q, x.entry)
	}
	s.dirty = dirtyList{q: append(q, s.dirty.q[s.dirty.from:]...)}
}

// redoPoint is the last epoch all of whose changes are written once the open epoch commits. changed says
// whether that epoch changed any lead.
func (s *shard) redoPoint(epoch uint64, changed bool) uint64 {
	switch oldest := s.dirty.oldest(); {
	case oldest != 0:
		return oldest - 1
	case changed:
		return epoch - 1
	default:
		return epoch
	}
}
