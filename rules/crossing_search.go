package rules

import (
	"math"

	"leadstream/state/lead"
)

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
		// A term that is nothing on this scale may be what is left in the end.
		if q.sum.t[i].V > 0 {
			up += a.g[i] + 0x1p-1000
		} else {
			down += a.g[i] - 0x1p-1000
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
