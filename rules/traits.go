package rules

import (
	"slices"
	"strings"

	"leadstream/state/lead"
)

// traitValue returns a trait, Absent if it was never set or was removed.
func traitValue(l *lead.Lead, name string) lead.Value {
	if i, found := findTrait(l, name); found && l.Traits[i].Value.Kind != lead.Null {
		return l.Traits[i].Value
	}
	return lead.Value{}
}

// trait is traitValue for expressions: it notes that they lack something.
func (x *scope) trait(name string) lead.Value {
	v := traitValue(x.l, name)
	if v.Kind == lead.Absent {
		x.lacking = true
	}
	return v
}

func findTrait(l *lead.Lead, name string) (int, bool) {
	return slices.BinarySearchFunc(l.Traits, name, func(t lead.Trait, name string) int { return strings.Compare(t.Name, name) })
}

// traitKeys lists the traits that are there, sorted.
func (x *scope) traitKeys() []string {
	var keys []string
	for i := range x.l.Traits {
		if x.l.Traits[i].Value.Kind != lead.Null {
			keys = append(keys, x.l.Traits[i].Name)
		}
	}
	return keys
}

// updateTraits takes over the traits that rules read: those of an identify, and context.traits of any call.
func (e *Evaluator) updateTraits(ev *lead.Event, t int64) {
	if len(e.set.traits) == 0 {
		return
	}
	if len(ev.Context) > 0 {
		e.mergeTraits(ev.Context.Get("traits").Object(), t, ev.MessageHash)
	}
	if ev.Type == lead.Identify {
		e.mergeTraits(ev.Traits, t, ev.MessageHash)
	}
}

// mergeTraits sets traits of time t. The greater (time, message) wins, so a late event does not undo
// what is newer; of equal ones the later one applied does.
func (e *Evaluator) mergeTraits(o lead.Object, t int64, message uint64) {
	if len(o) == 0 {
		return
	}
	o.Each(func(key string, v lead.Value) bool {
		slot, read := e.set.traitSlot[key]
		if !read {
			return true
		}
		name := e.set.traits[slot]
		if len(v.Text) > maxTraitBytes {
			e.counts.LongTraits++
			v = lead.Value{Kind: lead.Null, Text: []byte("null")}
		}
		i, found := findTrait(e.l, name)
		switch {
		case !found:
			e.l.Traits = slices.Insert(e.l.Traits, i, lead.Trait{Name: name, Value: v.Clone(), Time: t, Message: message})
			e.touch(&e.set.readers.traits[slot])
		case t > e.l.Traits[i].Time || t == e.l.Traits[i].Time && message >= e.l.Traits[i].Message:
			old := &e.l.Traits[i]
			if old.Value.Kind != v.Kind || string(old.Value.Text) != string(v.Text) {
				old.Value = v.Clone()
				e.touch(&e.set.readers.traits[slot])
			}
			old.Time, old.Message = t, message
		}
		return true
	})
}
