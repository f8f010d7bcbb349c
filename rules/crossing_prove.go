package rules

import "math"

// verdict is what is known about an interval.
type verdict uint8

const (
	unsettled verdict = iota
	constant          // the comparison does not change
	monotone          // sumAt does not rise, or does not fall
)

// prove tells what is known about [a, b]; the comparison has not changed up to a.
func (q *expSearch) prove(a, b *expSample) verdict {
	e := q.enclose(a, b)
	// Every bound is widened by what rounding can do.
	slopeOff := float64(roundUnit*e.slopeMag) + underflow
	e.dist.widen(slopeOff)
	e.turn.widen(float64(slopeOff * e.fastest))
	// sumAt is monotone where the curve moves by more in a ms than sumAt is off before it is rounded.
	monotonic := e.turn.lowest(e.sa, e.sb, e.w) > slopeOff+float64(0x1p-100*e.mag)

	// How near may the distance to the constant come to 0 for the comparison to be sure?
	floor := 0.0
	if q.toEnd {
		// The sign must not be lost in rounding beside k, nor in underflow, when the growth is taken away.
		floor = float64(0x1p-50*math.Abs(q.c)) + scale2(1, q.up-1070)
		floor *= e.growth
		q.margin = float64(roundUnit*e.mag) + underflow
	} else {
		e.da, e.db = a.v-q.c, b.v-q.c
		q.margin = float64(roundUnit*(e.mag+math.Abs(q.curve.k)+math.Abs(q.c))) + underflow + scale2(1, q.up-1070)
	}
	q.gap, q.steep = math.Abs(e.da)-q.margin, -e.dist.lo
	if e.da < 0 {
		q.steep = e.dist.hi
	}
	if q.gap <= 0 { // on which side of the constant is not known
		q.steep = max(-e.dist.lo, e.dist.hi)
	}
	switch low := e.dist.lowest(e.da, e.db, e.w) - q.margin; {
	case low > 0 && low > floor:
		return constant
	case monotonic:
		return monotone
	}
	return unsettled
}

// underflow bounds what is lost of samples and slopes by underflow, growth included.
const underflow = 0x1p-560

// enclosure is what the ends of an interval tell about the curve within. "Grown" values are multiplied by
// the growth that undoes the decay of the longest lived term since a.
type enclosure struct {
	w, growth float64
	// sa and sb are the grown slopes at the ends; turn encloses how that changes in a ms.
	sa, sb float64
	turn   bounds
	// da and db are the distances from the constant at the ends, grown if toEnd; dist encloses how that
	// changes in a ms.
	da, db float64
	dist   bounds
	// mag and slopeMag are the sums of the sizes of the terms and of their slopes, fastest is the largest rate.
	mag, slopeMag, fastest float64
}

// enclose fills in an enclosure but for da and db where not toEnd.
func (q *expSearch) enclose(a, b *expSample) (e enclosure) {
	long, h := q.rate[q.longest], q.sum.t[q.longest].H
	halvings, rest := halve(b.t-a.t, h)
	e.growth = scale2(1/exp2Fraction(float64(rest)/float64(h)), halvings)
	e.w = float64(b.t - a.t)
	for i := range q.curve.n {
		r, ga, gb := q.rate[i], a.g[i], b.g[i]
		grown := float64(gb * e.growth)
		e.sa -= float64(r * ga)
		e.sb -= float64(r * grown)
		e.turn.addSlope(float64(r*(r-long)), ga, grown)
		if q.toEnd {
			e.dist.addSlope(r-long, ga, grown)
			e.da += ga
			e.db += grown
		} else {
			e.dist.addSlope(r, ga, gb)
		}
		e.mag += math.Abs(ga)
		e.slopeMag += float64(r * math.Abs(ga))
		e.fastest = max(e.fastest, r)
	}
	e.turn = bounds{-e.turn.hi, -e.turn.lo} // each slope falls where its term does
	return e
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
