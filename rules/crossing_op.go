package rules

// cmpOp is a comparison of a value with a constant on its right.
type cmpOp uint8

// The comparisons. opAlways and opFalse are what a comparison with a clamped value can turn out to be.
const (
	opLT cmpOp = iota
	opLE
	opGT
	opGE
	opEQ
	opNE
	opAlways
	opFalse
)

// holds returns v op c.
func (op cmpOp) holds(v, c float64) bool {
	switch op {
	case opLT:
		return v < c
	case opLE:
		return v <= c
	case opGT:
		return v > c
	case opGE:
		return v >= c
	case opEQ:
		return v == c
	case opNE:
		return v != c
	}
	return op == opAlways
}

// swapped returns the comparison with its sides exchanged: `c op v` is `v swapped c`.
func (op cmpOp) swapped() cmpOp {
	switch op {
	case opLT:
		return opGT
	case opLE:
		return opGE
	case opGT:
		return opLT
	case opGE:
		return opLE
	}
	return op
}

// negated returns the comparison that holds where op does not (NaN left aside).
func (op cmpOp) negated() cmpOp {
	switch op {
	case opLT:
		return opGE
	case opLE:
		return opGT
	case opGT:
		return opLE
	case opGE:
		return opLT
	case opEQ:
		return opNE
	case opNE:
		return opEQ
	case opAlways:
		return opFalse
	}
	return opAlways
}

// clamped returns the comparison to make of v itself that says the same as `clip(v, lo, hi) op c`. When
// that does not depend on v, decided is true and the comparison is opAlways or opFalse.
func (op cmpOp) clamped(c, lo, hi float64) (_ cmpOp, _ float64, decided bool) {
	atLo, atHi := op.holds(lo, c), op.holds(hi, c)
	switch {
	case lo < c && c < hi:
		return op, c, false
	case lo == hi, c < lo, c > hi, c != c,
		op != opEQ && op != opNE && atLo == atHi:
		if atHi {
			return opAlways, c, true
		}
		return opFalse, c, true
	case c == hi && (op == opEQ || op == opGE): // the ceiling is reached
		return opGE, c, false
	case c == hi: // below the ceiling
		return opLT, c, false
	case op == opEQ || op == opLE: // c == lo: the floor is reached
		return opLE, c, false
	}
	return opGT, c, false
}
