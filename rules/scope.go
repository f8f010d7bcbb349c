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
	// Scratch of sumScores.
	terms    []expTerm
	straight []straightTerm
	counts   *Counts
	zones    zones
	quiet    bool // errors are not counted
	// lacking says that the present expression asked for a trait that the lead does not have.
	lacking bool
	// nowOnly says that nobody asks until when something holds.
	nowOnly bool
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

// live says that there is an event, or a signal that is released now.
func (x *scope) live() bool { return x.ev != nil || x.signalsOn }

// changed says that something that conditions read is not what it was.
func (x *scope) changed() { x.gen++ }

// before evaluates f one ms earlier, on the same state.
func (x *scope) before(at int64, f func()) {
	saved, quiet, signals := x.at, x.quiet, x.signalsOn
	x.at, x.quiet, x.signalsOn = at, true, false
	f()
	x.at, x.quiet, x.signalsOn = saved, quiet, signals
}

// signalState returns the window of a signal, nil if it never came.
func (x *scope) signalState(slot int) *lead.Signal {
	i, found := slices.BinarySearchFunc(x.l.Signals, uint16(slot), compareSignal)
	if !found {
		return nil
	}
	return &x.l.Signals[i]
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
