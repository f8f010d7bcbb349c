package rules

import (
	"math"

	"leadstream/state/lead"
)

// crossOne is crossing for one half-life. sumAt is then monotone in time bit for bit, so a comparison
// changes at most once (an equality twice), and any bracketing finds the exact ms.
func (s *expSum) crossOne(c float64, op cmpOp, at int64) (holds bool, until int64) {
	now := s.at(at)
	holds = op.holds(now, c)
	reached, passed := opLE, opLT
	if s.t[0].V < 0 {
		reached, passed = opGE, opGT
	}
	switch {
	case op == opEQ || op == opNE:
		if now == c {
			return holds, s.firstOne(passed, c, at)
		}
		if passed.holds(now, c) {
			return holds, lead.Never
		}
		until = s.firstOne(reached, c, at)
		if until != lead.Never && s.at(until) != c {
			until = lead.Never // stepped over
		}
		return holds, until
	case holds:
		op = op.negated()
	}
	if op != reached && op != passed {
		return holds, lead.Never
	}
	return holds, s.firstOne(op, c, at)
}

// firstOne returns the first ms after at at which `sum op c` holds, for a single half-life and an op that
// does not hold at at and, once it holds, stays. The logarithm only says where to begin: its last bits
// may differ between machines, the result can't.
func (s *expSum) firstOne(op cmpOp, c float64, at int64) int64 {
	if !op.holds(s.k, c) {
		return lead.Never
	}
	x := &s.t[0]
	lo, hi := at, max(s.end(), addSpan(at, 1))
	// Beside a constant k the sum reaches k itself when what is left is below half an ulp.
	rest := max(math.Abs(c-s.k), math.Abs(s.k)*0x1p-54, math.SmallestNonzeroFloat64)
	guess := clampInside(x.At, float64(x.H)*(math.Log2(math.Abs(x.V))-math.Log2(rest)), lo, hi)
	for step := int64(1); hi-lo > 1; step = addSpan(0, 3*step) {
		if op.holds(s.at(guess), c) {
			hi = guess
			guess -= step
		} else {
			lo = guess
			guess = addSpan(guess, step)
		}
		if guess <= lo || guess >= hi {
			guess = lo + (hi-lo)/2
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

// expSample is a sum and its terms at one time.
type expSample struct {
	t int64
	v float64
	g [maxTerms]float64
}

// expSearch walks from `at` to the right and proves interval after interval that the comparison does
// not change in it, with intervals as long as can be proven, down to single ms.
type expSearch struct {
	*expSum
	c     float64
	op    cmpOp
	holds bool
	rate  [maxTerms]float64 // ln 2 / H

	// What prove found out about its interval: the margin within which sumAt may be off the ideal curve,
	// bounds of the slope, and whether it has one sign.
	margin   float64
	dlo, dhi float64
	monotone bool
}

// crossMany is crossing for at least two half-lives.
func (s *expSum) crossMany(c float64, op cmpOp, at int64) (holds bool, until int64) {
	var first, second expSample
	a, b := &first, &second
	s.sample(at, a)
	q := expSearch{expSum: s, c: c, op: op, holds: op.holds(a.v, c)}
	shortest := int64(math.MaxInt64)
	for i := range s.n {
		q.rate[i] = math.Ln2 / float64(s.t[i].H)
		shortest = min(shortest, s.t[i].H)
	}
	end := s.end()
	width := max(1, shortest/2)
	tail := s.k == c
	for range maxSteps {
		if a.t >= end || q.constFrom(a) {
			return q.holds, lead.Never
		}
		if tail {
			if t, ok := q.dominated(a); ok {
				tail = false
				if t > addSpan(a.t, width) {
					s.sample(t, a)
					continue
				}
			}
		}
		s.sample(min(addSpan(a.t, width), end), b)
		switch {
		case q.prove(a, b):
			a, b = b, a
			width = addSpan(0, 2*width)
		case b.t-a.t == 1:
			if op.holds(b.v, c) != q.holds {
				return q.holds, b.t
			}
			a, b = b, a
		case q.monotone && q.clear(a):
			// The curve comes near c in here and only once: go to where that begins.
			q.approach(a, b)
			width = 1
		default:
			width = q.shrink(a, b)
		}
	}
	return q.holds, a.t + 1
}

// sample fills p with the terms and the sum at t, the same as at(t).
func (s *expSum) sample(t int64, p *expSample) {
	p.t = t
	v := 0.0
	for i := range s.n {
		x := &s.t[i]
		p.g[i] = decayHalfLife(x.V, x.At, t, x.H)
		v += p.g[i]
	}
	p.v = finite(v + s.k)
}

// constFrom reports that the comparison is proven not to change from a on: all values lie between the
// sum of a's positive and that of its negative terms.
func (q *expSearch) constFrom(a *expSample) bool {
	var up, down float64
	for i := range q.n {
		if g := a.g[i]; g > 0 {
			up += g
		} else {
			down += g
		}
	}
	return q.same(finite(down+q.k), finite(up+q.k))
}

// same reports that the comparison is what it is now for every value in [lo, hi].
func (q *expSearch) same(lo, hi float64) bool {
	switch {
	case q.op == opEQ || q.op == opNE:
		isEqual := q.holds == (q.op == opEQ)
		if isEqual {
			return lo == q.c && hi == q.c
		}
		return lo > q.c || hi < q.c
	}
	return q.op.holds(lo, q.c) == q.holds && q.op.holds(hi, q.c) == q.holds
}

// prove reports that the comparison does not change in (a, b]; it knows that it has not changed at a.
func (q *expSearch) prove(a, b *expSample) bool {
	var up, down, mag, slopeMag float64
	q.dlo, q.dhi = 0, 0
	for i := range q.n {
		ga, gb := a.g[i], b.g[i]
		lo, hi := ga, gb
		if ga > gb {
			lo, hi = gb, ga
		}
		down += lo
		up += hi
		r := q.rate[i]
		q.dlo -= float64(r * hi)
		q.dhi -= float64(r * lo)
		mag += math.Abs(ga)
		slopeMag += float64(r * math.Abs(ga))
	}
	if q.same(finite(down+q.k), finite(up+q.k)) {
		return true
	}
	// From here on the ideal curve is looked at. Every bound is widened by what rounding can do: a term is
	// good to 2 ulp, n of them are added.
	mag += math.Abs(q.k) + math.Abs(q.c)
	const unit = 64 * 0x1p-52
	q.margin = float64(unit*mag) + 0x1p-1064
	q.dlo -= float64(unit * slopeMag)
	q.dhi += float64(unit * slopeMag)
	if !(mag < 0x1p+1000) {
		q.monotone, q.margin = false, math.Inf(1)
		return false
	}
	q.monotone = q.dlo >= 0 || q.dhi <= 0
	da, db := a.v-q.c, b.v-q.c
	dlo, dhi := q.dlo, q.dhi
	if da < 0 {
		da, db, dlo, dhi = -da, -db, -dhi, -dlo
	}
	if !(da > q.margin && db > q.margin) {
		return false
	}
	if q.monotone {
		return true
	}
	// Neither end is the lowest point. The curve is above the line that falls from a with the steepest
	// slope and above the one that rises to b; where they meet is a lower bound.
	w := float64(b.t - a.t)
	low := (float64(da*dhi) - float64(db*dlo) + float64(float64(w*dlo)*dhi)) / (dhi - dlo)
	return low > q.margin-float64(0x1p-40*dlo*w)
}

// clear reports that p's sum is away from c by more than rounding can explain.
func (q *expSearch) clear(p *expSample) bool { return math.Abs(p.v-q.c) > q.margin }

// shrink returns the next width to try after (a, b] was not proven: as far as the steepest slope lets
// the curve stay clear of c, but not less than a quarter of the last.
func (q *expSearch) shrink(a, b *expSample) int64 {
	w := b.t - a.t
	if !q.clear(a) {
		return max(1, w/8)
	}
	steep := -q.dlo
	if a.v < q.c {
		steep = q.dhi
	}
	safe := (math.Abs(a.v-q.c) - q.margin) / steep
	next := w / 2
	if safe < float64(next) {
		next = int64(safe)
	}
	return max(1, w/4, next)
}

// approach moves a to the right, as far as the sum can be seen to be clear of c on a's side, given that
// the curve is monotone on [a, b] and b is not. b is used up.
func (q *expSearch) approach(a, b *expSample) {
	above := a.v > q.c
	lo, hi := a.t, b.t
	guess := lo
	// A few Newton steps on the ideal curve, only to know where to look.
	from, v, slope := lo, a.v, q.slope(a)
	for range 6 {
		next := clampInside(from, (q.c-v)/slope, lo, hi)
		if next == guess || next >= hi {
			break
		}
		guess = next
		q.sample(guess, b)
		if math.Abs(b.v-q.c) <= 2*q.margin {
			break
		}
		from, v, slope = guess, b.v, q.slope(b)
	}
	guess = max(guess, lo+1)
	for step := int64(1); hi-lo > 1; step = addSpan(0, 3*step) {
		q.sample(guess, b)
		if (b.v > q.c) == above && q.clear(b) {
			lo = guess
			*a = *b
			guess = addSpan(guess, step)
		} else {
			hi = guess
			guess -= step
		}
		if guess <= lo || guess >= hi {
			guess = lo + (hi-lo)/2
		}
	}
}

// slope is the ideal curve's slope at p, per ms.
func (q *expSearch) slope(p *expSample) float64 {
	d := 0.0
	for i := range q.n {
		d -= float64(q.rate[i] * p.g[i])
	}
	return d
}

// dominated reports that from a on the longest lived term alone decides the sign of the decaying part,
// being more than twice all that is against it, which decays faster. It returns a time, within two
// half-lives of the last, up to which that sign is surely not lost in rounding. It serves constants equal
// to where the sum ends: there the intervals would else have to follow the decay through all its magnitudes.
func (q *expSearch) dominated(a *expSample) (int64, bool) {
	long := q.longest(a)
	if long < 0 {
		return 0, false
	}
	g, against := a.g[long], 0.0
	for i := range q.n {
		if (a.g[i] > 0) != (g > 0) {
			against += math.Abs(a.g[i])
		}
	}
	if !(math.Abs(g) > 2*against) || (a.v > q.c) != (g > 0) || a.v == q.c {
		return 0, false
	}
	_, from := math.Frexp(g)
	_, to := math.Frexp(q.floor())
	h, halvings := q.t[long].H, int64(from-to-1)
	if halvings <= 0 || h >= math.MaxInt64/noDoubleMoves {
		return 0, false
	}
	return addSpan(a.t, h*halvings), true
}

// floor is how large the decaying part must be so that rounding keeps its sign.
func (q *expSearch) floor() float64 {
	return max(float64(0x1p-44*(math.Abs(q.k)+math.Abs(q.c))), 0x1p-980)
}

// longest returns the index of the longest lived term that is not 0 at p, -1 if there is none.
func (q *expSearch) longest(p *expSample) int {
	long := -1
	for i := range q.n {
		if p.g[i] != 0 && (long < 0 || q.t[i].H > q.t[long].H) {
			long = i
		}
	}
	return long
}
