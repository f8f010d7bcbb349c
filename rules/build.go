package rules

import (
	"regexp"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"leadstream/state/lead"
)

// builder turns one checked expression into nodes. Whatever it has no node for is left to CEL, with the
// parts that depend on time taken out of it first.
type builder struct {
	ld   *loader
	p    *parsed
	deps deps
	bad  bool
}

func (b *builder) errorf(e ast.Expr, format string, args ...any) {
	b.bad = true
	b.ld.problemAt(b.p.text, b.p.location(e), format, args...)
}

// condition compiles an expression that must be true or false.
func (ld *loader) condition(t text, rule int) *cond {
	p, ok := ld.compile(t)
	if !ok {
		return nil
	}
	c := ld.conditionOf(p, p.ast.NativeRep().Expr(), rule)
	if c != nil {
		c.src = t.src
	}
	return ld.noteCondition(c, t)
}

func (ld *loader) conditionOf(p *parsed, e ast.Expr, rule int) *cond {
	b := &builder{ld: ld, p: p}
	if typ := celType(p.ast, e); !isBool(typ) {
		b.errorf(e, "must be true or false, but is %s", celNames.Replace(typ.String()))
		return nil
	}
	n := b.build(e)
	if b.bad {
		return nil
	}
	return &cond{node: n, rule: rule, deps: b.deps}
}

func isBool(t *types.Type) bool { return t.Kind() == types.BoolKind || t.Kind() == types.DynKind }

// build returns the node of a boolean expression.
func (b *builder) build(e ast.Expr) node {
	switch e.Kind() {
	case ast.LiteralKind:
		if v, ok := e.AsLiteral().(types.Bool); ok {
			return constNode{truth(bool(v))}
		}
	case ast.SelectKind, ast.IdentKind:
		if n := b.member(e); n != nil {
			return n
		}
	case ast.CallKind:
		if n := b.call(e, e.AsCall()); n != nil {
			return n
		}
	}
	return b.celCondition(e)
}

func (b *builder) call(e ast.Expr, c ast.CallExpr) node {
	args := c.Args()
	switch name := c.FunctionName(); name {
	case operators.LogicalAnd:
		return &andNode{b.flatten(operators.LogicalAnd, args, nil)}
	case operators.LogicalOr:
		return &orNode{b.flatten(operators.LogicalOr, args, nil)}
	case operators.LogicalNot:
		return &notNode{b.build(args[0])}
	case operators.Conditional:
		return &choiceNode{b.build(args[0]), b.build(args[1]), b.build(args[2])}
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return b.comparison(e, compareOps[name], args[0], args[1])
	case operators.In:
		return b.membership(args[0], args[1])
	case operators.Index:
		if name, ok := consentName(e); ok {
			return b.consentOf(name)
		}
		return b.member(e)
	case "signal":
		s, _ := stringLiteral(args[0])
		b.deps.signalNow = true
		return &signalNode{b.ld.signalAt[s]}
	case "then", "without":
		return b.pair(c)
	case "startsWith", "endsWith", "contains", "matches":
		return b.textFunction(c, textFunctions[name])
	}
	return nil
}

var compareOps = map[string]cmpOp{
	operators.Equals: opEQ, operators.NotEquals: opNE, operators.Less: opLT,
	operators.LessEquals: opLE, operators.Greater: opGT, operators.GreaterEquals: opGE,
}

// flatten builds the parts of nested calls of one operator.
func (b *builder) flatten(op string, args []ast.Expr, to []node) []node {
	for _, a := range args {
		if a.Kind() == ast.CallKind && a.AsCall().FunctionName() == op {
			to = b.flatten(op, a.AsCall().Args(), to)
			continue
		}
		to = append(to, b.build(a))
	}
	return to
}

// comparison builds `left op right`; nil leaves it to CEL.
func (b *builder) comparison(e ast.Expr, op cmpOp, left, right ast.Expr) node {
	if accountScoreName(left) != "" || accountScoreName(right) != "" {
		return b.accountComparison(e, op, left, right)
	}
	if b.timed(left) || b.timed(right) {
		return b.timedComparison(e, op, left, right)
	}
	if isConstant(left) && !isConstant(right) {
		left, right, op = right, left, op.swapped()
	}
	if !isConstant(right) {
		return nil
	}
	if n := b.nameComparison(op, left, []ast.Expr{right}); n != nil || b.bad {
		return n
	}
	if n := b.windowComparison(op, left, right); n != nil || b.bad {
		return n
	}
	if n := b.textComparison(op, left, []ast.Expr{right}); n != nil {
		return n
	}
	if name, ok := qualified(left); ok {
		if c, isNum := constantNumber(right); isNum && name == "lead.events" {
			b.deps.lead = true
			return &intCompare{func(l *lead.Lead) int64 { return l.Events }, op, c}
		}
	}
	if p, ok := b.path(left); ok {
		c, isConst := constantValue(right)
		switch {
		case !isConst:
		case op == opEQ || op == opNE:
			return b.reading(p.root, &memberIn{p: p, want: []literal{c}, not: op == opNE})
		case c.kind == lead.Number || c.kind == lead.String:
			return b.reading(p.root, &memberOrder{p: p, op: op, c: c})
		}
	}
	return nil
}

// membership builds `left in right`.
func (b *builder) membership(left, right ast.Expr) node {
	if b.timed(left) || b.timed(right) {
		return nil
	}
	if name, ok := stringLiteral(left); ok && right.Kind() == ast.IdentKind && right.AsIdent() == "traits" {
		return b.reading(rootTraits, &hasNode{path{rootTraits, []string{name}}})
	}
	if right.Kind() != ast.ListKind {
		return nil
	}
	elems := right.AsList().Elements()
	for _, x := range elems {
		if !isConstant(x) {
			return nil
		}
	}
	if n := b.nameComparison(opEQ, left, elems); n != nil || b.bad {
		return n
	}
	if n := b.textComparison(opEQ, left, elems); n != nil {
		return n
	}
	p, ok := b.path(left)
	if !ok {
		return nil
	}
	want := make([]literal, len(elems))
	for i, x := range elems {
		if want[i], ok = constantValue(x); !ok {
			return nil
		}
	}
	return b.reading(p.root, &memberIn{p: p, want: want})
}

// nameComparison builds comparisons of stage and grade.X with names, which must exist.
func (b *builder) nameComparison(op cmpOp, left ast.Expr, right []ast.Expr) node {
	name, ok := qualified(left)
	root := rootOf(name)
	if !ok || root != "grade" && root != "matrix" && name != "stage" {
		return nil
	}
	if op != opEQ && op != opNE {
		b.errorf(left, "%s can only be compared with == and !=, or with in [...]", name)
		return nil
	}
	var known []string
	slot := 0
	switch root {
	case "grade":
		slot = b.ld.scoreAt[name[6:]]
		known = b.ld.set.scores[slot].gradeNames
	case "matrix":
		slot = slices.Index(b.ld.matrixNames, name[7:])
		known = b.ld.set.matrices[slot].cells
	default:
		known = b.ld.stageNames
	}
	in := make([]bool, len(known))
	for _, x := range right {
		s, ok := stringLiteral(x)
		if !ok {
			return nil
		}
		i := slices.Index(known, s)
		if i < 0 {
			b.errorf(x, "%s is never %q%s: it is %s", name, shorten(s), suggest(s, known), oneOf(known))
			return nil
		}
		in[i] = true
	}
	if op == opNE {
		for i := range in {
			in[i] = !in[i]
		}
	}
	switch root {
	case "grade":
		b.readsScore(slot)
		return &gradeNode{slot, in}
	case "matrix":
		b.readsMatrix(slot)
		return &matrixNode{slot, in}
	}
	b.deps.stage = true
	return &stageNode{in}
}

// textComparison builds comparisons of declared text fields with string constants.
func (b *builder) textComparison(op cmpOp, left ast.Expr, right []ast.Expr) node {
	src, ofEvent := b.textSource(left)
	if src == nil || op != opEQ && op != opNE {
		return nil
	}
	if b.neverIs(src, right); b.bad {
		return nil
	}
	test := textTest{op: textIn}
	for _, x := range right {
		s, ok := stringLiteral(x)
		if !ok {
			return nil
		}
		test.want = append(test.want, []byte(s))
	}
	var n node = &fieldNode{src, test}
	if op == opNE {
		n = &notNode{n}
	}
	return b.wrap(ofEvent, n)
}

// textFunction builds field.startsWith("...") and its like.
func (b *builder) textFunction(c ast.CallExpr, op textOp) node {
	if !c.IsMemberFunction() || len(c.Args()) != 1 {
		return nil
	}
	s, ok := stringLiteral(c.Args()[0])
	if !ok {
		return nil
	}
	test := textTest{op: op, want: [][]byte{[]byte(s)}}
	if op == textMatches {
		re, err := regexp.Compile(s)
		if err != nil {
			return nil
		}
		test.re = re
	}
	if src, ofEvent := b.textSource(c.Target()); src != nil {
		return b.wrap(ofEvent, &fieldNode{src, test})
	}
	if p, ok := b.path(c.Target()); ok {
		return b.reading(p.root, &memberText{p, test})
	}
	return nil
}

// wrap makes a part that reads the event false while there is none.
func (b *builder) wrap(ofEvent bool, n node) node {
	if !ofEvent {
		b.deps.lead = true
		return n
	}
	b.deps.event = true
	return &eventOnly{n}
}

func (b *builder) reading(root pathRoot, n node) node {
	if root == rootTraits || root == rootAccount {
		return n
	}
	b.deps.event = true
	return &eventOnly{n}
}

// textSource recognises a declared text field.
func (b *builder) textSource(e ast.Expr) (src textSource, ofEvent bool) {
	name, ok := qualified(e)
	switch {
	case !ok:
		return nil, false
	case name == "account.id", name == "account.role", name == "account.stage":
		b.readsAccount(name)
		return accountText(name), false
	case name == "lead.id", name == "lead.user_id":
		return leadText{name == "lead.user_id"}, false
	case len(name) > 6 && name[:6] == "event.":
		if i := slices.Index(eventStrings, name[6:]); i >= 0 {
			return eventText{i}, true
		}
	}
	return nil, false
}

// member builds has(path), and a path that is a condition itself.
func (b *builder) member(e ast.Expr) node {
	if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
		sel := e.AsSelect()
		if p, ok := b.path(sel.Operand()); ok {
			p.keys = append(p.keys, sel.FieldName())
			b.readsTrait(p)
			return b.reading(p.root, &hasNode{p})
		}
		return nil
	}
	if p, ok := b.path(e); ok && len(p.keys) > 0 {
		return b.reading(p.root, &flagNode{p})
	}
	return nil
}

// path recognises a member of a map by constant names; a map itself is a path without keys.
func (b *builder) path(e ast.Expr) (path, bool) {
	p, ok := b.pathOf(e)
	if ok {
		b.readsTrait(p)
	}
	return p, ok && len(p.keys) <= 32
}

func (b *builder) pathOf(e ast.Expr) (path, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		root, ok := pathRoots[e.AsIdent()]
		return path{root: root}, ok
	case ast.SelectKind:
		sel := e.AsSelect()
		if sel.IsTestOnly() {
			return path{}, false
		}
		p, ok := b.pathOf(sel.Operand())
		p.keys = append(p.keys, sel.FieldName())
		return p, ok
	case ast.CallKind:
		c := e.AsCall()
		if c.FunctionName() != operators.Index {
			return path{}, false
		}
		key, isText := stringLiteral(c.Args()[1])
		p, ok := b.pathOf(c.Args()[0])
		p.keys = append(p.keys, key)
		return p, ok && isText
	}
	return path{}, false
}

func (b *builder) readsTrait(p path) {
	if p.root == rootAccount {
		b.readsAccount("account.traits")
	}
	if p.root == rootTraits && len(p.keys) > 0 && !slices.Contains(b.deps.traits, p.keys[0]) {
		b.deps.traits = append(b.deps.traits, p.keys[0])
	}
}
