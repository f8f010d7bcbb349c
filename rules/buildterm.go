package rules

import (
	"slices"
	"strconv"

	"cel.dev/cel-go/common/ast"
)

// This file builds the terms that look at what happened before, and makes leads keep what they look at.

// signal returns the window of the signal that an argument names.
func (b *builder) signal(arg ast.Expr) int {
	s, _ := stringLiteral(arg)
	slot := b.ld.signalKeeper(b.ld.signalAt[s])
	b.readsWindow(slot)
	return slot
}

// span reads a duration argument, which the name check has seen.
func span(arg ast.Expr) int64 {
	if s, ok := stringLiteral(arg); ok {
		ms, _ := parseDuration(s)
		return ms
	}
	ms, _ := constantDuration(arg)
	return ms
}

// windowTerm builds count(), sum() and distinct().
func (b *builder) windowTerm(c ast.CallExpr) *windowTerm {
	args := c.Args()
	t := &windowTerm{span: span(args[len(args)-1])}
	b.deps.timed = true
	if c.FunctionName() == "people" {
		s, _ := stringLiteral(args[0])
		t.kind = windowOfDistinct
		t.keeper = b.ld.keeperSlot(b.ld.signalAt[s], keeper{name: "people " + strconv.Quote(s), distinct: true})
		b.ld.addSpan(t.keeper, t.span)
		b.readsWindow(t.keeper)
		return t
	}
	if c.FunctionName() == "count" {
		t.keeper = b.signal(args[0])
		b.ld.addSpan(t.keeper, t.span)
		return t
	}
	s, _ := stringLiteral(args[0])
	f, _ := fieldOf(args[1])
	k := keeper{name: "sum " + strconv.Quote(s) + " " + f.name, field: f}
	t.kind = windowOfSum
	if c.FunctionName() == "distinct" {
		k.name, k.distinct, t.kind = "distinct "+strconv.Quote(s)+" "+f.name, true, windowOfDistinct
	}
	t.keeper = b.ld.keeperSlot(b.ld.signalAt[s], k)
	b.ld.addSpan(t.keeper, t.span)
	b.readsWindow(t.keeper)
	return t
}

// windowComparison builds the comparison of a window or of the local time with a constant; nil if it is none.
func (b *builder) windowComparison(op cmpOp, left, right ast.Expr) node {
	c, isNum := constantNumber(right)
	if name, ok := qualified(left); ok && isNum && rootOf(name) == "local" {
		return &numCompare{b.localTerm(name), op, c}
	}
	if !isNum || left.Kind() != ast.CallKind {
		return nil
	}
	switch name := left.AsCall().FunctionName(); name {
	case "members":
		return &numCompare{b.memberTerm(left.AsCall()), op, c}
	case "count", "sum", "distinct", "people":
		if (name == "distinct" || name == "people") && c > maxEntries {
			b.errorf(right, "%s() knows the %d latest values, so it is never more than that; found %v", name, maxEntries, c)
			return nil
		}
		return &numCompare{b.windowTerm(left.AsCall()), op, c}
	}
	return nil
}

func (b *builder) localTerm(name string) localTerm {
	b.deps.timed = true
	b.ld.set.usesLocal = true
	return localTerm{weekday: name == "local.weekday"}
}

// pair builds then() and without().
func (b *builder) pair(c ast.CallExpr) node {
	args := c.Args()
	b.deps.timed = true
	first, second, d := b.signal(args[0]), b.signal(args[1]), span(args[2])
	if c.FunctionName() == "without" {
		return &withoutNode{y: first, x: second, span: d}
	}
	b.ld.set.keepers[first].entries = true
	b.ld.set.keepers[second].entries = true
	return &thenNode{a: first, b: second, span: d}
}

// fieldTerm builds first() and last().
func (b *builder) fieldTerm(c ast.CallExpr) *fieldTerm {
	name, _ := stringLiteral(c.Args()[0])
	f, _ := fieldOf(c.Args()[1])
	k := fieldKeeper{name: c.FunctionName() + " " + strconv.Quote(name) + " " + f.name, field: f, first: c.FunctionName() == "first"}
	set := b.ld.set
	slot := slices.IndexFunc(set.fields, func(x fieldKeeper) bool { return x.name == k.name })
	if slot < 0 {
		set.fields = append(set.fields, k)
		slot = len(set.fields) - 1
		s := &set.signals[b.ld.signalAt[name]]
		s.fields = append(s.fields, slot)
	}
	if !slices.Contains(b.deps.fields, slot) {
		b.deps.fields = append(b.deps.fields, slot)
	}
	return &fieldTerm{slot}
}

func (b *builder) readsMatrix(slot int) {
	b.readsScore(b.ld.set.matrices[slot].rows)
	b.readsScore(b.ld.set.matrices[slot].cols)
}
