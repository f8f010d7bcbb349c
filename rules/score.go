package rules

import (
	"math"

	"leadstream/state/lead"
)

// scoreAt returns a score's value.
func (x *scope) scoreAt(slot int) float64 {
	s := &x.set.scores[slot]
	v := x.unclamped(slot)
	if s.clamped() {
		return clip(v, s.min, s.max)
	}
	return v
}

// unclamped returns a score's value before it is limited when read.
func (x *scope) unclamped(slot int) float64 {
	s := &x.set.scores[slot]
	switch s.decay {
	case stateScore:
		return x.stateSum(slot).value
	case derived:
		v, _, _ := x.sumScores(s.parts, s.base, nil)
		return v
	case decayAll, decayLine:
		w := x.signalState(s.keeper)
		if w == nil {
			return 0
		}
		if s.decay == decayLine {
			return linearAt(w, s.span, x.at)
		}
		v, _ := windowSum(w, s.span, x.at)
		return v
	}
	return s.stored(&x.l.Scores[slot], x.at)
}

// stored returns what a stored value is at a time.
func (s *score) stored(v *lead.Score, at int64) float64 {
	if s.decay == decayStepped {
		return float64(decayStep(v.Value, v.At, at, v.Gain, s.span, s.keep))
	}
	return decayHalfLife(v.Value, v.At, at, s.halfLife)
}

// stateSum returns the sum of the lines that hold, and until when it stays that.
func (x *scope) stateSum(slot int) *stateMemo {
	m := &x.states[slot]
	if m.gen == x.gen && m.at == x.at {
		return m
	}
	kept := &x.l.Scores[slot]
	if x.set.scores[slot].kept && kept.At == sumKnown {
		*m = stateMemo{gen: x.gen, at: x.at, value: kept.Value, until: never}
		return m
	}
	outer := x.nowOnly
	x.nowOnly = false // the answer is kept for those who ask until when
	sum, until := 0.0, never
	for _, i := range x.set.scores[slot].lines {
		v, u := x.stateLine(&x.set.lines[i])
		sum, until = finite(sum+v), min(until, u)
	}
	x.nowOnly = outer
	*m = stateMemo{gen: x.gen, at: x.at, value: sum, until: until}
	if x.set.scores[slot].kept && !x.quiet {
		kept.Value, kept.At = sum, sumKnown
	}
	return m
}

// stateLine returns what a state line adds now: the points of its first tier that holds.
func (x *scope) stateLine(ln *line) (v float64, until int64) {
	until = never
	for i := range ln.tiers {
		holds, u := x.test(ln.tiers[i].when)
		until = min(until, u)
		if holds {
			v, u, _ = x.number(ln.tiers[i].add)
			return v, min(until, u)
		}
	}
	return 0, until
}

// comparison asks whether a sum of scores is on one side of a constant, and until when it stays there.
type comparison struct {
	op cmpOp
	c  float64
}

// compareScores compares a weighted sum of scores and a constant with another constant. It returns the
// answer and the first ms at which time alone may change it.
func (x *scope) compareScores(parts []weight, op cmpOp, c float64) (bool, int64) {
	if len(parts) == 1 && parts[0].by == 1 && parts[0].score >= 0 {
		return x.compareScore(parts[0].score, op, c)
	}
	_, holds, until := x.sumScores(parts, 0, &comparison{op, c})
	return holds, until
}

// compareScore compares one score with a constant.
func (x *scope) compareScore(slot int, op cmpOp, c float64) (bool, int64) {
	s := &x.set.scores[slot]
	if s.clamped() {
		var decided bool
		if op, c, decided = op.clamped(c, s.min, s.max); decided {
			return op == opAlways, never
		}
	}
	switch s.decay {
	case stateScore:
		m := x.stateSum(slot)
		return op.holds(m.value, c), m.until
	case derived:
		_, holds, until := x.sumScores(s.parts, s.base, &comparison{op, c})
		return holds, until
	case decayAll, decayLine:
		w := x.signalState(s.keeper)
		switch {
		case w == nil:
			return op.holds(0, c), never
		case s.decay == decayLine:
			return linearCrossing(w, s.span, c, op, x.at)
		}
		return sumCrossing(w, s.span, c, op, x.at)
	}
	v := &x.l.Scores[slot]
	if x.nowOnly {
		return op.holds(s.stored(v, x.at), c), never
	}
	if s.decay == decayStepped {
		return stepCrossing(v.Value, v.At, v.Gain, s.span, s.keep, c, op, x.at)
	}
	term := [1]expTerm{{V: v.Value, At: v.At, H: s.halfLife}}
	return crossing(term[:], c, op, x.at)
}

// sumScores returns the value of a weighted sum of scores and base, or else the answer to a comparison with
// it and until when that holds.
func (x *scope) sumScores(parts []weight, base float64, ask *comparison) (v float64, holds bool, until int64) {
	// A state score's own conditions may come by here again, so terms are kept as on a stack.
	from, straightFrom := len(x.terms), len(x.straight)
	until = never
	for _, w := range parts {
		if w.score < 0 {
			v := x.tag(w.tag)
			x.terms = append(x.terms, expTerm{V: finite(float64(w.by * v.Weight)), At: v.At, H: x.set.tags.halfLife})
			continue
		}
		s := &x.set.scores[w.score]
		switch s.decay {
		case decayNone:
			v := &x.l.Scores[w.score]
			x.terms = append(x.terms, expTerm{V: finite(float64(w.by * v.Value)), At: v.At, H: s.halfLife})
		case decayLine:
			if sig := x.signalState(s.keeper); sig != nil {
				x.straight = append(x.straight, straightTerm{sig: sig, span: s.span, by: w.by})
			}
		default: // it keeps its value for a while
			value, u := x.steady(w.score)
			until = min(until, u)
			x.terms = append(x.terms, expTerm{V: finite(float64(w.by * value))})
		}
	}
	if base != 0 {
		x.terms = append(x.terms, expTerm{V: base})
	}
	terms, straight := x.terms[from:], x.straight[straightFrom:]
	var u int64
	switch {
	case ask == nil:
		v, u = mixedAt(terms, straight, x.at), never
	case len(straight) > 0:
		holds, u = mixedCrossing(terms, straight, ask.c, ask.op, x.at)
	default:
		holds, u = crossing(terms, ask.c, ask.op, x.at)
	}
	x.terms, x.straight = x.terms[:from], x.straight[:straightFrom]
	return v, holds, min(until, u)
}

// steady returns the value of a score that changes in steps, and when the next may be.
func (x *scope) steady(slot int) (v float64, until int64) {
	s := &x.set.scores[slot]
	until = never
	switch s.decay {
	case stateScore:
		until = x.stateSum(slot).until
	case decayAll:
		if w := x.signalState(s.keeper); w != nil {
			_, until = windowSum(w, s.span, x.at)
		}
	case decayStepped:
		// What so many steps have made nothing of has no next step that matters.
		if v := &x.l.Scores[slot]; s.stored(v, x.at) != 0 {
			until = addSpan(v.Gain, (floorDiv(x.at-v.Gain, s.span)+1)*s.span)
		}
	}
	return x.scoreAt(slot), until
}

// gradeAt returns the index of a score's grade: the first floor that it reaches, else the last.
func (x *scope) gradeAt(slot int) (int, int64) {
	s := &x.set.scores[slot]
	until := never
	last := len(s.gradeFloors) - 1
	for i := range last {
		holds, u := x.compareScore(slot, opGE, s.gradeFloors[i])
		if until = min(until, u); holds {
			return i, until
		}
	}
	return last, until
}

// cellAt returns the index of a matrix's cell.
func (x *scope) cellAt(slot int) (int, int64) {
	m := &x.set.matrices[slot]
	row, u1 := x.gradeAt(m.rows)
	col, u2 := x.gradeAt(m.cols)
	return row*len(x.set.scores[m.cols].gradeNames) + col, min(u1, u2)
}

// straightTerm is a linear score in a sum.
type straightTerm struct {
	sig  *lead.Signal
	span int64
	by   float64
}

// mixedAt is the value of a sum of exponentials and linear scores.
func mixedAt(terms []expTerm, straight []straightTerm, t int64) float64 {
	v := sumAt(terms, t)
	for i := range straight {
		s := &straight[i]
		v = finite(v + float64(s.by*linearAt(s.sig, s.span, t)))
	}
	return v
}

// maxMixedSteps bounds the work of one mixedCrossing.
const maxMixedSteps = 512

// mixedCrossing is crossing for such a sum. It walks forward by steps that are too short for the curve to
// reach the constant: no exponential and no straight line ever gets steeper than it is now. Where that
// does not decide within maxMixedSteps, until is a ms up to which nothing changes.
func mixedCrossing(terms []expTerm, straight []straightTerm, c float64, op cmpOp, at int64) (holds bool, until int64) {
	v := mixedAt(terms, straight, at)
	holds = op.holds(v, c)
	t := at
	for range maxMixedSteps {
		steep, size := steepness(terms, straight, t)
		if steep == 0 {
			return holds, never
		}
		step := int64(1)
		// The margin is for rounding: nearer than that every ms is looked at.
		if room := (math.Abs(v-c) - float64(0x1p-40*(size+math.Abs(c)))) / steep; room >= float64(maxTime) {
			return holds, never
		} else if room > 1 {
			step = int64(room)
		}
		t += step
		if v = mixedAt(terms, straight, t); op.holds(v, c) != holds {
			return holds, t
		}
	}
	return holds, t
}

// steepness bounds by how much a sum moves in one ms from t on, and how large its parts are.
func steepness(terms []expTerm, straight []straightTerm, t int64) (steep, size float64) {
	for i := range terms {
		v := math.Abs(decayHalfLife(terms[i].V, terms[i].At, t, terms[i].H))
		size += v
		if terms[i].H > 0 {
			steep += float64(v * (math.Ln2 * (1 + 0x1p-20)) / float64(terms[i].H))
		}
	}
	for i := range straight {
		s := &straight[i]
		b, j := liveFrom(s.sig, s.span, t)
		sum := 0.0
		for b < len(s.sig.Buckets) || j < len(s.sig.Entries) {
			var v float64
			v, b, j = valueOf(s.sig, b, j)
			sum += math.Abs(v)
		}
		sum *= math.Abs(s.by)
		size += sum
		steep += float64(sum * (1 + 0x1p-20) / float64(s.span))
	}
	return steep, size
}
