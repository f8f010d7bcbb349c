package rules

import (
	"math"

	"leadstream/state/lead"
)

// crossOne is crossing for one half-life. sumAt is then monotone in time bit for bit.
func (s *expSum) crossOne(c float64, op cmpOp, at int64) (holds bool, until int64) {
	end := max(s.end(), addSpan(at, 1))
	x := &s.t[0]
	// Beside a constant k the sum reaches k itself when what is left is below half an ulp.
	rest := max(math.Abs(c-s.k), math.Abs(s.k)*0x1p-54, math.SmallestNonzeroFloat64)
	guess := clampInside(x.At, float64(x.H)*(math.Log2(math.Abs(x.V))-math.Log2(rest)), at, end)
	return op.holds(s.at(at), c), flipOfMonotone(op, c, at, end, guess, s.at)
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

// expSearch walks from `at` to the right and settles interval after interval, with intervals as long as can
// be proven, down to single ms. It looks at the ideal curve, as doubles near it tell; where these are not
// enough it asks sumAt.
type expSearch struct {
	sum   *expSum
	op    cmpOp
	want  float64 // what sum is compared with
	holds bool

	// The curve and the constant, scaled by 2^up so that the largest number is about 2^500, and anchored
	// within a half-life of where the scale was chosen; the rates ln 2 / H; which term lives longest.
	curve   expSum
	c       float64
	up      int64
	rate    [maxTerms]float64
	longest int
	// toEnd says that the constant is where the sum ends. Then only the sign of the decaying part matters,
	// which does not change when everything is multiplied by the growth that undoes the decay of the
	// longest lived term: nearly equal half-lives that nearly cancel are told apart by that.
	toEnd bool

	// What prove found out about its interval: how far from the constant it begins, what of this may be
	// rounding, and the steepest slope towards the constant.
	gap, margin, steep float64
}

// expSample is the curve and its terms at one time.
type expSample struct {
	t int64
	v float64
	g [maxTerms]float64
}

// verdict is what is known about an interval.
type verdict uint8

const (
	unsettled verdict = iota
	constant          // the comparison does not change
	monotone          // sumAt does not rise, or does not fall
)

// crossMany is crossing for at least two half-lives.
func (s *expSum) crossMany(c float64, op cmpOp, at int64) (holds bool, until int64) {
	q := expSearch{sum: s, op: op, want: c, holds: op.holds(s.at(at), c), toEnd: s.k == c}
	shortest := q.prepare(at)
	var first, second expSample
	a, b := &first, &second
	q.sample(at, a)
	end := s.end()
	width := max(1, shortest/2)
	for range maxSteps {
		if a.t >= end || q.constFrom(a) {
			return q.holds, lead.Never
		}
		if q.faded(a) {
			q.prepare(a.t)
			q.sample(a.t, a)
		}
		if q.monotoneFrom(a) {
			return q.holds, flipOfMonotone(op, c, a.t, end, q.guess(a, b, end, a.g[q.longest]), s.at)
		}
		width = min(width, q.widest())
		q.sample(min(addSpan(a.t, width), end), b)
		switch q.prove(a, b) {
		case constant:
			width = min(2*width, lastTime)
		case monotone:
			t := b.t
			if until = flipOfMonotone(op, c, a.t, t, q.guess(a, b, t, b.v-q.curve.k), s.at); until != lead.Never {
				return q.holds, until
			}
			q.sample(t, b)
			width = min(2*width, lastTime)
		default:
			if d := q.creep(a, b); d > 0 {
				q.sample(a.t+d, a)
				width = 2 * d
				continue
			}
			if b.t-a.t > 1 {
				width = q.shrink(a, b)
				continue
			}
			if op.holds(s.at(b.t), c) != q.holds {
				return q.holds, b.t
			}
		}
		a, b = b, a
	}
	return q.holds, a.t + 1
}

// prepare fills in the scaled curve for times from `from` on and returns the shortest half-life.
func (q *expSearch) prepare(from int64) (shortest int64) {
	const top = 500
	s := q.sum
	scale := math.MinInt32
	if !q.toEnd || q.want != 0 {
		_, k := math.Frexp(s.k)
		_, c := math.Frexp(q.want)
		scale = max(k, c)
	}
	var halvings [maxTerms]int64
	shortest = math.MaxInt64
	for i := range s.n {
		x := s.t[i]
		var rest int64
		halvings[i], rest = halve(from-x.At, x.H)
		_, exp := math.Frexp(x.V)
		scale = max(scale, exp-int(halvings[i]))
		x.At = from - rest
		q.curve.t[i] = x
		q.rate[i] = math.Ln2 / float64(x.H)
		shortest = min(shortest, x.H)
		if x.H > s.t[q.longest].H {
			q.longest = i
		}
	}
	q.up = int64(top - scale)
	q.curve.n = s.n
	for i := range s.n {
		q.curve.t[i].V = scale2(s.t[i].V, q.up-halvings[i])
	}
	q.curve.k = scale2(s.k, q.up)
	q.c = scale2(q.want, q.up)
	return shortest
}

// faded reports that all has become too small for the scale.
func (q *expSearch) faded(a *expSample) bool {
	const small = 0x1p-100
	for i := range q.curve.n {
		if math.Abs(a.g[i]) > small {
			return false
		}
	}
	return q.toEnd && q.want == 0 || math.Abs(q.c) < small && math.Abs(q.curve.k) < small
}

// widest is how wide an interval may be so that growth over it stays a number.
func (q *expSearch) widest() int64 { return min(q.sum.t[q.longest].H, lastTime/400) * 400 }

// sample fills p with the curve at t.
func (q *expSearch) sample(t int64, p *expSample) {
	p.t = t
	v := 0.0
	for i := range q.curve.n {
		x := &q.curve.t[i]
		p.g[i] = decayHalfLife(x.V, x.At, t, x.H)
		v += p.g[i]
	}
	p.v = v + q.curve.k
}

// roundUnit is the margin, relative to the numbers that are added, for what rounding can do to a sample: a
// term is good to 2 ulp, up to 17 of them are added. It is some times larger than needed.
const roundUnit = 64 * 0x1p-52

// constFrom reports that the comparison is proven not to change from a on: the constant k changes by no
// more than the sum of a's positive, or that of its negative terms.
func (q *expSearch) constFrom(a *expSample) bool {
	var up, down float64
	for i := range q.curve.n {
		if g := a.g[i]; g > 0 {
			up += g
		} else {
			down += g
		}
	}
	// Unscaled, because rounding to subnormal numbers is part of what is compared.
	up = scale2(float64(up*(1+roundUnit)), -q.up)
	down = scale2(float64(down*(1+roundUnit)), -q.up)
	if k := q.sum.k; k != 0 {
		up, down = finite(k+(up+0x1p-1070)), finite(k+(down-0x1p-1070))
	}
	return q.same(down, up)
}

// monotoneFrom reports that from a on the longest lived term alone decides which way the curve goes: it
// outweighs the slopes of all that is against it, which decays faster.
func (q *expSearch) monotoneFrom(a *expSample) bool {
	long := a.g[q.longest]
	against := 0.0
	for i := range q.curve.n {
		if (a.g[i] > 0) != (long > 0) {
			against += float64(q.rate[i] * math.Abs(a.g[i]))
		}
	}
	own := q.rate[q.longest] * math.Abs(long)
	return math.Abs(long) > 0x1p-900 && own > float64((1+0x1p-20)*against)
}

// guess returns about when the curve, monotone on [a, end], reaches the constant: a safeguarded Newton search
// on samples, of the logarithm where the curve decays towards k beyond the constant. beyond is a sample
// that shows on which side of k it will be then. b is used up.
func (q *expSearch) guess(a, b *expSample, end int64, beyond float64) int64 {
	k, target := q.curve.k, q.c
	if q.toEnd && (a.v > k) == (beyond > 0) {
		// It comes so near that rounding does the rest.
		target = k + math.Copysign(max(math.Abs(k)*0x1p-54, scale2(1, q.up-1075)), a.v-k)
	}
	lo, hi, below := a.t, end, a.v < target
	p := a
	t := lo
	for range 50 {
		step := (target - p.v) / q.slope(p)
		if r := (target - k) / (p.v - k); r > 0 {
			step = math.Log(r) * (p.v - k) / q.slope(p)
		}
		next := lo + (hi-lo)/2
		if step > float64(lo-t)-1 && step < float64(hi-t)+1 {
			next = clampInside(t, step, lo, hi)
		}
		if near := next - t; hi-lo < 3 || near > -2 && near < 2 {
			return next
		}
		t, p = next, b
		q.sample(t, b)
		if (b.v < target) == below {
			lo = t
		} else {
			hi = t
		}
	}
	return t
}

// same reports that the comparison is what it is now for every value in [lo, hi].
func (q *expSearch) same(lo, hi float64) bool {
	switch {
	case q.op == opEQ || q.op == opNE:
		isEqual := q.holds == (q.op == opEQ)
		if isEqual {
			return lo == q.want && hi == q.want
		}
		return lo > q.want || hi < q.want
	}
	return q.op.holds(lo, q.want) == q.holds && q.op.holds(hi, q.want) == q.holds
}

// prove tells what is known about [a, b]; the comparison has not changed up to a.
func (q *expSearch) prove(a, b *expSample) verdict {
	w := float64(b.t - a.t)
	ln, h := q.rate[q.longest], q.sum.t[q.longest].H
	halvings, rest := halve(b.t-a.t, h)
	growth := scale2(1/exp2Fraction(float64(rest)/float64(h)), halvings)

	// Bounds of the curve's slope (times growth), of the slope that matters for the distance to the
	// constant, and the sizes that rounding is relative to.
	// turn is about the slope of the slope.
	var turn, dist bounds
	var da, db, sa, sb, mag, slopeMag, fastest float64
	for i := range q.curve.n {
		r, ga, gb := q.rate[i], a.g[i], b.g[i]
		grown := float64(gb * growth)
		sa -= float64(r * ga)
		sb -= float64(r * grown)
		turn.addSlope(float64(r*(r-ln)), ga, grown)
		fastest = max(fastest, r)
		if q.toEnd {
			dist.addSlope(r-ln, ga, grown)
			da += ga
			db += grown
		} else {
			dist.addSlope(r, ga, gb)
		}
		mag += math.Abs(ga)
		slopeMag += float64(r * math.Abs(ga))
	}
	off := float64(roundUnit*slopeMag) + 0x1p-560
	dist.widen(off)
	turn = bounds{-turn.hi, -turn.lo}
	turn.widen(float64(off * fastest))
	// sumAt is monotone where the curve moves by more in a ms than sumAt is off before it is rounded.
	monotonic := turn.lowest(sa, sb, w) > off+float64(0x1p-100*mag)

	floor := 0.0
	if q.toEnd {
		// The sign must not be lost in rounding beside k, nor in underflow.
		floor = float64(0x1p-50*math.Abs(q.c)) + scale2(1, q.up-1070)
	} else {
		da, db, growth = a.v-q.c, b.v-q.c, 1
		mag += math.Abs(q.curve.k) + math.Abs(q.c)
	}
	q.margin = float64(roundUnit*mag) + 0x1p-560
	if !q.toEnd {
		q.margin += scale2(1, q.up-1070)
	}
	q.gap, q.steep = math.Abs(da)-q.margin, -dist.lo
	if da < 0 {
		q.steep = dist.hi
	}
	if q.gap <= 0 { // on which side of the constant is not known
		q.steep = max(-dist.lo, dist.hi)
	}
	switch low := dist.lowest(da, db, w) - q.margin; {
	case low > 0 && low > float64(floor*growth):
		return constant
	case monotonic:
		return monotone
	}
	return unsettled
}

// bounds encloses a slope.
type bounds struct{ lo, hi float64 }

// addSlope adds the slope of a term that goes from g to h at rate r.
func (b *bounds) addSlope(r, g, h float64) {
	if g > h {
		g, h = h, g
	}
	b.lo -= float64(r * h)
	b.hi -= float64(r * g)
}

func (b *bounds) widen(by float64) {
	b.lo -= by
	b.hi += by
}

// lowest returns how near to 0 a curve can come on an interval of width w at whose ends it has the values u
// and v, given bounds of its slope; 0 or less if it can reach 0. The nearest point is an end, or not
// beyond where two lines meet: the one that leaves u with the steepest slope, and the one that arrives at v.
func (b bounds) lowest(u, v, w float64) float64 {
	if u < 0 {
		u, v, b = -u, -v, bounds{-b.hi, -b.lo}
	}
	low := min(u, v)
	if low > 0 && b.lo < 0 && b.hi > 0 {
		low = (float64(u*b.hi) - float64(v*b.lo) + float64(float64(w*b.lo)*b.hi)) / (b.hi - b.lo)
		low += float64(0x1p-40 * b.lo * w)
	}
	return low
}

// shrink returns the next width to try after (a, b] was not settled: as far as the steepest slope lets
// the curve stay clear of the constant, but not less than a quarter of the last.
func (q *expSearch) shrink(a, b *expSample) int64 {
	w := b.t - a.t
	next := w / 2
	if safe := q.gap / q.steep; safe > 0 && safe < float64(next) {
		next = max(w/4, int64(safe))
	}
	return max(1, next)
}

// creep returns how far after a the comparison surely stays, where samples are too near to the constant to
// tell: sumAt is much nearer to the curve. It is called after prove and returns 0 where it is of no use.
func (q *expSearch) creep(a, b *expSample) int64 {
	w := b.t - a.t
	if q.gap > 0 || w > 1<<22 || w > q.sum.t[q.longest].H/2 {
		return 0
	}
	c := math.Abs(q.want)
	gap := math.Abs(q.sum.at(a.t)-q.want) - 4*(math.Nextafter(c, math.Inf(1))-c)
	if !(gap > 0) || math.IsInf(gap, 0) {
		return 0
	}
	gap = float64(scale2(gap, q.up)*(1-0x1p-20)) - float64(0x1p-44*q.margin)
	switch safe := gap / q.steep; {
	case safe >= float64(w):
		return w
	case safe >= float64(w)/4:
		return int64(safe)
	}
	return 0
}

// slope is the ideal curve's slope at p, per ms.
func (q *expSearch) slope(p *expSample) float64 {
	d := 0.0
	for i := range q.curve.n {
		d -= float64(q.rate[i] * p.g[i])
	}
	return d
}
