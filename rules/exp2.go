package rules

import "math"

// Why not math.Exp2: on some architectures it is assembly, on others Go code whose products and sums the
// compiler may fuse. Scores must have the same bits everywhere, so that a standby on another machine
// computes what the owner computed. Here every product that is added to something is converted
// explicitly, which forbids fusing, and nothing but + - * and exact scaling is used.

// exp2Steps is the number of intervals of the table.
const exp2Steps = 128

// The Taylor coefficients of 2^-s - 1. With |s| <= 1/256 the first one left out is below 2^-60.
const (
	exp2C1 = -0x1.62e42fefa39efp-01
	exp2C2 = 0x1.ebfbdff82c58fp-03
	exp2C3 = -0x1.c6b08d704a0cp-05
	exp2C4 = 0x1.3b2ab6fba4e77p-07
	exp2C5 = -0x1.5d87fe78a6731p-10
)

// exp2 returns 2^x. The error is below 0.9 ulp for normal results (and one more rounding for subnormal
// ones); too large results are math.MaxFloat64, too small ones 0. It is monotone over arguments that
// differ by 2^-53 or more. NaN gives NaN.
func exp2(x float64) float64 {
	switch {
	case x != x:
		return x
	case x >= 1024:
		return math.MaxFloat64
	case x < -1100:
		return 0
	}
	k := math.Ceil(x)
	return scale2(exp2Fraction(k-x), int64(k))
}

// exp2Fraction returns 2^-r for 0 <= r <= 1: a table value for the nearest 128th and a short polynomial
// for the rest. What is rounded before the last addition is below 2^-58, so results for arguments that
// differ by 2^-53 or more never go up.
func exp2Fraction(r float64) float64 {
	i := int(float64(r*exp2Steps) + 0.5)
	s := r - float64(float64(i)/exp2Steps) // exact: both are near each other, or i is 0
	p := exp2C5
	p = float64(p*s) + exp2C4
	p = float64(p*s) + exp2C3
	p = float64(p*s) + exp2C2
	p = float64(p*s) + exp2C1
	p = float64(p * s)
	e := &exp2Table[i&255]
	return e[0] + (e[1] + float64(e[0]*p))
}

// scale2 returns x * 2^e, rounded once unless the result is subnormal; overflow gives math.MaxFloat64 with
// x's sign. It is monotone in both arguments.
func scale2(x float64, e int64) float64 {
	if -1000 <= e && e <= 1000 {
		x *= math.Float64frombits(uint64(1023+e) << 52)
	} else {
		x = scale2Far(x, e)
	}
	if math.Abs(x) > math.MaxFloat64 {
		return math.Copysign(math.MaxFloat64, x)
	}
	return x
}

// scale2Far is the part of scale2 that needs several factors. Beyond 2^3000 nothing is left of any double.
func scale2Far(x float64, e int64) float64 {
	const up, down = 0x1p+1000, 0x1p-1000
	e = max(-3000, min(3000, e))
	for e < -1000 {
		x *= down
		e += 1000
	}
	for e > 1000 {
		x *= up
		e -= 1000
	}
	return x * math.Float64frombits(uint64(1023+e)<<52)
}

// exp2Table holds 2^(-i/128) for i up to 128 as a double and the rest of it, so that their sum is good to
// 105 bits. It is longer than that so that an index masked to its length needs no check.
var exp2Table = func() (t [256][2]float64) {
	const low = 1<<10 - 1 // what does not fit in a double
	for i, x := range exp2Fractions {
		t[i][0] = float64(x.hi&^low) * 0x1p-63
		t[i][1] = float64(float64(x.hi&low)*0x1p-63) + float64(float64(x.lo)*0x1p-127)
	}
	t[exp2Steps] = [2]float64{0.5, 0}
	return t
}()
