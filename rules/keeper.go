package rules

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"leadstream/state/lead"
)

// keeper is a window that leads keep: of a signal, of a field of a signal's events, of a score.
type keeper struct {
	// name is the same in two rule sets when what is kept means the same.
	name  string
	spans []int64
	// entries says that the newest entries are kept however old they are.
	entries bool
	win     window
	// field is what sum adds up and distinct tells apart.
	field    *eventField
	distinct bool
}

// fieldKeeper is a field of the first or last event of a signal.
type fieldKeeper struct {
	name  string
	field *eventField
	first bool
}

// eventField is a field of the event: declared text or a member of a map.
type eventField struct {
	name   string
	text   textSource
	member *path
}

// fieldOf reads the field argument of a term: "value" or "cart.value" in the properties, "event.path", or
// the same as an expression.
func fieldOf(e ast.Expr) (*eventField, bool) {
	name, ok := stringLiteral(e)
	if !ok {
		if name, ok = selectionPath(e); !ok || !strings.HasPrefix(name, "event.") {
			return nil, false
		}
	}
	return namedField(name)
}

// namedField reads such a field as text.
func namedField(name string) (*eventField, bool) {
	if !strings.HasPrefix(name, "event.") {
		name = "event.properties." + name
	}
	f := &eventField{name: name}
	parts := strings.Split(name, ".")
	if slices.Contains(parts, "") || len(parts) < 2 || len(parts) > 32 || len(name) > maxNameBytes {
		return nil, false
	}
	if i := slices.Index(eventStrings, parts[1]); i >= 0 && len(parts) == 2 {
		f.text = eventText{i}
		return f, true
	}
	root, ok := pathRoots["event."+parts[1]]
	if !ok || len(parts) < 3 {
		return nil, false
	}
	f.member = &path{root: root, keys: parts[2:]}
	return f, true
}

// selectionPath reads a chain of selections and constant indexes.
func selectionPath(e ast.Expr) (string, bool) {
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index {
		head, ok := selectionPath(e.AsCall().Args()[0])
		key, isText := stringLiteral(e.AsCall().Args()[1])
		return head + "." + key, ok && isText && !strings.Contains(key, ".")
	}
	if e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() {
		head, ok := selectionPath(e.AsSelect().Operand())
		return head + "." + e.AsSelect().FieldName(), ok
	}
	return qualified(e)
}

// value returns the field of the present event, Absent if it has none. Text that is "" is absent.
func (f *eventField) value(x *scope) lead.Value {
	if f.member != nil {
		v, _ := f.member.value(x)
		return v
	}
	s := f.text.text(x)
	if len(s) == 0 {
		return lead.Value{}
	}
	text, err := json.Marshal(string(s))
	if err != nil {
		return lead.Value{}
	}
	return lead.Value{Kind: lead.String, Text: text}
}

// number returns the field as a finite number.
func (f *eventField) number(x *scope) (float64, bool) {
	if f.member == nil {
		return 0, false
	}
	v, _ := f.member.value(x)
	return v.Float()
}

// key returns a hash of the field's value, 0 if it is absent or null.
func (f *eventField) key(x *scope) uint64 {
	if f.member == nil {
		if s := f.text.text(x); len(s) > 0 {
			return lead.HashID(s)
		}
		return 0
	}
	v, _ := f.member.value(x)
	return valueKey(v)
}

// valueKey returns a hash that equal values share, 0 for absent and null.
func valueKey(v lead.Value) uint64 {
	switch v.Kind {
	case lead.String:
		return lead.HashID(v.Bytes())
	case lead.Number:
		if f, ok := v.Float(); ok {
			return numberKey(f)
		}
	case lead.Bool, lead.List, lead.Map:
		return lead.HashID(v.Text)
	}
	return 0
}

// enterWindow enters the present event into a window.
func (e *Evaluator) enterWindow(slot int, ev *lead.Event, t int64) {
	if entry, ok := e.entryOf(slot, ev, t); ok {
		e.enterEntry(slot, entry)
	}
}

// entryOf returns what a window keeps of the present event. ok is false if that lacks the window's field.
func (e *Evaluator) entryOf(slot int, ev *lead.Event, t int64) (entry lead.Entry, ok bool) {
	entry = lead.Entry{Time: t, Message: ev.MessageHash}
	k := &e.set.keepers[slot]
	switch {
	case k.distinct:
		entry.Message = k.field.key(&e.scope)
		return entry, entry.Message != 0
	case k.field != nil:
		entry.Value, ok = k.field.number(&e.scope)
		return entry, ok
	}
	return entry, true
}

func (e *Evaluator) enterEntry(slot int, entry lead.Entry) {
	k, sig := &e.set.keepers[slot], e.keep(slot)
	e.touch(&e.set.readers.keepers[slot])
	switch {
	case k.distinct:
		k.insertDistinct(sig, entry)
	case k.spans == nil && !k.entries:
		sig.Last = max(sig.Last, entry.Time)
	default:
		// What the clock can still see is kept: a timer that changes nothing leaves the clock behind, and
		// a late event looks at the windows as of the clock.
		k.win.insert(sig, entry, e.l.Clock)
	}
}

// insertDistinct notes the newest time of a value; the entries' messages are hashes of values. The value
// seen longest ago makes room for a new one.
func (k *keeper) insertDistinct(sig *lead.Signal, e lead.Entry) {
	sig.Last = max(sig.Last, e.Time)
	if i := slices.IndexFunc(sig.Entries, func(x lead.Entry) bool { return x.Message == e.Message }); i >= 0 {
		if sig.Entries[i].Time >= e.Time {
			return
		}
		sig.Entries = slices.Delete(sig.Entries, i, i+1)
	}
	i, _ := slices.BinarySearchFunc(sig.Entries, e, func(a, b lead.Entry) int {
		if entryLess(a, b) {
			return -1
		}
		return 1
	})
	if len(sig.Entries) < maxEntries {
		sig.Entries = slices.Insert(sig.Entries, i, e)
	} else if i > 0 {
		copy(sig.Entries, sig.Entries[1:i])
		sig.Entries[i-1] = e
	}
}

// updateFields notes fields of the first and last events of the event's signals.
func (e *Evaluator) updateFields(ev *lead.Event, t int64) {
	for _, slot := range e.hits {
		for _, f := range e.set.signals[slot].fields {
			e.noteField(f, e.set.fields[f].field.value(&e.scope), t, ev.MessageHash)
		}
	}
}

// noteField notes a field of an event of time t, if it is earlier than the first or later than the last.
func (e *Evaluator) noteField(slot int, v lead.Value, t int64, message uint64) {
	k := &e.set.fields[slot]
	if len(v.Text) > maxTraitBytes {
		e.counts.LongTraits++
		v = lead.Value{}
	}
	i, found := slices.BinarySearchFunc(e.l.Rare().Fields, uint16(slot), compareField)
	e.touch(&e.set.readers.fields[slot])
	if found {
		old := &e.l.Rare().Fields[i]
		newer := t > old.Time || t == old.Time && message > old.Message
		if newer == k.first {
			return
		}
		*old = lead.Field{Slot: uint16(slot), Value: v.Clone(), Time: t, Message: message}
		return
	}
	e.l.OwnRare().Fields = slices.Insert(e.l.Rare().Fields, i, lead.Field{Slot: uint16(slot), Value: v.Clone(), Time: t, Message: message})
}

// read is the term for CEL: "" if the signal never came or had no such field.
func (t *fieldTerm) read(x *scope) ref.Val {
	v := t.value(x)
	if v.Kind == lead.Absent {
		return types.String("")
	}
	return celValue(v)
}

// keeperSlot returns the slot of a keeper, making it for the signal if it is new.
func (ld *loader) keeperSlot(signal int, k keeper) int {
	s := ld.set
	if i := slices.IndexFunc(s.keepers, func(x keeper) bool { return x.name == k.name }); i >= 0 {
		return i
	}
	s.keepers = append(s.keepers, k)
	slot := len(s.keepers) - 1
	if signal >= 0 {
		s.signals[signal].keepers = append(s.signals[signal].keepers, slot)
	}
	return slot
}

// signalKeeper returns the window of a signal's events.
func (ld *loader) signalKeeper(signal int) int {
	return ld.keeperSlot(signal, keeper{name: "signal " + strconv.Quote(ld.set.signals[signal].name)})
}

func (ld *loader) addSpan(slot int, span int64) {
	if k := &ld.set.keepers[slot]; !slices.Contains(k.spans, span) {
		k.spans = append(k.spans, span)
	}
}

// finishKeepers decides how windows are kept, when all rules have said what they read.
func (ld *loader) finishKeepers() {
	if len(ld.set.keepers) > math.MaxUint16-1 || len(ld.set.fields) > math.MaxUint16-1 {
		ld.add(Problem{File: ld.firstFile(), Message: "the rules look at too many windows"})
	}
	for i := range ld.set.keepers {
		k := &ld.set.keepers[i]
		k.win = newWindow(maxEntries, k.entries, k.spans...)
	}
	ld.set.dispatch = newDispatch(ld.set.signals)
}
