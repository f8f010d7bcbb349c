package lead

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The encoding of a lead is one msgpack array. Any msgpack reader can print it:
//
//	0 schema version   6 seq          12 userId        18 signals
//	1 epoch            7 rules        13 zone          19 edges
//	2 due              8 first seen   14 stage         20 traits
//	3 clock            9 last seen    15 stage since   21 recent
//	4 id              10 last active  16 scores        22 recent next
//	5 incarnation     11 events       17 lines         23 ledger
//	24 fields         25 tags         26 held          27 early
//	28 ready         29 forward       30 pointer       31 node bits
//	32 apart         33 ids           34 claims        35 refused
//	36 spins         37 after         38 named         39 consents
//	40 account
//
// Due is nil for Never. Every other time is its distance from the clock, nil for 0: near times
// take 5 bytes or fewer instead of 9. A float that is a whole number is written as an integer: most points
// are. Slices of structs are flat arrays, their fields one after another. Recent is a
// byte string of 8 bytes each, big endian, nil when empty.
//
// Schema 1 ended with the ledger, and had neither gain and steps of a score nor steps of a contribution.
// Schema 2 ended with ready, and had no own of a contribution. Schema 3 ended with refused, schema 4
// with named, schema 5 with consents.
//
// Every number has one form, the shortest, and readers accept no other: equal leads are equal bytes,
// and what decodes encodes to the same bytes again.
//
// It is written here by hand, not with a msgpack package: their encoders and decoders go through an
// io.Writer and an io.Reader value by value, and the readers accept longer forms, so neither
// the speed nor the one form can be had from them. A test reads it with such a package.

// SchemaVersion is the version of the encoding that AppendEncode writes. Decode reads it and every older one.
const SchemaVersion = 6

// Elements of the array, and fields of the structs inside its flat arrays.
const (
	leadFields         = 41
	scoreFields        = 6
	lineFields         = 5
	signalFields       = 4
	entryFields        = 3
	bucketFields       = 3
	edgeFields         = 2
	traitFields        = 5
	contributionFields = 8
	fieldFields        = 5
	tagFields          = 3
	heldFields         = 11
	linkedFields       = 2
	refusalFields      = 4
	consentFields      = 4

	leadFields1, scoreFields1, contributionFields1 = 24, 4, 6   // of version 1
	leadFields2, contributionFields2               = 29, 7      // of version 2
	leadFields3, leadFields4, leadFields5          = 36, 39, 40 // of versions 3 to 5
)

var (
	// ErrMalformed is returned by Decode and the Encoded functions for bytes that no version of
	// AppendEncode wrote: the store or the topic they came from is damaged, or they are no lead.
	ErrMalformed = errors.New("malformed lead")
	// ErrNewerSchema is returned for a lead written by a newer leadstream. Nothing can be done with it
	// but to run that version again.
	ErrNewerSchema = errors.New("lead written by a newer version")
)

// AppendEncode appends the encoding of l to dst. Equal leads give equal bytes. It allocates only to grow
// dst. A lead that Decode would refuse is a bug, found here rather than when it is read back, and panics.
func AppendEncode(dst []byte, l *Lead) []byte {
	if err := l.check(); err != nil {
		panic(fmt.Sprintf("bug: encoding a lead: %v", err))
	}
	e := encoder{b: dst, clock: l.Clock}
	e.array(leadFields)
	e.uint(SchemaVersion)
	e.uint(l.Epoch)
	if l.Due == Never {
		e.null()
	} else {
		e.int(l.Due)
	}
	e.int(l.Clock)
	e.str(l.ID)
	e.uint(uint64(l.Incarnation))
	e.uint(l.Seq)
	e.uint(uint64(l.Rules))
	e.time(l.FirstSeen)
	e.time(l.LastSeen)
	e.time(l.LastActive)
	e.int(l.Events)
	e.str(l.UserID)
	e.str(l.Zone)
	e.uint(uint64(l.Stage))
	e.time(l.StageSince)
	e.scores(l.Scores)
	e.lines(l.Lines)
	e.signals(l.Signals)
	e.edges(l.Edges)
	e.traits(l.Traits)
	e.hashes(l.Recent)
	e.uint(uint64(l.RecentNext))
	e.ledger(l.Ledger)
	e.fields(l.Rare().Fields)
	e.tags(l.Rare().Tags)
	e.held(l.Rare().Held)
	e.hashes(l.Rare().Early)
	e.bool(l.Ready)
	e.node(&l.Node)
	e.linked(l.IDs)
	e.hashes(l.Rare().Claims)
	e.refused(l.Rare().Refused)
	e.uint(uint64(l.Spins))
	e.time(l.After)
	e.strs(l.Rare().Named)
	e.consents(l.Rare().Consents)
	e.memberships(l.Account)
	return e.b
}

// check tells whether l keeps the invariants that Decode relies on: those whose breach would make a
// reader fail, or later code index out of range.
func (l *Lead) check() error {
	switch {
	case l.ID == "":
		return errors.New("id is empty")
	case uint64(l.RecentNext) > uint64(len(l.Recent)):
		return fmt.Errorf("recent next %d is outside of %d recent hashes", l.RecentNext, len(l.Recent))
	}
	for i := range l.Traits {
		if k := l.Traits[i].Value.Kind; k > Map {
			return fmt.Errorf("trait %d has kind %d", i, k)
		}
	}
	for i := range l.Rare().Fields {
		if k := l.Rare().Fields[i].Value.Kind; k > Map {
			return fmt.Errorf("field %d has kind %d", i, k)
		}
	}
	for i := range l.Rare().Held {
		if k := l.Rare().Held[i].Value.Kind; k > Map {
			return fmt.Errorf("held value %d has kind %d", i, k)
		}
	}
	return nil
}

// The codes of msgpack that are used here, and the largest values that fit into the code itself.
const (
	codeFixArray = 0x90
	codeFixStr   = 0xa0
	codeNil      = 0xc0
	codeFalse    = 0xc2
	codeTrue     = 0xc3
	codeBin8     = 0xc4
	codeBin16    = 0xc5
	codeBin32    = 0xc6
	codeFloat64  = 0xcb
	codeUint8    = 0xcc
	codeUint16   = 0xcd
	codeUint32   = 0xce
	codeUint64   = 0xcf
	codeInt8     = 0xd0
	codeInt16    = 0xd1
	codeInt32    = 0xd2
	codeInt64    = 0xd3
	codeStr8     = 0xd9
	codeStr16    = 0xda
	codeStr32    = 0xdb
	codeArray16  = 0xdc
	codeArray32  = 0xdd
	codeNegFix   = 0xe0

	posFixMax   = 0x7f
	negFixMin   = -32
	fixStrMax   = 31
	fixArrayMax = 15
)

// encoder appends msgpack values to b.
type encoder struct {
	b     []byte
	clock int64
}

func (e *encoder) scores(s []Score) {
	e.array(len(s) * scoreFields)
	for i := range s {
		e.float(s[i].Value)
		e.time(s[i].At)
		e.float(s[i].Remainder)
		e.time(s[i].RemainderAt)
		e.time(s[i].Gain)
		e.int(s[i].Steps)
	}
}

func (e *encoder) lines(s []Line) {
	e.array(len(s) * lineFields)
	for i := range s {
		e.uint(uint64(s[i].Slot))
		e.uint(s[i].Key)
		e.time(s[i].Fired)
		e.array(len(s[i].Counted))
		for _, t := range s[i].Counted {
			e.time(t)
		}
		e.array(len(s[i].Points))
		for _, p := range s[i].Points {
			e.float(p)
		}
	}
}

func (e *encoder) signals(s []Signal) {
	e.array(len(s) * signalFields)
	for i := range s {
		e.uint(uint64(s[i].Slot))
		e.time(s[i].Last)
		e.array(len(s[i].Entries) * entryFields)
		for _, x := range s[i].Entries {
			e.time(x.Time)
			e.uint(x.Message)
			e.float(x.Value)
		}
		e.array(len(s[i].Buckets) * bucketFields)
		for _, b := range s[i].Buckets {
			e.time(b.Newest)
			e.int(b.Count)
			e.float(b.Sum)
		}
	}
}

func (e *encoder) edges(s []Edge) {
	e.array(len(s) * edgeFields)
	for i := range s {
		e.bool(s[i].On)
		e.time(s[i].Until)
	}
}

func (e *encoder) traits(s []Trait) {
	e.array(len(s) * traitFields)
	for i := range s {
		e.str(s[i].Name)
		e.value(s[i].Value)
		e.time(s[i].Time)
		e.uint(s[i].Message)
	}
}

func (e *encoder) ledger(g Ledger) {
	e.array(g.Len() * contributionFields)
	var c Contribution
	for at := int(g.from); at < len(g.data); {
		at += c.unpack(g.data[at:])
		e.uint(c.Message)
		e.time(c.Time)
		e.float(c.Points)
		e.uint(uint64(c.Score))
		e.uint(uint64(c.Line))
		e.uint(uint64(c.Signal))
		e.int(c.Steps)
		e.uint(c.Own)
	}
}

func (e *encoder) value(v Value) {
	e.uint(uint64(v.Kind))
	e.b = appendStr(e.b, v.Text)
}

func (e *encoder) fields(s []Field) {
	e.array(len(s) * fieldFields)
	for i := range s {
		e.uint(uint64(s[i].Slot))
		e.value(s[i].Value)
		e.time(s[i].Time)
		e.uint(s[i].Message)
	}
}

func (e *encoder) tags(s []Tag) {
	e.array(len(s) * tagFields)
	for i := range s {
		e.str(s[i].Name)
		e.float(s[i].Weight)
		e.time(s[i].At)
	}
}

func (e *encoder) held(s []Held) {
	e.array(len(s) * heldFields)
	for i := range s {
		e.uint(uint64(s[i].Kind))
		e.uint(uint64(s[i].Slot))
		e.time(s[i].Due)
		e.time(s[i].Time)
		e.uint(s[i].Message)
		e.uint(s[i].Key)
		e.float(s[i].Points)
		e.value(s[i].Value)
		e.uint(s[i].Mail)
		e.uint(s[i].Link)
	}
}

func (e *encoder) hashes(s []uint64) {
	n := len(s) * 8
	switch {
	case n == 0:
		e.null()
		return
	case n <= math.MaxUint8:
		e.b = append(e.b, codeBin8, byte(n))
	case n <= math.MaxUint16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, codeBin16), uint16(n))
	default:
		e.b = binary.BigEndian.AppendUint32(append(e.b, codeBin32), uint32(n))
	}
	for _, h := range s {
		e.b = binary.BigEndian.AppendUint64(e.b, h)
	}
}

func (e *encoder) null() { e.b = append(e.b, codeNil) }

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, codeTrue)
	} else {
		e.b = append(e.b, codeFalse)
	}
}

func (e *encoder) time(t int64) {
	if t == 0 {
		e.null()
		return
	}
	// The difference may wrap around; adding the clock again wraps it back.
	e.int(t - e.clock)
}

func (e *encoder) float(v float64) {
	if n, ok := whole(v); ok {
		e.int(n)
		return
	}
	e.b = binary.BigEndian.AppendUint64(append(e.b, codeFloat64), math.Float64bits(v))
}

// whole returns v as an integer if it is one that a float64 holds exactly with all its neighbours;
// negative zero is none.
func whole(v float64) (int64, bool) {
	const limit = 1 << 53
	if !(v > -limit && v < limit) {
		return 0, false
	}
	n := int64(v)
	return n, math.Float64bits(float64(n)) == math.Float64bits(v)
}

func (e *encoder) int(v int64) {
	switch {
	case v >= 0:
		e.uint(uint64(v))
	case v >= negFixMin:
		e.b = append(e.b, byte(v))
	case v >= math.MinInt8:
		e.b = append(e.b, codeInt8, byte(v))
	case v >= math.MinInt16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, codeInt16), uint16(v))
	case v >= math.MinInt32:
		e.b = binary.BigEndian.AppendUint32(append(e.b, codeInt32), uint32(v))
	default:
		e.b = binary.BigEndian.AppendUint64(append(e.b, codeInt64), uint64(v))
	}
}

func (e *encoder) uint(v uint64) {
	switch {
	case v <= posFixMax:
		e.b = append(e.b, byte(v))
	case v <= math.MaxUint8:
		e.b = append(e.b, codeUint8, byte(v))
	case v <= math.MaxUint16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, codeUint16), uint16(v))
	case v <= math.MaxUint32:
		e.b = binary.BigEndian.AppendUint32(append(e.b, codeUint32), uint32(v))
	default:
		e.b = binary.BigEndian.AppendUint64(append(e.b, codeUint64), v)
	}
}

func (e *encoder) str(s string) { e.b = appendStr(e.b, s) }

func appendStr[T string | []byte](b []byte, s T) []byte {
	n := len(s)
	switch {
	case n <= fixStrMax:
		b = append(b, codeFixStr|byte(n))
	case n <= math.MaxUint8:
		b = append(b, codeStr8, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, codeStr16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, codeStr32), uint32(n))
	}
	return append(b, s...)
}

func (e *encoder) array(n int) {
	switch {
	case n <= fixArrayMax:
		e.b = append(e.b, codeFixArray|byte(n))
	case n <= math.MaxUint16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, codeArray16), uint16(n))
	default:
		e.b = binary.BigEndian.AppendUint32(append(e.b, codeArray32), uint32(n))
	}
}
