package rules

import (
	"math"

	"leadstream/state/lead"
)

// This file answers, for a sum of exponentials that is compared with a constant: is it so now, and which
// is the first integer millisecond at which that is no longer so?
//
// The answer is about the doubles that sumAt returns, rounding included, not about an ideal curve. What makes
// that possible without looking at every millisecond is that sumAt is the ideal curve rounded once (see
// exp2Wide): where the curve rises, sumAt does not fall. So intervals on which the curve can be shown to
// stay clear of the constant need no look, intervals on which it can be shown to be monotone are searched
// by halving, and only a few ms around each turn are looked at one by one.

// expTerm is one summand: V at time At, halved every H ms. H = 0 is a constant.
type expTerm struct {
	V     float64
	At, H int64
}

// maxTerms is how many different half-lives one sum may have; a rule set with a derived score of more is
// refused when it is loaded.
const maxTerms = 16

// maxSteps bounds the work of one search: that many intervals are looked at, each for maxTerms
// exponentials at most; and one interval at most is searched by some 70 evaluations. Real rule sets need
// under ten. Constructed curves that keep level at the constant (an inflection within rounding of it) can
// need one for each ms of that.
const maxSteps = 2048

// noDoubleMoves is the number of half-lives after which nothing is left of any sum: 2^1024 * maxTerms down
// to less than 2^-1075.
const noDoubleMoves = 2110

// sumAt returns the sum of terms at time t. Terms of one half-life are first added up at the latest of
// their anchors, in their order. If then more than one half-life is left, the sum is exact to 2^-100 of
// its largest term before it is rounded to the nearest double. Whoever shows a derived score or compares
// it must use this very function, so that all see the same bits. The result is always finite.
func sumAt(terms []expTerm, t int64) float64 {
	if len(terms) == 1 {
		return decayHalfLife(terms[0].V, terms[0].At, t, terms[0].H)
	}
	var s expSum
	s.gather(terms)
	return s.at(t)
}

// crossing tells whether `sum op c` holds at time at, and the first ms after at at which that is no longer
// so, lead.Never if time alone does not change it.
//
// The search ends where no double moves any more, 2,110 half-lives of the longest lived term after its
// anchor; the truth there stays. Should maxSteps not be enough, until is an earlier ms, still after at, up
// to which the truth is proven not to change: a timer there changes nothing and asks again.
//
// There may be any number of terms but at most maxTerms different half-lives. It allocates nothing.
func crossing(terms []expTerm, c float64, op cmpOp, at int64) (holds bool, until int64) {
	var s expSum
	s.gather(terms)
	switch s.n {
	case 0:
		return op.holds(s.k, c), lead.Never
	case 1:
		return s.crossOne(c, op, at)
	}
	return s.crossMany(c, op, at)
}

// crossingClamped is crossing for a sum that is clamped to [lo, hi] when read.
func crossingClamped(terms []expTerm, lo, hi, c float64, op cmpOp, at int64) (holds bool, until int64) {
	op, c, decided := op.clamped(c, lo, hi)
	if decided {
		return op == opAlways, lead.Never
	}
	return crossing(terms, c, op, at)
}

// expSum is a sum in the form that is evaluated: at most one term for each half-life, and a constant.
type expSum struct {
	n int
	k float64
	t [maxTerms]expTerm
}

// gather fills s. Equal half-lives are joined because terms that cancel would else leave a rest that
// changes its sign with every rounding.
func (s *expSum) gather(terms []expTerm) {
	for i := range terms {
		x := &terms[i]
		if x.H <= 0 {
			s.k = finite(s.k + x.V)
			continue
		}
		j := 0
		for j < s.n && s.t[j].H != x.H {
			j++
		}
		if j == s.n {
			if j == maxTerms {
				panic("bug: a sum of more than 16 half-lives was not refused when it was loaded")
			}
			s.t[j] = *x
			s.n++
			continue
		}
		y := &s.t[j]
		at := max(x.At, y.At)
		y.V = finite(decayHalfLife(y.V, y.At, at, y.H) + decayHalfLife(x.V, x.At, at, x.H))
		y.At = at
	}
	n := 0
	for _, x := range s.t[:s.n] {
		if x.V != 0 {
			s.t[n] = x
			n++
		}
	}
	s.n = n
}

// at returns the sum at time t.
func (s *expSum) at(t int64) float64 {
	switch s.n {
	case 0:
		return s.k
	case 1:
		x := &s.t[0]
		return finite(decayHalfLife(x.V, x.At, t, x.H) + s.k)
	}
	// First the exponents, then the numbers: a sum's unit must be known before anything is added.
	var rest [maxTerms]int64
	var halvings [maxTerms]int64
	top := int64(math.MinInt64)
	for i := range s.n {
		x := &s.t[i]
		halvings[i], rest[i] = halve(t-x.At, x.H)
		_, exp := mantissa(x.V)
		top = max(top, exp-63-halvings[i])
	}
	if s.k != 0 {
		_, exp := mantissa(s.k)
		top = max(top, exp-63)
	}
	sum := newWide(top)
	if s.k != 0 {
		sum.add(wideProduct(s.k, one127, 0))
	}
	for i := range s.n {
		x := &s.t[i]
		sum.add(wideProduct(x.V, exp2Wide(rest[i], x.H), -halvings[i]))
	}
	return sum.quotient(1)
}

// lastTime is the last ms that is looked at, 73 million years from the epoch. Times and spans are well
// inside of it, so that sums and differences of them do not overflow.
const lastTime = int64(1) << 61

// end returns a time from which on no term moves.
func (s *expSum) end() int64 {
	end := -lastTime
	for i := range s.n {
		x := &s.t[i]
		end = max(end, addSpan(x.At, min(x.H, lastTime/noDoubleMoves)*noDoubleMoves))
	}
	return end
}

// addSpan returns t+d for d >= 0, at most lastTime.
func addSpan(t, d int64) int64 { return min(t, lastTime-d) + d }

// finite limits an overflow to the largest double.
func finite(v float64) float64 {
	return clip(v, -math.MaxFloat64, math.MaxFloat64)
}
