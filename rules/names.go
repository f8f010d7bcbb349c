package rules

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// nameCheck walks a parsed expression before CEL checks its types: names of signals, scores, stages and
// fields must be known, and what the expression reads must be there where it stands. CEL would say less
// about a wrong name, and can't know the nearest right one.
type nameCheck struct {
	ld     *loader
	p      *parsed
	fac    ast.ExprFactory
	failed bool
}

var celTypeNames = []string{"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"}

func (c *nameCheck) errorf(e ast.Expr, format string, args ...any) {
	c.failed = true
	c.ld.problemAt(c.p.text, c.p.location(e), format, args...)
}

func (c *nameCheck) check(e ast.Expr, locals []string) {
	switch e.Kind() {
	case ast.IdentKind:
		c.ident(e, locals)
	case ast.SelectKind:
		c.selection(e, locals)
	case ast.StructKind:
		c.errorf(e, "messages are not supported; compare fields one by one")
	case ast.ComprehensionKind:
		c.comprehension(e, locals)
	case ast.CallKind:
		c.call(e, locals)
	default:
		for _, x := range children(e) {
			c.check(x, locals)
		}
	}
}

// ident checks a name that stands alone.
func (c *nameCheck) ident(e ast.Expr, locals []string) {
	name := e.AsIdent()
	if slices.Contains(locals, name) || slices.Contains(celTypeNames, name) {
		return
	}
	switch name {
	case "stage":
		c.allow(e, "stage")
	case "event", "score", "grade", "lead":
		c.errorf(e, "%s needs a field: %s", name, oneOf(prefixed(name, c.ld.fieldsOf(name))))
	case "traits":
		c.errorf(e, `traits may only be read one by one, with a constant name: traits.email or traits["first name"]`)
	default:
		if what, known := laterRoots[name]; known {
			c.errorf(e, "not supported by this version: %s", what)
			return
		}
		known := append([]string{"event", "traits", "score", "grade", "stage", "lead"}, c.ld.defineNames...)
		c.errorf(e, "unknown name %q%s", name, suggest(name, known))
	}
}

// laterRoots are variables of the language that this version does not have.
var laterRoots = map[string]string{
	"tags": "tags", "consent": "consent", "account": "accounts", "local": "local time", "matrix": "matrices",
}

func prefixed(root string, fields []string) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = root + "." + f
	}
	return out
}

// fieldsOf returns the declared fields of a variable that has some.
func (ld *loader) fieldsOf(root string) []string {
	switch root {
	case "event":
		return eventFields
	case "lead":
		return leadFields
	case "score":
		return ld.scoreNames
	case "grade":
		return ld.gradedNames
	}
	return nil
}

func (c *nameCheck) selection(e ast.Expr, locals []string) {
	sel := e.AsSelect()
	operand := sel.Operand()
	if operand.Kind() != ast.IdentKind || slices.Contains(locals, operand.AsIdent()) {
		c.check(operand, locals)
		return
	}
	root, f := operand.AsIdent(), sel.FieldName()
	switch root {
	case "traits":
		c.trait(e, f)
	case "event", "lead", "score", "grade":
		known := c.ld.fieldsOf(root)
		switch {
		case !slices.Contains(known, f) && root == "grade" && slices.Contains(c.ld.scoreNames, f):
			c.errorf(e, "score %q has no grades", f)
		case !slices.Contains(known, f) && len(known) == 0:
			c.errorf(e, "unknown %s %q; there are none", root, f)
		case !slices.Contains(known, f):
			c.errorf(e, "unknown %s %q%s: expected %s", map[string]string{"event": "event field", "lead": "lead field", "score": "score", "grade": "grade"}[root],
				f, suggest(f, known), oneOf(known))
		case sel.IsTestOnly():
			c.errorf(e, `%s.%s is always there, so has() says nothing; compare it, for text with ""`, root, f)
		default:
			c.allow(e, root)
		}
	default:
		c.check(operand, locals)
	}
}

// trait notes that rules read a trait.
func (c *nameCheck) trait(e ast.Expr, name string) {
	if !c.allow(e, "traits") {
		return
	}
	if len(name) > maxNameBytes {
		c.errorf(e, "a trait's name is longer than %d bytes", maxNameBytes)
		return
	}
	c.ld.traitNames[name] = true
}

// allow reports whether a variable may be read where the expression stands.
func (c *nameCheck) allow(e ast.Expr, root string) bool {
	switch p := c.p.place; {
	case p == inMatch && root != "event":
		c.errorf(e, "a signal's match may read the event and nothing else, not %s; put the rest into the condition that uses the signal", root)
	case (p == inState || p == inTimerAdd) && (root == "event" || root == "signal"):
		if p == inState {
			c.errorf(e, "a state line holds at every moment, so it can't read %s, which is there only while an event is applied; use count() or traits", root)
		} else {
			c.errorf(e, "this line is fired by a timer, so it can't read %s, which is there only while an event is applied", root)
		}
	default:
		return true
	}
	return false
}

func (c *nameCheck) comprehension(e ast.Expr, locals []string) {
	x := e.AsComprehension()
	for _, v := range []string{x.IterVar(), x.IterVar2()} {
		if v == "traits" || v == "stage" || c.ld.fieldsOf(v) != nil || laterRoots[v] != "" || c.ld.defines[v] != nil {
			c.errorf(e, "the loop variable %q hides a name that rules know; call it something else", v)
			return
		}
	}
	if hasMapLiteral(x.IterRange()) {
		c.errorf(x.IterRange(), "a loop over a map literal has no order; write a list")
		return
	}
	inner := append(slices.Clone(locals), x.IterVar(), x.AccuVar())
	if x.IterVar2() != "" {
		inner = append(inner, x.IterVar2())
	}
	c.check(x.IterRange(), locals)
	c.check(x.AccuInit(), locals)
	c.check(x.LoopCondition(), inner)
	c.check(x.LoopStep(), inner)
	c.check(x.Result(), inner)
}

func hasMapLiteral(e ast.Expr) bool {
	found := false
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) { found = found || x.Kind() == ast.MapKind }))
	return found
}

func (c *nameCheck) call(e ast.Expr, locals []string) {
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	switch {
	case name == operators.Index && len(args) == 2 && isIdent(args[0], "traits", locals):
		if s, ok := stringLiteral(args[1]); ok {
			c.trait(e, s)
			return
		}
	case name == operators.In && len(args) == 2 && isIdent(args[1], "traits", locals):
		if s, ok := stringLiteral(args[0]); ok {
			c.trait(e, s)
			return
		}
	}
	if call.IsMemberFunction() {
		if q, ok := qualified(call.Target()); !ok || !c.ld.env.HasFunction(q+"."+name) {
			c.check(call.Target(), locals)
		}
		if strings.HasPrefix(name, "get") {
			c.timeZoneArgument(call)
		}
	} else if !c.known(e, name) {
		return
	}
	for _, a := range args {
		c.check(a, locals)
	}
	if c.failed {
		return
	}
	switch name {
	case "duration":
		c.duration(call)
	case "signal", "count", "since":
		c.term(e, name, args)
	case "in_stage":
		c.allow(e, "stage")
	}
}

// known checks the name of a function that is not called on a value.
func (c *nameCheck) known(e ast.Expr, name string) bool {
	if strings.Contains(name, "@") || strings.HasSuffix(name, "_") || c.ld.env.HasFunction(name) {
		return true
	}
	if slices.Contains([]string{"sum", "distinct", "first", "last", "then", "without", "until"}, name) {
		c.errorf(e, "not supported by this version: %s()", name)
		return false
	}
	if slices.Contains([]string{"startsWith", "endsWith", "contains", "matches"}, name) {
		c.errorf(e, "%s is called on text: event.path.%s(\"...\")", name, name)
		return false
	}
	c.errorf(e, "unknown function %q%s", name, suggest(name, []string{
		"signal", "count", "since", "in_stage", "has", "size", "duration", "timestamp", "int", "double", "string", "bool",
	}))
	return false
}

// timeZoneArgument refuses zone names: CEL would load them from the machine's own database.
func (c *nameCheck) timeZoneArgument(call ast.CallExpr) {
	if len(call.Args()) != 1 {
		return
	}
	s, ok := stringLiteral(call.Args()[0])
	if !ok || s != "UTC" && !strings.Contains(s, ":") {
		c.errorf(call.Args()[0], `%s takes "UTC" or a fixed offset like "+02:00" here`, call.FunctionName())
	}
}

// duration replaces our notation by CEL's.
func (c *nameCheck) duration(call ast.CallExpr) {
	if len(call.Args()) != 1 {
		return
	}
	arg := call.Args()[0]
	s, ok := stringLiteral(arg)
	if !ok {
		c.errorf(arg, `duration() takes a constant like "5d"`)
		return
	}
	ms, err := parseDuration(s)
	if err != nil {
		c.errorf(arg, "%q is not a duration: %s", shorten(s), err)
		return
	}
	arg.SetKindCase(c.fac.NewLiteral(arg.ID(), types.String(celDuration(ms))))
}

// term checks the arguments of one of our functions.
func (c *nameCheck) term(e ast.Expr, name string, args []ast.Expr) {
	root := "signal"
	if name != "signal" {
		root = name + "()"
	}
	if !c.allow(e, root) || len(args) == 0 {
		return
	}
	s, ok := stringLiteral(args[0])
	if !ok {
		c.errorf(args[0], "%s() takes the name of a signal as a constant", name)
		return
	}
	slot, ok := c.ld.signalAt[s]
	if !ok {
		c.errorf(args[0], "unknown signal %q%s", shorten(s), suggest(s, c.ld.signalNames))
		return
	}
	c.ld.set.signals[slot].used = true
	if name == "count" && len(args) == 2 && args[1].Kind() == ast.LiteralKind {
		if d, ok := stringLiteral(args[1]); !ok {
			c.errorf(args[1], `count() takes a constant duration like "7d"`)
		} else if ms, err := parseDuration(d); err != nil {
			c.errorf(args[1], "%q is not a duration: %s", shorten(d), err)
		} else if ms == 0 {
			c.errorf(args[1], "a window must be longer than 0")
		}
	}
}

func isIdent(e ast.Expr, name string, locals []string) bool {
	return e.Kind() == ast.IdentKind && e.AsIdent() == name && !slices.Contains(locals, name)
}

// celType tells the types this package looks at apart.
func celType(a *cel.Ast, e ast.Expr) *types.Type { return a.NativeRep().GetType(e.ID()) }
