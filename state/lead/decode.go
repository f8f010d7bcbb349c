package lead

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Decode sets l to the lead in src, which may be anything: what AppendEncode didn't write is refused with
// an error that is ErrMalformed or ErrNewerSchema and names the field, never its contents. l keeps
// nothing of src. The memory of l's slices is reused, as by CloneInto; after an error l is unusable but
// may be decoded into again.
func Decode(src []byte, l *Lead) error {
	d := decoder{b: src}
	d.header()
	l.Epoch = d.uint("epoch")
	l.Due = d.due()
	l.Clock = d.int("clock")
	d.clock = l.Clock
	l.ID = d.str("id", l.ID)
	l.Incarnation = uint32(d.uintTo("incarnation", math.MaxUint32))
	l.Seq = d.uint("seq")
	l.Rules = RuleSetID(d.uint("rules"))
	l.FirstSeen = d.time("first seen")
	l.LastSeen = d.time("last seen")
	l.LastActive = d.time("last active")
	l.Events = d.int("events")
	l.UserID = d.str("user id", l.UserID)
	l.Zone = d.str("zone", l.Zone)
	l.Stage = d.uint16("stage")
	l.StageSince = d.time("stage since")
	l.Scores = d.scores(l.Scores)
	l.Lines = d.lines(l.Lines)
	l.Signals = d.signals(l.Signals)
	l.Edges = d.edges(l.Edges)
	l.Traits = d.traits(l.Traits)
	l.Recent = d.hashes(l.Recent)
	l.RecentNext = uint32(d.uintTo("recent next", math.MaxInt32))
	l.Ledger = d.ledger()
	var r Rare
	if l.rare != nil { // its arrays are used again
		r = l.rare.emptied()
	}
	l.Ready = false
	if d.version > 1 {
		r.Fields = d.fields(r.Fields)
		r.Tags = d.tags(r.Tags)
		r.Held = d.held(r.Held)
		r.Early = d.hashes(r.Early)
		l.Ready = d.bool("ready")
	}
	l.Node = Node{Apart: l.Apart[:0]}
	l.IDs = l.IDs[:0]
	if d.version > 2 {
		d.node(&l.Node)
		l.IDs = d.linked(l.IDs)
		r.Claims = d.hashes(r.Claims)
		r.Refused = d.refused(r.Refused)
	}
	l.Spins = 0
	if d.version > 3 {
		l.Spins = uint32(d.uintTo("spins", math.MaxUint32))
		l.After = d.time("after")
		r.Named = d.strs("named", r.Named)
	}
	if d.version > 4 {
		r.Consents = d.consents(r.Consents)
	}
	l.setRare(r)
	l.Account = l.Account[:0]
	if d.version > 5 {
		l.Account = d.memberships(l.Account)
	}
	if d.err == nil && d.i != len(src) {
		d.fail("end", "more bytes follow")
	}
	if d.err != nil {
		return d.err
	}
	if err := l.check(); err != nil {
		return fmt.Errorf("decoding lead: %w: %w", ErrMalformed, err)
	}
	return nil
}

// EncodedEpoch returns the Epoch of the encoded lead in src, without looking at what follows it.
func EncodedEpoch(src []byte) (uint64, error) {
	d := decoder{b: src}
	d.header()
	epoch := d.uint("epoch")
	return epoch, d.err
}

// EncodedDue returns the Due of the encoded lead in src, without looking at what follows it.
func EncodedDue(src []byte) (int64, error) {
	d := decoder{b: src}
	d.header()
	d.uint("epoch")
	due := d.due()
	return due, d.err
}

// decoder reads msgpack values of b in their shortest form. The first error sticks: after it every
// method returns zero, so that callers check once.
type decoder struct {
	b       []byte
	i       int
	clock   int64
	version uint64
	err     error
}

func (d *decoder) header() {
	n := d.array("lead", 1)
	version := d.uint("schema version")
	switch {
	case d.err != nil:
	case version > SchemaVersion:
		d.err = fmt.Errorf("decoding lead: %w: schema %d, this program knows up to %d", ErrNewerSchema, version, SchemaVersion)
	case version == 0:
		d.fail("schema version", "is 0")
	case n != fieldsOf(version):
		d.fail("lead", "has another number of fields than its schema")
	}
	d.version = version
}

// fieldsOf is how many elements a lead of a version has.
func fieldsOf(version uint64) int {
	of := [...]int{leadFields1, leadFields2, leadFields3, leadFields4, leadFields5, leadFields}
	return of[version-1]
}

func (d *decoder) due() int64 {
	if d.peek() == codeNil {
		d.i++
		return Never
	}
	due := d.int("due")
	if due == Never {
		d.fail("due", "is not in its shortest form")
	}
	return due
}

func (d *decoder) scores(s []Score) []Score {
	fields := scoreFields
	if d.version == 1 {
		fields = scoreFields1
	}
	s = alloc(s, d.array("scores", fields))
	for i := range s {
		s[i] = Score{
			Value:       d.float("score value"),
			At:          d.time("score at"),
			Remainder:   d.float("score remainder"),
			RemainderAt: d.time("score remainder at"),
		}
		if d.version > 1 {
			s[i].Gain, s[i].Steps = d.time("score gain"), d.int("score steps")
		}
	}
	return s
}

func (d *decoder) lines(s []Line) []Line {
	s = resize(s, d.array("lines", lineFields))
	for i := range s {
		l := &s[i]
		l.Slot = d.uint16("line slot")
		l.Key = d.uint("line key")
		l.Fired = d.time("line fired")
		l.Counted = alloc(l.Counted, d.array("line counted", 1))
		for j := range l.Counted {
			l.Counted[j] = d.time("line counted")
		}
		l.Points = alloc(l.Points, d.array("line points", 1))
		for j := range l.Points {
			l.Points[j] = d.float("line points")
		}
	}
	return s
}

func (d *decoder) signals(s []Signal) []Signal {
	s = resize(s, d.array("signals", signalFields))
	for i := range s {
		g := &s[i]
		g.Slot = d.uint16("signal slot")
		g.Last = d.time("signal last")
		g.Entries = alloc(g.Entries, d.array("signal entries", entryFields))
		for j := range g.Entries {
			g.Entries[j] = Entry{Time: d.time("entry time"), Message: d.uint("entry message"), Value: d.float("entry value")}
		}
		g.Buckets = alloc(g.Buckets, d.array("signal buckets", bucketFields))
		for j := range g.Buckets {
			g.Buckets[j] = Bucket{Newest: d.time("bucket newest"), Count: d.int("bucket count"), Sum: d.float("bucket sum")}
		}
	}
	return s
}

func (d *decoder) edges(s []Edge) []Edge {
	s = alloc(s, d.array("edges", edgeFields))
	for i := range s {
		s[i] = Edge{On: d.bool("edge on"), Until: d.time("edge until")}
	}
	return s
}

func (d *decoder) traits(s []Trait) []Trait {
	s = resize(s, d.array("traits", traitFields))
	for i := range s {
		s[i].Name = d.str("trait name", s[i].Name)
		s[i].Value = d.value("trait value")
		s[i].Time = d.time("trait time")
		s[i].Message = d.uint("trait message")
	}
	return s
}

func (d *decoder) ledger() Ledger {
	fields := contributionFields
	switch d.version {
	case 1:
		fields = contributionFields1
	case 2:
		fields = contributionFields2
	}
	var buf [2048]byte // more than most take
	data, n := buf[:0], d.array("ledger", fields)
	if n > maxEntries {
		d.fail("ledger", "has more contributions than any")
		return Ledger{}
	}
	for range n {
		c := Contribution{
			Message: d.uint("contribution message"),
			Time:    d.time("contribution time"),
			Points:  d.float("contribution points"),
			Score:   d.uint16("contribution score"),
			Line:    d.uint16("contribution line"),
			Signal:  d.uint16("contribution signal"),
		}
		if d.version > 1 {
			c.Steps = d.int("contribution steps")
		}
		if d.version > 2 {
			c.Own = d.uint("contribution own")
		}
		data = appendEntry(data, &c)
	}
	return Ledger{data: append([]byte(nil), data...), n: uint16(n)} // not in the old one's memory: versions share it
}

func (d *decoder) node(n *Node) {
	n.Forward = d.str("forward", n.Forward)
	n.Pointer = d.uint("pointer")
	bits := d.uintTo("node bits", nodeBits)
	n.User, n.Known, n.Identifier, n.Gone = bits&bitUser != 0, bits&bitKnown != 0, bits&bitIdentifier != 0, bits&bitGone != 0
	n.Apart = d.strs("apart", n.Apart)
}

func (d *decoder) strs(what string, s []string) []string {
	s = resize(s, d.array(what, 1))
	for i := range s {
		s[i] = d.str(what, s[i])
	}
	return s
}

func (d *decoder) linked(s []LinkedID) []LinkedID {
	s = resize(s, d.array("ids", linkedFields))
	for i := range s {
		s[i] = LinkedID{ID: d.str("linked id", s[i].ID), Merged: d.bool("linked merged")}
	}
	return s
}

func (d *decoder) refused(s []Refusal) []Refusal {
	s = resize(s, d.array("refused", refusalFields))
	for i := range s {
		r := &s[i]
		r.ID, r.With = d.str("refused id", r.ID), d.str("refused with", r.With)
		r.Time, r.Why = d.time("refused time"), uint8(d.uintTo("refused why", math.MaxUint8))
	}
	return s
}

func (d *decoder) consents(s []Consent) []Consent {
	s = resize(s, d.array("consents", consentFields))
	for i := range s {
		c := &s[i]
		c.Purpose, c.Granted = d.str("consent purpose", c.Purpose), d.bool("consent granted")
		c.Time, c.Source = d.time("consent time"), d.str("consent source", c.Source)
	}
	return s
}

// value reads a value into memory of its own: clones share the old one's.
func (d *decoder) value(field string) Value {
	kind := ValueKind(d.uintTo(field, uint64(Map)))
	return Value{Kind: kind, Text: append([]byte(nil), d.raw(field)...)}
}

func (d *decoder) fields(s []Field) []Field {
	s = alloc(s, d.array("fields", fieldFields))
	for i := range s {
		s[i] = Field{Slot: d.uint16("field slot"), Value: d.value("field value"), Time: d.time("field time"), Message: d.uint("field message")}
	}
	return s
}

func (d *decoder) tags(s []Tag) []Tag {
	s = resize(s, d.array("tags", tagFields))
	for i := range s {
		s[i] = Tag{Name: d.str("tag name", s[i].Name), Weight: d.float("tag weight"), At: d.time("tag at")}
	}
	return s
}

func (d *decoder) held(s []Held) []Held {
	s = alloc(s, d.array("held", heldFields))
	for i := range s {
		s[i] = Held{
			Kind:    HeldKind(d.uintTo("held kind", math.MaxUint8)),
			Slot:    d.uint16("held slot"),
			Due:     d.time("held due"),
			Time:    d.time("held time"),
			Message: d.uint("held message"),
			Key:     d.uint("held key"),
			Points:  d.float("held points"),
			Value:   d.value("held value"),
			Mail:    d.uint("held mail"),
			Link:    d.uint("held link"),
		}
	}
	return s
}

func (d *decoder) hashes(s []uint64) []uint64 {
	const field = "recent"
	var n uint64
	switch code := d.byte(field); {
	case d.err != nil || code == codeNil:
		return s[:0]
	case code == codeBin8:
		n = d.wide(field, 1, 8) // The shortest non-empty one holds one hash.
	case code == codeBin16:
		n = d.wide(field, 2, math.MaxUint8+1)
	case code == codeBin32:
		n = d.wide(field, 4, math.MaxUint16+1)
	default:
		d.fail(field, "is no byte string")
	}
	b := d.take(field, n)
	if len(b)%8 != 0 {
		d.fail(field, "has a part of a hash")
		return s[:0]
	}
	s = alloc(s, len(b)/8)
	for i := range s {
		s[i] = binary.BigEndian.Uint64(b[i*8:])
	}
	return s
}

// alloc returns s with length n; its elements are then overwritten. n comes from array or take, which
// have checked that that many elements can be in the input.
func alloc[T any](s []T, n int) []T {
	if n > cap(s) {
		return make([]T, n)
	}
	return s[:n]
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
