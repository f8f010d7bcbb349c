package rules

import (
	"math"

	"leadstream/state/lead"
)

// Fire fires a lead's timers due at or before due, in order, and appends what is to be said to out. On
// return l.Due > due. A timer that changes nothing leaves everything else as it was. There are at most 10,000 outputs,
// and those of one timer, until the next event or command: see spin.
func (e *Evaluator) Fire(l *lead.Lead, due int64, out []lead.Output) []lead.Output {
	if l.Due > due {
		return out
	}
	if IsAccount(l.ID) && !e.set.ofAccounts() {
		return e.fireAccount(l, due, out)
	}
	e.begin(l, out)
	at := l.Clock
	for l.Due <= due && l.Due != never {
		// A due time that a late event, or a signal that was held back, moved into the past fires now.
		d := l.Due
		at = max(at, d, l.Clock)
		released := e.fireAt(d, at)
		if at >= e.retentionDue() {
			e.expire(at)
			break
		}
		e.say()
		if !released && l.Due <= d {
			panic("bug: a timer is due again at the ms at which it fired")
		}
	}
	return e.out
}

// fireAt fires at at what is due at d. It reports whether something was released, which can move other due
// times into the past.
func (e *Evaluator) fireAt(d, at int64) (released bool) {
	l := e.l
	e.enter(l, at, nil)
	e.because(timerCrossing, nil)
	e.lookAtAll = true // time may have changed any of them
	e.knowsBefore = false
	visible, said := false, len(e.out)
	if e.heldDue() == d {
		released = true
		e.noteBefore(d, at)
		if e.release(d) {
			visible = true
			e.trigger = timerHold
		} else if e.signalsOn {
			e.trigger = timerHold
		}
	}
	for _, slot := range e.set.inactive {
		if e.inactivityDue(slot) != d {
			continue
		}
		if !e.knowsBefore {
			e.noteBefore(d, at)
		}
		if e.fireInactivity(slot, d) {
			visible = true
			e.trigger = timerInactivity
			e.changed()
		}
	}
	ready := l.Ready
	if e.evaluate(byTimer) || visible {
		l.Clock = at
		e.counts.Timers++
	} else {
		// The clock stays behind, and what was true at the clock may have become false since.
		// What was released lies in windows by its own time: at the clock it may make true what was not. So all is
		// looked at by the next event.
		l.Ready = l.Ready || ready || released
		e.counts.Idle++
	}
	e.knowsBefore = false
	e.arm()
	e.spin(len(e.out) - said)
	return released
}

// spin stops a lead that only time has moved for too long: rules that lead it round in a circle every few ms would make any
// number of outputs, and of memory, of one event that comes a week later. It rests until the next event or
// command, which looks at all of it. That depends on nothing but the lead, so it is the same wherever the tick was.
func (e *Evaluator) spin(outputs int) {
	l := e.l
	l.Spins += uint32(outputs)
	if l.Spins >= maxSpins {
		l.Due, l.Ready = max(e.retentionDue(), e.at+1), true
		e.counts.Stopped++
	}
}

// noteBefore notes what the transitions' conditions were before the points of a timer due at d that
// fires at at: one ms before, or at the same clock when its time has passed already.
func (e *Evaluator) noteBefore(d, at int64) {
	if d == at {
		at--
	}
	e.scope.before(at, func() {
		for _, i := range e.set.from[e.l.Stage] {
			on := e.holds(e.set.transitions[i].when)
			e.before[i] = truth(on)
		}
	})
	e.knowsBefore = true
}

// inactivityDue is when an inactivity line fires next if nothing comes.
func (e *Evaluator) inactivityDue(slot int) int64 {
	l, ln := e.l, &e.set.lines[slot]
	last := l.FirstSeen
	switch {
	case ln.of == nil:
		if l.LastActive != lead.NoTime {
			last = l.LastActive
		}
	default:
		seen := false
		for _, s := range ln.of {
			if w := e.signalState(s); w != nil && w.Last != math.MinInt64 && (!seen || w.Last > last) {
				last, seen = w.Last, true
			}
		}
	}
	if x := e.lineState(slot, 0); x != nil { // there is one only if it fired
		if !ln.repeat && last <= x.Fired {
			return never
		}
		last = max(last, x.Fired)
	}
	return addSpan(last, ln.inactive)
}

// fireInactivity makes the contribution of an inactivity line due at d and reports whether the score moved.
func (e *Evaluator) fireInactivity(slot int, d int64) bool {
	w, _, ok := e.number(e.set.lines[slot].add)
	moved := ok && w != 0 && e.contribute(slot, 0, w, d, 0)
	x := e.lineState(slot, 0)
	if x == nil {
		x = e.insertLine(lead.Line{Slot: uint16(slot)})
	}
	x.Fired = d
	return moved
}
