package engine

import (
	"leadstream/state"
	"leadstream/state/lead"
)

// timer is a hint that a lead may be due: no later than the lead's own armed due time. It fires
// nothing by itself; the lead decides. entry is nil for a lead that is not cached.
type timer struct {
	due   int64
	id    string
	entry *entry
	pos   int // index in the heap, -1 when not in it
}

func (t *timer) before(due int64, id string) bool {
	return t.due < due || t.due == due && t.id < id
}

// timers orders a shard's hints by (due, lead). Cached leads are always in it while they are armed.
// Leads that are only in the store are in it up to the horizon; later ones are loaded when the heap
// comes to them.
type timers struct {
	heap    []*timer
	stubs   map[string]*timer // those without an entry
	horizon state.Hint        // all of the store's hints up to here are in the heap
	whole   bool              // all of the store's hints are
}

// maxStubs bounds the hints held in memory for leads that are not cached. Tests lower it.
var maxStubs = 8192

func newTimers() *timers {
	return &timers{stubs: make(map[string]*timer), horizon: state.Hint{Due: noTime}}
}

// arm makes the hint of a cached lead at most due. A hint that is too early is left: it is cheaper to
// look at it when it comes up than to move it with every event.
func (t *timers) arm(e *entry, due int64) {
	switch {
	case e.timer.pos < 0:
		if due != lead.Never {
			e.timer.due = due
			t.push(&e.timer)
		}
	case due < e.timer.due:
		e.timer.due = due
		t.up(e.timer.pos)
	}
}

// move sets the hint of a cached lead that has come up to its real due time.
func (t *timers) move(e *entry, due int64) {
	if due == lead.Never {
		t.drop(&e.timer)
		return
	}
	e.timer.due = due
	t.down(e.timer.pos)
}

// adopt is called when a lead comes into the cache.
func (t *timers) adopt(e *entry, due int64) {
	if s := t.stubs[e.id]; s != nil {
		t.drop(s)
		delete(t.stubs, e.id)
	}
	e.timer = timer{id: e.id, entry: e, pos: -1}
	t.arm(e, due)
}

// release is called when a lead whose hint is stored at due leaves the cache.
func (t *timers) release(e *entry, due int64) {
	t.drop(&e.timer)
	t.hint(e.id, due)
}

// hint is called when the store has a hint for something that is not cached.
func (t *timers) hint(id string, due int64) {
	if x := t.stubs[id]; x != nil {
		t.drop(x)
	}
	if due == lead.Never || !t.within(due, id) {
		return
	}
	if len(t.stubs) >= maxStubs {
		t.forget()
		return
	}
	s := &timer{due: due, id: id, pos: -1}
	t.stubs[id] = s
	t.push(s)
}

// forget drops all stubs: they are in the store and will be read again when time comes to them.
func (t *timers) forget() {
	kept := t.heap[:0]
	for _, x := range t.heap {
		if x.entry != nil {
			kept = append(kept, x)
		}
	}
	clear(t.heap[len(kept):])
	t.heap = kept
	for i, x := range t.heap {
		x.pos = i
	}
	for i := len(t.heap)/2 - 1; i >= 0; i-- {
		t.down(i)
	}
	clear(t.stubs)
	t.horizon, t.whole = state.Hint{Due: noTime}, false
}

func (t *timers) within(due int64, id string) bool {
	return t.whole || due < t.horizon.Due || due == t.horizon.Due && id <= t.horizon.ID
}

// next returns the earliest hint that is due at or before tick, nil if there is none. The store's hints
// are read ahead in chunks, so that a moving tick does not mean a look into the store.
func (t *timers) next(tick int64, store *state.Store, shard int32, cached func(id string) bool) (*timer, error) {
	for !t.whole && t.horizon.Due <= tick && (len(t.heap) == 0 || !t.heap[0].before(t.horizon.Due, t.horizon.ID)) {
		hints, err := store.Hints(shard, t.horizon, lead.Never-1, maxStubs/2)
		if err != nil {
			return nil, err
		}
		for _, h := range hints {
			if cached(h.ID) || t.stubs[h.ID] != nil {
				continue // the lead itself knows better
			}
			s := &timer{due: h.Due, id: h.ID, pos: -1}
			t.stubs[h.ID] = s
			t.push(s)
		}
		if len(hints) < maxStubs/2 {
			t.whole = true
		} else {
			t.horizon = hints[len(hints)-1]
		}
	}
	if len(t.heap) == 0 || t.heap[0].due > tick {
		return nil, nil
	}
	return t.heap[0], nil
}

func (t *timers) push(x *timer) {
	x.pos = len(t.heap)
	t.heap = append(t.heap, x)
	t.up(x.pos)
}

func (t *timers) drop(x *timer) {
	i := x.pos
	if i < 0 {
		return
	}
	n := len(t.heap) - 1
	last := t.heap[n]
	t.heap[n] = nil
	t.heap = t.heap[:n]
	x.pos = -1
	if i < n {
		t.heap[i], last.pos = last, i
		t.up(i)
		t.down(last.pos)
	}
	if x.entry == nil {
		delete(t.stubs, x.id)
	}
}

func (t *timers) up(i int) {
	x := t.heap[i]
	for i > 0 {
		p := (i - 1) / 2
		if !x.before(t.heap[p].due, t.heap[p].id) {
			break
		}
		t.heap[i], t.heap[p].pos = t.heap[p], i
		i = p
	}
	t.heap[i], x.pos = x, i
}

func (t *timers) down(i int) {
	x := t.heap[i]
	for {
		c := 2*i + 1
		if c >= len(t.heap) {
			break
		}
		if c+1 < len(t.heap) && t.heap[c+1].before(t.heap[c].due, t.heap[c].id) {
			c++
		}
		if !t.heap[c].before(x.due, x.id) {
			break
		}
		t.heap[i], t.heap[c].pos = t.heap[c], i
		i = c
	}
	t.heap[i], x.pos = x, i
}
