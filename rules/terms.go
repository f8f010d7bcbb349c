package rules

import (
	"slices"
	"time"

	"leadstream/state/lead"
)

// This file evaluates the terms that look at what happened before: windows, pairs, first and last fields,
// dates and the local time.

// numTerm is a number that holds until a known ms.
type numTerm interface {
	num(x *scope) (float64, int64)
	// compare says whether it is on one side of a constant, and until when it stays there.
	compare(x *scope, op cmpOp, c float64) (bool, int64)
}

// numCompare compares such a number with a constant.
type numCompare struct {
	term numTerm
	op   cmpOp
	c    float64
}

func (n *numCompare) eval(x *scope) (tri, int64) {
	holds, until := n.term.compare(x, n.op, n.c)
	return truth(holds), until
}

// windowTerm is count("s", D), sum("s", field, D) and distinct("s", field, D).
type windowTerm struct {
	kind   windowKind
	keeper int
	span   int64
}

type windowKind uint8

const (
	windowOfCount windowKind = iota
	windowOfSum
	windowOfDistinct // its entries are the newest of each value, so they are counted too
)

func (t *windowTerm) num(x *scope) (float64, int64) {
	w := x.signalState(t.keeper)
	if w == nil {
		return 0, never
	}
	if t.kind == windowOfSum {
		return windowSum(w, t.span, x.at)
	}
	n, until := windowCount(w, t.span, x.at)
	return float64(n), until
}

func (t *windowTerm) compare(x *scope, op cmpOp, c float64) (bool, int64) {
	w := x.signalState(t.keeper)
	switch {
	case w == nil:
		return op.holds(0, c), never
	case t.kind == windowOfSum:
		return sumCrossing(w, t.span, c, op, x.at)
	}
	return countCrossing(w, t.span, c, op, x.at)
}

// localTerm is local.hour or local.weekday.
type localTerm struct{ weekday bool }

func (t localTerm) num(x *scope) (float64, int64) {
	local := time.UnixMilli(x.at).In(x.zone())
	// The next full hour or midnight as the clock goes now, or when the clock is set.
	sinceHour := int64(local.Minute())*minute + int64(local.Second())*second + int64(local.Nanosecond()/1e6)
	until := x.at - sinceHour + hour
	value := float64(local.Hour())
	if t.weekday {
		until += int64(23-local.Hour()) * hour
		value = float64((int(local.Weekday())+6)%7 + 1)
	}
	if _, end := local.ZoneBounds(); !end.IsZero() && end.UnixMilli() > x.at {
		until = min(until, end.UnixMilli())
	}
	return value, until
}

func (t localTerm) compare(x *scope, op cmpOp, c float64) (bool, int64) {
	v, until := t.num(x)
	return op.holds(v, c), until
}

// thenNode is then("a", "b", D): b followed a within D.
type thenNode struct {
	a, b int // keepers
	span int64
}

func (n *thenNode) eval(x *scope) (tri, int64) {
	first, second := x.signalState(n.a), x.signalState(n.b)
	if first == nil || second == nil {
		return triFalse, never
	}
	// The newest b that has an a before it keeps the answer for longest.
	for i := len(second.Entries) - 1; i >= 0; i-- {
		b := &second.Entries[i]
		until := addSpan(b.Time, n.span)
		if x.at >= until {
			break
		}
		for j := len(first.Entries) - 1; j >= 0; j-- {
			a := &first.Entries[j]
			if a.Time > b.Time || a.Time == b.Time && a.Message == b.Message {
				continue // an event does not follow itself
			}
			if b.Time-a.Time <= n.span {
				return triTrue, until
			}
			break
		}
	}
	return triFalse, never
}

// withoutNode is without("y", "x", D): the last y is D old, and no x has come since.
type withoutNode struct {
	y, x int
	span int64
}

func (n *withoutNode) eval(x *scope) (tri, int64) {
	y := x.signalState(n.y)
	if y == nil {
		return triFalse, never
	}
	if other := x.signalState(n.x); other != nil && other.Last > y.Last {
		return triFalse, never
	}
	if due := addSpan(y.Last, n.span); x.at < due {
		return triFalse, due
	}
	return triTrue, never
}

// dateNode compares until("trait"), the time from now to a date, with a constant.
type dateNode struct {
	trait string
	op    cmpOp
	ms    int64
}

func (n *dateNode) eval(x *scope) (tri, int64) {
	date, ok := readDate(x.trait(n.trait))
	if !ok {
		return triError, never
	}
	// date - now op ms is the same as now - (date - ms) swapped 0.
	holds, until := compareAge(date-n.ms, x.at, n.op.swapped(), 0)
	return truth(holds), until
}

// dateForms are the texts that a date trait may be written in; without a zone it is UTC.
var dateForms = []string{time.RFC3339Nano, "2006-01-02", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"}

// readDate reads a date: ISO 8601, or a number of ms.
func readDate(v lead.Value) (int64, bool) {
	if f, ok := v.Float(); ok {
		return int64(f), f >= float64(minTime) && f <= float64(maxTime)
	}
	if v.Kind != lead.String || len(v.Text) > 64 {
		return 0, false
	}
	s := v.Str()
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			ms := t.UnixMilli()
			return ms, ms >= minTime && ms <= maxTime
		}
	}
	return 0, false
}

// fieldTerm is first("s", field) or last("s", field).
type fieldTerm struct{ slot int }

func (t *fieldTerm) value(x *scope) lead.Value {
	i, found := slices.BinarySearchFunc(x.l.Rare().Fields, uint16(t.slot), compareField)
	if !found {
		return lead.Value{}
	}
	return x.l.Rare().Fields[i].Value
}

func compareField(f lead.Field, slot uint16) int { return int(f.Slot) - int(slot) }
