package rules

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestDecayWorked has the worked numbers that need no crossing.
func TestDecayWorked(t *testing.T) {
	none := math.MaxFloat64
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"half_life 7d: 10 at 0", decayHalfLife(10, 0, 0, 7*day), 10},
		{"half_life 7d: 5 at 7d", decayHalfLife(10, 0, 7*day, 7*day), 5},
		{"half_life 7d: 2.5 at 14d", decayHalfLife(10, 0, 14*day, 7*day), 2.5},
		{"late +8 from -7d: 14", clip(decayHalfLife(10, 0, 0, 7*day)+decayHalfLife(8, -7*day, 0, 7*day), -none, none), 14},
		{"80 and 80 with max 100: 100", clip(clip(0+80, 0, 100)+80, 0, 100), 100},
		{"80 and 80 with max 100: 50 at 1d", decayHalfLife(clip(clip(0+80, 0, 100)+80, 0, 100), 0, day, day), 50},
		{"linear_over 90d: 8.7 at 3d", decayLinear(9, 0, 3*day, 90*day), 8.7},
		{"derived a + b at 0: 20", sumAt([]expTerm{{50, 0, day}, {-30, 0, 10 * day}}, 0), 20},
		{"derived a + b at 0: -30", sumAt([]expTerm{{20, 0, 10 * day}, {-50, 0, day}}, 0), -30},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %v", tc.name, tc.got)
		}
	}
}

func TestDecayHalfLife(t *testing.T) {
	huge, tiny := math.MaxFloat64, math.SmallestNonzeroFloat64
	for _, tc := range []struct {
		v         float64
		from, to  int64
		h         int64
		want      float64
		wantExact bool
	}{
		{10, 5, 5, 7, 10, true},
		{10, 0, 1 << 60, 0, 10, true},
		{-10, 0, 7, 7, -5, true},
		{10, 7, 0, 7, 20, true}, // backwards
		{10, 10, 0, 7, 10 * math.Exp2(10.0/7), false},
		{huge, 10, 0, 7, huge, true},
		{-huge, 10, 0, 7, -huge, true},
		{huge, 0, 2098, 1, tiny, true},
		{huge, 0, 2099, 1, 0, true},
		{tiny, 0, 1, 1, 0, true}, // half of it, rounded to even
		{-tiny, 0, 2, 1, 0, true},
		{1, 0, 1 << 53, 1 << 53, 0.5, true},
		{1, -1 << 61, 1 << 61, 1 << 53, 0x1p-512, true},
		{100, 0, 14 * day / 2, 14 * day, 100 / math.Sqrt2, false},
	} {
		got := decayHalfLife(tc.v, tc.from, tc.to, tc.h)
		if tc.wantExact && got != tc.want || math.Abs(got-tc.want) > 1e-15*math.Abs(tc.want) || got == 0 && math.Signbit(got) {
			t.Errorf("decayHalfLife(%v, %d, %d, %d) = %v, want %v", tc.v, tc.from, tc.to, tc.h, got, tc.want)
		}
	}
}

func TestDecayProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		for range 20 {
			v := rapid.Float64Range(-1e6, 1e6).Draw(rt, "v")
			h := rapid.Int64Range(1, 1<<rapid.IntRange(1, 53).Draw(rt, "bits")).Draw(rt, "h")
			dt := rapid.Int64Range(0, min(60*h, 1<<60)).Draw(rt, "dt")
			got := decayHalfLife(v, 1000, 1000+dt, h)
			if want := bigDecay(v, dt, h); math.Abs(v) > 1e-200 && ulps(got, want) > 2 {
				rt.Fatalf("%v after %d of %d: %v is off by %v ulp", v, dt, h, got, ulps(got, want))
			}
			if next := decayHalfLife(v, 1000, 1001+dt, h); math.Abs(next) > math.Abs(got) {
				rt.Fatalf("%v grows between %d and %d of %d", v, dt, dt+1, h)
			}
			lin := decayLinear(v, 0, dt, h)
			if next := decayLinear(v, 0, dt+1, h); math.Abs(next) > math.Abs(lin) || math.Abs(lin) > math.Abs(v) {
				rt.Fatalf("linear: %v grows between %d and %d of %d", v, dt, dt+1, h)
			}
			keep := rapid.Float64Range(0, maxKeep).Draw(rt, "keep")
			k := rapid.Int64Range(0, 1<<30).Draw(rt, "k")
			if powInt(keep, k+1) > powInt(keep, k) {
				rt.Fatalf("%v^%d grows", keep, k+1)
			}
		}
	})
	for k := range int64(1 << 16) {
		if powInt(maxKeep, k+1) > powInt(maxKeep, k) {
			t.Fatalf("maxKeep^%d grows", k+1)
		}
	}
}

func TestDecayOthers(t *testing.T) {
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"expire: before", decayExpire(9, 0, 99, 100), 9},
		{"expire: at the end", decayExpire(9, 0, 100, 100), 0},
		{"linear: before its time", decayLinear(9, 50, 0, 100), 9},
		{"linear: last ms", decayLinear(100, 0, 99, 100), 1},
		{"linear: over", decayLinear(-9, 0, 100, 100), 0},
		{"linear: underflow has no sign", decayLinear(-5e-324, 0, 99, 100), 0},
		{"step: before the first", decayStep(100, 0, 9, 0, 10, 0.5), 100},
		{"step: at the first", decayStep(100, 0, 10, 0, 10, 0.5), 50},
		{"step: three", decayStep(100, 0, 39, 0, 10, 0.5), 12.5},
		{"step: anchored after two steps since the gain", decayStep(25, 25, 39, 0, 10, 0.5), 12.5},
		{"step: anchored on a step", decayStep(50, 10, 20, 0, 10, 0.5), 25},
		{"step: a late point, by floor((clock - s) / every)", decayStep(8, -25, 0, -25, 10, 0.5), 2},
		{"step: keep nothing", decayStep(8, 0, 10, 0, 10, 0), 0},
		{"step: keep all", decayStep(8, 0, 1000, 0, 10, 1), 8},
		{"step: backwards", decayStep(8, 100, 0, 0, 10, 0.5), 8},
		{"clip: low", clip(-3, -2, 5), -2},
		{"clip: high", clip(7, -2, 5), 5},
		{"clip: inside", clip(3, -2, 5), 3},
		{"clip: overflow", clip(math.Inf(1), -math.MaxFloat64, math.MaxFloat64), math.MaxFloat64},
	} {
		if tc.got != tc.want || tc.got == 0 && math.Signbit(tc.got) {
			t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}
