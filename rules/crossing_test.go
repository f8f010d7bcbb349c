package rules

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"leadstream/state/lead"
)

var allOps = []cmpOp{opLT, opLE, opGT, opGE, opEQ, opNE}

// TestCrossingWorked has the crossings among the worked numbers, and equalities that last one ms.
func TestCrossingWorked(t *testing.T) {
	falling := []expTerm{{10, 0, 7 * day}}
	through := []expTerm{{50, 0, day}, {-30, 0, 10 * day}}
	hill := []expTerm{{20, 0, 10 * day}, {-50, 0, day}}
	for _, tc := range []struct {
		name  string
		terms []expTerm
		op    cmpOp
		c     float64
		at    int64
		holds bool
		until int64
	}{
		{"7d, 10 points", falling, opLT, 4, 0, false, 799502112},
		{"7d, 10 points", falling, opGE, 4, 0, true, 799502112},
		{"7d, 10 points", falling, opLT, 4, 799502111, false, 799502112},
		{"7d, 10 points", falling, opLT, 4, 799502112, true, lead.Never},
		{"7d, 10 points", falling, opGT, 5, 0, true, 7 * day},
		{"7d, 10 points", falling, opGE, 5, 0, true, 7*day + 1},
		{"7d, 10 points", falling, opEQ, 5, 0, false, 7 * day},
		{"7d, 10 points", falling, opNE, 5, 7 * day, false, 7*day + 1},
		{"7d, 10 points", falling, opEQ, 4, 0, false, lead.Never},
		{"7d, 10 points", falling, opGT, 0, 0, true, 652169102112},
		{"through 0", through, opLT, 0, 0, false, 70748698},
		{"through 0", through, opGE, 0, 70748697, true, 70748698},
		{"through 0", through, opGT, 20, 0, false, lead.Never},
		{"through 0", through, opEQ, 20, 0, true, 1},
		{"over 10 and back", hill, opGE, 10, 0, false, 259333544},
		{"over 10 and back", hill, opGE, 10, 259333544, true, 857609885},
		{"over 10 and back", hill, opLT, 10, 857609885, true, lead.Never},
		{"over 10 and back", hill, opGE, 10, 857609885, false, lead.Never},
		// The second is nothing beside the first until that is small, too.
		{"huge and tiny", []expTerm{{1.0972248137587377e+304, 0, day}, {-6.624337284222476e-170, 0, 365 * day}}, opLT, 0, 0, false, 136193934066},
		{"nothing", nil, opGE, 0, 0, true, lead.Never},
		{"constants", []expTerm{{1, 0, 0}, {2, 9, 0}}, opEQ, 3, 0, true, lead.Never},
		{"equal half-lives cancel", []expTerm{{10, 0, day}, {-5, day, day}, {3, 0, 0}}, opEQ, 3, day, true, lead.Never},
		{"rests of 0", []expTerm{{0, 0, day}, {0, 0, 2 * day}}, opLT, 0, 0, false, lead.Never},
	} {
		holds, until := crossing(tc.terms, tc.c, tc.op, tc.at)
		if holds != tc.holds || until != tc.until {
			t.Errorf("%s: op %d %v at %d: %v until %d, want %v until %d", tc.name, tc.op, tc.c, tc.at, holds, until, tc.holds, tc.until)
		}
	}
}

// TestSumExact compares sumAt with the exact sum, rounded once.
func TestSumExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		terms := drawTerms(rt, rapid.SampledFrom([]int64{minute, day, 14 * day, 3650 * day}))
		at := rapid.Int64Range(0, 4000*day).Draw(rt, "at")
		got := sumAt(terms, at)
		var s expSum
		s.gather(terms)
		if s.n < 2 {
			return
		}
		want, mag := newBig().SetFloat64(s.k), newBig()
		for _, x := range s.t[:s.n] {
			g := bigDecay(x.V, at-x.At, x.H)
			want.Add(want, g)
			mag.Add(mag, g.Abs(g))
		}
		w, _ := want.Float64()
		if m, _ := mag.Float64(); got != w && math.Abs(w) > 0x1p-50*m {
			rt.Fatalf("%+v at %d: %v, want %v", terms, at, got, w)
		} else if math.Abs(got-w) > 0x1p-90*m {
			rt.Fatalf("%+v at %d: %v, want %v, which nearly cancels", terms, at, got, w)
		}
	})
}

// drawTerms draws 1 to 16 terms with half-lives from h, anchored in the last 30 half-lives.
func drawTerms(rt *rapid.T, h *rapid.Generator[int64]) []expTerm {
	terms := make([]expTerm, rapid.IntRange(1, maxTerms).Draw(rt, "n"))
	for i := range terms {
		x := &terms[i]
		x.H = h.Draw(rt, "H")
		x.V = float64(rapid.IntRange(-60, 60).Draw(rt, "V"))
		if rapid.IntRange(0, 3).Draw(rt, "fraction") == 0 {
			x.V *= rapid.Float64Range(0, 1).Draw(rt, "scale")
		}
		if x.H > 0 {
			x.At = -rapid.Int64Range(0, 30*x.H).Draw(rt, "At")
		} else if rapid.Bool().Draw(rt, "no constant") {
			x.V = 0
		}
	}
	return terms
}

// TestCrossingBrute compares with looking at every ms until nothing moves any more: all comparisons, all
// kinds of constants, from one change to the next.
func TestCrossingBrute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		terms := drawTerms(rt, rapid.SampledFrom([]int64{0, 1, 1, 2, 3, 4, 5, 6}))
		bruteCrossings(rt, terms, func(values []float64) []float64 {
			lo, hi := extrema(values)
			cs := []float64{
				0, lo, hi, math.Nextafter(hi, 1e9), values[len(values)-1],
				float64(rapid.IntRange(-20, 20).Draw(rt, "c")),
				values[rapid.IntRange(0, 60).Draw(rt, "touch")],
			}
			// Extrema inside: touched but not crossed.
			for i := 1; i < 200 && len(cs) < 10; i++ {
				if (values[i]-values[i-1])*(values[i+1]-values[i]) < 0 {
					cs = append(cs, values[i])
				}
			}
			return cs
		})
	})
}

func extrema(values []float64) (lo, hi float64) {
	lo, hi = values[0], values[0]
	for _, v := range values {
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}

type fataler interface{ Fatalf(string, ...any) }

// bruteCrossings checks crossing for all the constants that pick chooses, given the value at every ms.
func bruteCrossings(t fataler, terms []expTerm, pick func(values []float64) []float64) {
	longest := int64(1)
	for _, x := range terms {
		longest = max(longest, x.H)
	}
	values := make([]float64, longest*noDoubleMoves+10)
	for at := range values {
		values[at] = sumAt(terms, int64(at))
	}
	for _, c := range pick(values) {
		for _, op := range allOps {
			walkBrute(t, values, c, op, fmt.Sprintf("%+v", terms), func(at int64) (bool, int64) {
				return crossing(terms, c, op, at)
			})
		}
	}
}

// walkBrute follows a crossing function from change to change through the values at every ms, of which
// the last stays.
func walkBrute(t fataler, values []float64, c float64, op cmpOp, what string, cross func(at int64) (bool, int64)) {
	for at := int64(0); ; {
		want := lead.Never
		now := op.holds(values[at], c)
		for i := at + 1; i < int64(len(values)); i++ {
			if op.holds(values[i], c) != now {
				want = i
				break
			}
		}
		holds, until := cross(at)
		if holds != now || until != want {
			t.Fatalf("%s op %d %v at %d: %v until %d, want %v until %d", what, op, c, at, holds, until, now, want)
		}
		if until == lead.Never {
			return
		}
		at = until
	}
}

// TestCrossingLong walks through spans of years. What it finds must be changes, and between them no ms of
// many may show another truth: spread out, dense at both ends, and around where the curve comes nearest.
func TestCrossingLong(t *testing.T) {
	days := rapid.SampledFrom([]int64{1, 7, 14, 14, 30, 365, 3650, 36500})
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]string{"any", "any", "near", "nearly equal", "huge"}).Draw(rt, "kind")
		terms := drawTerms(rt, rapid.Custom(func(rt *rapid.T) int64 {
			h := days.Draw(rt, "days") * day
			switch kind {
			case "near":
				h += rapid.Int64Range(0, day-1).Draw(rt, "ms")
			case "nearly equal":
				h = 14*day + rapid.Int64Range(0, 100000).Draw(rt, "ms")
			}
			return h
		}))
		if kind == "huge" {
			for i := range terms {
				terms[i].V = scale2(terms[i].V, rapid.Int64Range(-1070, 1010).Draw(rt, "exponent"))
			}
		}
		c := 0.0
		switch rapid.IntRange(0, 3).Draw(rt, "constant") {
		case 0:
			c = float64(rapid.IntRange(-50, 50).Draw(rt, "c"))
		case 1:
			c = sumAt(terms, rapid.Int64Range(0, 4000*day).Draw(rt, "touch"))
		case 2:
			c = sumAt(terms, turn(terms, 0, 1000*day))
		}
		op := rapid.SampledFrom(allOps).Draw(rt, "op")
		for at, n := int64(0), 0; n < 10; n++ {
			holds, until := crossing(terms, c, op, at)
			check := func(t int64) {
				if op.holds(sumAt(terms, t), c) != holds {
					rt.Fatalf("%+v op %d %v at %d: %v until %d is wrong at %d", terms, op, c, at, holds, until, t)
				}
			}
			end := until
			if until == lead.Never {
				end = at + 40000*day
			} else if op.holds(sumAt(terms, until), c) == holds {
				rt.Fatalf("%+v op %d %v at %d: %v until %d, where nothing changes", terms, op, c, at, holds, until)
			}
			if until <= at {
				rt.Fatalf("%+v op %d %v at %d: until %d", terms, op, c, at, until)
			}
			for d := int64(0); d < end-at; d += 1 + d/4 {
				check(at + d)
				check(end - 1 - d)
			}
			for i := range int64(50) {
				x := at + (end-at)/50*i
				check(min(end-1, max(at, turn(terms, x, min(end-1, x+(end-at)/50)))))
			}
			if until == lead.Never {
				break
			}
			at = until
		}
	})
}

// turn looks for an extremum in [lo, hi]; it is sure to be one only if the curve turns once in there.
func turn(terms []expTerm, lo, hi int64) int64 {
	v, w, m := sumAt(terms, lo), sumAt(terms, hi), sumAt(terms, lo+(hi-lo)/2)
	up := m > v || m > w
	for hi-lo > 2 {
		a, b := lo+(hi-lo)/3, hi-(hi-lo)/3
		if (sumAt(terms, a) < sumAt(terms, b)) == up {
			lo = a
		} else {
			hi = b
		}
	}
	return lo + (hi-lo)/2
}

// TestCrossingBound keeps a curve level at the constant for as long as can be: the answer may come in
// parts, but each is proven, goes on, and none costs more than the bound.
func TestCrossingBound(t *testing.T) {
	// (2^(-t/H) - 1)^3 has an inflection at 0; the half-lives are H, H/2, H/3.
	h := 6 * 365 * day
	terms := []expTerm{{1, 0, h / 3}, {-3, 0, h / 2}, {3, 0, h}, {-1, 0, 0}}
	at, calls := -h/1000, 0
	for ; at < h/1000; calls++ {
		holds, until := crossing(terms, 0, opGT, at)
		if want := sumAt(terms, at) > 0; holds != want {
			t.Fatalf("at %d: %v", at, holds)
		}
		if until == lead.Never {
			break
		}
		for d := range min(5000, until-at) {
			if (sumAt(terms, at+d) > 0) != holds || (sumAt(terms, until-1-d) > 0) != holds {
				t.Fatalf("at %d: %v until %d is wrong within %d ms", at, holds, until, d)
			}
		}
		at = until
	}
	if calls > 60 {
		t.Errorf("%d calls, the last at %d", calls, at)
	}
	if sumAt(terms, at) > 0 {
		t.Errorf("ends at %d with %v", at, sumAt(terms, at))
	}
}

func TestClampedOp(t *testing.T) {
	values := []float64{-3, -2, -1, 0, 1, 2, 3}
	for _, op := range append(allOps, opAlways, opFalse) {
		if op < opAlways && op.swapped().swapped() != op || op.negated().negated() != op {
			t.Errorf("op %d is not itself when swapped or negated twice", op)
		}
		for _, c := range values {
			for _, v := range values {
				if op < opAlways && op.swapped().holds(c, v) != op.holds(v, c) || op.negated().holds(v, c) == op.holds(v, c) {
					t.Errorf("op %d of %v and %v is wrong swapped or negated", op, v, c)
				}
				for _, lo := range values {
					for _, hi := range values {
						if lo > hi {
							continue
						}
						op2, c2, _ := op.clamped(c, lo, hi)
						if op2.holds(v, c2) != op.holds(clip(v, lo, hi), c) {
							t.Errorf("op %d %v of %v clamped to [%v, %v] became op %d %v", op, c, v, lo, hi, op2, c2)
						}
					}
				}
			}
		}
	}
	if holds, until := crossingClamped([]expTerm{{300, 0, day}}, 0, 100, 100, opGE, 0); !holds || until != 136940761 {
		t.Errorf("at its ceiling: %v until %d", holds, until)
	}
	if holds, until := crossingClamped([]expTerm{{300, 0, day}}, 0, 100, 101, opLT, 0); !holds || until != lead.Never {
		t.Errorf("above its ceiling: %v until %d", holds, until)
	}
}

// TestCrossingGolden has sums (as bits) and crossings that must be the same on every machine.
func TestCrossingGolden(t *testing.T) {
	var b strings.Builder
	g := lcg(2)
	for range 250 {
		terms := make([]expTerm, 1+g.below(5)*g.below(4)%16)
		for i := range terms {
			terms[i] = expTerm{g.number(10), -g.below(100 * day), day/2 + g.below(60*day)}
		}
		c := 0.0
		if g.below(3) > 0 {
			c = sumAt(terms, g.below(200*day))
		}
		op := allOps[g.below(int64(len(allOps)))]
		at := g.below(50 * day)
		holds, until := crossing(terms, c, op, at)
		fmt.Fprintf(&b, "%d terms %016x op %d: %v until %d %016x\n", len(terms), math.Float64bits(sumAt(terms, at)), op,
			holds, until, math.Float64bits(sumAt(terms, min(until, 1<<45))))
	}
	compareGolden(t, "testdata/crossing.golden", b.String())
}

// FuzzCrossing reads terms from bytes (value, anchor, half-life up to 4 ms) and compares with looking at every ms.
func FuzzCrossing(f *testing.F) {
	f.Add([]byte{50, 0, 1, 226, 0, 3}, 0.0)
	f.Add([]byte{20, 0, 4, 206, 0, 1}, 10.0)
	f.Add([]byte{1, 0, 2, 253, 0, 3, 3, 0, 4, 255, 0, 0}, 0.0)
	f.Fuzz(func(t *testing.T, b []byte, c float64) {
		var terms []expTerm
		for ; len(b) >= 3 && len(terms) < 6; b = b[3:] {
			terms = append(terms, expTerm{float64(int8(b[0])), -int64(b[1]), int64(b[2] % 5)})
		}
		if c != c || len(terms) == 0 {
			return
		}
		bruteCrossings(t, terms, func(values []float64) []float64 {
			lo, hi := extrema(values)
			return []float64{c, 0, lo, hi, values[min(int(terms[0].V)&63, len(values)-1)]}
		})
	})
}
