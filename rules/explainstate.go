package rules

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"leadstream/state/lead"
)

// sizer measures state by encoding leads that have it.
type sizer struct {
	set  *Set
	list []StateCost
}

// The clock of measured leads, and times before it that take typical and most bytes to write.
const (
	sizeClock = int64(1_800_000_000_000)
	soonBack  = sizeClock - 10*day
	longBack  = sizeClock - 3650*day
)

func (s *Set) stateCosts() []StateCost {
	z := &sizer{set: s}
	z.itself()
	z.scores()
	for i := range s.lines {
		z.line(i)
	}
	for i := range s.keepers {
		z.keeper(i)
	}
	for i := range s.fields {
		z.add("field", s.fields[i].name, "its value and time", func(l *lead.Lead, most bool) {
			l.OwnRare().Fields = []lead.Field{{Slot: slot16(i), Value: sampleValue(most), Time: sampleTime(most), Message: math.MaxUint64}}
		})
	}
	for _, name := range s.traits {
		z.add("trait", name, "its value and time", func(l *lead.Lead, most bool) {
			l.Traits = []lead.Trait{{Name: name, Value: sampleValue(most), Time: sampleTime(most), Message: math.MaxUint64}}
		})
	}
	z.rest()
	z.account()
	return z.list
}

// add measures a part: the difference that it makes to a lead without it.
func (z *sizer) add(kind, name, keeps string, give func(l *lead.Lead, most bool)) {
	c := StateCost{Kind: kind, Name: name, Keeps: keeps}
	for _, most := range []bool{false, true} {
		l := emptyLead()
		stored, memory := len(lead.AppendEncode(nil, l)), l.Size()
		give(l, most)
		cost := Cost{len(lead.AppendEncode(nil, l)) - stored, l.Size() - memory}
		if most {
			c.Worst = cost
		} else {
			c.Typical = cost
		}
	}
	z.list = append(z.list, c)
}

// emptyLead has its place for what is rare: the lead itself pays for that, though many leads have none.
func emptyLead() *lead.Lead {
	l := &lead.Lead{ID: "x", Clock: sizeClock, Due: sizeClock}
	l.OwnRare()
	return l
}

func slot16(i int) uint16 { return uint16(i) }

// amount is a number of entries: as a typical lead has them, or the most that there can be.
func amount(most bool, typical, all int) int {
	if most {
		return all
	}
	return min(typical, all)
}

func sampleTime(most bool) int64 {
	if most {
		return longBack
	}
	return soonBack
}

func sampleNumber(most bool) float64 {
	if most {
		return math.Pi // no whole number, so it takes all of its bytes
	}
	return 10
}

func sampleValue(most bool) lead.Value {
	n := typicalValue
	if most {
		n = maxTraitBytes
	}
	return lead.StringValue(strings.Repeat("x", n-2))
}

func sampleTimes(most bool, n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = sampleTime(most)
	}
	return list
}

// itself measures what every lead has.
func (z *sizer) itself() {
	empty := emptyLead()
	base := Cost{len(lead.AppendEncode(nil, empty)), empty.Size()}
	z.add("lead", "itself", "ids, times, stage", func(l *lead.Lead, most bool) {
		l.ID, l.UserID, l.Zone = strings.Repeat("x", typicalID), strings.Repeat("x", typicalID), "Europe/Berlin"
		l.FirstSeen, l.LastSeen, l.LastActive, l.StageSince = sampleTime(most), sampleTime(most), sampleTime(most), sampleTime(most)
		l.Events, l.Seq, l.Epoch, l.Rules = 100, 10, 1_000_000, z.set.id
		l.Clock, l.Due = sizeClock, sizeClock+day
	})
	first := &z.list[0]
	for _, c := range []*Cost{&first.Typical, &first.Worst} {
		c.Stored, c.Memory = c.Stored+base.Stored, c.Memory+base.Memory
	}
	if z.set.dedupe > 0 {
		z.add("lead", "message ids", fmt.Sprintf("the last %d, to tell duplicates", z.set.dedupe), func(l *lead.Lead, most bool) {
			l.Recent = make([]uint64, amount(most, typicalRecent, z.set.dedupe))
			for i := range l.Recent {
				l.Recent[i] = math.MaxUint64
			}
		})
	}
	z.add("lead", "ledger", fmt.Sprintf("the last %d contributions to scores", maxLedger), func(l *lead.Lead, most bool) {
		one := lead.Contribution{Message: math.MaxUint64, Time: sampleTime(most), Points: sampleNumber(most), Line: 1, Signal: 1}
		l.Ledger = lead.LedgerOf(slices.Repeat([]lead.Contribution{one}, amount(most, typicalLedger, maxLedger)))
	})
}

func (z *sizer) scores() {
	for i := range z.set.scores {
		s := &z.set.scores[i]
		keeps := "a value and its time"
		switch s.decay {
		case stateScore, derived:
			keeps = "a place for a value; it is worked out when it is read"
		case decayAll, decayLine:
			keeps = "a place for a value; its contributions are in a window"
		}
		z.add("score", s.name, keeps, func(l *lead.Lead, most bool) {
			l.Scores = make([]lead.Score, 1)
			if s.stores() {
				l.Scores[0] = lead.Score{Value: math.Pi, At: sampleTime(most)}
			}
			if most && s.stores() {
				l.Scores[0].Remainder, l.Scores[0].RemainderAt = math.Pi, longBack
			}
			if s.decay == decayStepped {
				l.Scores[0].Gain, l.Scores[0].Steps = sampleTime(most), 10
			}
		})
	}
}

// line measures what a line's limit and inactivity remember; most lines remember nothing.
func (z *sizer) line(slot int) {
	ln := &z.set.lines[slot]
	name := z.set.scores[ln.score].name + "." + ln.id
	switch {
	case ln.inactive > 0:
		z.add("line", name, "when it fired last", func(l *lead.Lead, most bool) {
			l.Lines = []lead.Line{{Slot: slot16(slot), Fired: sampleTime(most)}}
		})
	case ln.limit == nil:
	default:
		n, keeps := ln.limit.kept(), ""
		switch {
		case ln.limit.Once:
			n, keeps = 1, "that it counted"
		case ln.limit.Points > 0:
			keeps = fmt.Sprintf("times and points of the last %d within %s", n, formatDuration(ln.limit.Per))
		default:
			keeps = fmt.Sprintf("times of the last %d within %s", n, formatDuration(ln.limit.Per))
		}
		keys := 1
		if ln.by != nil {
			keys = maxLimitKeys
			keeps += fmt.Sprintf(", for each of %d values", keys)
		}
		z.add("line", name, keeps, func(l *lead.Lead, most bool) {
			l.Lines = make([]lead.Line, amount(most, typicalEntries, keys))
			for i := range l.Lines {
				x := &l.Lines[i]
				x.Slot, x.Counted = slot16(slot), sampleTimes(most, amount(most, typicalEntries, n))
				if keys > 1 {
					x.Key = math.MaxUint64
					if !most {
						x.Counted = x.Counted[:1:1]
					}
				}
				if ln.limit.Once {
					x.Fired = x.Counted[0]
				}
				if ln.limit.Points > 0 {
					x.Points = make([]float64, len(x.Counted))
					for j := range x.Points {
						x.Points[j] = sampleNumber(most)
					}
				}
			}
		})
	}
}

// keeper measures a window.
func (z *sizer) keeper(slot int) {
	k := &z.set.keepers[slot]
	if k.spans == nil && !k.entries {
		z.add("window", k.name, "when it was last", func(l *lead.Lead, most bool) {
			l.Signals = []lead.Signal{{Slot: slot16(slot), Last: sampleTime(most)}}
		})
		return
	}
	entries, buckets := k.win.keep, 0
	for _, t := range k.win.tiers {
		buckets += int(t.span/t.width) + 2
	}
	if k.distinct {
		buckets = 0
	}
	keeps := fmt.Sprintf("the last %d", entries)
	if k.distinct {
		keeps = fmt.Sprintf("the last %d values", entries)
	}
	if buckets > 0 {
		keeps += fmt.Sprintf(", older ones in up to %d sums", buckets)
	}
	if n := k.win.longest(); n > 0 {
		keeps += ", for " + formatDuration(n)
	}
	z.add("window", k.name, keeps, func(l *lead.Lead, most bool) {
		sig := lead.Signal{Slot: slot16(slot), Last: sampleTime(most), Entries: make([]lead.Entry, amount(most, typicalEntries, entries))}
		for i := range sig.Entries {
			sig.Entries[i] = lead.Entry{Time: sampleTime(most), Message: math.MaxUint64}
			if k.field != nil && !k.distinct {
				sig.Entries[i].Value = sampleNumber(most)
			}
		}
		if most && buckets > 0 {
			sig.Buckets = make([]lead.Bucket, buckets)
			for i := range sig.Buckets {
				sig.Buckets[i] = lead.Bucket{Newest: longBack, Count: 1000, Sum: math.Pi}
			}
		}
		l.Signals = []lead.Signal{sig}
	})
}

// rest measures tags, what is held back, and hand-offs.
func (z *sizer) rest() {
	s := z.set
	z.consent()
	if s.tags.declared {
		z.add("tags", "", fmt.Sprintf("names and weights of the strongest %d", maxTags), func(l *lead.Lead, most bool) {
			l.OwnRare().Tags = make([]lead.Tag, amount(most, typicalTags, maxTags))
			for i := range l.Rare().Tags {
				l.Rare().Tags[i] = lead.Tag{Name: strings.Repeat("x", amount(most, typicalValue, maxNameBytes)), Weight: math.Pi, At: sampleTime(most)}
			}
		})
	}
	if values := s.heldValues(); s.holds {
		z.add("held", "", fmt.Sprintf("what is held back for up to %s, at most %d parts", formatDuration(s.longestHold), maxHeld), func(l *lead.Lead, most bool) {
			if !most {
				return // most of the time nothing is
			}
			l.OwnRare().Held = make([]lead.Held, maxHeld)
			for i := range l.Rare().Held {
				l.Rare().Held[i] = lead.Held{
					Kind: lead.HeldPoints, Slot: math.MaxUint16, Due: sizeClock + day, Time: longBack, Message: math.MaxUint64,
					Key: math.MaxUint64, Points: math.Pi, Mail: math.MaxUint64, Link: math.MaxUint64,
				}
				if i < values {
					l.Rare().Held[i].Kind, l.Rare().Held[i].Value = lead.HeldField, sampleValue(true)
				}
			}
		})
	}
	z.add("lead", "retractions", fmt.Sprintf("the last %d that wait for their messages", maxEarly), func(l *lead.Lead, most bool) {
		if most {
			l.OwnRare().Early = make([]uint64, maxEarly)
		}
	})
	for i := range s.handoffs {
		h := &s.handoffs[i]
		z.add("hand-off", h.name, "whether it is true, and its cooldown", func(l *lead.Lead, most bool) {
			l.Edges = []lead.Edge{{On: true}}
			if h.cooldown > 0 {
				l.Edges[0].Until = sampleTime(most)
			}
		})
	}
}

// heldValues returns how many of the parts that are held back can be values of fields.
func (s *Set) heldValues() int {
	most := 0
	for i := range s.signals {
		g := &s.signals[i]
		if n := 1 + len(g.keepers) + len(g.fields) + len(g.lines); g.hold > 0 {
			most = max(most, maxHeld/n*len(g.fields))
		}
	}
	return most
}
