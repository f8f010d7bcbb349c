package lead

import "reflect"

// Clone returns a copy that can be changed without changing l. Strings and the text of trait values
// are shared: both are immutable once they are in a Lead.
func (l *Lead) Clone() *Lead {
	c := l.Fork()
	c.OwnRecent()
	c.Ledger = l.Ledger.clone()
	return c
}

// Fork returns the next version of l: a copy as Clone's that goes on in the arrays of Recent and Ledger behind what l has
// of them. Recent is copied before it is changed otherwise: Remember does, OwnRecent is for whoever does it himself. A lead
// may be forked again only once nobody uses the fork before any more: both would go on in the same place.
func (l *Lead) Fork() *Lead {
	c := new(Lead)
	*c = *l
	c.sharedRecent, c.Ledger = true, l.Ledger.shared()
	c.Scores = copied(l.Scores, 0)
	c.Lines = cloneLines(l.Lines)
	c.Signals = cloneSignals(l.Signals)
	c.Edges = copied(l.Edges, 0)
	c.Traits = copied(l.Traits, 0)
	c.Apart = copied(l.Apart, 0)
	c.IDs = copied(l.IDs, 0)
	c.rare = l.rare.clone()
	c.Account = copied(l.Account, 0)
	for i := range c.Account {
		c.Account[i].Members = copied(l.Account[i].Members, 0)
	}
	return c
}

// copied returns a copy of s with room for so many more, nil for an empty one.
func copied[T any](s []T, room int) []T {
	if len(s) == 0 {
		return nil
	}
	c := make([]T, len(s), len(s)+room)
	copy(c, s)
	return c
}

func cloneLines(src []Line) []Line {
	dst := copied(src, 0)
	var counted, points int
	for i := range src {
		counted += len(src[i].Counted)
		points += len(src[i].Points)
	}
	countedSlab, pointsSlab := slab[int64](counted), slab[float64](points)
	for i := range dst {
		dst[i].Counted = cut(src[i].Counted, &countedSlab)
		dst[i].Points = cut(src[i].Points, &pointsSlab)
	}
	return dst
}

func cloneSignals(src []Signal) []Signal {
	dst := copied(src, 0)
	var entries, buckets int
	for i := range src {
		entries += len(src[i].Entries)
		buckets += len(src[i].Buckets)
	}
	entrySlab, bucketSlab := slab[Entry](entries), slab[Bucket](buckets)
	for i := range dst {
		dst[i].Entries = cut(src[i].Entries, &entrySlab)
		dst[i].Buckets = cut(src[i].Buckets, &bucketSlab)
	}
	return dst
}

// slab allocates one array for all the inner slices of a lead: an active lead has tens of them, and one
// allocation each would dominate the cost of a clone.
func slab[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, n)
}

// cut copies s to the front of the slab, and takes that off. The piece ends at its own capacity, so that a later
// append moves away instead of running into its neighbour.
func cut[T any](s []T, slab *[]T) []T {
	n := len(s)
	if n == 0 {
		return nil
	}
	piece := (*slab)[:n:n]
	*slab = (*slab)[n:]
	copy(piece, s)
	return piece
}

// Size estimates the bytes of heap that l occupies, for the cache's budget. It counts what slices have
// room for, not only what they hold, and what is shared between versions of a lead in each of them.
func (l *Lead) Size() int {
	n := int(reflect.TypeFor[Lead]().Size()) + len(l.ID) + len(l.UserID) + len(l.Zone)
	n += arrayBytes(l.Scores) + arrayBytes(l.Lines) + arrayBytes(l.Signals) + arrayBytes(l.Edges)
	n += arrayBytes(l.Traits) + arrayBytes(l.Recent) + cap(l.Ledger.data)
	for i := range l.Lines {
		n += arrayBytes(l.Lines[i].Counted) + arrayBytes(l.Lines[i].Points)
	}
	for i := range l.Signals {
		n += arrayBytes(l.Signals[i].Entries) + arrayBytes(l.Signals[i].Buckets)
	}
	n += len(l.Forward) + arrayBytes(l.Apart) + arrayBytes(l.IDs) + l.accountBytes() + l.rare.size()
	for _, id := range l.Apart {
		n += len(id)
	}
	for i := range l.IDs {
		n += len(l.IDs[i].ID)
	}
	for i := range l.Traits {
		n += len(l.Traits[i].Name) + cap(l.Traits[i].Value.Text)
	}
	return n
}

func arrayBytes[T any](s []T) int {
	return cap(s) * int(reflect.TypeFor[T]().Size())
}
