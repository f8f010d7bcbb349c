package rules

// The decays of a score. All are pure functions of stored numbers and the time asked for, with the same
// bits on every machine, and monotone in time for every single contribution: the search for crossings
// rests on that.

// maxKeep is the largest `keep` below 1 that a step decay may have: nearer to 1, rounding of a power
// could outweigh one more step. A rule set with a keep between it and 1 is refused when it is loaded.
const maxKeep = 1 - 1.0/(1<<20)

// decayHalfLife returns what v points anchored at from are worth at to: v * 2^(-(to-from)/halfLife), all in
// ms. A halfLife of 0 or less means no decay. A to before from grows v by the same law, at most to
// math.MaxFloat64. The result at a whole number of half-lives is exact, others are good to 2 ulp, an
// underflow is 0 without sign, and the result never moves away from 0 as to grows.
//
// Half-lives up to 2^53 ms are supported.
func decayHalfLife(v float64, from, to, halfLife int64) float64 {
	if halfLife <= 0 || from == to {
		return v
	}
	// The quotient is taken in integers: a float quotient of 30 half-lives would have lost 5 bits of the
	// fraction that decides the result.
	q, dt := halve(to-from, halfLife)
	if dt > 0 {
		v *= exp2Fraction(float64(dt) / float64(halfLife))
	}
	v = scale2(v, -q)
	if v == 0 {
		return 0
	}
	return v
}

// halve splits dt into a whole number of half-lives and a rest of 0 <= rest < h.
func halve(dt, h int64) (halvings, rest int64) {
	if uint64(dt) < uint64(h) {
		return 0, dt
	}
	q := floorDiv(dt, h)
	return q, dt - q*h
}

// decayExpire returns what v points of time from count at to under `expire_after: span`.
func decayExpire(v float64, from, to, span int64) float64 {
	if to-from < span {
		return v
	}
	return 0
}

// decayLinear returns what v points of time from count at to under `linear_over: span`: v at from and
// before, 0 from from+span on, a straight line between. Values beyond 1e290 are cut by overflow.
func decayLinear(v float64, from, to, span int64) float64 {
	dt := to - from
	switch {
	case dt >= span:
		return 0
	case dt <= 0:
		return v
	}
	// Multiplied first, the usual small numbers are rounded only once: 9 points are 8.7 after 3 of 90 days.
	v = finite(v*float64(span-dt)) / float64(span)
	if v == 0 {
		return 0
	}
	return v
}

// decayStep returns what v points anchored at from are worth at to under `step: {every, keep}`, g being the
// time of the latest gain: one factor keep (0 to maxKeep, or 1) for each of g+every, g+2*every, ... in (from, to].
// A to before from returns v. It serves late points too: with g = from = s it is the decay by
// floor((to-s)/every).
func decayStep(v float64, from, to, g, every int64, keep float64) float64 {
	if every <= 0 || to <= from {
		return v
	}
	k := floorDiv(to-g, every) - floorDiv(from-g, every)
	v *= powInt(keep, k)
	if v == 0 {
		return 0
	}
	return v
}

// powInt returns x^k for 0 <= x <= 1 and k >= 0 by repeated squaring. Its relative error is below 2k
// units of 2^-53, so it does not grow with k while x <= maxKeep: at underflow k is below 2^30.
func powInt(x float64, k int64) float64 {
	r := 1.0
	for ; k > 0; k >>= 1 {
		if k&1 != 0 {
			r *= x
		}
		x *= x
	}
	return r
}

// floorDiv returns floor(a/b) for b > 0.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// clip limits v to [lo, hi]. A score without min or max passes -math.MaxFloat64 or math.MaxFloat64, so that
// sums that overflow stay numbers. v is not NaN.
func clip(v, lo, hi float64) float64 {
	switch {
	case v < lo:
		return lo
	case v > hi:
		return hi
	}
	return v
}
