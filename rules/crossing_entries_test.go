package rules

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"leadstream/state/lead"
)

// drawSignal draws a window with up to 90 entries, some of them in buckets, and its span.
func drawSignal(rt *rapid.T, value *rapid.Generator[float64]) (*lead.Signal, int64) {
	span := rapid.Int64Range(1, 300).Draw(rt, "span")
	w := newWindow(maxEntries, false, span)
	sig := newSignal(0)
	most := rapid.SampledFrom([]int{3, 8, 90}).Draw(rt, "most")
	times := rapid.SliceOfN(rapid.Int64Range(-span, 0), 0, most).Draw(rt, "times")
	for i, t := range times {
		w.insert(&sig, lead.Entry{Time: t, Message: uint64(i), Value: value.Draw(rt, "value")}, 0)
	}
	return &sig, span
}

// everyMS returns the values from 0 until nothing is left.
func everyMS(span int64, at func(t int64) float64) []float64 {
	values := make([]float64, 2*span+2)
	for t := range values {
		values[t] = at(int64(t))
	}
	return values
}

// walkAll compares a crossing function with its values, for constants near them.
func walkAll(rt *rapid.T, values []float64, what string, cross func(c float64, op cmpOp, at int64) (bool, int64)) {
	lo, hi := extrema(values)
	cs := []float64{
		0, lo, hi, rapid.Float64Range(lo-1, hi+1).Draw(rt, "c"), math.Round(values[len(values)/3]),
		values[rapid.IntRange(0, len(values)-1).Draw(rt, "touch")],
	}
	for _, c := range cs {
		for _, op := range allOps {
			walkBrute(rt, values, c, op, what, func(at int64) (bool, int64) { return cross(c, op, at) })
		}
	}
}

var (
	wholePoints = rapid.Custom(func(rt *rapid.T) float64 { return float64(rapid.IntRange(-20, 20).Draw(rt, "points")) })
	anyPoints   = rapid.OneOf(wholePoints, rapid.Float64Range(-20, 20), rapid.SampledFrom([]float64{0.1, 0.2, -0.3, -0.1, 1e200, -1e200, 1e-200}))
)

func TestCountCrossingBrute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sig, span := drawSignal(rt, wholePoints)
		values := everyMS(span, func(t int64) float64 { n, _ := windowCount(sig, span, t); return float64(n) })
		walkAll(rt, values, fmt.Sprintf("%+v", sig), func(c float64, op cmpOp, at int64) (bool, int64) {
			return countCrossing(sig, span, c, op, at)
		})
	})
}

func TestSumCrossingBrute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sig, span := drawSignal(rt, anyPoints)
		values := everyMS(span, func(t int64) float64 { v, _ := windowSum(sig, span, t); return v })
		walkAll(rt, values, fmt.Sprintf("%+v", sig), func(c float64, op cmpOp, at int64) (bool, int64) {
			return sumCrossing(sig, span, c, op, at)
		})
	})
}

func TestLinearCrossingBrute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sig, span := drawSignal(rt, anyPoints)
		values := everyMS(span, func(t int64) float64 { return linearAt(sig, span, t) })
		walkAll(rt, values, fmt.Sprintf("span %d %+v", span, sig), func(c float64, op cmpOp, at int64) (bool, int64) {
			return linearCrossing(sig, span, c, op, at)
		})
	})
}

func TestStepCrossingBrute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := anyPoints.Draw(rt, "v")
		every := rapid.Int64Range(1, 6).Draw(rt, "every")
		keep := rapid.OneOf(rapid.Float64Range(0, 0.7), rapid.SampledFrom([]float64{0, 0.5, 1, 0.25})).Draw(rt, "keep")
		g := rapid.Int64Range(-200, 0).Draw(rt, "g")
		from := rapid.Int64Range(g, 0).Draw(rt, "from")
		steps := int64(300)
		if keep < 1 && keep > 0 {
			steps = int64(2200/-math.Log2(keep)) + 300
		}
		values := make([]float64, steps*every)
		for t := range values {
			values[t] = decayStep(v, from, int64(t), g, every, keep)
		}
		walkAll(rt, values, fmt.Sprint(v, from, g, every, keep), func(c float64, op cmpOp, at int64) (bool, int64) {
			return stepCrossing(v, from, g, every, keep, c, op, at)
		})
	})
}

// TestLinearWorked has spans of months, flat pieces on the constant, and what ends where it began.
func TestLinearWorked(t *testing.T) {
	one := &lead.Signal{Entries: []lead.Entry{{Time: 0, Value: 9}}}
	flat := &lead.Signal{Entries: []lead.Entry{{Time: 0, Value: 5}, {Time: 9 * day, Value: -5}}}
	dust := &lead.Signal{Entries: []lead.Entry{{Time: 0, Value: 0.1}, {Time: 0, Value: 0.2}, {Time: 0, Value: -0.3}}}
	for _, tc := range []struct {
		name  string
		sig   *lead.Signal
		op    cmpOp
		c     float64
		at    int64
		holds bool
		until int64
	}{
		{"9 points", one, opGE, 8.7, 0, true, 3*day + 1},
		{"9 points", one, opLT, 8.7, 0, false, 3*day + 1},
		{"9 points", one, opEQ, 8.7, 0, false, 3 * day},
		{"9 points", one, opGT, 0, 0, true, 90 * day},
		{"flat at -0.5", flat, opLE, -0.5, 9 * day, true, 90*day + 1},
		{"flat at -0.5", flat, opLT, -0.5, 9 * day, false, lead.Never},
		{"flat at -0.5", flat, opEQ, -0.5, 20 * day, true, 90*day + 1},
		{"0.1 + 0.2 - 0.3", dust, opGT, 0, 0, true, 90 * day},
	} {
		holds, until := linearCrossing(tc.sig, 90*day, tc.c, tc.op, tc.at)
		if holds != tc.holds || until != tc.until {
			t.Errorf("%s: op %d %v at %d: %v until %d, want %v until %d", tc.name, tc.op, tc.c, tc.at, holds, until, tc.holds, tc.until)
		}
	}
}
