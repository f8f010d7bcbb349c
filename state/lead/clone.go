package lead

import "reflect"

// Clone returns a copy that can be changed without changing l. Strings and the text of trait values
// are shared: both are immutable once they are in a Lead.
func (l *Lead) Clone() *Lead {
	c := new(Lead)
	l.CloneInto(c)
	return c
}

// CloneInto makes dst a copy of l, reusing the memory of dst's slices. dst must not share slices with
// l and nobody else may still read it: the engine hands in leads that it has taken out of use.
func (l *Lead) CloneInto(dst *Lead) {
	old := *dst
	*dst = *l
	dst.Scores = append(old.Scores[:0], l.Scores...)
	dst.Lines = cloneLines(old.Lines, l.Lines)
	dst.Signals = cloneSignals(old.Signals, l.Signals)
	dst.Edges = append(old.Edges[:0], l.Edges...)
	dst.Traits = append(clearTail(old.Traits, len(l.Traits))[:0], l.Traits...)
	dst.Recent = append(old.Recent[:0], l.Recent...)
	dst.Ledger = append(old.Ledger[:0], l.Ledger...)
	dst.Fields = append(clearTail(old.Fields, len(l.Fields))[:0], l.Fields...)
	dst.Tags = append(clearTail(old.Tags, len(l.Tags))[:0], l.Tags...)
	dst.Held = append(clearTail(old.Held, len(l.Held))[:0], l.Held...)
	dst.Early = append(old.Early[:0], l.Early...)
	dst.Apart = append(clearTail(old.Apart, len(l.Apart))[:0], l.Apart...)
	dst.IDs = append(clearTail(old.IDs, len(l.IDs))[:0], l.IDs...)
	dst.Claims = append(old.Claims[:0], l.Claims...)
	dst.Refused = append(clearTail(old.Refused, len(l.Refused))[:0], l.Refused...)
	dst.Named = append(clearTail(old.Named, len(l.Named))[:0], l.Named...)
	dst.Consents = append(clearTail(old.Consents, len(l.Consents))[:0], l.Consents...)
}

func cloneLines(dst, src []Line) []Line {
	dst = resize(dst, len(src))
	var counted, points int
	for i := range src {
		counted += missing(dst[i].Counted, src[i].Counted)
		points += missing(dst[i].Points, src[i].Points)
	}
	countedSlab, pointsSlab := slab[int64](counted), slab[float64](points)
	for i := range src {
		old := dst[i]
		dst[i] = src[i]
		dst[i].Counted = fill(old.Counted, src[i].Counted, &countedSlab)
		dst[i].Points = fill(old.Points, src[i].Points, &pointsSlab)
	}
	return dst
}

func cloneSignals(dst, src []Signal) []Signal {
	dst = resize(dst, len(src))
	var entries, buckets int
	for i := range src {
		entries += missing(dst[i].Entries, src[i].Entries)
		buckets += missing(dst[i].Buckets, src[i].Buckets)
	}
	entrySlab, bucketSlab := slab[Entry](entries), slab[Bucket](buckets)
	for i := range src {
		old := dst[i]
		dst[i] = src[i]
		dst[i].Entries = fill(old.Entries, src[i].Entries, &entrySlab)
		dst[i].Buckets = fill(old.Buckets, src[i].Buckets, &bucketSlab)
	}
	return dst
}

// resize returns s with length n. Elements past the old length are zero: whoever removed elements by
// shifting left copies of them there, and their inner slices belong to elements that are still in use.
func resize[T any](s []T, n int) []T {
	if n > cap(s) {
		grown := make([]T, n) // Not append or slices.Grow: those copy what is past the length, too.
		copy(grown, s)
		return grown
	}
	clear(s[min(len(s), n):cap(s)])
	return s[:n]
}

// clearTail drops what s refers to from n on, so that a pooled lead doesn't keep it alive.
func clearTail[T any](s []T, n int) []T {
	if n < len(s) {
		clear(s[n:])
	}
	return s
}

// missing returns how many elements must come from a slab because dst is too small for src.
func missing[T any](dst, src []T) int {
	if cap(dst) >= len(src) {
		return 0
	}
	return len(src)
}

// slab allocates one array for all the inner slices of a lead that need one: an active lead has tens
// of them, and one allocation each would dominate the cost of a clone.
func slab[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, n)
}

// fill copies src to dst's array or to the front of the slab. A piece of the slab ends at its own
// capacity, so that a later append moves away instead of running into its neighbour.
func fill[T any](dst, src []T, slab *[]T) []T {
	if cap(dst) < len(src) {
		n := len(src)
		dst, *slab = (*slab)[:n:n], (*slab)[n:]
	}
	return append(dst[:0], src...)
}

// Size estimates the bytes of heap that l occupies, for the cache's budget. It counts what slices have
// room for, not only what they hold, and what is shared between versions of a lead in each of them.
func (l *Lead) Size() int {
	n := int(reflect.TypeFor[Lead]().Size()) + len(l.ID) + len(l.UserID) + len(l.Zone)
	n += arrayBytes(l.Scores) + arrayBytes(l.Lines) + arrayBytes(l.Signals) + arrayBytes(l.Edges)
	n += arrayBytes(l.Traits) + arrayBytes(l.Recent) + arrayBytes(l.Ledger)
	for i := range l.Lines {
		n += arrayBytes(l.Lines[i].Counted) + arrayBytes(l.Lines[i].Points)
	}
	for i := range l.Signals {
		n += arrayBytes(l.Signals[i].Entries) + arrayBytes(l.Signals[i].Buckets)
	}
	n += arrayBytes(l.Fields) + arrayBytes(l.Tags) + arrayBytes(l.Held) + arrayBytes(l.Early)
	n += len(l.Forward) + arrayBytes(l.Apart) + arrayBytes(l.IDs) + arrayBytes(l.Claims) + arrayBytes(l.Refused) + arrayBytes(l.Named)
	for _, id := range l.Apart {
		n += len(id)
	}
	for _, id := range l.Named {
		n += len(id)
	}
	for i := range l.IDs {
		n += len(l.IDs[i].ID)
	}
	for i := range l.Refused {
		n += len(l.Refused[i].ID) + len(l.Refused[i].With)
	}
	n += arrayBytes(l.Consents)
	for i := range l.Consents {
		n += len(l.Consents[i].Purpose) + len(l.Consents[i].Source)
	}
	for i := range l.Fields {
		n += cap(l.Fields[i].Value.Text)
	}
	for i := range l.Held {
		n += cap(l.Held[i].Value.Text)
	}
	for i := range l.Tags {
		n += len(l.Tags[i].Name)
	}
	for i := range l.Traits {
		n += len(l.Traits[i].Name) + cap(l.Traits[i].Value.Text)
	}
	return n
}

func arrayBytes[T any](s []T) int {
	return cap(s) * int(reflect.TypeFor[T]().Size())
}
