package rules

import (
	"strconv"

	"cel.dev/cel-go/common/types"

	"leadstream/state/lead"
)

// keyExpr is the `by` of a limit: each of its values has a limit of its own.
type keyExpr struct {
	text   textSource
	member *path
	cel    *celExpr
	rule   int
}

// absentKey is the key of contributions whose `by` is absent or an error: together they have one limit.
var absentKey = lead.HashString("\x00absent")

// key compiles a limit's `by`, or a tag, which may be a list.
func (ld *loader) key(t text, rule int, list bool) *keyExpr {
	p, ok := ld.compile(t)
	if !ok {
		return nil
	}
	b := &builder{ld: ld, p: p}
	e := p.ast.NativeRep().Expr()
	switch typ := celType(p.ast, e); typ.Kind() {
	case types.StringKind, types.DynKind:
	case types.DoubleKind, types.IntKind, types.BoolKind:
		if list {
			b.errorf(e, "must be text or a list of text, but is %s", typ)
			return nil
		}
	case types.ListKind:
		if list {
			break
		}
		fallthrough
	default:
		b.errorf(e, "must be text, a number or a boolean, but is %s", typ)
		return nil
	}
	if src, _ := b.textSource(e); src != nil {
		return &keyExpr{text: src, rule: rule}
	}
	if m, isPath := b.path(e); isPath && len(m.keys) > 0 {
		return &keyExpr{member: &m, rule: rule}
	}
	if isConstant(e) && !list {
		b.errorf(e, "is always the same; leave it out")
		return nil
	}
	x, ok := b.leave(e, false)
	if !ok {
		return nil
	}
	return &keyExpr{cel: &x, rule: rule}
}

// limitKey returns the key that a line's contribution is limited under. Equal values have equal keys,
// whether they were read by CEL or not.
func (e *Evaluator) limitKey(ln *line) uint64 {
	k := ln.by
	switch {
	case k == nil:
		return 0
	case k.text != nil:
		if s := k.text.text(&e.scope); len(s) > 0 {
			return lead.HashID(s)
		}
	case k.member != nil:
		v, _ := k.member.value(&e.scope)
		if key := valueKey(v); key != 0 {
			return key
		}
	default:
		switch v, _ := e.run(k.cel); v := v.(type) {
		case types.String:
			return lead.HashString(string(v))
		case types.Double:
			return numberKey(float64(v))
		case types.Int:
			return numberKey(float64(v))
		case types.Bool:
			return lead.HashString(strconv.FormatBool(bool(v)))
		}
	}
	return absentKey
}

func numberKey(f float64) uint64 { return lead.HashString(strconv.FormatFloat(f, 'g', -1, 64)) }
