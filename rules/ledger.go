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
	sc, v := &e.set.scores[ln.score], &e.l.Scores[ln.score]
	before := decayHalfLife(v.Value, v.At, e.at, sc.halfLife)
	add := decayHalfLife(w, s, e.at, sc.halfLife)
	after := clip(before+add, sc.min, sc.max)
	points := w
	if after != before+add {
		// What it changed, as points of its own time; never more than it would have added unclipped.
		points = decayHalfLife(after-before, e.at, s, sc.halfLife)
		points = clip(points, -math.Abs(w), math.Abs(w))
	}
	if held != nil {
		amend(held, s, points)
	}
	if after == before {
		return false // nothing changed, so the value keeps its anchor
	}
	v.Value, v.At = after, e.at
	signal := lead.NoSlot
	if ln.signal >= 0 {
		signal = uint16(ln.signal)
	}
	e.enterLedger(lead.Contribution{
		Message: message, Time: s, Points: points, Score: uint16(ln.score), Line: uint16(slot), Signal: signal,
	})
	e.changed()
	return true
}

// enterLedger adds a contribution; the oldest of a full ledger goes into its score's remainder.
func (e *Evaluator) enterLedger(c lead.Contribution) {
	l := e.l
	if len(l.Ledger) >= maxLedger {
		old := l.Ledger[0]
		h := e.set.scores[old.Score].halfLife
		v := &l.Scores[old.Score]
		if v.Remainder == 0 {
			v.RemainderAt = old.Time
		}
		at := max(v.RemainderAt, old.Time)
		v.Remainder = finite(decayHalfLife(v.Remainder, v.RemainderAt, at, h) + decayHalfLife(old.Points, old.Time, at, h))
		v.RemainderAt = at
		copy(l.Ledger, l.Ledger[1:])
		l.Ledger[len(l.Ledger)-1] = c
		return
	}
	l.Ledger = append(l.Ledger, c)
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
