package rules

import (
	"math"
	"slices"
	"strconv"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"leadstream/state/lead"
)

// This file builds what depends on time. A score or an age may only be compared with a constant: only
// then can it be told when the answer changes.

// timed says that an expression contains a score or an age, which must be compared with a constant.
func (b *builder) timed(e ast.Expr) bool { return b.findTimed(e) != nil }

func (b *builder) findTimed(e ast.Expr) (found ast.Expr) {
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		if found == nil && isTimed(x) {
			found = x
		}
	}))
	return found
}

func isTimed(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind:
		return scoreName(e) != ""
	case ast.CallKind:
		return isAge(e) || tagName(e) != ""
	}
	return false
}

// tagName returns x of tags["x"].
func tagName(e ast.Expr) string {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Index {
		return ""
	}
	args := e.AsCall().Args()
	if args[0].Kind() != ast.IdentKind || args[0].AsIdent() != "tags" {
		return ""
	}
	s, _ := stringLiteral(args[1])
	return s
}

func isAge(e ast.Expr) bool {
	if e.Kind() != ast.CallKind {
		return false
	}
	name := e.AsCall().FunctionName()
	return name == "since" || name == "in_stage" || name == "until"
}

// scoreName returns X of score.X; the checker has made it one identifier.
func scoreName(e ast.Expr) string {
	if e.Kind() == ast.IdentKind {
		if s := e.AsIdent(); len(s) > 6 && s[:6] == "score." {
			return s[6:]
		}
	}
	return ""
}

func describe(e ast.Expr) string {
	if isAge(e) {
		return e.AsCall().FunctionName() + "()"
	}
	if name := tagName(e); name != "" {
		return "tags[" + strconv.Quote(name) + "]"
	}
	return "score." + scoreName(e)
}

// timedComparison builds a comparison in which a score or an age takes part, or says what to write instead.
func (b *builder) timedComparison(e ast.Expr, op cmpOp, left, right ast.Expr) node {
	if b.timed(right) && !b.timed(left) {
		left, right, op = right, left, op.swapped()
	}
	if isAge(left) {
		ms, ok := constantDuration(right)
		if !ok {
			b.errorf(right, `%s may only be compared with a constant duration, like %s >= duration("5d")`, describe(left), describe(left))
			return nil
		}
		return b.age(left, op, ms)
	}
	if b.timed(right) && isAge(right) {
		b.errorf(e, "%s may only be compared with a constant duration", describe(right))
		return nil
	}
	sum, k, ok := b.linear(left)
	if !ok {
		x := b.findTimed(left)
		b.errorf(e, "%s depends on time, so it may only be added up with other scores, multiplied by constants, and compared with a constant; when it changes could not be told otherwise", describe(x))
		return nil
	}
	c, isConst := constantNumber(right)
	if !isConst {
		other, otherK, isSum := b.linear(right)
		switch {
		case isSum && len(other) > 0:
			b.errorf(e, "two scores can't be compared with each other; compare their difference with 0: %s - %s > 0", describe(b.findTimed(left)), describe(b.findTimed(right)))
			return nil
		case isSum:
			c = otherK
		default:
			b.errorf(right, "%s may only be compared with a constant, as in %s >= 50; use one condition for each value that occurs", describe(b.findTimed(left)), describe(b.findTimed(left)))
			return nil
		}
	}
	return b.scoreComparison(e, sum, op, c-k)
}

func (b *builder) scoreComparison(e ast.Expr, sum []weight, op cmpOp, c float64) node {
	if math.IsNaN(c) || math.IsInf(c, 0) {
		b.errorf(e, "the constant is not a finite number")
		return nil
	}
	for _, w := range sum {
		if w.score >= 0 {
			b.readsScore(w.score)
		} else {
			b.deps.tags = true
		}
	}
	if reason := b.ld.notSummable(sum); reason != "" {
		b.errorf(e, "%s", reason)
		return nil
	}
	b.deps.timed = true
	b.noteThreshold(e, sum, op, c)
	// A comparison with one score is made of the score's own value, bit for bit what is shown.
	if len(sum) == 1 && sum[0].by != 1 && sum[0].by != 0 {
		if scaled := c / sum[0].by; !math.IsInf(scaled, 0) && math.FMA(scaled, sum[0].by, -c) == 0 {
			if sum[0].by < 0 {
				op = op.swapped()
			}
			return &scoreNode{[]weight{{score: sum[0].score, tag: sum[0].tag, by: 1}}, op, scaled}
		}
	}
	return &scoreNode{sum, op, c}
}

func (b *builder) readsScore(slot int) {
	if !slices.Contains(b.deps.scores, slot) {
		b.deps.scores = append(b.deps.scores, slot)
	}
	b.deps.timed = true
}

// age builds since("s") op D and in_stage() op D.
func (b *builder) age(e ast.Expr, op cmpOp, ms int64) node {
	b.deps.timed = true
	c := e.AsCall()
	if c.FunctionName() == "in_stage" {
		b.deps.stage = true
		return &clockNode{signal: -1, op: op, ms: ms}
	}
	s, _ := stringLiteral(c.Args()[0])
	if c.FunctionName() == "until" {
		b.readsTrait(path{rootTraits, []string{s}})
		return &dateNode{trait: s, op: op, ms: ms}
	}
	return &clockNode{signal: b.signal(c.Args()[0]), op: op, ms: ms}
}

func (b *builder) readsWindow(slot int) {
	if !slices.Contains(b.deps.windows, slot) {
		b.deps.windows = append(b.deps.windows, slot)
	}
}

// linear reads an expression as a sum of scores with constant weights, and a constant.
func (b *builder) linear(e ast.Expr) (sum []weight, k float64, ok bool) {
	if v, isNum := constantNumber(e); isNum {
		return nil, v, true
	}
	if name := scoreName(e); name != "" {
		return []weight{{score: b.ld.scoreAt[name], by: 1}}, 0, true
	}
	if name := tagName(e); name != "" {
		return []weight{{score: -1, tag: name, by: 1}}, 0, true
	}
	if e.Kind() != ast.CallKind {
		return nil, 0, false
	}
	args := e.AsCall().Args()
	switch e.AsCall().FunctionName() {
	case operators.Negate:
		sum, k, ok = b.linear(args[0])
		return scaleSum(sum, -1), -k, ok
	case operators.Add, operators.Subtract:
		s1, k1, ok1 := b.linear(args[0])
		s2, k2, ok2 := b.linear(args[1])
		if e.AsCall().FunctionName() == operators.Subtract {
			s2, k2 = scaleSum(s2, -1), -k2
		}
		return addSums(s1, s2), k1 + k2, ok1 && ok2
	case operators.Multiply:
		if f, isNum := constantNumber(args[0]); isNum {
			sum, k, ok = b.linear(args[1])
			return scaleSum(sum, f), float64(k * f), ok
		}
		if f, isNum := constantNumber(args[1]); isNum {
			sum, k, ok = b.linear(args[0])
			return scaleSum(sum, f), float64(k * f), ok
		}
	case operators.Divide:
		if f, isNum := constantNumber(args[1]); isNum && f != 0 {
			sum, k, ok = b.linear(args[0])
			for i := range sum {
				sum[i].by /= f
			}
			return sum, k / f, ok
		}
	}
	return nil, 0, false
}

func scaleSum(sum []weight, f float64) []weight {
	for i := range sum {
		sum[i].by = float64(sum[i].by * f)
	}
	return sum
}

// addSums adds b's weights to a's, each score once.
func addSums(a, b []weight) []weight {
	for _, w := range b {
		i := slices.IndexFunc(a, func(x weight) bool { return x.score == w.score && x.tag == w.tag })
		if i < 0 {
			a = append(a, w)
			continue
		}
		a[i].by += w.by
	}
	return a
}

// isConstant says that an expression consists of literals.
func isConstant(e ast.Expr) bool {
	if e.Kind() == ast.LiteralKind {
		return true
	}
	if _, ok := constantNumber(e); ok {
		return true
	}
	_, ok := constantDuration(e)
	return ok
}

// constantNumber evaluates arithmetic of number literals.
func constantNumber(e ast.Expr) (float64, bool) {
	switch e.Kind() {
	case ast.LiteralKind:
		switch v := e.AsLiteral().(type) {
		case types.Double:
			return float64(v), true
		case types.Int:
			return float64(v), int64(float64(v)) == int64(v)
		}
		return 0, false
	case ast.CallKind:
	default:
		return 0, false
	}
	c := e.AsCall()
	var v [2]float64
	if n := len(c.Args()); n == 0 || n > 2 || c.IsMemberFunction() {
		return 0, false
	}
	for i, a := range c.Args() {
		var ok bool
		if v[i], ok = constantNumber(a); !ok {
			return 0, false
		}
		if a.Kind() == ast.LiteralKind && a.AsLiteral().Type() == types.IntType && c.FunctionName() == operators.Divide {
			return 0, false // integers divide without a rest; CEL does that
		}
	}
	switch c.FunctionName() {
	case operators.Negate:
		return -v[0], true
	case operators.Add:
		return v[0] + v[1], true
	case operators.Subtract:
		return v[0] - v[1], true
	case operators.Multiply:
		return float64(v[0] * v[1]), true // explicitly rounded: no machine may fuse it with an addition
	case operators.Divide:
		return v[0] / v[1], v[1] != 0
	}
	return 0, false
}

// constantDuration evaluates duration("5d"), and sums and differences of such. It returns ms.
func constantDuration(e ast.Expr) (int64, bool) {
	if e.Kind() != ast.CallKind {
		return 0, false
	}
	c := e.AsCall()
	switch c.FunctionName() {
	case "duration":
		s, ok := stringLiteral(c.Args()[0])
		if !ok {
			return 0, false
		}
		d, err := time.ParseDuration(s)
		return d.Milliseconds(), err == nil
	case operators.Add, operators.Subtract:
		a, ok1 := constantDuration(c.Args()[0])
		d, ok2 := constantDuration(c.Args()[1])
		if c.FunctionName() == operators.Subtract {
			d = -d
		}
		return a + d, ok1 && ok2
	}
	return 0, false
}

// constantValue reads a literal that a member of a map is compared with.
func constantValue(e ast.Expr) (literal, bool) {
	if v, ok := constantNumber(e); ok {
		return literal{kind: lead.Number, num: v}, true
	}
	if e.Kind() != ast.LiteralKind {
		return literal{}, false
	}
	switch v := e.AsLiteral().(type) {
	case types.String:
		return literal{kind: lead.String, str: []byte(v)}, true
	case types.Bool:
		return literal{kind: lead.Bool, flag: bool(v)}, true
	case types.Null:
		return literal{kind: lead.Null}, true
	}
	return literal{}, false
}
