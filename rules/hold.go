package rules

import (
	"cmp"
	"slices"

	"leadstream/state/lead"
)

// Machines click too: mail scanners follow every link before a person sees the mail. So points of opens
// and clicks can be held back for a while, and whole signals; what turns out to be a machine's is dropped.

// hold keeps back what a line adds until its time has come. It reports false when that has passed already.
func (e *Evaluator) hold(slot int, key uint64, w float64, t int64, ev *lead.Event) bool {
	due := addSpan(t, e.set.lines[slot].hold)
	if due <= e.at {
		return false
	}
	e.enterHeld(lead.Held{Kind: lead.HeldPoints, Slot: uint16(slot), Due: due, Time: t, Message: ev.MessageHash,
		Key: key, Points: w, Mail: e.mail, Link: e.link})
	return true
}

// holdSignal keeps back a whole signal with all that it does, computed while the event is there. It
// reports false when its time has passed already.
func (e *Evaluator) holdSignal(slot int, t int64, ev *lead.Event) bool {
	s := &e.set.signals[slot]
	due := addSpan(t, s.hold)
	if due <= e.at {
		return false
	}
	if len(e.l.Rare().Held)+e.set.heldSize(slot) > maxHeld {
		e.counts.HeldFull++
		return true
	}
	h := lead.Held{Kind: lead.HeldSignal, Slot: uint16(slot), Due: due, Time: t, Message: ev.MessageHash, Mail: e.mail, Link: e.link}
	if !e.signalsOn {
		h.Points = 1 // it is too late for signal(), now and when it is released
	}
	parts := []lead.Held{h}
	part := func(kind lead.HeldKind, slot int) *lead.Held {
		p := h
		p.Kind, p.Slot, p.Points = kind, uint16(slot), 0
		parts = append(parts, p)
		return &parts[len(parts)-1]
	}
	for _, k := range s.keepers {
		if entry, ok := e.entryOf(k, ev, t); ok {
			p := part(lead.HeldEntry, k)
			p.Key, p.Points = entry.Message, entry.Value
		}
	}
	for _, f := range s.fields {
		part(lead.HeldField, f).Value = e.set.fields[f].field.value(&e.scope).Clone()
	}
	for _, i := range s.tags {
		w := e.tagWeight(i)
		e.eachTag(e.set.tags.lines[i].tag, func(name string) {
			p := part(lead.HeldTag, i)
			p.Points, p.Value = w, lead.Value{Kind: lead.String, Text: []byte(name)}
		})
	}
	for _, i := range s.lines {
		ln := &e.set.lines[i]
		if w, _, ok := e.number(ln.add); ok && w != 0 {
			p := part(lead.HeldLine, i)
			p.Key, p.Points = e.limitKey(ln), w
		}
	}
	e.enterHeld(parts...)
	return true
}

// heldSize bounds how many entries a held signal needs.
func (s *Set) heldSize(slot int) int {
	g := &s.signals[slot]
	return 1 + len(g.keepers) + len(g.fields) + len(g.lines) + maxTagsPerEvent*len(g.tags)
}

// enterHeld enters what belongs together, in the order of release: by due time, then by its own time.
func (e *Evaluator) enterHeld(parts ...lead.Held) {
	l := e.l
	if len(l.Rare().Held)+len(parts) > maxHeld {
		e.counts.HeldFull++
		return
	}
	i, _ := slices.BinarySearchFunc(l.Rare().Held, parts[0], func(a, b lead.Held) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Time, b.Time), -1)
	})
	l.OwnRare().Held = slices.Insert(l.Rare().Held, i, parts...)
}

// release releases what is held until d. It reports whether there was anything, and whether a score moved.
func (e *Evaluator) release(d int64) (moved bool) {
	l := e.l
	n := 0
	for n < len(l.Rare().Held) && l.Rare().Held[n].Due <= d {
		n++
	}
	due := slices.Clone(l.Rare().Held[:n])
	l.OwnRare().Held = slices.Delete(l.Rare().Held, 0, n)
	for i := range due {
		moved = e.releaseOne(&due[i]) || moved
	}
	if n > 0 {
		e.changed()
	}
	return moved
}

func (e *Evaluator) releaseOne(h *lead.Held) (moved bool) {
	slot := int(h.Slot)
	switch h.Kind {
	case lead.HeldPoints:
		return e.contribute(slot, h.Key, h.Points, h.Time, h.Message)
	case lead.HeldSignal:
		if h.Points == 0 {
			e.matched[slot], e.signalsOn = e.stamp, true
		}
	case lead.HeldEntry:
		e.enterEntry(slot, lead.Entry{Time: h.Time, Message: h.Key, Value: h.Points})
	case lead.HeldField:
		e.noteField(slot, h.Value, h.Time, h.Message)
	case lead.HeldTag:
		e.addTag(string(h.Value.Text), h.Points, h.Time)
	case lead.HeldLine:
		if due := addSpan(h.Time, e.set.lines[slot].hold); due > e.at {
			again := *h
			again.Kind, again.Due = lead.HeldPoints, due
			e.enterHeld(again)
			return false
		}
		return e.contribute(slot, h.Key, h.Points, h.Time, h.Message)
	}
	return false
}

// heldDue is when something is released next.
func (e *Evaluator) heldDue() int64 {
	if len(e.l.Rare().Held) == 0 {
		return never
	}
	return e.l.Rare().Held[0].Due
}

// dropHeld drops what is held of a message.
func (e *Evaluator) dropHeld(message uint64) bool {
	before := len(e.l.Rare().Held)
	e.l.OwnRare().Held = slices.DeleteFunc(e.l.Rare().Held, func(h lead.Held) bool { return h.Message == message && message != 0 && !isMarker(h.Kind) })
	return len(e.l.Rare().Held) < before
}

// isMarker says that an entry is only remembered, and does nothing when it is due.
func isMarker(k lead.HeldKind) bool { return k == lead.HeldDropped || k == lead.HeldDelivery }
