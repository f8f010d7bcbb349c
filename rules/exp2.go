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
	s := r - float64(i)/exp2Steps // exact: both are near each other, or i is 0
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

// exp2Table holds 2^(-i/128) as a double and the rest of it, so that their sum is good to 106 bits. The
// test computes it anew with math/big. It is longer than it needs to be so that an index masked to its
// length needs no check.
var exp2Table = [256][2]float64{
	{0x1p+00, 0x0p+00}, {0x1.fd3c22b8f71f1p-01, 0x1.2eb74966579e7p-58},
	{0x1.fa7c1819e90d8p-01, 0x1.74853f3a5931ep-56}, {0x1.f7bfdad9cbe14p-01, -0x1.dbb12d006350ap-55},
	{0x1.f50765b6e454p-01, 0x1.9d3e12dd8a18bp-55}, {0x1.f252b376bba97p-01, 0x1.3a1a5bf0d8e43p-55},
	{0x1.efa1bee615a27p-01, 0x1.dc7f486a4b6bp-55}, {0x1.ecf482d8e67f1p-01, -0x1.c93f3b411ad8cp-55},
	{0x1.ea4afa2a490dap-01, -0x1.e9c23179c2893p-55}, {0x1.e7a51fbc74c83p-01, 0x1.2d522ca0c8de2p-55},
	{0x1.e502ee78b3ff6p-01, 0x1.39e8980a9cc8fp-56}, {0x1.e264614f5a129p-01, -0x1.7b627817a1496p-55},
	{0x1.dfc97337b9b5fp-01, -0x1.1a5cd4f184b5cp-55}, {0x1.dd321f301b46p-01, 0x1.2da5778f018c3p-55},
	{0x1.da9e603db3285p-01, 0x1.c2300696db532p-55}, {0x1.d80e316c98398p-01, -0x1.11ec18beddfe8p-55},
	{0x1.d5818dcfba487p-01, 0x1.2ed02d75b3707p-56}, {0x1.d2f87080d89f2p-01, -0x1.d487b719d8578p-55},
	{0x1.d072d4a07897cp-01, -0x1.cbc3743797a9cp-55}, {0x1.cdf0b555dc3fap-01, -0x1.dd83b53829d72p-56},
	{0x1.cb720dcef9069p-01, 0x1.503cbd1e949dbp-57}, {0x1.c8f6d9406e7b5p-01, 0x1.1acbc48805c44p-57},
	{0x1.c67f12e57d14bp-01, 0x1.2884dff483cadp-55}, {0x1.c40ab5fffd07ap-01, 0x1.b4537e083c60ap-55},
	{0x1.c199bdd85529cp-01, 0x1.11065895048ddp-56}, {0x1.bf2c25bd71e09p-01, -0x1.efdca3f6b9c73p-55},
	{0x1.bcc1e904bc1d2p-01, 0x1.23dd07a2d9e84p-56}, {0x1.ba5b030a1064ap-01, -0x1.efcd30e54292ep-55},
	{0x1.b7f76f2fb5e47p-01, -0x1.5584f7e54ac3bp-57}, {0x1.b59728de5593ap-01, -0x1.c71dfbbba6de3p-55},
	{0x1.b33a2b84f15fbp-01, -0x1.2805e3084d708p-58}, {0x1.b0e07298db666p-01, -0x1.bdef54c80e425p-55},
	{0x1.ae89f995ad3adp-01, 0x1.7a1cd345dcc81p-55}, {0x1.ac36bbfd3f37ap-01, -0x1.f9234cae76cdp-56},
	{0x1.a9e6b5579fdbfp-01, 0x1.0fac90ef7fd31p-55}, {0x1.a799e1330b358p-01, 0x1.bcb7ecac563c7p-55},
	{0x1.a5503b23e255dp-01, -0x1.d2f6edb8d41e1p-55}, {0x1.a309bec4a2d33p-01, 0x1.6305c7ddc36abp-55},
	{0x1.a0c667b5de565p-01, -0x1.359495d1cd533p-55}, {0x1.9e86319e32323p-01, 0x1.824ca78e64c6ep-57},
	{0x1.9c49182a3f09p-01, 0x1.c7c46b071f2bep-57}, {0x1.9a0f170ca07bap-01, -0x1.173bd91cee632p-55},
	{0x1.97d829fde4e5p-01, -0x1.d185b7c1b85d1p-55}, {0x1.95a44cbc8520fp-01, -0x1.64b7c96a5f039p-57},
	{0x1.93737b0cdc5e5p-01, -0x1.75fc781b57ebcp-58}, {0x1.9145b0b91ffc6p-01, -0x1.dd6792e582524p-55},
	{0x1.8f1ae99157736p-01, 0x1.5cc13a2e3976cp-56}, {0x1.8cf3216b5448cp-01, -0x1.0d55e32e9e3aap-57},
	{0x1.8ace5422aa0dbp-01, 0x1.6e9f156864b27p-55}, {0x1.88ac7d98a6699p-01, 0x1.994c2f37cb53ap-55},
	{0x1.868d99b4492edp-01, -0x1.fc6f89bd4f6bap-55}, {0x1.8471a4623c7adp-01, -0x1.8d684a341cdfbp-56},
	{0x1.82589994cce13p-01, -0x1.d4c1dd41532d8p-55}, {0x1.80427543e1a12p-01, -0x1.27c86626d972bp-55},
	{0x1.7e2f336cf4e62p-01, 0x1.05d02ba15797ep-57}, {0x1.7c1ed0130c132p-01, 0x1.f124cd1164dd6p-55},
	{0x1.7a11473eb0187p-01, -0x1.41577ee04992fp-56}, {0x1.780694fde5d3fp-01, 0x1.866b80a02162dp-55},
	{0x1.75feb564267c9p-01, -0x1.0245957316dd3p-55}, {0x1.73f9a48a58174p-01, -0x1.0a8d96c65d53cp-55},
	{0x1.71f75e8ec5f74p-01, -0x1.16e4786887a99p-56}, {0x1.6ff7df9519484p-01, -0x1.83c0f25860ef6p-56},
	{0x1.6dfb23c651a2fp-01, -0x1.bbe3a683c88abp-58}, {0x1.6c012750bdabfp-01, -0x1.2895667ff0b0dp-57},
	{0x1.6a09e667f3bcdp-01, -0x1.bdd3413b26456p-55}, {0x1.68155d44ca973p-01, 0x1.038ae44f73e65p-58},
	{0x1.6623882552225p-01, -0x1.bb60987591c34p-55}, {0x1.6434634ccc32p-01, -0x1.c483c759d8933p-56},
	{0x1.6247eb03a5585p-01, -0x1.383c17e40b497p-55}, {0x1.605e1b976dc09p-01, -0x1.3e2429b56de47p-55},
	{0x1.5e76f15ad2148p-01, 0x1.ba6f93080e65ep-55}, {0x1.5c9268a5946b7p-01, 0x1.c4b1b816986a2p-61},
	{0x1.5ab07dd485429p-01, 0x1.6324c054647adp-55}, {0x1.58d12d497c7fdp-01, 0x1.295e15b9a1de8p-56},
	{0x1.56f4736b527dap-01, 0x1.9bb2c011d93adp-55}, {0x1.551a4ca5d920fp-01, -0x1.d689cefede59bp-56},
	{0x1.5342b569d4f82p-01, -0x1.07abe1db13cadp-56}, {0x1.516daa2cf6642p-01, -0x1.f768569bd93efp-56},
	{0x1.4f9b2769d2ca7p-01, -0x1.4b309d25957e3p-55}, {0x1.4dcb299fddd0dp-01, 0x1.8ecdbbc6a7833p-55},
	{0x1.4bfdad5362a27p-01, 0x1.d4397afec42e2p-57}, {0x1.4a32af0d7d3dep-01, 0x1.9cb62f3d1be56p-55},
	{0x1.486a2b5c13cdp-01, 0x1.3c1a3b69062fp-57}, {0x1.46a41ed1d0057p-01, 0x1.c944bd1648a76p-55},
	{0x1.44e086061892dp-01, 0x1.89b7a04ef80dp-60}, {0x1.431f5d950a897p-01, -0x1.1c7dde35f7999p-56},
	{0x1.4160a21f72e2ap-01, -0x1.ef3691c309278p-59}, {0x1.3fa4504ac801cp-01, -0x1.7d023f956f9f3p-55},
	{0x1.3dea64c123422p-01, 0x1.ada0911f09ebcp-56}, {0x1.3c32dc313a8e5p-01, -0x1.efff8375d29c3p-55},
	{0x1.3a7db34e59ff7p-01, -0x1.5e436d661f5e3p-57}, {0x1.38cae6d05d866p-01, -0x1.e958d3c9904bdp-55},
	{0x1.371a7373aa9cbp-01, -0x1.63aeabf42eae2p-55}, {0x1.356c55f929ff1p-01, -0x1.b5cee5c4e4628p-56},
	{0x1.33c08b26416ffp-01, 0x1.32721843659a6p-55}, {0x1.32170fc4cd831p-01, 0x1.a9ce78e18047cp-56},
	{0x1.306fe0a31b715p-01, 0x1.6f46ad23182e4p-56}, {0x1.2ecafa93e2f56p-01, 0x1.1ca0f45d52383p-57},
	{0x1.2d285a6e4030bp-01, 0x1.0024754db41d5p-55}, {0x1.2b87fd0dad99p-01, -0x1.10adcd6381aa4p-60},
	{0x1.29e9df51fdee1p-01, 0x1.612e8afad1255p-56}, {0x1.284dfe1f56381p-01, -0x1.a4c3a8c3f0d7ep-55},
	{0x1.26b4565e27cddp-01, 0x1.2bd339940e9d9p-56}, {0x1.251ce4fb2a63fp-01, 0x1.ac155bef4f4a4p-56},
	{0x1.2387a6e756238p-01, 0x1.9b07eb6c70573p-55}, {0x1.21f49917ddc96p-01, 0x1.2a97e9494a5eep-56},
	{0x1.2063b88628cd6p-01, 0x1.dc775814a8495p-56}, {0x1.1ed5022fcd91dp-01, -0x1.1df98027bb78cp-55},
	{0x1.1d4873168b9aap-01, 0x1.e016e00a2643cp-55}, {0x1.1bbe084045cd4p-01, -0x1.95386352ef607p-55},
	{0x1.1a35beb6fcb75p-01, 0x1.e5b4c7b4968e4p-56}, {0x1.18af9388c8deap-01, -0x1.11023d1970f6cp-55},
	{0x1.172b83c7d517bp-01, -0x1.19041b9d78a76p-56}, {0x1.15a98c8a58e51p-01, 0x1.2406ab9eeab0ap-56},
	{0x1.1429aaea92dep-01, -0x1.32fbf9af1369ep-55}, {0x1.12abdc06c31ccp-01, -0x1.1b514b36ca5c7p-59},
	{0x1.11301d0125b51p-01, -0x1.6c51039449b3ap-55}, {0x1.0fb66affed31bp-01, -0x1.b9bedc44ebd7bp-58},
	{0x1.0e3ec32d3d1a2p-01, 0x1.03a1727c57b53p-60}, {0x1.0cc922b7247f7p-01, 0x1.01edc16e24f71p-55},
	{0x1.0b5586cf9890fp-01, 0x1.8a62e4adc610bp-55}, {0x1.09e3ecac6f383p-01, 0x1.1487818316136p-55},
	{0x1.0874518759bc8p-01, 0x1.186be4bb284ffp-58}, {0x1.0706b29ddf6dep-01, -0x1.c91dfe2b13c27p-56},
	{0x1.059b0d3158574p-01, 0x1.d73e2a475b465p-56}, {0x1.04315e86e7f85p-01, -0x1.0a31c1977c96ep-55},
	{0x1.02c9a3e778061p-01, -0x1.19083535b085dp-57}, {0x1.0163da9fb3335p-01, 0x1.b61299ab8cdb7p-55},
	{0x1p-01, 0x0p+00},
}
