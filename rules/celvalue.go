package rules

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"leadstream/state/lead"
)

// activation shows a scope to CEL. Terms are evaluated when CEL asks for them, so a part that it skips
// does not shorten the time for which the answer holds.
type activation struct {
	x     *scope
	terms []term
	until int64
}

var _ interpreter.Activation = (*activation)(nil)

// Parent implements interpreter.Activation.
func (a *activation) Parent() interpreter.Activation { return nil }

// ResolveName implements interpreter.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	x := a.x
	switch {
	case name[0] == '@':
		i, err := strconv.Atoi(name[1:])
		if err != nil || i >= len(a.terms) {
			return nil, false
		}
		return a.term(&a.terms[i]), true
	case name == "traits":
		return &traitsVal{mapVal{keys: x.traitKeys, get: x.trait}}, true
	case len(name) > 8 && name[:8] == "account.":
		return a.account(name)
	case name == "stage":
		return types.String(x.set.stages[x.l.Stage].name), true
	case len(name) > 6 && name[:6] == "event.":
		return a.event(name[6:])
	case len(name) > 6 && name[:6] == "score.":
		return types.Double(x.scoreAt(x.set.scoreSlot[name[6:]])), true
	case len(name) > 5 && name[:5] == "lead.":
		return a.lead(name[5:])
	}
	return nil, false
}

func (a *activation) term(t *term) ref.Val {
	switch {
	case t.cond != nil:
		v, until := t.cond.eval(a.x)
		a.until = min(a.until, until)
		if v == triError {
			return types.NewErr("error in a part of the condition")
		}
		return types.Bool(v == triTrue)
	case t.num != nil:
		v, until := t.num.num(a.x)
		a.until = min(a.until, until)
		if t.whole {
			return types.Int(v)
		}
		return types.Double(v)
	case t.field != nil:
		return t.field.read(a.x)
	case t.matrix >= 0:
		cell, until := a.x.cellAt(t.matrix)
		a.until = min(a.until, until)
		return types.String(a.x.set.matrices[t.matrix].cells[cell])
	}
	g, until := a.x.gradeAt(t.grade)
	a.until = min(a.until, until)
	return types.String(a.x.set.scores[t.grade].gradeNames[g])
}

func (a *activation) event(f string) (any, bool) {
	x := a.x
	switch {
	case x.ev == nil:
		return nil, false
	case f == "time":
		return timestamp(x.ev.Time), true
	case f == "properties":
		return objectVal(x.ev.Properties), true
	case f == "context":
		return objectVal(x.ev.Context), true
	case f == "traits":
		return objectVal(x.eventTraits()), true
	}
	if i := slices.Index(eventStrings, f); i >= 0 {
		return types.String(x.eventText(i)), true
	}
	return nil, false
}

func (a *activation) lead(f string) (any, bool) {
	l := a.x.l
	switch f {
	case "id":
		return types.String(l.ID), true
	case "user_id":
		return types.String(l.UserID), true
	case "first_seen":
		return timestamp(l.FirstSeen), true
	case "last_seen":
		return timestamp(l.LastSeen), true
	case "events":
		return types.Int(l.Events), true
	case "ids":
		return types.Int(idCount(l)), true
	}
	return nil, false
}

func timestamp(ms int64) ref.Val { return types.Timestamp{Time: time.UnixMilli(ms).UTC()} }

// run evaluates a program.
func (x *scope) run(e *celExpr) (ref.Val, int64) {
	saved := x.act
	x.act = activation{x: x, terms: e.terms, until: never}
	v, _, err := e.prog.Eval(&x.act)
	until := x.act.until
	x.act = saved
	if err != nil {
		return types.NewErr("evaluation failed"), until
	}
	return v, until
}

// celValue converts a JSON value. Absent is no value: callers must have looked.
func celValue(v lead.Value) ref.Val {
	switch v.Kind {
	case lead.Bool:
		b, _ := v.Bool()
		return types.Bool(b)
	case lead.Number:
		f, ok := v.Float()
		if !ok {
			return types.NewErr("a number beyond the range of doubles")
		}
		return types.Double(f)
	case lead.String:
		return types.String(v.Str())
	case lead.List:
		var all []ref.Val
		v.Each(func(e lead.Value) bool {
			all = append(all, celValue(e))
			return true
		})
		return types.NewRefValList(types.DefaultTypeAdapter, all)
	case lead.Map:
		return objectVal(v.Object())
	}
	return types.NullValue
}

func objectVal(o lead.Object) ref.Val {
	return &mapVal{get: o.Get, keys: func() []string { return objectKeys(o) }}
}

// objectKeys returns an object's names, sorted, each once.
func objectKeys(o lead.Object) []string {
	var keys []string
	o.Each(func(key string, _ lead.Value) bool {
		keys = append(keys, key)
		return true
	})
	slices.Sort(keys)
	return slices.Compact(keys)
}

// mapVal is a JSON object for CEL: read lazily, iterated in the order of its names.
type mapVal struct {
	get  func(string) lead.Value
	keys func() []string
}

// traitsVal are the lead's traits for CEL.
type traitsVal struct{ mapVal }

var _ traits.Mapper = (*mapVal)(nil)

// ConvertToNative implements ref.Val; nothing here needs it.
func (m *mapVal) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a JSON object can't become %s", t)
}

// ConvertToType implements ref.Val.
func (m *mapVal) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return m
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("a map can't become %s", t.TypeName())
}

// Equal implements ref.Val.
func (m *mapVal) Equal(other ref.Val) ref.Val {
	o, ok := other.(traits.Mapper)
	keys := m.keys()
	if !ok || o.Size() != types.Int(len(keys)) {
		return types.False
	}
	for _, k := range keys {
		v, found := o.Find(types.String(k))
		if !found || types.Equal(celValue(m.get(k)), v) != types.True {
			return types.False
		}
	}
	return types.True
}

// Type implements ref.Val.
func (m *mapVal) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (m *mapVal) Value() any { return m }

// Contains implements traits.Container.
func (m *mapVal) Contains(key ref.Val) ref.Val {
	_, found := m.Find(key)
	return types.Bool(found)
}

// Get implements traits.Indexer.
func (m *mapVal) Get(key ref.Val) ref.Val {
	v, found := m.Find(key)
	if !found {
		return types.NewErr("no such key")
	}
	return v
}

// Find implements traits.Mapper.
func (m *mapVal) Find(key ref.Val) (ref.Val, bool) {
	k, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	v := m.get(string(k))
	if v.Kind == lead.Absent {
		return nil, false
	}
	return celValue(v), true
}

// Size implements traits.Sizer.
func (m *mapVal) Size() ref.Val { return types.Int(len(m.keys())) }

// Iterator implements traits.Iterable: sorted, so that every machine sees the same order.
func (m *mapVal) Iterator() traits.Iterator {
	keys := m.keys()
	all := make([]ref.Val, len(keys))
	for i, k := range keys {
		all[i] = types.String(k)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, all).(traits.Iterable).Iterator()
}
