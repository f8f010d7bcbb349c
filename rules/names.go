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
	case "event", "score", "grade", "lead", "matrix", "local", "account":
		c.errorf(e, "%s needs a field: %s", name, oneOf(prefixed(name, c.ld.fieldsOf(name))))
	case "consent":
		c.errorf(e, `consent may only be read by a constant purpose: consent["email"]`)
	case "tags":
		c.errorf(e, `tags may only be read one by one, with a constant name: tags["pricing"] >= 0.5`)
	case "traits":
		c.errorf(e, `traits may only be read one by one, with a constant name: traits.email or traits["first name"]`)
	default:
		known := append([]string{"event", "traits", "score", "grade", "stage", "lead", "tags", "consent", "matrix", "local", "account"}, c.ld.defineNames...)
		c.errorf(e, "unknown name %q%s", name, suggest(name, known))
	}
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
	case "matrix":
		return ld.matrixNames
	case "local":
		return localFields
	case "account":
		return accountFields
	}
	return nil
}

func (c *nameCheck) selection(e ast.Expr, locals []string) {
	if path, ok := accountName(e); ok && !slices.Contains(locals, "account") {
		c.account(e, path)
		return
	}
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
	case "event", "lead", "score", "grade", "matrix", "local":
		known := c.ld.fieldsOf(root)
		switch {
		case !slices.Contains(known, f) && root == "grade" && slices.Contains(c.ld.scoreNames, f):
			c.errorf(e, "score %q has no grades", f)
		case !slices.Contains(known, f) && len(known) == 0:
			c.errorf(e, "unknown %s %q; there are none", root, f)
		case !slices.Contains(known, f):
			c.errorf(e, "unknown %s %q%s: expected %s", fieldKinds[root],
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

var fieldKinds = map[string]string{
	"event": "event field", "lead": "lead field", "score": "score", "grade": "grade", "matrix": "matrix", "local": "field of local",
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
	if !c.sideAllows(e, root) {
		return false
	}
	switch p := c.p.place; {
	case p == inDerived && root != "score":
		c.errorf(e, "a derived score is a sum of scores with constant weights; it can't read %s", root)
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
		if v == "traits" || v == "stage" || v == "consent" || c.ld.fieldsOf(v) != nil || c.ld.defines[v] != nil {
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
	case name == operators.Index && len(args) == 2 && isAccountTraits(args[0], locals):
		if s, ok := stringLiteral(args[1]); ok {
			c.account(e, []string{"traits", s})
			return
		}
	case name == operators.Index && len(args) == 2 && isIdent(args[0], "tags", locals):
		if s, ok := stringLiteral(args[1]); ok && s != "" {
			if c.allow(e, "tags") && !c.ld.set.tags.declared {
				c.errorf(e, "nothing gives tags; declare tags first")
			}
			return
		}
	case name == operators.Index && len(args) == 2 && isIdent(args[0], "consent", locals):
		c.checkConsent(e, args[1])
		return
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
	if t, ok := terms[name]; ok && !call.IsMemberFunction() {
		c.term(e, name, t, args)
		return
	}
	for _, a := range args {
		c.check(a, locals)
	}
	if name == "duration" && !c.failed {
		c.duration(call)
	}
}

// known checks the name of a function that is not called on a value.
func (c *nameCheck) known(e ast.Expr, name string) bool {
	if _, onText := textFunctions[name]; onText {
		c.errorf(e, "%s is called on text: event.path.%s(\"...\")", name, name)
		return false
	}
	if strings.Contains(name, "@") || strings.HasSuffix(name, "_") || c.ld.env.HasFunction(name) {
		return true
	}
	c.errorf(e, "unknown function %q%s", name, suggest(name, []string{
		"signal", "count", "sum", "distinct", "first", "last", "since", "then", "without", "in_stage", "until",
		"has", "size", "duration", "timestamp", "int", "double", "string", "bool",
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

// termShape says what one of our functions takes: s a signal, f a field of the event, D a span, t a trait, r a role.
type termShape struct {
	args string
	form string // how it is written, for error texts
}

var terms = map[string]termShape{
	"signal":   {"s", `signal("name")`},
	"count":    {"sD", `count("signal", "7d")`},
	"sum":      {"sfD", `sum("signal", "field", "7d")`},
	"distinct": {"sfD", `distinct("signal", "field", "7d")`},
	"first":    {"sf", `first("signal", "field")`},
	"last":     {"sf", `last("signal", "field")`},
	"since":    {"s", `since("signal")`},
	"then":     {"ssD", `then("first signal", "second signal", "1h")`},
	"without":  {"ssD", `without("signal", "missing signal", "1h")`},
	"in_stage": {"", `in_stage()`},
	"until":    {"t", `until("trait")`},
	"people":   {"sD", `people("signal", "7d")`},
	"members":  {"r", `members() or members("decider")`},
}

// term checks the arguments of one of our functions.
func (c *nameCheck) term(e ast.Expr, name string, shape termShape, args []ast.Expr) {
	if len(args) != len(shape.args) && (name != "members" || len(args) > 0) {
		c.errorf(e, "%s() is written %s", name, shape.form)
		return
	}
	root := name + "()"
	if name == "signal" {
		root = name
	}
	if !c.allow(e, root) {
		return
	}
	for i, kind := range shape.args[:len(args)] {
		switch kind {
		case 'r':
			if s, ok := stringLiteral(args[i]); !ok || !slices.Contains(roleNames, s) {
				c.errorf(args[i], "members() takes a role as a constant: %s", oneOf(roleNames))
			}
		case 's':
			c.signalArgument(args[i], name)
		case 'f':
			c.fieldArgument(args[i], name, shape)
		case 'D':
			c.spanArgument(args[i], name)
		case 't':
			if s, ok := stringLiteral(args[i]); ok {
				c.trait(args[i], s)
			} else {
				c.errorf(args[i], "%s() takes the name of a trait as a constant: %s", name, shape.form)
			}
		}
	}
}

func (c *nameCheck) signalArgument(arg ast.Expr, name string) {
	s, ok := stringLiteral(arg)
	if !ok {
		c.errorf(arg, "%s() takes the name of a signal as a constant: %s", name, terms[name].form)
		return
	}
	slot, ok := c.ld.signalAt[s]
	if !ok {
		c.errorf(arg, "unknown signal %q%s", shorten(s), suggest(s, c.ld.signalNames))
		return
	}
	c.ld.set.signals[slot].used = true
}

// fieldArgument checks a field of a signal's events: a name in their properties, or one with event. before it.
func (c *nameCheck) fieldArgument(arg ast.Expr, name string, shape termShape) {
	if _, ok := fieldOf(arg); !ok {
		c.errorf(arg, "%s() takes a field of the event: %s, or event.properties.field", name, shape.form)
	}
}

func (c *nameCheck) spanArgument(arg ast.Expr, name string) {
	ms, ok := int64(0), false
	if d, isText := stringLiteral(arg); isText {
		v, err := parseDuration(d)
		if err != nil {
			c.errorf(arg, "%q is not a duration: %s", shorten(d), err)
			return
		}
		ms, ok = v, true
	} else if arg.Kind() == ast.CallKind && arg.AsCall().FunctionName() == "duration" {
		if c.duration(arg.AsCall()); c.failed {
			return
		}
		ms, ok = constantDuration(arg)
	}
	switch {
	case !ok:
		c.errorf(arg, `%s() takes a constant duration: %s`, name, terms[name].form)
	case ms == 0:
		c.errorf(arg, "a window must be longer than 0")
	}
}

func isIdent(e ast.Expr, name string, locals []string) bool {
	return e.Kind() == ast.IdentKind && e.AsIdent() == name && !slices.Contains(locals, name)
}

// celType tells the types this package looks at apart.
func celType(a *cel.Ast, e ast.Expr) *types.Type { return a.NativeRep().GetType(e.ID()) }
