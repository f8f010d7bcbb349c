package rules

import (
	"cmp"
	"math"
	"slices"

	"leadstream/state/lead"
)

// mergeScores adds stored values, both as of now.
func (e *Evaluator) mergeScores(l, from *lead.Lead) {
	for i := range e.set.scores {
		s, v, w := &e.set.scores[i], &l.Scores[i], &from.Scores[i]
		if !s.stores() || w.Value == 0 && w.Remainder == 0 {
			continue
		}
		a, b := s.stored(v, e.at), s.stored(w, e.at)
		rest := finite(s.remainder(v, e.at) + s.remainder(w, e.at))
		v.Steps += s.stepsIn(v, e.at)
		w.Steps += s.stepsIn(w, e.at)
		if s.decay == decayStepped {
			e.rebase(from, i, v.Steps-w.Steps)
			if v.Value == 0 || w.Value != 0 && w.Gain > v.Gain {
				v.Gain = w.Gain
			}
		}
		sum := finite(a + b)
		v.Value, v.At = clip(sum, s.min, s.max), e.at
		v.Remainder, v.RemainderAt = finite(rest+(v.Value-sum)), e.at
	}
}

// rebase makes the steps of from's contributions count like those of the lead that it is merged into.
func (e *Evaluator) rebase(from *lead.Lead, score int, by int64) {
	cs := from.Ledger.List()
	for i := range cs {
		if c := &cs[i]; int(c.Score) == score {
			c.Steps += by
		}
	}
	from.Ledger = lead.LedgerOf(cs)
}

// mergeLedger puts the contributions of both in the order of their times; it may be too long then.
func (e *Evaluator) mergeLedger(l, from *lead.Lead) {
	cs := append(l.Ledger.List(), from.Ledger.List()...)
	slices.SortStableFunc(cs, func(a, b lead.Contribution) int { return cmp.Compare(a.Time, b.Time) })
	l.Ledger = lead.LedgerOf(cs)
}

func (e *Evaluator) trimLedger() {
	l := e.l
	over := l.Ledger.Len() - maxLedger
	if over <= 0 {
		return
	}
	cs := l.Ledger.List()
	for i := range over {
		e.toRemainder(&cs[i])
	}
	l.Ledger = lead.LedgerOf(cs[over:])
}

// mergeLines replays limits over what both counted, and takes the later firing of inactivity.
func (e *Evaluator) mergeLines(l, from *lead.Lead) {
	mine := l.Lines
	l.Lines = nil // what is taken back below must not look for its place there
	for _, x := range from.Lines {
		i, found := slices.BinarySearchFunc(mine, x, compareLines)
		if !found {
			mine = slices.Insert(mine, i, x)
			continue
		}
		fired := max(mine[i].Fired, x.Fired)
		if lim := e.set.lines[x.Slot].limit; lim != nil {
			mine[i] = e.replay(lim, &mine[i], &x)
		}
		if e.set.lines[x.Slot].inactive > 0 {
			mine[i].Fired = fired
		}
	}
	l.Lines = e.fewKeys(mine)
}

// replay asks a limit again for all that two leads counted, in the order of time. What counts no more is taken
// back, as far as the ledger knows it.
func (e *Evaluator) replay(lim *limit, a, b *lead.Line) lead.Line {
	type counted struct {
		at     int64
		points float64
	}
	var all []counted
	for _, x := range []*lead.Line{a, b} {
		for i, at := range x.Counted {
			c := counted{at: at, points: math.NaN()}
			if i < len(x.Points) {
				c.points = x.Points[i]
			}
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(x, y counted) int { return cmp.Compare(x.at, y.at) })
	fresh := lead.Line{Slot: a.Slot, Key: a.Key}
	for _, c := range all {
		asked := c.points
		if math.IsNaN(asked) {
			asked = 1
		}
		left, ok := lim.admit(&fresh, c.at, asked)
		switch {
		case !ok:
			e.uncount(a.Slot, c.at, c.points, 0)
		case left != asked && !math.IsNaN(c.points):
			e.uncount(a.Slot, c.at, c.points, left/asked)
		}
	}
	return fresh
}

// uncount takes back a contribution of a line, all but a part of it. points are NaN when they are not known.
func (e *Evaluator) uncount(slot uint16, at int64, points, part float64) {
	l := e.l
	cs := l.Ledger.List()
	for i := len(cs) - 1; i >= 0; i-- { // of equal ones that of the lead that came
		c := &cs[i]
		if c.Line != slot || c.Time != at || !math.IsNaN(points) && math.Abs(c.Points) != points {
			continue
		}
		taken := *c
		taken.Points = finite(c.Points - float64(c.Points*part))
		e.takePoints(&taken)
		e.takeEntry(c)
		if part == 0 {
			l.Ledger = lead.LedgerOf(slices.Delete(cs, i, i+1))
			return
		}
		c.Points = float64(c.Points * part)
		l.Ledger = lead.LedgerOf(cs)
		if sc := &e.set.scores[c.Score]; sc.decay == decayAll || sc.decay == decayLine {
			k := &e.set.keepers[sc.keeper]
			k.win.insert(e.keep(sc.keeper), lead.Entry{Time: c.Time, Message: c.Message, Value: c.Points}, e.at)
		}
		return
	}
}

// fewKeys keeps the newest values of each `by` expression.
func (e *Evaluator) fewKeys(lines []lead.Line) []lead.Line {
	for i := 0; i < len(lines); {
		j := i
		for j < len(lines) && lines[j].Slot == lines[i].Slot {
			j++
		}
		for j-i > maxLimitKeys {
			oldest := i
			for k := i + 1; k < j; k++ {
				if lastCounted(&lines[k]) < lastCounted(&lines[oldest]) {
					oldest = k
				}
			}
			lines = slices.Delete(lines, oldest, oldest+1)
			j--
		}
		i = j
	}
	return lines
}

// mergeWindows interleaves what both saw.
func (e *Evaluator) mergeWindows(l, from *lead.Lead) {
	for i := range from.Signals {
		x := &from.Signals[i]
		k := &e.set.keepers[x.Slot]
		sig := e.keep(int(x.Slot))
		switch {
		case k.distinct:
			for _, entry := range x.Entries {
				k.insertDistinct(sig, entry)
			}
			sig.Last = max(sig.Last, x.Last)
		case k.spans == nil && !k.entries:
			sig.Last = max(sig.Last, x.Last)
		default:
			k.win.interleave(sig, x, e.at)
		}
	}
}

// interleave adds the entries and buckets of another window. What is at most as new as a bucket joins one.
func (w *window) interleave(sig, x *lead.Signal, now int64) {
	sig.Last = max(sig.Last, x.Last)
	sig.Buckets = append(sig.Buckets, x.Buckets...)
	slices.SortStableFunc(sig.Buckets, func(a, b lead.Bucket) int { return cmp.Compare(a.Newest, b.Newest) })
	w.widen(sig, now)
	sig.Entries = append(sig.Entries, x.Entries...)
	slices.SortStableFunc(sig.Entries, func(a, b lead.Entry) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Message, b.Message))
	})
	w.forget(sig, now)
	over := max(0, len(sig.Entries)-w.keep)
	if n := len(sig.Buckets); n > 0 {
		over = max(over, firstEntry(sig.Entries, sig.Buckets[n-1].Newest))
	}
	out := slices.Clone(sig.Entries[:over])
	sig.Entries = slices.Delete(sig.Entries, 0, over)
	for _, entry := range out {
		w.join(sig, entry, now)
	}
}
