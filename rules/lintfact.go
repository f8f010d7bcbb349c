package rules

import (
	"math"
	"slices"
)

// fact is what a condition asks of one quantity: that a number lies in a range, or that something is one of some
// values. What has no fact may be anything.
type fact struct {
	// A range of numbers with the holes that != makes. open says that its end does not belong to it.
	isRange        bool
	lo, hi         float64
	loOpen, hiOpen bool
	holes          []float64
	// Else: one of in (nil for any), and none of out.
	in, out []string
}

var anyNumber = fact{isRange: true, lo: math.Inf(-1), hi: math.Inf(1)}

// compared is the range of the numbers v for which v op c.
func compared(op cmpOp, c float64) fact {
	f := anyNumber
	switch op {
	case opLT:
		f.hi, f.hiOpen = c, true
	case opLE:
		f.hi = c
	case opGT:
		f.lo, f.loOpen = c, true
	case opGE:
		f.lo = c
	case opEQ:
		f.lo, f.hi = c, c
	case opNE:
		f.holes = []float64{c}
	}
	return f
}

// between is the range from lo to hi, both included.
func between(lo, hi float64) fact { return fact{isRange: true, lo: lo, hi: hi} }

func oneOfThese(values ...string) fact { return fact{in: append([]string{}, values...)} }

func noneOfThese(values ...string) fact { return fact{out: values} }

// meet returns what both facts say together.
func (f fact) meet(g fact) fact {
	if !f.isRange {
		switch {
		case f.in == nil:
			f.in = g.in
		case g.in != nil:
			f.in = slices.DeleteFunc(slices.Clone(f.in), func(s string) bool { return !slices.Contains(g.in, s) })
		}
		f.out = append(slices.Clip(f.out), g.out...)
		if f.in != nil {
			f.in = slices.DeleteFunc(slices.Clone(f.in), func(s string) bool { return slices.Contains(f.out, s) })
		}
		return f
	}
	if g.lo > f.lo || g.lo == f.lo && g.loOpen {
		f.lo, f.loOpen = g.lo, g.loOpen
	}
	if g.hi < f.hi || g.hi == f.hi && g.hiOpen {
		f.hi, f.hiOpen = g.hi, g.hiOpen
	}
	f.holes = append(slices.Clip(f.holes), g.holes...)
	return f
}

// whole narrows a range to the whole numbers in it.
func (f fact) whole() fact {
	if lo := math.Ceil(f.lo); lo != f.lo {
		f.lo, f.loOpen = lo, false
	} else if f.loOpen && !math.IsInf(lo, 0) {
		f.lo, f.loOpen = lo+1, false
	}
	if hi := math.Floor(f.hi); hi != f.hi {
		f.hi, f.hiOpen = hi, false
	} else if f.hiOpen && !math.IsInf(hi, 0) {
		f.hi, f.hiOpen = hi-1, false
	}
	return f
}

// empty says that nothing is as the fact wants it.
func (f fact) empty() bool {
	if !f.isRange {
		return f.in != nil && len(f.in) == 0
	}
	return f.lo > f.hi || f.lo == f.hi && (f.loOpen || f.hiOpen || slices.Contains(f.holes, f.lo))
}

// within says that whatever is as f wants it is also as g wants it.
func (f fact) within(g fact) bool {
	if f.isRange != g.isRange {
		return false
	}
	if !f.isRange {
		if g.in != nil && (f.in == nil || slices.ContainsFunc(f.in, func(s string) bool { return !slices.Contains(g.in, s) })) {
			return false
		}
		return !slices.ContainsFunc(g.out, func(s string) bool {
			return !slices.Contains(f.out, s) && (f.in == nil || slices.Contains(f.in, s))
		})
	}
	if f.lo < g.lo || f.lo == g.lo && g.loOpen && !f.loOpen || f.hi > g.hi || f.hi == g.hi && g.hiOpen && !f.hiOpen {
		return false
	}
	return !slices.ContainsFunc(g.holes, func(h float64) bool { return !f.meet(between(h, h)).empty() })
}

// facts are what one way to make a condition true asks for, by quantity. They are never changed once made.
type facts map[string]fact

// and returns what both ask for. conflict names the quantity for which they exclude each other, "" if none does.
func (a facts) and(b facts) (sum facts, conflict string) {
	sum = make(facts, len(a)+len(b))
	for k, f := range a {
		sum[k] = f
	}
	for k, g := range b {
		f, both := sum[k]
		if !both {
			sum[k] = g
			continue
		}
		f = f.meet(g)
		if f.empty() && (conflict == "" || k < conflict) { // the smallest, so that the order of a map is not seen
			conflict = k
		}
		sum[k] = f
	}
	return sum, conflict
}

// implies says that a asks for all that b asks for.
func (a facts) implies(b facts) bool {
	for k, g := range b {
		if f, ok := a[k]; !ok || !f.within(g) {
			return false
		}
	}
	return true
}

// maxWays bounds how many ways to make a condition true are told apart.
const maxWays = 32

// ways are all the ways to make a condition true; with none it is never true.
type ways struct {
	list []facts
	// unknown says that there are too many to be listed.
	unknown bool
	// conflict names a quantity of which opposites were asked, where list is empty.
	conflict string
}

var always = ways{list: []facts{{}}}

func one(k string, f fact) ways {
	if f.empty() {
		return ways{conflict: k}
	}
	return ways{list: []facts{{k: f}}}
}

// either are the ways to make one of two conditions true.
func (w ways) either(v ways) ways {
	sum := ways{unknown: w.unknown || v.unknown, conflict: w.conflict}
	if sum.conflict == "" {
		sum.conflict = v.conflict
	}
	if len(w.list)+len(v.list) > maxWays {
		sum.unknown = true
	}
	if !sum.unknown {
		sum.list = append(slices.Clip(w.list), v.list...)
	}
	return sum
}

// both are the ways to make two conditions true at once.
func (w ways) both(v ways) ways {
	if w.never() {
		return w
	}
	if v.never() {
		return v
	}
	sum := ways{unknown: w.unknown || v.unknown || len(w.list)*len(v.list) > maxWays*maxWays}
	if sum.unknown {
		return sum
	}
	for _, a := range w.list {
		for _, b := range v.list {
			f, conflict := a.and(b)
			if conflict == "" {
				sum.list = append(sum.list, f)
			} else if sum.conflict == "" {
				sum.conflict = conflict
			}
		}
	}
	if len(sum.list) > maxWays {
		return ways{unknown: true}
	}
	return sum
}

func (w ways) never() bool { return !w.unknown && len(w.list) == 0 }

// implies says that whenever w is true, v is. It may say no where it can't tell.
func (w ways) implies(v ways) bool {
	if w.unknown || v.unknown {
		return false
	}
	for _, a := range w.list {
		if !slices.ContainsFunc(v.list, a.implies) {
			return false
		}
	}
	return true
}
