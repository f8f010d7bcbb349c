package rules

import "math"

// scoreBounds returns between what each score can be, whatever happens: what min and max leave, and for state and
// derived scores what their lines and parts can add up to. Points that a command may add are bounded by
// nothing else.
func scoreBounds(set *Set) []fact {
	b := bounder{set: set, known: make([]bool, len(set.scores)), bounds: make([]fact, len(set.scores))}
	for i := range set.scores {
		b.of(i)
	}
	return b.bounds
}

type bounder struct {
	set    *Set
	known  []bool
	bounds []fact
}

func (b *bounder) of(slot int) fact {
	if b.known[slot] {
		return b.bounds[slot]
	}
	b.known[slot], b.bounds[slot] = true, anyNumber // scores that read each other in a circle are refused before
	s := &b.set.scores[slot]
	f := anyNumber
	switch s.decay {
	case stateScore:
		f = between(0, 0)
		for _, i := range s.lines {
			f = addRanges(f, lineRange(&b.set.lines[i]))
		}
	case derived:
		for _, p := range s.parts {
			b.of(p.score)
		}
		f = (&formulas{set: b.set, bounds: b.bounds}).sumBounds(s.parts, s.base)
	}
	f.lo, f.hi = clipEnd(f.lo, s), clipEnd(f.hi, s)
	b.bounds[slot] = f
	return f
}

// clipEnd limits an end of a range as the score is limited. No limit at all leaves it infinite.
func clipEnd(v float64, s *score) float64 {
	if s.max < math.MaxFloat64 {
		v = min(v, s.max)
	}
	if s.min > -math.MaxFloat64 {
		v = max(v, s.min)
	}
	return v
}

// lineRange is what a state line can add: one of its tiers, or nothing.
func lineRange(ln *line) fact {
	f := between(0, 0)
	for i := range ln.tiers {
		if add := ln.tiers[i].add; add.isConst {
			f.lo, f.hi = min(f.lo, add.value), max(f.hi, add.value)
		} else {
			return anyNumber
		}
	}
	return f
}

func addRanges(f, g fact) fact { return between(f.lo+g.lo, f.hi+g.hi) }

// sumBounds returns between what a weighted sum of scores and tags and a constant can be.
func (fs *formulas) sumBounds(parts []weight, base float64) fact {
	f := between(base, base)
	for _, p := range parts {
		g := anyNumber
		if p.score >= 0 {
			g = fs.bounds[p.score]
		}
		lo, hi := p.by*g.lo, p.by*g.hi
		if p.by == 0 {
			lo, hi = 0, 0
		}
		f = addRanges(f, between(min(lo, hi), max(lo, hi)))
	}
	if len(parts) > 1 || len(parts) == 1 && parts[0].by != 1 {
		// Sums are rounded, so their bounds are not meant to the last bit.
		slack := 1e-9 * max(1, math.Abs(f.lo), math.Abs(f.hi))
		if !math.IsInf(slack, 0) {
			f.lo, f.hi = f.lo-slack, f.hi+slack
		} else if !math.IsInf(f.lo, 0) {
			f.lo -= 1e-9 * max(1, math.Abs(f.lo))
		} else if !math.IsInf(f.hi, 0) {
			f.hi += 1e-9 * max(1, math.Abs(f.hi))
		}
	}
	return f
}
