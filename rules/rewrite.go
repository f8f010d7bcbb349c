package rules

import (
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// A JSON number is a double, and plain CEL refuses or never matches an integer literal beside one. So
// before an expression is checked, integer literals beside doubles and dynamic values become doubles.
// That must come before CEL's type check, which would refuse the expression, so the types that matter
// here are inferred from the tree alone.

// numType is what is known of an expression's type before CEL has checked it.
type numType uint8

const (
	otherType numType = iota
	intType
	intLiteral // integer literals and arithmetic of nothing else: may become doubles
	doubleType
	dynType
	tagsType // the map of tags, whose values are doubles
)

// doubling rewrites one expression.
type doubling struct {
	fac    ast.ExprFactory
	locals map[string]numType
}

func rewriteLiterals(e ast.Expr) {
	d := &doubling{fac: ast.NewExprFactory(), locals: make(map[string]numType)}
	d.infer(e)
}

// infer rewrites what is below e and returns e's type.
func (d *doubling) infer(e ast.Expr) numType {
	switch e.Kind() {
	case ast.LiteralKind:
		switch e.AsLiteral().(type) {
		case types.Int:
			return intLiteral
		case types.Double:
			return doubleType
		}
		return otherType
	case ast.IdentKind:
		if t, ok := d.locals[e.AsIdent()]; ok {
			return t
		}
		return variableType(e.AsIdent())
	case ast.SelectKind:
		return d.inferSelect(e)
	case ast.ListKind:
		d.inferList(e.AsList().Elements())
		return otherType
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			d.infer(entry.AsMapEntry().Key())
			d.infer(entry.AsMapEntry().Value())
		}
		return otherType
	case ast.ComprehensionKind:
		return d.inferComprehension(e.AsComprehension())
	case ast.CallKind:
		return d.inferCall(e.AsCall())
	}
	return otherType
}

// variableType is the type of a variable or of a declared field.
func variableType(name string) numType {
	switch name {
	case "lead.events", "lead.ids", "local.hour", "local.weekday":
		return intType
	case "tags":
		return tagsType
	case "traits", "event.properties", "event.context", "event.traits", "account.traits":
		return dynType
	}
	if len(name) > 6 && name[:6] == "score." || strings.HasPrefix(name, accountScorePrefix) {
		return doubleType
	}
	return otherType
}

func (d *doubling) inferSelect(e ast.Expr) numType {
	sel := e.AsSelect()
	operand := d.infer(sel.Operand())
	if sel.IsTestOnly() {
		return otherType
	}
	if name, ok := qualified(e); ok {
		if _, local := d.locals[rootOf(name)]; !local {
			if t := variableType(name); t != otherType {
				return t
			}
		}
	}
	if operand == dynType {
		return dynType
	}
	return otherType
}

// inferList gives the numbers of a list literal one type.
func (d *doubling) inferList(elems []ast.Expr) {
	doubles := false
	kinds := make([]numType, len(elems))
	for i, x := range elems {
		kinds[i] = d.infer(x)
		doubles = doubles || kinds[i] == doubleType || kinds[i] == dynType
	}
	for i, x := range elems {
		if doubles && kinds[i] == intLiteral {
			d.toDouble(x)
		}
	}
}

func (d *doubling) inferComprehension(c ast.ComprehensionExpr) numType {
	d.infer(c.IterRange())
	accu := d.infer(c.AccuInit())
	if accu == intLiteral {
		accu = intType // a counter of CEL's own macros stays an integer
	}
	saved := d.locals
	d.locals = make(map[string]numType, len(saved)+2)
	for k, v := range saved {
		d.locals[k] = v
	}
	d.locals[c.IterVar()] = dynType
	if c.IterVar2() != "" {
		d.locals[c.IterVar2()] = dynType
	}
	d.locals[c.AccuVar()] = accu
	d.infer(c.LoopCondition())
	d.infer(c.LoopStep())
	delete(d.locals, c.IterVar())
	t := d.infer(c.Result())
	d.locals = saved
	return t
}

func (d *doubling) inferCall(c ast.CallExpr) numType {
	args := c.Args()
	kinds := make([]numType, len(args))
	for i, a := range args {
		kinds[i] = d.infer(a)
	}
	if c.IsMemberFunction() {
		d.infer(c.Target())
	}
	switch c.FunctionName() {
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo:
		return d.pair(args, kinds, 0, 1)
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		d.pair(args, kinds, 0, 1)
		return otherType
	case operators.In:
		d.inferIn(args, kinds)
		return otherType
	case operators.Conditional:
		return d.pair(args, kinds, 1, 2)
	case operators.Negate:
		return kinds[0]
	case operators.Index:
		switch kinds[0] {
		case dynType:
			return dynType
		case tagsType:
			return doubleType
		}
		return otherType
	case "math.@min", "math.@max":
		d.inferList(args)
		return dynType
	case "count", "sum", "distinct", "people", "members", "double":
		return doubleType
	case "dyn", "first", "last":
		return dynType
	case "int", "size", "indexOf", "lastIndexOf", "getFullYear", "getMonth", "getDate", "getDayOfMonth",
		"getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds":
		return intType
	}
	return otherType
}

// pair makes an integer literal beside a double or a dynamic value a double, and returns the type of the two.
func (d *doubling) pair(args []ast.Expr, kinds []numType, i, j int) numType {
	if len(args) <= j {
		return otherType
	}
	a, b := kinds[i], kinds[j]
	if a == intLiteral && (b == doubleType || b == dynType) {
		d.toDouble(args[i])
		return b
	}
	if b == intLiteral && (a == doubleType || a == dynType) {
		d.toDouble(args[j])
		return a
	}
	if b == dynType && args[i].Kind() == ast.ListKind {
		d.toDouble(args[i])
	}
	if a == dynType && args[j].Kind() == ast.ListKind {
		d.toDouble(args[j])
	}
	switch {
	case a == otherType || b == otherType:
		return otherType
	case a == doubleType || b == doubleType:
		return doubleType
	case a == dynType || b == dynType:
		return dynType
	case a == intLiteral && b == intLiteral:
		return intLiteral
	}
	return intType
}

func (d *doubling) inferIn(args []ast.Expr, kinds []numType) {
	if len(args) != 2 {
		return
	}
	if args[1].Kind() != ast.ListKind {
		if kinds[0] == intLiteral && kinds[1] == dynType {
			d.toDouble(args[0])
		}
		return
	}
	if kinds[0] == doubleType || kinds[0] == dynType {
		d.toDouble(args[1])
	}
}

// toDouble makes the integer literals that e consists of doubles.
func (d *doubling) toDouble(e ast.Expr) {
	switch e.Kind() {
	case ast.LiteralKind:
		if n, ok := e.AsLiteral().(types.Int); ok {
			e.SetKindCase(d.fac.NewLiteral(e.ID(), types.Double(n)))
		}
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			d.toDouble(x)
		}
	case ast.CallKind:
		c := e.AsCall()
		switch c.FunctionName() {
		case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Negate:
			for _, x := range c.Args() {
				d.toDouble(x)
			}
		case operators.Conditional:
			d.toDouble(c.Args()[1])
			d.toDouble(c.Args()[2])
		}
	}
}

// qualified returns a chain of selections from an identifier as a name with dots.
func qualified(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), true
	case ast.SelectKind:
		if sel := e.AsSelect(); !sel.IsTestOnly() {
			if name, ok := qualified(sel.Operand()); ok {
				return name + "." + sel.FieldName(), true
			}
		}
	}
	return "", false
}

func rootOf(name string) string {
	for i := range len(name) {
		if name[i] == '.' {
			return name[:i]
		}
	}
	return name
}
