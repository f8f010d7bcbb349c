package lead

import (
	"encoding/binary"
	"encoding/json"
	"iter"
	"math"
	"slices"
)

// Contribution is one entry of the ledger.
type Contribution struct {
	// Message is the hash of the message that made it; 0 for timers and messages without id.
	Message uint64
	// Time is the event time (or due time) the points count from.
	Time int64
	// Points are what it changed the score by at Time, after clipping.
	Points float64
	// Score and Line are slots, Line NoSlot for an adjustment by hand; Signal is a slot, or NoSlot for a
	// line without signal.
	Score, Line, Signal uint16
	// Steps is Score.Steps as it was at Time, for step scores.
	Steps int64
	// Own is the hash of the id that the message came for, 0 when that is the lead's own.
	Own uint64
}

// Ledger holds the newest contributions, oldest first, packed: it is most of a busy lead, and an entry takes 18 or 19
// bytes as a rule instead of the 48 of a Contribution. Equal ledgers hold equal entries.
//
// Versions of a lead share an array: Enter writes behind what others have of it, and moves entries only in an array that it
// has made for this version.
type Ledger struct {
	data []byte // the array, up to the end of the newest entry
	from uint32 // where the oldest entry begins
	n    uint16
	own  bool // no other version has the array
}

// maxEntries bounds what a ledger can hold; package rules keeps it far shorter.
const maxEntries = math.MaxUint16

// The first byte of an entry says what it has. Time follows, then Line, Score and Signal, Points, Message, Steps and Own. Numbers
// are little endian.
const (
	wideTime    = 1 << iota // Time in 8 bytes instead of 6
	wideSlots               // Line, Score and Signal in 2 bytes each instead of 1
	hasScore                // else it is 0
	hasSignal               // else it is NoSlot
	floatPoints             // Points in 8 bytes, else a whole number in 1
	hasMessage              // else it is 0, as are the next two
	hasSteps
	hasOwn

	maxEntryBytes = 1 + 8 + 6 + 8 + 8 + 8 + 8
)

// entryBytes is how long an entry is, by its first byte.
var entryBytes = func() (n [256]uint8) {
	for f := range n {
		pick := func(bit int, yes, no uint8) uint8 {
			if f&bit != 0 {
				return yes
			}
			return no
		}
		slot := pick(wideSlots, 2, 1)
		n[f] = 1 + pick(wideTime, 8, 6) + slot + pick(hasScore, slot, 0) + pick(hasSignal, slot, 0) + pick(floatPoints, 8, 1) +
			pick(hasMessage, 8, 0) + pick(hasSteps, 8, 0) + pick(hasOwn, 8, 0)
	}
	return n
}()

// LedgerOf returns a ledger of contributions, oldest first, at most maxEntries.
func LedgerOf(cs []Contribution) Ledger {
	if len(cs) > maxEntries {
		panic("bug: a ledger of that many contributions")
	}
	var data []byte
	for i := range cs {
		data = appendEntry(data, &cs[i])
	}
	return Ledger{data: slices.Clip(data), n: uint16(len(cs))}
}

// Len is how many contributions there are.
func (g Ledger) Len() int { return int(g.n) }

// All goes through the contributions, oldest first, with the place of each, which At knows until the ledger is changed.
func (g Ledger) All() iter.Seq2[int, Contribution] {
	return func(yield func(int, Contribution) bool) {
		var c Contribution
		for at := int(g.from); at < len(g.data); {
			n := c.unpack(g.data[at:])
			if !yield(at, c) {
				return
			}
			at += n
		}
	}
}

// List returns the contributions, oldest first.
func (g Ledger) List() []Contribution {
	cs := make([]Contribution, 0, g.Len())
	for _, c := range g.All() {
		cs = append(cs, c)
	}
	return cs
}

// MarshalJSON writes what List returns: a person's export is made of it.
func (g Ledger) MarshalJSON() ([]byte, error) { return json.Marshal(g.List()) }

// Oldest returns the oldest contribution, of which there must be one.
func (g Ledger) Oldest() Contribution { return g.At(int(g.from)) }

// At returns the contribution at a place that All named.
func (g Ledger) At(place int) (c Contribution) {
	c.unpack(g.data[place:])
	return c
}

// unpack sets c to the entry that b begins with, and returns its length.
func (c *Contribution) unpack(b []byte) int {
	f := b[0]
	n := int(entryBytes[f])
	b = b[:n]
	t := int64(binary.LittleEndian.Uint64(b[1:])) // at least 8 bytes follow the first
	i := 9
	if f&wideTime == 0 {
		t &= 1<<48 - 1
		i = 7
	}
	c.Time, c.Score, c.Signal = t, 0, NoSlot
	if f&wideSlots == 0 {
		c.Line = uint16(b[i])
		i++
		if f&hasScore != 0 {
			c.Score = uint16(b[i])
			i++
		}
		if f&hasSignal != 0 {
			c.Signal = uint16(b[i])
			i++
		}
	} else {
		c.Line = binary.LittleEndian.Uint16(b[i:])
		i += 2
		if f&hasScore != 0 {
			c.Score = binary.LittleEndian.Uint16(b[i:])
			i += 2
		}
		if f&hasSignal != 0 {
			c.Signal = binary.LittleEndian.Uint16(b[i:])
			i += 2
		}
	}
	if f&floatPoints == 0 {
		c.Points = float64(int8(b[i]))
		i++
	} else {
		c.Points = math.Float64frombits(binary.LittleEndian.Uint64(b[i:]))
		i += 8
	}
	c.Message, c.Steps, c.Own = 0, 0, 0
	if f&hasMessage != 0 {
		c.Message = binary.LittleEndian.Uint64(b[i:])
		i += 8
	}
	if f&hasSteps != 0 {
		c.Steps = int64(binary.LittleEndian.Uint64(b[i:]))
		i += 8
	}
	if f&hasOwn != 0 {
		c.Own = binary.LittleEndian.Uint64(b[i:])
	}
	return n
}

// Enter adds a contribution; the oldest makes room for it if there are most, at least 1.
func (g *Ledger) Enter(c *Contribution, most int) {
	var buf [maxEntryBytes]byte
	entry := appendEntry(buf[:0], c)
	if g.Len() >= most {
		g.from += uint32(entryBytes[g.data[g.from]])
	} else {
		g.n++
	}
	if len(g.data)+len(entry) > cap(g.data) {
		held := g.data[g.from:]
		// With a quarter more there is room for some versions of a full ledger before it is copied again.
		if room := len(held) / 4; g.own && int(g.from) > room {
			g.data = append(g.data[:0], held...)
		} else {
			g.data, g.own = append(slices.Grow([]byte(nil), len(held)+len(entry)+room), held...), true
		}
		g.from = 0
	}
	g.data = append(g.data, entry...)
}

// shared is the same ledger for another version, which goes on behind it.
func (g Ledger) shared() Ledger {
	g.own = false
	return g
}

// touch reads the memory of the oldest and of the newest contribution.
func (g Ledger) touch() uint64 {
	if len(g.data) == 0 {
		return 0
	}
	return uint64(g.data[g.from]) + uint64(g.data[len(g.data)-1])
}

// clone is the same ledger in an array of its own.
func (g Ledger) clone() Ledger { return Ledger{data: slices.Clone(g.data[g.from:]), n: g.n} }

func appendEntry(b []byte, c *Contribution) []byte {
	var f byte
	first := len(b)
	b = append(b, 0)
	if c.Time >= 0 && c.Time < 1<<48 {
		b = binary.LittleEndian.AppendUint32(b, uint32(c.Time))
		b = binary.LittleEndian.AppendUint16(b, uint16(c.Time>>32))
	} else {
		f |= wideTime
		b = binary.LittleEndian.AppendUint64(b, uint64(c.Time))
	}
	widest := c.Line | c.Score
	if c.Score != 0 {
		f |= hasScore
	}
	if c.Signal != NoSlot {
		f |= hasSignal
		widest |= c.Signal
	}
	if widest > math.MaxUint8 {
		f |= wideSlots
	}
	b = appendSlot(b, c.Line, f)
	if f&hasScore != 0 {
		b = appendSlot(b, c.Score, f)
	}
	if f&hasSignal != 0 {
		b = appendSlot(b, c.Signal, f)
	}
	if n, ok := whole(c.Points); ok && n == int64(int8(n)) {
		b = append(b, byte(n))
	} else {
		f |= floatPoints
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(c.Points))
	}
	if c.Message != 0 {
		f |= hasMessage
		b = binary.LittleEndian.AppendUint64(b, c.Message)
	}
	if c.Steps != 0 {
		f |= hasSteps
		b = binary.LittleEndian.AppendUint64(b, uint64(c.Steps))
	}
	if c.Own != 0 {
		f |= hasOwn
		b = binary.LittleEndian.AppendUint64(b, c.Own)
	}
	b[first] = f
	return b
}

func appendSlot(b []byte, slot uint16, f byte) []byte {
	if f&wideSlots != 0 {
		return binary.LittleEndian.AppendUint16(b, slot)
	}
	return append(b, byte(slot))
}
