package rules

import (
	"math"
	"slices"
	"sort"

	"leadstream/state/lead"
)

// maxEntries is how many entries a window keeps exactly; older ones are counted in buckets.
const maxEntries = 64

// window says how one signal's entries (or those of an expiring or linear score) are kept. It is made
// when a rule set is loaded and immutable.
//
// The newest entries are kept exactly. One pushed out joins a bucket of width B = ceil(D/64) ms, aligned to
// the epoch, D being the span that is looked back over. A bucket counts as if all of it had happened at
// the time of its newest entry. So an answer errs only by being late to forget, by less than B, and only
// beyond the entries kept.
//
// Where one signal is read over several spans, that holds for each of them with its own B: a bucket has
// the width of the shortest span that still sees it, and when that span has forgotten all of a cell, its
// buckets are joined to one of the next width. Widths are made multiples of each other by rounding B
// down, spans whose widths are the same after that share them. There are at most 130 buckets for each width,
// and each width is at least twice the one before.
type window struct {
	keep    int
	ageless bool
	tiers   []tier
}

// tier is a width of buckets and the longest span that they serve, in ms.
type tier struct{ span, width int64 }

// newWindow makes the window of a signal that is read over the given spans (ms). keep is how many of the
// newest entries are kept, at most maxEntries: all of them for anything that counts, 1 where only the
// last one matters. An ageless window keeps these also when no span sees them any more, as since, first, last,
// then and without need; it may have no spans.
func newWindow(keep int, ageless bool, spans ...int64) window {
	w := window{keep: max(1, min(keep, maxEntries)), ageless: ageless}
	spans = slices.Clone(spans)
	slices.Sort(spans)
	for _, span := range spans {
		if span <= 0 {
			continue
		}
		width := (span-1)/maxEntries + 1
		if n := len(w.tiers); n > 0 {
			last := &w.tiers[n-1]
			width -= width % last.width
			if width <= last.width {
				last.span = span
				continue
			}
		}
		w.tiers = append(w.tiers, tier{span: span, width: width})
	}
	return w
}

// longest returns the longest span, 0 if there is none.
func (w *window) longest() int64 {
	if len(w.tiers) == 0 {
		return 0
	}
	return w.tiers[len(w.tiers)-1].span
}

// newSignal returns a signal with nothing in it.
func newSignal(slot uint16) lead.Signal { return lead.Signal{Slot: slot, Last: math.MinInt64} }

// insert adds e to sig at its own place, after entries with the same time and message, and forgets what
// can't be seen any more at now, the lead's clock. It changes sig's slices in place and allocates only
// while they grow.
func (w *window) insert(sig *lead.Signal, e lead.Entry, now int64) {
	sig.Last = max(sig.Last, e.Time)
	w.forget(sig, now)
	if !w.ageless && now-e.Time >= w.longest() {
		return
	}
	// What is at most as new as a bucket belongs to one, also when a removed entry left room.
	if n := len(sig.Buckets); n > 0 && e.Time <= sig.Buckets[n-1].Newest {
		w.join(sig, e, now)
		return
	}
	es := sig.Entries
	i := len(es)
	for i > 0 && entryLess(e, es[i-1]) {
		i--
	}
	switch {
	case len(es) < w.keep:
		sig.Entries = slices.Insert(es, i, e)
	case i == 0:
		w.join(sig, e, now)
	default:
		out := es[0]
		copy(es, es[1:i])
		es[i-1] = e
		w.join(sig, out, now)
	}
}

// entryLess orders entries by time, then message.
func entryLess(a, b lead.Entry) bool {
	return a.Time < b.Time || a.Time == b.Time && a.Message < b.Message
}

// join puts an entry pushed out of the entries into its bucket.
func (w *window) join(sig *lead.Signal, e lead.Entry, now int64) {
	if now-e.Time >= w.longest() {
		return // forgotten already: a newer neighbour must not bring it back
	}
	b := sig.Buckets
	i := sort.Search(len(b), func(i int) bool { return b[i].Newest >= e.Time })
	cell := w.cell(e.Time, now)
	switch {
	case i < len(b) && w.cell(b[i].Newest, now) == cell:
	case i > 0 && w.cell(b[i-1].Newest, now) == cell:
		i--
	default:
		sig.Buckets = slices.Insert(b, i, lead.Bucket{Newest: e.Time, Count: 1, Sum: e.Value})
		if len(w.tiers) > 1 {
			w.widen(sig, now)
		}
		return
	}
	b[i].Newest = max(b[i].Newest, e.Time)
	b[i].Count++
	b[i].Sum = finite(b[i].Sum + e.Value)
}

// cell returns the bounds of the cell that a time belongs to at now, as its tier's width and start.
func (w *window) cell(t, now int64) [2]int64 {
	if len(w.tiers) == 0 {
		return [2]int64{1, t} // buckets that other rules left: forget drops them
	}
	for i := len(w.tiers) - 1; i > 0; i-- {
		width := w.tiers[i].width
		start := floorDiv(t, width) * width
		if now-(start+width-1) >= w.tiers[i-1].span {
			return [2]int64{width, start}
		}
	}
	width := w.tiers[0].width
	return [2]int64{width, floorDiv(t, width) * width}
}

// widen joins the buckets that have come to lie in one cell.
func (w *window) widen(sig *lead.Signal, now int64) {
	b := sig.Buckets
	n := 0
	var last [2]int64
	for i := range b {
		cell := w.cell(b[i].Newest, now)
		if n > 0 && cell == last {
			p := &b[n-1]
			p.Newest = b[i].Newest
			p.Count += b[i].Count
			p.Sum = finite(p.Sum + b[i].Sum)
			continue
		}
		b[n] = b[i]
		last = cell
		n++
	}
	sig.Buckets = b[:n]
}

// forget drops what no span sees any more at now. Answers do not change by it.
func (w *window) forget(sig *lead.Signal, now int64) {
	old := now - w.longest()
	if b := sig.Buckets; len(b) > 0 && b[0].Newest <= old {
		sig.Buckets = slices.Delete(b, 0, firstBucket(b, old))
	}
	if es := sig.Entries; !w.ageless && len(es) > 0 && es[0].Time <= old {
		sig.Entries = slices.Delete(es, 0, firstEntry(es, old))
	}
}

// remove takes out the entry of a message and reports whether it was there; what is in a bucket stays.
// Of several entries of the message (an expiring score has one for each line) it takes the first with that value.
func (w *window) remove(sig *lead.Signal, message uint64, value float64) bool {
	for i, e := range sig.Entries {
		if e.Message == message && e.Value == value {
			sig.Entries = slices.Delete(sig.Entries, i, i+1)
			return true
		}
	}
	return false
}

// firstBucket returns the index of the first bucket newer than old.
func firstBucket(b []lead.Bucket, old int64) int {
	return sort.Search(len(b), func(i int) bool { return b[i].Newest > old })
}

// firstEntry returns the index of the first entry newer than old.
func firstEntry(es []lead.Entry, old int64) int {
	return sort.Search(len(es), func(i int) bool { return es[i].Time > old })
}

// windowCount returns how many entries have now - time < span, and until when that number holds: the ms
// at which the oldest counted leaves, lead.Never when none is counted.
func windowCount(sig *lead.Signal, span, now int64) (n, until int64) {
	i, j := firstBucket(sig.Buckets, now-span), firstEntry(sig.Entries, now-span)
	for k := i; k < len(sig.Buckets); k++ {
		n += sig.Buckets[k].Count
	}
	return n + int64(len(sig.Entries)-j), oldestLeaves(sig, i, j, span)
}

// windowSum returns the sum of the values of the entries with now - time < span, added in time order, and until
// when it holds, as windowCount does.
func windowSum(sig *lead.Signal, span, now int64) (sum float64, until int64) {
	i, j := firstBucket(sig.Buckets, now-span), firstEntry(sig.Entries, now-span)
	return sumFrom(sig, i, j), oldestLeaves(sig, i, j, span)
}

// sumFrom adds up the values from bucket i and entry j on.
func sumFrom(sig *lead.Signal, i, j int) float64 {
	sum := 0.0
	for ; i < len(sig.Buckets); i++ {
		sum += sig.Buckets[i].Sum
	}
	for ; j < len(sig.Entries); j++ {
		sum += sig.Entries[j].Value
	}
	return finite(sum)
}

// oldestLeaves returns when the older of bucket i and entry j leaves the span.
func oldestLeaves(sig *lead.Signal, i, j int, span int64) int64 {
	switch {
	case i < len(sig.Buckets):
		return addSpan(sig.Buckets[i].Newest, span)
	case j < len(sig.Entries):
		return addSpan(sig.Entries[j].Time, span)
	}
	return lead.Never
}
