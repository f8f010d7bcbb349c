package rules

import (
	"math"

	"leadstream/state/lead"
)

// Crossings of what is not a sum of exponentials: counts, sums and expiring scores fall in steps when entries
// leave, linear scores run straight between such moments, step scores keep a value for a while. The
// promise is that of crossing: whether `value op c` holds at `at`, and the first ms after it at which
// that is no longer so, lead.Never if time alone does not change it.

// countCrossing is the crossing of windowCount.
func countCrossing(sig *lead.Signal, span int64, c float64, op cmpOp, at int64) (holds bool, until int64) {
	n, _ := windowCount(sig, span, at)
	holds = op.holds(float64(n), c)
	for i, j := liveFrom(sig, span, at); ; {
		until = oldestLeaves(sig, i, j, span)
		if until == lead.Never {
			return holds, until
		}
		if i < len(sig.Buckets) {
			n -= sig.Buckets[i].Count
			i++
		} else {
			n--
			j++
		}
		// Several may leave at once: only what is left after the last of them counts.
		if op.holds(float64(n), c) != holds && oldestLeaves(sig, i, j, span) > until {
			return holds, until
		}
	}
}

// liveFrom returns the first bucket and the first entry that are within span at a time.
func liveFrom(sig *lead.Signal, span, at int64) (bucket, entry int) {
	return firstBucket(sig.Buckets, at-span), firstEntry(sig.Entries, at-span)
}

// valueOf returns the value of bucket i, or if there is none, of entry j, and the next pair.
func valueOf(sig *lead.Signal, i, j int) (v float64, nextI, nextJ int) {
	if i < len(sig.Buckets) {
		return sig.Buckets[i].Sum, i + 1, j
	}
	return sig.Entries[j].Value, i, j + 1
}

// roundOff bounds how far two ways to add up the values from bucket i and entry j on can be apart.
func roundOff(sig *lead.Signal, i, j int) float64 {
	n, mag := 8, 0.0
	for i < len(sig.Buckets) || j < len(sig.Entries) {
		var v float64
		v, i, j = valueOf(sig, i, j)
		mag += math.Abs(v)
		n++
	}
	return float64(float64(n)*0x1p-50*mag) + 0x1p-1064
}

// sumCrossing is the crossing of windowSum, and of an expiring score, whose value is a windowSum.
func sumCrossing(sig *lead.Signal, span int64, c float64, op cmpOp, at int64) (holds bool, until int64) {
	i, j := liveFrom(sig, span, at)
	run := sumFrom(sig, i, j)
	holds = op.holds(run, c)
	off := roundOff(sig, i, j)
	for {
		until = oldestLeaves(sig, i, j, span)
		if until == lead.Never {
			return holds, until
		}
		var v float64
		v, i, j = valueOf(sig, i, j)
		run -= v
		if oldestLeaves(sig, i, j, span) == until {
			continue
		}
		// Adding anew at every step would be quadratic; the running sum says when it is needed.
		if math.Abs(run-c) > off && op.holds(run, c) == holds {
			continue
		}
		if op.holds(sumFrom(sig, i, j), c) != holds {
			return holds, until
		}
	}
}

// linearAt returns the value at t of a score with `linear_over: span`: each entry's value times what is left
// of its span, added in time order, divided by span. Divided last, because sums of whole points are then
// exact and what cancels is exactly 0.
func linearAt(sig *lead.Signal, span, t int64) float64 {
	i, j := liveFrom(sig, span, t)
	sum := 0.0
	for ; i < len(sig.Buckets); i++ {
		sum += finite(sig.Buckets[i].Sum * float64(min(span, sig.Buckets[i].Newest-t+span)))
	}
	for ; j < len(sig.Entries); j++ {
		sum += finite(sig.Entries[j].Value * float64(min(span, sig.Entries[j].Time-t+span)))
	}
	return finite(sum) / float64(span)
}

// linearCrossing is the crossing of linearAt. Between two moments at which entries leave the score is a
// straight line. Where all sums are exact (whole points and the like, see linearExact) that is so bit for
// bit. Elsewhere it is so up to rounding; then the ms near the constant are looked at one by one, and
// should the line stay within rounding of it for more than maxSteps ms, until is earlier, as for crossing.
func linearCrossing(sig *lead.Signal, span int64, c float64, op cmpOp, at int64) (holds bool, until int64) {
	i, j := liveFrom(sig, span, at)
	run := linearAt(sig, span, at)
	holds = op.holds(run, c)
	q := linearSearch{sig: sig, span: span, c: c, op: op, holds: holds, exact: linearExact(sig, span, i, j)}
	q.margin = 4*roundOff(sig, i, j) + float64(0x1p-48*math.Abs(c))
	slope := 0.0
	for x, y := i, j; x < len(sig.Buckets) || y < len(sig.Entries); {
		var v float64
		v, x, y = valueOf(sig, x, y)
		slope += v
	}
	for from := at; ; {
		to := oldestLeaves(sig, i, j, span)
		if to == lead.Never {
			return holds, to
		}
		next := run - float64(slope*(float64(to-from)/float64(span)))
		if !q.apart(run, next) {
			if until, next = q.within(from, to); until != lead.Never {
				return holds, until
			}
		}
		run, from = next, to
		for oldestLeaves(sig, i, j, span) == to {
			var v float64
			v, i, j = valueOf(sig, i, j)
			slope -= v
		}
	}
}

// linearExact reports that all sums of linearAt from bucket i and entry j on are exact before the division:
// the values are multiples of one power of two, and there are bits enough for all of them times span.
func linearExact(sig *lead.Signal, span int64, i, j int) bool {
	unit, mag := 1.0, 0.0
	for i < len(sig.Buckets) || j < len(sig.Entries) {
		var v float64
		v, i, j = valueOf(sig, i, j)
		for math.Trunc(v*unit) != v*unit {
			if unit >= 0x1p+40 {
				return false
			}
			unit *= 2
		}
		mag += math.Abs(v)
	}
	return mag*unit*float64(span) <= 0x1p+53
}

// linearSearch looks for a crossing on one straight piece.
type linearSearch struct {
	sig    *lead.Signal
	span   int64
	c      float64
	op     cmpOp
	holds  bool
	exact  bool
	margin float64
}

// at is linearAt.
func (q *linearSearch) at(t int64) float64 { return linearAt(q.sig, q.span, t) }

// apart reports that two values are on one side of c by more than rounding.
func (q *linearSearch) apart(v, w float64) bool {
	return v-q.c > q.margin && w-q.c > q.margin || q.c-v > q.margin && q.c-w > q.margin
}

// within returns the first ms in (from, to] at which the comparison is not what it was, lead.Never if there
// is none, and the value at to. The piece is straight from from to to.
func (q *linearSearch) within(from, to int64) (until int64, last float64) {
	v, last := q.at(from), q.at(to)
	guess := clampInside(from, float64(to-from)*((v-q.c)/(v-last)), from, to)
	if q.exact {
		return flipOfMonotone(q.op, q.c, from, to, guess, q.at), last
	}
	if q.apart(v, last) {
		return lead.Never, last
	}
	if q.apart(v, v) {
		from = firstWhere(from, to, guess, func(t int64) bool { return !q.apart(v, q.at(t)) }) - 1
	}
	for t := from + 1; t <= to; t++ {
		v := q.at(t)
		if q.op.holds(v, q.c) != q.holds || t-from > maxSteps {
			return t, last
		}
		if q.apart(v, last) {
			break
		}
	}
	return lead.Never, last
}

// stepCrossing is the crossing of decayStep. keep is 0 to maxKeep, or 1.
func stepCrossing(v float64, from, g, every int64, keep, c float64, op cmpOp, at int64) (holds bool, until int64) {
	at = max(at, from)
	holds = op.holds(decayStep(v, from, at, g, every, keep), c)
	if every <= 0 || keep >= 1 || v == 0 {
		return holds, lead.Never
	}
	// The value is looked at as a function of the number of steps since g, where it is monotone.
	first := floorDiv(from-g, every)
	now := floorDiv(at-g, every)
	end := max(now+1, first+1)
	if keep > 0 {
		end += int64(noDoubleMoves/-math.Log2(keep)) + 1
	}
	most := (lead.Never - 1 - max(g, 0)) / every
	end = min(end, most)
	if now >= end {
		return holds, lead.Never
	}
	guess := clampInside(first, math.Log2(math.Abs(c/v))/math.Log2(keep), now, end)
	k := flipOfMonotone(op, c, now, end, guess, func(k int64) float64 {
		return decayStep(v, from, max(from, g+k*every), g, every, keep)
	})
	if k == lead.Never {
		return holds, lead.Never
	}
	return holds, g + k*every
}
