package rules

import (
	"math"

	"leadstream/state/lead"
)

// crossOne is crossing for one half-life. sumAt is then monotone in time bit for bit.
func (s *expSum) crossOne(c float64, op cmpOp, at int64) (holds bool, until int64) {
	holds = op.holds(s.at(at), c)
	if op != opEQ && op != opNE && op.holds(s.k, c) == holds {
		return holds, lead.Never // it ends at k, on the same side
	}
	end := max(s.end(), addSpan(at, 1))
	x := &s.t[0]
	// Beside a constant k the sum reaches k itself when what is left is below half an ulp.
	rest := max(math.Abs(c-s.k), math.Abs(s.k)*0x1p-54, math.SmallestNonzeroFloat64)
	guess := clampInside(x.At, float64(x.H)*math.Log2(math.Abs(x.V)/rest), at, end)
	return holds, flipOfMonotone(op, c, at, end, guess, s.at)
}

// flipOfMonotone returns the first t in (lo, hi] at which `f(t) op c` is not what it is at lo, lead.Never if
// there is none. f is monotone on [lo, hi], in either direction, so an order changes at most once
// and an equality twice. The guess only says where to begin, so it may come from functions whose last
// bits differ between machines.
func flipOfMonotone(op cmpOp, c float64, lo, hi, guess int64, f func(int64) float64) int64 {
	now, end := f(lo), f(hi)
	holds := op.holds(now, c)
	switch {
	case op != opEQ && op != opNE:
		if op.holds(end, c) == holds {
			return lead.Never
		}
		return firstWhere(lo, hi, guess, func(t int64) bool { return op.holds(f(t), c) != holds })
	case now == c:
		if end == c {
			return lead.Never
		}
		return firstWhere(lo, hi, guess, func(t int64) bool { return f(t) != c })
	case now < c && end < c, now > c && end > c:
		return lead.Never
	}
	until := firstWhere(lo, hi, guess, func(t int64) bool { v := f(t); return v == c || (v < c) != (now < c) })
	if f(until) != c {
		return lead.Never // stepped over
	}
	return until
}

// firstWhere returns the first t in (lo, hi] for which is(t), given that it is true at hi and stays true
// once it is. It gallops from guess and then halves: at most some 70 calls, few when the guess is near.
func firstWhere(lo, hi, guess int64, is func(int64) bool) int64 {
	for step := int64(1); hi-lo > 1; step = min(3*step, lastTime) {
		if guess <= lo || guess >= hi {
			guess = lo + (hi-lo)/2
		}
		if is(guess) {
			hi = guess
			guess -= step
		} else {
			lo = guess
			guess = addSpan(guess, step)
		}
	}
	return hi
}

// clampInside returns from+d, moved to the nearest integer strictly between lo and hi (hi if there is none).
func clampInside(from int64, d float64, lo, hi int64) int64 {
	t := hi
	if d < float64(hi-from) {
		t = lo
		if d > float64(lo-from) {
			t = from + int64(d)
		}
	}
	return max(lo+1, min(hi-1, t))
}
