package rules

import (
	"fmt"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const bigPrec = 400

// bigExp2 returns 2^-(num/den) for 0 <= num <= den, good to some 390 bits.
func bigExp2(num, den int64) *big.Float {
	x := newBig().Quo(newBig().SetInt64(-num), newBig().SetInt64(den))
	x.Mul(x, bigLn2)
	sum, p := newBig().SetInt64(1), newBig().SetInt64(1)
	for k := int64(1); k < 120; k++ {
		p.Mul(p, x)
		p.Quo(p, newBig().SetInt64(k))
		sum.Add(sum, p)
	}
	return sum
}

func newBig() *big.Float { return new(big.Float).SetPrec(bigPrec) }

var bigLn2 = func() *big.Float {
	sum, p := newBig(), newBig().SetInt64(1)
	for k := int64(1); k < bigPrec+20; k++ {
		p.Quo(p, newBig().SetInt64(2))
		sum.Add(sum, newBig().Quo(p, newBig().SetInt64(k)))
	}
	return sum
}()

// bigDecay is the exact v * 2^(-dt/h) for dt >= 0.
func bigDecay(v float64, dt, h int64) *big.Float {
	x := bigExp2(dt%h, h)
	x.Mul(x, newBig().SetFloat64(v))
	return x.SetMantExp(x, -int(dt/h))
}

// ulps returns how many units in the last place got is away from want.
func ulps(got float64, want *big.Float) float64 {
	w, _ := want.Float64()
	ulp := math.Nextafter(math.Abs(w), math.Inf(1)) - math.Abs(w)
	d, _ := newBig().Sub(newBig().SetFloat64(got), want).Float64()
	return math.Abs(d) / ulp
}

func TestExp2Constants(t *testing.T) {
	check := func(name string, got u128, want *big.Float) {
		t.Helper()
		w := newBig().SetMantExp(want, 127)
		n, _ := w.Add(w, big.NewFloat(0.5)).Int(nil)
		g := new(big.Int).SetUint64(got.hi)
		g.Lsh(g, 64).Add(g, new(big.Int).SetUint64(got.lo))
		if g.Cmp(n) != 0 {
			t.Errorf("%s is %x, want %x", name, g, n)
		}
	}
	for i, x := range exp2Fractions {
		check(fmt.Sprintf("2^-%d/128", i), x, bigExp2(int64(i), 128))
	}
	check("ln 2", ln2Fraction, bigLn2)
	fact := newBig().SetInt64(1)
	for k := range int64(13) {
		if k > 0 {
			fact.Quo(fact, newBig().SetInt64(k))
		}
		if k < 7 {
			check(fmt.Sprintf("1/%d!", k), factorialsWide[6-k], fact)
			continue
		}
		got := uint64(lastFactorial)
		if k < 12 {
			got = factorials[11-k]
		}
		w := newBig().SetMantExp(fact, 64)
		if n, _ := w.Add(w, big.NewFloat(0.5)).Uint64(); got != n {
			t.Errorf("1/%d! is %x, want %x", k, got, n)
		}
	}
	for i := range exp2Fractions {
		e := exp2Table[i]
		d := newBig().Sub(bigExp2(int64(i), 128), newBig().SetFloat64(e[0]))
		if d, _ := d.Sub(d, newBig().SetFloat64(e[1])).Float64(); math.Abs(d) > 0x1p-104 {
			t.Errorf("table entry %d is off by %g", i, d)
		}
	}
}

func TestExp2Special(t *testing.T) {
	for _, tc := range []struct{ x, want float64 }{
		{0, 1}, {-1, 0.5}, {1, 2}, {10, 1024}, {-1074, math.SmallestNonzeroFloat64}, {-1076, 0}, {-1e300, 0},
		{math.Inf(-1), 0}, {1023, 0x1p1023}, {1024, math.MaxFloat64}, {1e300, math.MaxFloat64},
		{math.Inf(1), math.MaxFloat64}, {-1e-300, 1}, {1e-300, 1}, {0.5, math.Sqrt2}, {-1022, 0x1p-1022},
	} {
		if got := exp2(tc.x); got != tc.want {
			t.Errorf("exp2(%v) = %v, want %v", tc.x, got, tc.want)
		}
	}
	if got := exp2(math.NaN()); got == got {
		t.Errorf("exp2(NaN) = %v", got)
	}
}

func TestExp2Accuracy(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		for range 5 {
			// A dyadic argument, so that the reference is exact.
			num := rapid.Int64Range(0, 1<<40).Draw(rt, "num")
			k := rapid.Int64Range(-1000, 1000).Draw(rt, "k")
			x := float64(k) - float64(num)/(1<<40)
			want := bigExp2(num, 1<<40)
			want.SetMantExp(want, int(k))
			if got := exp2(x); ulps(got, want) > 0.9 {
				rt.Fatalf("exp2(%v) = %v, off by %v ulp", x, got, ulps(got, want))
			}
			h := rapid.Int64Range(1, 1<<53).Draw(rt, "h")
			rem := rapid.Int64Range(0, h-1).Draw(rt, "rem")
			got, want := exp2Wide(rem, h), bigExp2(rem, h)
			d := newBig().SetUint64(got.hi)
			d.SetMantExp(d, 64).Add(d, newBig().SetUint64(got.lo))
			d.SetMantExp(d, -127).Sub(d, want)
			if off, _ := d.Float64(); math.Abs(off) > 0x1p-116 {
				rt.Fatalf("exp2Wide(%d, %d) is off by %g", rem, h, off)
			}
		}
	})
}

// TestExp2Monotone looks at neighbours everywhere near the borders of the table's intervals, where an
// error would show, and at random.
func TestExp2Monotone(t *testing.T) {
	check := func(r float64) {
		const step = 0x1p-53
		last := exp2Fraction(r)
		for i := 1; i <= 50; i++ {
			next := exp2Fraction(min(1, r+float64(i)*step))
			if next > last {
				t.Fatalf("exp2Fraction rises near %v", r)
			}
			last = next
		}
	}
	for i := range 2 * exp2Steps {
		check(float64(i)/(2*exp2Steps) - min(float64(i), 25)*0x1p-53)
	}
	rapid.Check(t, func(rt *rapid.T) { check(rapid.Float64Range(0, 1).Draw(rt, "r")) })
}

// TestWideQuotient compares sums and quotients of wide integers with math/big.
func TestWideQuotient(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base := rapid.Int64Range(-1150, 950).Draw(rt, "exponent")
		sum := newWide(base)
		want := new(big.Float).SetPrec(3000)
		for range rapid.IntRange(1, 20).Draw(rt, "n") {
			v := wideTerm{
				m:   u128{rapid.Uint64().Draw(rt, "hi") >> 1, rapid.Uint64().Draw(rt, "lo")},
				exp: base - rapid.Int64Range(0, headroom).Draw(rt, "down"),
				neg: rapid.Bool().Draw(rt, "neg"),
			}
			if rapid.Bool().Draw(rt, "round") {
				v.m = u128{hi: v.m.hi &^ (1<<12 - 1)}
			}
			sum.add(v)
			x := new(big.Float).SetPrec(3000).SetUint64(v.m.hi)
			x.SetMantExp(x, 64).Add(x, new(big.Float).SetUint64(v.m.lo))
			x.SetMantExp(x, int(v.exp))
			if v.neg {
				x.Neg(x)
			}
			want.Add(want, x)
		}
		d := rapid.SampledFrom([]uint64{1, 1, 3, 90 * uint64(day), 1<<63 - 25}).Draw(rt, "d")
		want.Quo(want, new(big.Float).SetPrec(3000).SetUint64(d))
		w, _ := want.Float64()
		if math.IsInf(w, 0) {
			w = math.Copysign(math.MaxFloat64, w)
		}
		if got := sum.quotient(d); got != w {
			rt.Fatalf("got %x, want %x", got, w)
		}
	})
}

// lcg is a fixed sequence for golden files.
type lcg uint64

func (g *lcg) next() uint64 {
	*g = *g*6364136223846793005 + 1442695040888963407
	return uint64(*g)
}

func (g *lcg) below(n int64) int64 { return int64(g.next() >> 1 % uint64(n)) }

// number returns a number with up to 53 random bits and an exponent within +-limit.
func (g *lcg) number(limit int64) float64 {
	return math.Ldexp(float64(int64(g.next()))/(1<<63), int(g.below(2*limit+1)-limit))
}

// compareGolden compares text with a golden file line by line. A change in a golden file of this package's
// mathematics is a change of results: a standby of another version would have to reload.
func compareGolden(t *testing.T, path, text string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(text, "\n"), strings.Split(string(b), "\n")
	if len(got) != len(want) {
		t.Fatalf("%s has %d lines, want %d", path, len(want), len(got))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s:%d: got %s, want %s", path, i+1, got[i], want[i])
		}
	}
}

// TestExp2Golden has bit patterns of exp2 and of the decays that must be the same on every machine.
func TestExp2Golden(t *testing.T) {
	var b strings.Builder
	g := lcg(1)
	bits := math.Float64bits
	for range 300 {
		x := g.number(10)
		fmt.Fprintf(&b, "exp2 %016x %016x\n", bits(x), bits(exp2(x)))
	}
	for range 300 {
		v, h := g.number(20), 1+g.below(1<<g.below(50))
		dt := g.below(40 * h)
		fmt.Fprintf(&b, "half_life %016x %d %d %016x\n", bits(v), dt, h, bits(decayHalfLife(v, 0, dt, h)))
	}
	for range 100 {
		v, span := g.number(20), 1+g.below(1<<g.below(45))
		dt := g.below(span)
		fmt.Fprintf(&b, "linear_over %016x %d %d %016x\n", bits(v), dt, span, bits(decayLinear(v, 0, dt, span)))
	}
	for range 100 {
		v, keep, k := g.number(20), float64(g.below(1<<20))/(1<<20), g.below(1000)
		fmt.Fprintf(&b, "step %016x %016x %d %016x\n", bits(v), bits(keep), k, bits(decayStep(v, 0, k, 0, 1, keep)))
	}
	compareGolden(t, "testdata/exp2.golden", b.String())
}
