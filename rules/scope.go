package rules

import (
	"math"
	"slices"

	"leadstream/state/lead"
)

// scope is what expressions are evaluated against: a lead at an instant, and perhaps an event.
type scope struct {
	set *Set
	l   *lead.Lead
	at  int64
	ev  *lead.Event // nil outside of an event
	// signalsOn says that signal() may be true: there is an event, and it is not too late.
	signalsOn bool
	// matched[s] == stamp says that the event is signal s.
	matched []uint64
	stamp   uint64
	// gen changes with whatever the value of a state score may depend on.
	gen    uint64
	states []stateMemo
	cache  eventCache
	act    activation
	terms  []expTerm
	counts *Counts
	quiet  bool // errors are not counted
}

// stateMemo is the value of a state score at one instant.
type stateMemo struct {
	gen   uint64
	at    int64
	value float64
	until int64
}

// enter begins a look at a lead.
func (x *scope) enter(l *lead.Lead, at int64, ev *lead.Event) {
	x.l, x.at, x.ev = l, at, ev
	x.stamp++
	x.signalsOn = ev != nil
	if ev != nil {
		x.cache = eventCache{}
	}
	x.changed()
}

// changed says that something that conditions read is not what it was.
func (x *scope) changed() { x.gen++ }

// before evaluates f one ms earlier, on the same state.
func (x *scope) before(at int64, f func()) {
	saved, quiet := x.at, x.quiet
	x.at, x.quiet = at, true
	f()
	x.at, x.quiet = saved, quiet
}

// signalState returns the window of a signal, nil if it never came.
func (x *scope) signalState(slot int) *lead.Signal {
	i, found := slices.BinarySearchFunc(x.l.Signals, uint16(slot), func(s lead.Signal, slot uint16) int { return int(s.Slot) - int(slot) })
	if !found {
		return nil
	}
	return &x.l.Signals[i]
}

// scoreAt returns a score's value, and for state scores until when it holds.
func (x *scope) scoreAt(slot int) (float64, int64) {
	s := &x.set.scores[slot]
	if s.state {
		return x.stateScore(slot)
	}
	v := &x.l.Scores[slot]
	return decayHalfLife(v.Value, v.At, x.at, s.halfLife), never
}

// stateScore returns the sum of the lines that hold.
func (x *scope) stateScore(slot int) (float64, int64) {
	m := &x.states[slot]
	if m.gen == x.gen && m.at == x.at {
		return m.value, m.until
	}
	s := &x.set.scores[slot]
	sum, until := 0.0, never
	for _, i := range s.lines {
		ln := &x.set.lines[i]
		holds, u := x.test(ln.when)
		until = min(until, u)
		if !holds {
			continue
		}
		if v, ok := x.number(ln.add); ok {
			sum = finite(sum + v)
		}
	}
	*m = stateMemo{gen: x.gen, at: x.at, value: clip(sum, s.min, s.max), until: until}
	return m.value, until
}

// compareScores compares a weighted sum of scores with a constant.
func (x *scope) compareScores(parts []weight, op cmpOp, c float64) (bool, int64) {
	// A state score's own conditions may come by here again, so the terms are kept as on a stack.
	base, until := len(x.terms), never
	for _, w := range parts {
		s := &x.set.scores[w.score]
		if s.state {
			v, u := x.stateScore(w.score)
			until = min(until, u)
			x.terms = append(x.terms, expTerm{V: finite(w.by * v)})
			continue
		}
		v := &x.l.Scores[w.score]
		x.terms = append(x.terms, expTerm{V: finite(w.by * v.Value), At: v.At, H: s.halfLife})
	}
	holds, u := crossing(x.terms[base:], c, op, x.at)
	x.terms = x.terms[:base]
	return holds, min(until, u)
}

// gradeAt returns the index of a score's grade: the first floor that it reaches, else the last.
func (x *scope) gradeAt(slot int) (int, int64) {
	s := &x.set.scores[slot]
	only := [1]weight{{slot, 1}}
	until := never
	last := len(s.gradeFloors) - 1
	for i := range last {
		holds, u := x.compareScores(only[:], opGE, s.gradeFloors[i])
		if until = min(until, u); holds {
			return i, until
		}
	}
	return last, until
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
