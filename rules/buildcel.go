package rules

import (
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// celExpr is what is left to CEL of an expression. Terms are its parts that depend on time or that only
// this package can evaluate; in the program they are the variables @0, @1, ...
type celExpr struct {
	prog  cel.Program
	terms []term
	event bool // it reads the event
}

// term is one such part: a condition, a number, a field of an event long past, a matrix's cell, or a grade.
type term struct {
	cond   node
	num    numTerm
	whole  bool // num is a whole number for CEL
	field  *fieldTerm
	matrix int // -1 for none
	grade  int // score slot when it is nothing else
}

// celNode is a condition left to CEL.
type celNode struct{ celExpr }

func (n *celNode) eval(x *scope) (tri, int64) {
	if n.event && x.ev == nil {
		return triFalse, never
	}
	v, until := x.run(&n.celExpr)
	switch v {
	case types.True:
		return triTrue, until
	case types.False:
		return triFalse, until
	}
	return triError, until
}

// celCondition leaves a boolean expression to CEL.
func (b *builder) celCondition(e ast.Expr) node {
	x, ok := b.leave(e, false)
	if !ok {
		return constNode{triError}
	}
	return &celNode{x}
}

// leave makes a program of an expression. Scores may be read as numbers where values is set; elsewhere they
// must be compared with constants.
func (b *builder) leave(e ast.Expr, values bool) (celExpr, bool) {
	t := &termTaker{b: b, fac: ast.NewExprFactory(), values: values}
	t.take(e, true)
	if b.bad {
		return celExpr{}, false
	}
	whole := b.p.ast.NativeRep()
	sub := ast.NewCheckedAST(ast.NewAST(e, whole.SourceInfo()), whole.TypeMap(), whole.ReferenceMap())
	prog, err := b.ld.env.PlanProgram(sub, programOptions()...)
	if err != nil {
		b.errorf(e, "%s", err)
		return celExpr{}, false
	}
	if t.event {
		b.deps.event = true
	}
	return celExpr{prog: prog, terms: t.terms, event: t.event}, true
}

// termTaker replaces terms in a checked tree by variables.
type termTaker struct {
	b      *builder
	fac    ast.ExprFactory
	terms  []term
	values bool
	event  bool
}

func (t *termTaker) take(e ast.Expr, top bool) {
	if t.b.bad {
		return
	}
	switch e.Kind() {
	case ast.IdentKind:
		t.ident(e)
	case ast.SelectKind:
		t.b.path(e) // notes the trait
		t.member(e)
		t.take(e.AsSelect().Operand(), false)
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		for _, x := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			t.take(x, false)
		}
	case ast.CallKind:
		t.call(e, top)
	default:
		for _, x := range children(e) {
			t.take(x, false)
		}
	}
}

func (t *termTaker) member(e ast.Expr) {
	if sel := e.AsSelect(); sel.IsTestOnly() {
		if p, ok := t.b.pathOf(sel.Operand()); ok {
			p.keys = append(p.keys, sel.FieldName())
			t.b.readsTrait(p)
		}
	}
}

func (t *termTaker) ident(e ast.Expr) {
	name := e.AsIdent()
	switch {
	case strings.HasPrefix(name, "event."):
		t.event = true
	case strings.HasPrefix(name, "lead."):
		t.b.deps.lead = true
	case accountScoreName(e) != "":
		t.b.errorf(e, "%s may only be compared with a constant, as in %s >= 50: the account says when it crosses it", name, name)
	case strings.HasPrefix(name, "account."):
		t.b.readsAccount(name)
	case name == "stage":
		t.b.deps.stage = true
	case strings.HasPrefix(name, "grade."):
		slot := t.b.ld.scoreAt[name[6:]]
		t.b.readsScore(slot)
		t.replace(e, term{grade: slot, matrix: -1}, types.StringType)
	case strings.HasPrefix(name, "matrix."):
		slot := slices.Index(t.b.ld.matrixNames, name[7:])
		t.b.readsMatrix(slot)
		t.replace(e, term{matrix: slot}, types.StringType)
	case strings.HasPrefix(name, "local."):
		t.replace(e, term{num: t.b.localTerm(name), whole: true}, types.IntType)
	case scoreName(e) != "" && t.values:
		t.b.readsScore(t.b.ld.scoreAt[scoreName(e)])
	case scoreName(e) != "":
		t.b.errorf(e, "%s depends on time, so it may only be compared with a constant, as in %s >= 50; when it changes could not be told otherwise", describe(e), describe(e))
	}
}

func (t *termTaker) call(e ast.Expr, top bool) {
	c := e.AsCall()
	name, args := c.FunctionName(), c.Args()
	if op, ok := compareOps[name]; ok && (accountScoreName(args[0]) != "" || accountScoreName(args[1]) != "") {
		if n := t.b.accountComparison(e, op, args[0], args[1]); n != nil {
			t.replace(e, term{cond: n}, types.BoolType)
		}
		return
	}
	if op, ok := compareOps[name]; ok && (t.b.timed(args[0]) || t.b.timed(args[1])) {
		if !top || !t.b.bad {
			if n := t.b.timedComparison(e, op, args[0], args[1]); n != nil {
				t.replace(e, term{cond: n}, types.BoolType)
			}
		}
		return
	}
	switch {
	case name == "signal":
		t.b.deps.signalNow = true
		s, _ := stringLiteral(args[0])
		t.replace(e, term{cond: &signalNode{t.b.ld.signalAt[s]}}, types.BoolType)
		return
	case name == "then", name == "without":
		t.replace(e, term{cond: t.b.pair(c)}, types.BoolType)
		return
	case name == "members":
		t.replace(e, term{num: t.b.memberTerm(c)}, types.DoubleType)
		return
	case name == "count", name == "sum", name == "distinct", name == "people":
		t.replace(e, term{num: t.b.windowTerm(c)}, types.DoubleType)
		return
	case name == "first", name == "last":
		t.replace(e, term{field: t.b.fieldTerm(c)}, types.DynType)
		return
	case isAge(e):
		t.b.errorf(e, `%s may only be compared with a constant duration, like %s >= duration("5d")`, describe(e), describe(e))
		return
	case name == operators.In && len(args) == 2 && args[1].Kind() == ast.IdentKind && args[1].AsIdent() == "traits":
		if s, ok := stringLiteral(args[0]); ok {
			t.b.readsTrait(path{rootTraits, []string{s}})
		}
	case tagName(e) != "" && t.values:
		t.b.deps.tags = true
		t.replace(e, term{num: tagTerm{tagName(e)}}, types.DoubleType)
		return
	case tagName(e) != "":
		t.b.errorf(e, "%s depends on time, so it may only be compared with a constant, as in %s >= 0.5; when it changes could not be told otherwise", describe(e), describe(e))
		return
	case name == operators.Index:
		if name, ok := consentName(e); ok {
			t.replace(e, term{cond: t.b.consentOf(name)}, types.BoolType)
			return
		}
		t.b.path(e)
	}
	for _, x := range children(e) {
		t.take(x, false)
	}
}

// replace puts a variable in a term's place.
func (t *termTaker) replace(e ast.Expr, x term, typ *types.Type) {
	name := "@" + strconv.Itoa(len(t.terms))
	t.terms = append(t.terms, x)
	a := t.b.p.ast.NativeRep()
	e.SetKindCase(t.fac.NewIdent(e.ID(), name))
	a.SetType(e.ID(), typ)
	a.SetReference(e.ID(), ast.NewIdentReference(name, nil))
}

// number is a compiled expression that gives a number: the points of a line.
type number struct {
	isConst bool
	value   float64
	member  *path    // read without CEL
	cel     *celExpr // everything else
	rule    int
	deps    deps
}

// compileNumber compiles an expression that must give a number.
func (ld *loader) compileNumber(t text, rule int) *number {
	p, ok := ld.compile(t)
	if !ok {
		return nil
	}
	b := &builder{ld: ld, p: p}
	e := p.ast.NativeRep().Expr()
	switch typ := celType(p.ast, e); typ.Kind() {
	case types.DoubleKind, types.IntKind, types.DynKind:
	default:
		b.errorf(e, "must be a number, but is %s", celNames.Replace(typ.String()))
		return nil
	}
	if v, isNum := constantNumber(e); isNum {
		return &number{isConst: true, value: v, rule: rule}
	}
	if m, isPath := b.path(e); isPath && len(m.keys) > 0 {
		b.deps.event = m.root != rootTraits && m.root != rootAccount
		return &number{member: &m, rule: rule, deps: b.deps}
	}
	x, ok := b.leave(e, t.place != inState) // a state line that adds a score would change all the time
	if !ok {
		return nil
	}
	return &number{cel: &x, rule: rule, deps: b.deps}
}

// number evaluates points. ok is false, and counted, where there is an error or no finite number; v is 0 then.
// until is when it may change with time alone.
func (x *scope) number(n *number) (v float64, until int64, ok bool) {
	if n.isConst {
		return n.value, never, true
	}
	until = never
	lacking := x.lacking
	x.lacking = false
	switch {
	case n.member != nil:
		if m, there := n.member.value(x); there {
			v, ok = m.Float()
		}
	default:
		var r ref.Val
		r, until = x.run(n.cel)
		switch r := r.(type) {
		case types.Double:
			v, ok = float64(r), isFinite(float64(r))
		case types.Int:
			v, ok = float64(r), true
		}
	}
	if !ok {
		v = 0
		if !x.lacking {
			x.failed(n.rule)
		}
	}
	x.lacking = lacking
	return v, until, ok
}
