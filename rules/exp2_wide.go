package rules

import (
	"math"
	"math/bits"
)

// Sums are added up in integers of 128 and 192 bits and rounded once, at the end. Were they added as
// doubles, a sum whose terms nearly cancel, or a curve that only touches a threshold, would waver by
// some units in the last place from one ms to the next, and a comparison with it would change its truth
// hundreds of times. Rounded once, a sum is monotone wherever the ideal curve is. Integers also have the
// same bits on every machine without further care.

// u128 is an unsigned integer of 128 bits. As a fraction it has 127 bits after the point.
type u128 struct{ hi, lo uint64 }

// one127 is 1 as a fraction.
var one127 = u128{1 << 63, 0}

// mulFraction returns a * b for two fractions, at most three units of 2^-127 too small.
func mulFraction(a, b u128) u128 {
	hi, lo := bits.Mul64(a.hi, b.hi)
	x, x0 := bits.Mul64(a.hi, b.lo)
	y, y0 := bits.Mul64(a.lo, b.hi)
	low, c := bits.Add64(x0, y0, 0)
	lo, c = bits.Add64(lo, x, c)
	hi += c
	lo, c = bits.Add64(lo, y, 0)
	hi += c
	return u128{hi<<1 | lo>>63, lo<<1 | low>>63}
}

// subFraction returns a - b for a >= b.
func subFraction(a, b u128) u128 {
	lo, c := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, c)
	return u128{hi, lo}
}

// ln2Fraction is ln 2.
var ln2Fraction = u128{0x58b90bfbe8e7bcd5, 0xe4f1d9cc01f97b58}

// Reciprocals of factorials: those of 6 down to 0 as fractions, those of 12 to 7 with 64 bits after the point.
var (
	factorialsWide = [...]u128{
		{0x002d82d82d82d82d, 0x82d82d82d82d82d8},
		{0x0111111111111111, 0x1111111111111111},
		{0x0555555555555555, 0x5555555555555555},
		{0x1555555555555555, 0x5555555555555555},
		{0x4000000000000000, 0},
		{0x8000000000000000, 0},
		{0x8000000000000000, 0},
	}
	factorials = [...]uint64{0x6b99159fd5, 0x49f93edde28, 0x2e3bc74aad8e, 0x1a01a01a01a02, 0xd00d00d00d00d}
)

const lastFactorial = 0x8f76c77fc // 1/12!

// exp2Wide returns 2^-(rem/h) for 0 <= rem < h, with an error below 2^-116: a table value for the 128th
// below, and the exponential series for the rest, its small terms with 64 bits.
func exp2Wide(rem, h int64) u128 {
	if rem == 0 {
		return one127
	}
	hi, r := bits.Div64(uint64(rem), 0, uint64(h))
	lo, _ := bits.Div64(r, 0, uint64(h))
	i := hi >> 57
	s := u128{hi<<7>>1 | lo>>58, lo << 6} // the rest, times 128
	z := mulFraction(s, ln2Fraction)
	z = u128{z.hi >> 7, z.hi<<57 | z.lo>>7}
	small := uint64(lastFactorial)
	z64 := z.hi<<1 | z.lo>>63
	for _, f := range factorials {
		p, _ := bits.Mul64(z64, small)
		small = f - p
	}
	p := u128{small >> 1, small << 63}
	for _, f := range factorialsWide {
		p = subFraction(f, mulFraction(z, p))
	}
	return mulFraction(exp2Fractions[i], p)
}

// wideTerm is the number m * 2^exp, negated if neg. m is below 2^128.
type wideTerm struct {
	m   u128
	exp int64
	neg bool
}

// wideProduct returns v * f for a fraction f, at most 2^-124 of it too near to 0, to be scaled by 2^e.
func wideProduct(v float64, f u128, e int64) wideTerm {
	m, exp := mantissa(v)
	hi, lo := bits.Mul64(m, f.hi)
	carry, _ := bits.Mul64(m, f.lo)
	lo, c := bits.Add64(lo, carry, 0)
	return wideTerm{m: u128{hi + c, lo}, exp: exp - 63 + e, neg: v < 0}
}

// mantissa returns |v| as m * 2^exp, with the top bit of m set unless v is 0.
func mantissa(v float64) (m uint64, exp int64) {
	b := math.Float64bits(v)
	m, exp = b&(1<<52-1), int64(b>>52&0x7ff)
	if exp == 0 {
		exp = 1
	} else {
		m |= 1 << 52
	}
	if m == 0 {
		return 0, 0
	}
	z := bits.LeadingZeros64(m)
	return m << z, exp - 1075 - int64(z)
}

// wide is a sum of wideTerms: a signed integer of 192 bits, lowest word first, times 2^unit. It takes
// terms up to 2^(top exponent + 128) and 128 of them; what a term has below 2^unit is cut off.
type wide struct {
	w    [3]uint64
	unit int64
}

// headroom is how far the largest exponent of the terms lies above a wide's unit.
const headroom = 56

// newWide makes a sum for terms whose exponents are at most top.
func newWide(top int64) wide { return wide{unit: top - headroom} }

// add adds t.
func (a *wide) add(t wideTerm) {
	if t.m == (u128{}) {
		return // its exponent says nothing
	}
	shift := t.exp - a.unit
	var x [3]uint64
	switch m := t.m; {
	case shift >= 0:
		x = [3]uint64{m.lo << shift, m.hi<<shift | m.lo>>(64-shift), m.hi >> (64 - shift)}
	case shift > -64:
		x = [3]uint64{m.lo>>-shift | m.hi<<(64+shift), m.hi >> -shift, 0}
	case shift > -128:
		x = [3]uint64{m.hi >> (-shift - 64), 0, 0}
	default:
		return
	}
	var c uint64
	if t.neg {
		a.w[0], c = bits.Sub64(a.w[0], x[0], 0)
		a.w[1], c = bits.Sub64(a.w[1], x[1], c)
		a.w[2], _ = bits.Sub64(a.w[2], x[2], c)
		return
	}
	a.w[0], c = bits.Add64(a.w[0], x[0], 0)
	a.w[1], c = bits.Add64(a.w[1], x[1], c)
	a.w[2], _ = bits.Add64(a.w[2], x[2], c)
}

// quotient returns the double nearest to a / d, ties to even; overflow gives math.MaxFloat64 with the sign.
func (a *wide) quotient(d uint64) float64 {
	w, neg := a.w, a.w[2]>>63 != 0
	if neg {
		var c uint64
		w[0], c = bits.Sub64(0, w[0], 0)
		w[1], c = bits.Sub64(0, w[1], c)
		w[2], _ = bits.Sub64(0, w[2], c)
	}
	w, unit, ok := normalize(w, a.unit)
	if !ok {
		return 0
	}
	var rest uint64
	if d > 1 {
		w[2], rest = w[2]/d, w[2]%d
		w[1], rest = bits.Div64(rest, w[1], d)
		w[0], rest = bits.Div64(rest, w[0], d)
		w, unit, _ = normalize(w, unit)
	}
	// The number is w[2] * 2^(unit+128) and less than one more of that. A double has 53 bits, fewer when it
	// is subnormal.
	unit += 128
	drop := max(11, -1074-unit)
	if drop > 64 {
		return 0
	}
	mant := w[2] >> drop
	half := uint64(1) << (drop - 1)
	cut := w[2] & (half<<1 - 1)
	if cut > half || cut == half && (mant&1 != 0 || w[1]|w[0]|rest != 0) {
		mant++
	}
	v := scale2(float64(mant), unit+drop)
	if neg {
		return 0 - v
	}
	return v
}

// normalize shifts w up until its top bit is set; not ok if w is 0.
func normalize(w [3]uint64, unit int64) (_ [3]uint64, _ int64, ok bool) {
	for range 2 {
		if w[2] == 0 {
			w[2], w[1], w[0] = w[1], w[0], 0
			unit -= 64
		}
	}
	if w[2] == 0 {
		return w, unit, false
	}
	z := bits.LeadingZeros64(w[2])
	w[2] = w[2]<<z | w[1]>>(64-z)
	w[1] = w[1]<<z | w[0]>>(64-z)
	w[0] <<= z
	return w, unit - int64(z), true
}

// exp2Fractions are 2^(-i/128), rounded to the nearest fraction. The test computes them anew with math/big.
var exp2Fractions = [128]u128{
	{0x8000000000000000, 0x0000000000000000}, {0x7f4f08ae3dc7c425, 0xd6e92ccaf3ce9785},
	{0x7e9f06067a4360ba, 0x429f9d2c98f07702}, {0x7deff6b672f84e24, 0x4ed2ff9caf657174},
	{0x7d41d96db915019d, 0x3e12dd8a18aebfe6}, {0x7c94acddaeea5d3a, 0x1a5bf0d8e43531ab},
	{0x7be86fb985689ddc, 0x7f486a4b6b07db75}, {0x7b3d20b6399fc236, 0xc0c4bee5273bd188},
	{0x7a92be8a92436616, 0x3dce863d76cc07e2}, {0x79e947ef1d320d2d, 0x522ca0c8de19d62a},
	{0x7940bb9e2cffd89c, 0xf44c054e647a3d26}, {0x78991853d684a284, 0x9d87e85eb69919fa},
	{0x77f25ccdee6d7ae5, 0xa32b0e7b4a46dc89}, {0x774c87cc06d1812d, 0xa5778f018c28e4c8},
	{0x76a7980f6cca15c2, 0x300696db5325fd89}, {0x76038c5b260e5eee, 0x13e74122017e12fb},
	{0x75606373ee921c97, 0x6816bad9b8372a7d}, {0x74be1c203627c62b, 0x7848e627a88096d3},
	{0x741cb5281e25ee34, 0x3c8bc868563863ef}, {0x737c2d55770fe711, 0x3e2563eb146f9458},
	{0x72dc8373be41a454, 0x0f2f47a5276dd876}, {0x723db6501b9ed446, 0xb2f122017110b76d},
	{0x719fc4b95f452d28, 0x84dff483cacc0776}, {0x7102ad7fff41e9b4, 0x537e083c60a294da},
	{0x70666f76154a7088, 0x832c4a8246e999e5}, {0x6fcb096f5c782210, 0x235c094638d127e8},
	{0x6f307a412f074891, 0xee83d16cf423342d}, {0x6e96c0c284192610, 0x32cf1abd6d1fca5d},
	{0x6dfddbcbed791baa, 0x9ec206ad4f14d532}, {0x6d65ca379564e638, 0xe204445921cf1c5c},
	{0x6cce8ae13c57ebda, 0xff439ef651f095d6}, {0x6c381ca636d99642, 0x10ab37f1bdb28397},
	{0x6ba27e656b4eb57a, 0x1cd345dcc8169fef}, {0x6b0daeff4fcde703, 0x6e59a8c4997f1cf9},
	{0x6a79ad55e7f6fd0f, 0xac90ef7fd313162d}, {0x69e6784cc2cd61bc, 0xb7ecac563c6a61e6},
	{0x69540ec8f895722d, 0x0912472be1ef2014}, {0x68c26fb128b4cd63, 0x05c7ddc36ab551ff},
	{0x683199ed779592ca, 0x6b6a2e32acd26a81}, {0x67a18c678c8c8c60, 0x9329e39931b8043e},
	{0x6712460a8fc24071, 0xf11ac1c7caf96377}, {0x6683c5c3281ee6e8, 0xc426e3119cdefac6},
	{0x65f60a7f79393e2e, 0x7a483e47a2f5fb6e}, {0x6569132f21483ba6, 0xd20da5683f1bdf1f},
	{0x64dcdec3371793d1, 0x4070fc950288b4bf}, {0x64516c2e47ff1622, 0x986d1a7dadc38071},
	{0x63c6ba6455dcd8ae, 0x609d171cbb6013bf}, {0x633cc85ad5122fbc, 0xaa8734587157612a},
	{0x62b39508aa836d6e, 0x9f156864b26ecf9c}, {0x622b1f66299a6599, 0x4c2f37cb53a7584a},
	{0x61a3666d124bb203, 0x907642b0945c1d21}, {0x611c69188f1eb339, 0x4bdae5f190254dc4},
	{0x6096266533384a2b, 0x3e22beacd28043db}, {0x60109d50f86846d8, 0x3799d9268d53a9c2},
	{0x5f8bccdb3d398841, 0x740ae855e5f85c28}, {0x5f07b404c304c9f1, 0x24cd1164dd58acb7},
	{0x5e8451cfac061b5f, 0x54408fdb3687d7bd}, {0x5e01a53f7974fd86, 0x6b80a02162caecaf},
	{0x5d7fad59099f22fd, 0xba6a8ce922c9c1c6}, {0x5cfe69229605cef5, 0x726939a2ac460ab9},
	{0x5c7dd7a3b17dcf74, 0x8dc3cbbc2b35b2d1}, {0x5bfdf7e546520f3e, 0x1f86d3cf884effe7},
	{0x5b7ec8f19468bbc8, 0x838b2f86eeaa0d2d}, {0x5b0049d42f6afbb5, 0xdaa66003d3ccff7b},
	{0x5a827999fcef3242, 0x2cbec4d9baa55f50}, {0x5a05575132a5cc20, 0x715c89ee7cc9c1b0},
	{0x5988e20954889244, 0x9f678a6e3cc528ce}, {0x590d18d3330c7f1d, 0xbe1c5313b6693904},
	{0x5891fac0e95612c7, 0xc3e81bf4b690aec7}, {0x581786e5db7022c1, 0xdbd64a921b8ecd3b},
	{0x579dbc56b48521ba, 0x6f93080e65d9a819}, {0x57249a29651adc07, 0x12c6e05a61a880f6},
	{0x56ac1f752150a563, 0x24c054647acd1762}, {0x56344b525f1ff494, 0xaf0adcd0ef3cbb25},
	{0x55bd1cdad49f699b, 0xb2c011d93acf003d}, {0x5546932976483b14, 0xbb188090d3299c99},
	{0x54d0ad5a753e077c, 0x2a0f12761a98fd3a}, {0x545b6a8b3d990704, 0x4bd4b2136088643a},
	{0x53e6c9da74b29ab4, 0xcf62da6a81cfb958}, {0x5372ca67f774358e, 0xcdbbc6a78331212d},
	{0x52ff6b54d8a89c75, 0x0e5ebfb10b88380e}, {0x528cabc35f4f799c, 0xb62f3d1be5619187},
	{0x521a8ad704f3404f, 0x068eda418bc0f0f7}, {0x51a907b474015dc9, 0x44bd1648a765f7d0},
	{0x513821818624b40c, 0x4dbd0277c067ef54}, {0x50c7d76542a25b71, 0xc110e504333b2079},
	{0x50582887dcb8a7e1, 0x0c96e3cf6d87ecd5}, {0x4fe91412b2006e82, 0xfdc06a9060cbee30},
	{0x4f7a993048d088d6, 0xd0488f84f5dcfee9}, {0x4f0cb70c4ea39210, 0x007c8a2d63cddd78},
	{0x4e9f6cd3967fdba8, 0x6f24a6782874cd86}, {0x4e32b9b417619616, 0xa72c366fb43214ef},
	{0x4dc69cdceaa72a9c, 0x51540bd151e61f90}, {0x4d5b157e4a7fc325, 0x188d1d8dcebce35b},
	{0x4cf022c9905bfd32, 0x721843659a5afe57}, {0x4c85c3f13360c4d4, 0xe73c70c023e1b779},
	{0x4c1bf828c6dc54b7, 0xa356918c17217b7b}, {0x4bb2bea4f8bd5847, 0x283d17548e0cebd8},
	{0x4b4a169b900c2d00, 0x24754db41d4e1162}, {0x4ae1ff436b663ff7, 0x7a9194e3f2ae2111},
	{0x4a7a77d47f7b84b0, 0x97457d6892a8ef2a}, {0x4a137f87d58e025b, 0x3c573c0f28259ff7},
	{0x49ad159789f37495, 0xe99cca074ec92774}, {0x4947393eca98fcd6, 0x0aadf7a7a52046a7},
	{0x48e1e9b9d588e19b, 0x07eb6c70572d64ec}, {0x487d2645f7725895, 0x4bf4a4a52f6d2d88},
	{0x4818ee218a3358ee, 0x3bac0a5424a743f1}, {0x47b5408bf36472e2, 0x067fd84487479413},
	{0x47521cc5a2e6a9e0, 0x16e00a2643c1ea63}, {0x46ef821011734e6a, 0xc79cad109f8d7e6b},
	{0x468d6fadbf2dd4f2, 0xda63da4b4720d69b}, {0x462be4e23237a6ee, 0xfdc2e68f0941725f},
	{0x45cae0f1f545eb73, 0x7df23143ac529e48}, {0x456a632296394492, 0x0355cf75584efe4b},
	{0x450a6abaa4b77ecd, 0x040650ec961b4061}, {0x44aaf701b0c72fee, 0x4aeb4c935a38bdca},
	{0x444c0740496d4293, 0xaefc6bb64c633ab1}, {0x43ed9abffb4c6bc8, 0xc824776285099454},
	{0x438fb0cb4f468808, 0x1d0b93e2bda954ab}, {0x433248adc91fdd01, 0xedc16e24f717a2ab},
	{0x42d561b3e6243d8a, 0x62e4adc610aa60d9}, {0x4278fb2b1bce0d14, 0x87818316135add2f},
	{0x421d1461d66f2023, 0x0d7c976509fe8ac1}, {0x41c1aca777db771b, 0x7100ea761ec9fb42},
	{0x4166c34c5615d0eb, 0x9f1523ada3290600}, {0x410c57a1b9fe12f5, 0xce3e6883691f9bb4},
	{0x40b268f9de0183b9, 0xbdf2b293de8a6f7a}, {0x4058f6a7ecccd5b6, 0x1299ab8cdb737e90},
}
