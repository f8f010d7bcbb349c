package rules

import (
	"math"
	"math/bits"

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
// of its span, added up, divided by span. The sum is exact (of values within 2^60 of each other) and
// rounded once, so what cancels is exactly 0, and a straight line is monotone to the last bit.
func linearAt(sig *lead.Signal, span, t int64) float64 {
	i, j := liveFrom(sig, span, t)
	top := int64(math.MinInt64)
	for x, y := i, j; x < len(sig.Buckets) || y < len(sig.Entries); {
		var v float64
		if v, x, y = valueOf(sig, x, y); v != 0 {
			_, exp := mantissa(v)
			top = max(top, exp)
		}
	}
	if top == math.MinInt64 {
		return 0
	}
	sum := newWide(top)
	for i < len(sig.Buckets) || j < len(sig.Entries) {
		left := min(span, oldestLeaves(sig, i, j, span)-t)
		var v float64
		v, i, j = valueOf(sig, i, j)
		m, exp := mantissa(v)
		hi, lo := bits.Mul64(m, uint64(left))
		sum.add(wideTerm{m: u128{hi, lo}, exp: exp, neg: v < 0})
	}
	return sum.quotient(uint64(span))
}

// linearCrossing is the crossing of linearAt. Between two moments at which entries leave the score is a
// straight line, which crosses at most once. One pass over the entries finds the pieces on which it
// may; only those are looked at closely.
func linearCrossing(sig *lead.Signal, span int64, c float64, op cmpOp, at int64) (holds bool, until int64) {
	i, j := liveFrom(sig, span, at)
	run := linearAt(sig, span, at)
	holds = op.holds(run, c)
	margin := 4*roundOff(sig, i, j) + float64(0x1p-48*math.Abs(c))
	slope := 0.0
	for x, y := i, j; x < len(sig.Buckets) || y < len(sig.Entries); {
		var v float64
		v, x, y = valueOf(sig, x, y)
		slope += v
	}
	value := func(t int64) float64 { return linearAt(sig, span, t) }
	for from := at; ; {
		to := oldestLeaves(sig, i, j, span)
		if to == lead.Never {
			return holds, to
		}
		next := run - float64(slope*(float64(to-from)/float64(span)))
		if apart := min(run-c, next-c) > margin || max(run-c, next-c) < -margin; !apart {
			run, next = value(from), value(to)
			guess := clampInside(from, float64(to-from)*((run-c)/(run-next)), from, to)
			if until = flipOfMonotone(op, c, from, to, guess, value); until != lead.Never {
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
	most := (lastTime - g) / every
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
