package rules

import (
	"testing"

	"leadstream/state/lead"
	"pgregory.net/rapid"
)

var allOps = []cmpOp{opLT, opLE, opGT, opGE, opEQ, opNE}

// TestCrossingWorked has the crossings among the worked numbers.
func TestCrossingWorked(t *testing.T) {
	type step struct {
		op    cmpOp
		c     float64
		at    int64
		holds bool
		until int64
	}
	for _, tc := range []struct {
		name  string
		terms []expTerm
		steps []step
	}{
		{"half life 7d, 10 points", []expTerm{{10, 0, 7 * day}}, []step{
			{opLT, 4, 0, false, 799502112},
			{opGE, 4, 0, true, 799502112},
			{opLT, 4, 799502111, false, 799502112},
			{opLT, 4, 799502112, true, lead.Never},
			{opGT, 5, 0, true, 7 * day},
			{opGE, 5, 0, true, 7*day + 1},
			{opEQ, 5, 0, false, 7 * day},
			{opNE, 5, 7 * day, false, 7*day + 1},
		}},
		{"falls through 0", []expTerm{{50, 0, day}, {-30, 0, 10 * day}}, []step{
			{opLT, 0, 0, false, 70748698},
			{opGE, 0, 70748697, true, 70748698},
			{opGT, 20, 0, false, lead.Never},
			{opEQ, 20, 0, true, 1},
		}},
		{"rises over 10 and falls again", []expTerm{{20, 0, 10 * day}, {-50, 0, day}}, []step{
			{opGE, 10, 0, false, 259333544},
			{opGE, 10, 259333544, true, 857609885},
			{opLT, 10, 857609885, true, lead.Never},
			{opGE, 10, 857609885, false, lead.Never},
			{opLT, -29, 0, true, 0}, // until is looked at by the property test
		}},
	} {
		for _, s := range tc.steps {
			holds, until := crossing(tc.terms, s.c, s.op, s.at)
			if s.until == 0 {
				s.until = until
			}
			if holds != s.holds || until != s.until {
				t.Errorf("%s: op %d %v at %d: %v until %d, want %v until %d", tc.name, s.op, s.c, s.at, holds, until, s.holds, s.until)
			}
		}
	}
}

// TestCrossingBrute compares with looking at every ms until nothing moves any more.
func TestCrossingBrute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 16).Draw(rt, "n")
		terms := make([]expTerm, n)
		longest := int64(1)
		for i := range terms {
			h := rapid.SampledFrom([]int64{0, 1, 2, 3, 5, 7, 10, 16, 16, 20}).Draw(rt, "H")
			v := float64(rapid.IntRange(-60, 60).Draw(rt, "V"))
			if rapid.Bool().Draw(rt, "fraction") {
				v *= rapid.Float64Range(0, 1).Draw(rt, "scale")
			}
			terms[i] = expTerm{v, int64(rapid.IntRange(-20, 0).Draw(rt, "At")), h}
			longest = max(longest, h)
		}
		op := rapid.SampledFrom(allOps).Draw(rt, "op")
		var c float64
		switch rapid.IntRange(0, 3).Draw(rt, "kind") {
		case 0:
			c = float64(rapid.IntRange(-20, 20).Draw(rt, "c"))
		case 1: // a value that the curve takes
			c = sumAt(terms, int64(rapid.IntRange(0, 60).Draw(rt, "touch")))
		case 2: // where it ends
			for _, x := range terms {
				if x.H == 0 {
					c += x.V
				}
			}
		case 3: // an extremum: touched but not crossed
			c = sumAt(terms, 0)
			for at := int64(0); at < 200; at++ {
				if v := sumAt(terms, at); op == opLT && v < c || op != opLT && v > c {
					c = v
				}
			}
		}
		end := longest * (noDoubleMoves + 20)
		want := make([]bool, end)
		for at := range want {
			want[at] = op.holds(sumAt(terms, int64(at)), c)
		}
		for at := int64(0); ; {
			until := lead.Never
			for i := at + 1; i < end; i++ {
				if want[i] != want[at] {
					until = i
					break
				}
			}
			holds, got := crossing(terms, c, op, at)
			if holds != want[at] || got != until {
				rt.Fatalf("%+v op %d %v at %d: %v until %d, want %v until %d", terms, op, c, at, holds, got, want[at], until)
			}
			if until == lead.Never {
				break
			}
			at = until
		}
	})
}
