package rules

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"leadstream/state/lead"
)

// signal is one named behaviour.
type signal struct {
	name  string
	used  bool
	lines []int // lines that it feeds, in file order
	match match
	// keepers are the windows, fields the fields that its events are entered into.
	keepers, fields []int
	tags            []int // tag lines
	// grants and withdraws are purposes of consent.
	grants, withdraws []int
	hold              int64 // ms that it is held back
}

// match is a signal's condition. Comparisons of the event's type and name with constants, joined by &&,
// are taken out of it: they become places in the dispatch table, so that an event meets only the
// signals that it may be.
type match struct {
	types []lead.Type // nil: any
	names []string    // nil: any
	rest  *cond       // nil: nothing is left to be evaluated
}

// dispatch finds the signals that an event may be.
type dispatch struct {
	byName map[string]*[numTypes][]int
	other  [numTypes][]int // events with a name that no signal asks for
}

const numTypes = int(lead.Alias) + 1

// candidates returns the signals an event may be, in file order.
func (d *dispatch) candidates(ev *lead.Event) []int {
	if byType := d.byName[ev.Name]; byType != nil {
		return byType[ev.Type]
	}
	return d.other[ev.Type]
}

func newDispatch(signals []signal) dispatch {
	d := dispatch{byName: make(map[string]*[numTypes][]int)}
	for i := range signals {
		for _, name := range signals[i].match.names {
			d.byName[name] = new([numTypes][]int)
		}
	}
	for i := range signals {
		m := &signals[i].match
		for t := lead.Track; t <= lead.Alias; t++ {
			if m.types != nil && !slices.Contains(m.types, t) {
				continue
			}
			if m.names == nil {
				d.other[t] = append(d.other[t], i)
			}
			for name, byType := range d.byName { // each gets the same, so the order is not seen
				if m.names == nil || slices.Contains(m.names, name) {
					byType[t] = append(byType[t], i)
				}
			}
		}
	}
	return d
}

// match compiles a signal's condition.
func (ld *loader) match(t text, rule int) match {
	var m match
	p, ok := ld.compile(t)
	if !ok {
		return m
	}
	var rest []ast.Expr
	for _, part := range conjuncts(p.ast.NativeRep().Expr(), nil) {
		field, values, ok := fieldIsOneOf(part)
		switch {
		case ok && field == "event.type" && m.types == nil:
			m.types = []lead.Type{}
			for _, v := range values {
				if typ := typeNamed(v); typ != 0 {
					m.types = append(m.types, typ)
				} else {
					(&builder{ld: ld, p: p}).errorf(part, "no event has type %q%s: types are %s", shorten(v), suggest(v, typeNames), oneOf(typeNames))
				}
			}
		case ok && field == "event.name" && m.names == nil:
			m.names = values
		default:
			rest = append(rest, part)
		}
	}
	if len(rest) == 0 {
		return m
	}
	parts := &andNode{}
	b := &builder{ld: ld, p: p}
	if typ := celType(p.ast, p.ast.NativeRep().Expr()); !isBool(typ) {
		b.errorf(p.ast.NativeRep().Expr(), "must be true or false, but is %s", celNames.Replace(typ.String()))
		return m
	}
	for _, e := range rest {
		parts.parts = append(parts.parts, b.build(e))
	}
	m.rest = &cond{node: parts, rule: rule, deps: b.deps}
	if len(parts.parts) == 1 {
		m.rest.node = parts.parts[0]
	}
	return m
}

var typeNames = func() (names []string) {
	for t := lead.Track; t <= lead.Alias; t++ {
		names = append(names, t.String())
	}
	return names
}()

func typeNamed(name string) lead.Type {
	return lead.Type(slices.Index(typeNames, name) + 1)
}

// conjuncts returns the parts of an expression that && joins.
func conjuncts(e ast.Expr, to []ast.Expr) []ast.Expr {
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.LogicalAnd {
		for _, a := range e.AsCall().Args() {
			to = conjuncts(a, to)
		}
		return to
	}
	return append(to, e)
}

// fieldIsOneOf recognises `field == "a"`, `"a" == field` and `field in ["a", "b"]`.
func fieldIsOneOf(e ast.Expr) (field string, values []string, ok bool) {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
		return "", nil, false
	}
	left, right := e.AsCall().Args()[0], e.AsCall().Args()[1]
	switch e.AsCall().FunctionName() {
	case operators.Equals:
		s, isText := stringLiteral(right)
		if !isText {
			left = right
			if s, isText = stringLiteral(e.AsCall().Args()[0]); !isText {
				return "", nil, false
			}
		}
		values = []string{s}
	case operators.In:
		if right.Kind() != ast.ListKind {
			return "", nil, false
		}
		for _, x := range right.AsList().Elements() {
			s, isText := stringLiteral(x)
			if !isText {
				return "", nil, false
			}
			values = append(values, s)
		}
		slices.Sort(values)
		values = slices.Compact(values)
	default:
		return "", nil, false
	}
	field, ok = qualified(left)
	return field, values, ok && len(values) > 0
}
