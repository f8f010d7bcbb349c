package rules

import (
	"cmp"
	"math"
	"slices"

	"leadstream/state/lead"
)

// contribute adds w points of time s to the score of a line, as far as the line's limit and the score's
// bounds let it, and reports whether the score moved. message is the event's, 0 for timers.
func (e *Evaluator) contribute(slot int, key uint64, w float64, s int64, message uint64) bool {
	ln := &e.set.lines[slot]
	var held *lead.Line
	if ln.limit != nil {
		var ok bool
		if w, held, ok = e.admit(slot, key, s, w); !ok {
			return false
		}
	}
	points, moved := e.addPoints(ln.score, w, s, message)
	if held != nil {
		amend(held, s, points)
	}
	if !moved {
		return false
	}
	c := lead.Contribution{Message: message, Time: s, Points: points, Score: uint16(ln.score), Line: uint16(slot), Signal: lead.NoSlot}
	if ln.signal >= 0 {
		c.Signal = uint16(ln.signal)
	}
	if sc := &e.set.scores[ln.score]; sc.decay == decayStepped {
		c.Steps = e.l.Scores[ln.score].Steps - (e.at-s)/sc.span
	}
	e.enterLedger(c)
	e.changed()
	return true
}

// addPoints adds w points of time s to a score. It returns what they count for at their own time, and
// whether the score is another one now.
func (e *Evaluator) addPoints(score int, w float64, s int64, message uint64) (points float64, moved bool) {
	sc, v := &e.set.scores[score], &e.l.Scores[score]
	e.touch(&e.set.readers.scores[score])
	if sc.decay == decayAll || sc.decay == decayLine {
		k := &e.set.keepers[sc.keeper]
		k.win.insert(e.keep(sc.keeper), lead.Entry{Time: s, Message: message, Value: w}, e.l.Clock)
		return w, e.at-s < sc.span
	}
	before := sc.stored(v, e.at)
	add := sc.decayed(w, s, e.at)
	after := clip(before+add, sc.min, sc.max)
	points = w
	if after != before+add {
		// What it changed, as points of its own time; never more than it would have added unclipped.
		points = clip(sc.undecayed(after-before, w, add, s, e.at), -math.Abs(w), math.Abs(w))
	}
	if after == before {
		return points, false // nothing changed, so the value keeps its anchor
	}
	if sc.decay == decayStepped {
		v.Remainder, v.RemainderAt = sc.remainder(v, e.at), e.at // before its steps are counted anew
		v.Steps += sc.stepsSince(v, e.at)
		if w > 0 && (v.Value == 0 || s > v.Gain) {
			v.Gain = s
		}
	}
	v.Value, v.At = after, e.at
	return points, true
}

// decayed returns what w points of time s are worth at a later time.
func (s *score) decayed(w float64, from, at int64) float64 {
	if s.decay == decayStepped {
		return float64(decayStep(w, from, at, from, s.span, s.keep))
	}
	return decayHalfLife(w, from, at, s.halfLife)
}

// undecayed returns the points of time from that are worth part at a time at which w points are worth all.
func (s *score) undecayed(part, w, all float64, from, at int64) float64 {
	if s.decay != decayStepped {
		return decayHalfLife(part, at, from, s.halfLife)
	}
	if all == 0 {
		return 0
	}
	return float64(w * (part / all))
}

// stepsIn is stepsSince for step scores, 0 for others.
func (s *score) stepsIn(v *lead.Score, at int64) int64 {
	if s.decay != decayStepped {
		return 0
	}
	return s.stepsSince(v, at)
}

// stepsSince returns how many steps have passed since a step score's anchor.
func (s *score) stepsSince(v *lead.Score, at int64) int64 {
	return floorDiv(at-v.Gain, s.span) - floorDiv(v.At-v.Gain, s.span)
}

// left returns what is left at a time of a contribution to the score stored as v.
func (s *score) left(v *lead.Score, c *lead.Contribution, at int64) float64 {
	switch s.decay {
	case decayStepped:
		steps := v.Steps + s.stepsSince(v, at) - c.Steps
		return float64(decayStep(c.Points, 0, steps, 0, 1, s.keep))
	case decayAll:
		return decayExpire(c.Points, c.Time, at, s.span)
	case decayLine:
		return decayLinear(c.Points, c.Time, at, s.span)
	}
	return decayHalfLife(c.Points, c.Time, at, s.halfLife)
}

// enterLedger adds a contribution; the oldest of a full ledger goes into its score's remainder.
func (e *Evaluator) enterLedger(c lead.Contribution) {
	l := e.l
	c.Own = e.own
	if l.Ledger.Len() >= maxLedger {
		oldest := l.Ledger.Oldest()
		e.toRemainder(&oldest)
	}
	l.Ledger.Enter(&c, maxLedger)
}

// toRemainder adds what a contribution is worth to its score's remainder. Expiring and linear scores need
// none: all their contributions are still known, as a sum.
func (e *Evaluator) toRemainder(c *lead.Contribution) {
	sc, v := &e.set.scores[c.Score], &e.l.Scores[c.Score]
	switch sc.decay {
	case decayStepped:
		v.Remainder = finite(sc.remainder(v, e.at) + sc.left(v, c, e.at))
		v.RemainderAt = e.at
		return
	case decayNone:
	default:
		return
	}
	if v.Remainder == 0 {
		v.RemainderAt = c.Time
	}
	at := max(v.RemainderAt, c.Time)
	v.Remainder = finite(decayHalfLife(v.Remainder, v.RemainderAt, at, sc.halfLife) + decayHalfLife(c.Points, c.Time, at, sc.halfLife))
	v.RemainderAt = at
}

// remainder returns what contributions pushed out of the ledger still add at a time.
func (s *score) remainder(v *lead.Score, at int64) float64 {
	if s.decay != decayStepped {
		return decayHalfLife(v.Remainder, v.RemainderAt, at, s.halfLife)
	}
	return float64(decayStep(v.Remainder, v.RemainderAt, at, v.Gain, s.span, s.keep))
}

func compareLines(a lead.Line, b lead.Line) int {
	return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Key, b.Key))
}

// lineState returns what a line remembers, nil if nothing.
func (e *Evaluator) lineState(slot int, key uint64) *lead.Line {
	i, found := slices.BinarySearchFunc(e.l.Lines, lead.Line{Slot: uint16(slot), Key: key}, compareLines)
	if !found {
		return nil
	}
	return &e.l.Lines[i]
}

func (e *Evaluator) insertLine(x lead.Line) *lead.Line {
	i, _ := slices.BinarySearchFunc(e.l.Lines, x, compareLines)
	e.l.Lines = slices.Insert(e.l.Lines, i, x)
	return &e.l.Lines[i]
}

// admit asks a line's limit. The state it returns holds the contribution, if anything is remembered.
func (e *Evaluator) admit(slot int, key uint64, s int64, w float64) (float64, *lead.Line, bool) {
	lim := e.set.lines[slot].limit
	if x := e.lineState(slot, key); x != nil {
		w, ok := lim.admit(x, s, w)
		return w, x, ok
	}
	fresh := lead.Line{Slot: uint16(slot), Key: key}
	w, ok := lim.admit(&fresh, s, w)
	if !ok || len(fresh.Counted) == 0 {
		return w, nil, ok
	}
	if key != 0 {
		e.forgetKey(slot)
	}
	return w, e.insertLine(fresh), true
}

// forgetKey makes room for one more value of a `by` expression: the one that counted last longest ago goes.
func (e *Evaluator) forgetKey(slot int) {
	from, _ := slices.BinarySearchFunc(e.l.Lines, lead.Line{Slot: uint16(slot)}, compareLines)
	oldest, n := -1, 0
	for i := from; i < len(e.l.Lines) && e.l.Lines[i].Slot == uint16(slot); i++ {
		n++
		if c := e.l.Lines[i].Counted; oldest < 0 || len(c) > 0 && c[len(c)-1] < lastCounted(&e.l.Lines[oldest]) {
			oldest = i
		}
	}
	if n >= maxLimitKeys {
		e.l.Lines = slices.Delete(e.l.Lines, oldest, oldest+1)
	}
}

func lastCounted(x *lead.Line) int64 {
	if len(x.Counted) == 0 {
		return math.MinInt64
	}
	return x.Counted[len(x.Counted)-1]
}

// amend notes what became of the contribution that was admitted last at time s: a points limit is used up
// by what a contribution changed, not by what clipping took from it.
func amend(x *lead.Line, s int64, points float64) {
	for i := len(x.Points) - 1; i >= 0; i-- {
		if x.Counted[i] == s {
			x.Points[i] = min(x.Points[i], math.Abs(points))
			return
		}
	}
}
