package rules

import (
	"math"
	"slices"

	"leadstream/state/lead"
)

// A lead remembers what its account was told last, and after whatever it went through compares that with what it is
// now. So no cause can be forgotten: an event, a timer, a command, a merge, what was taken back, a new role, another
// account, other rules. What is told is the state itself, each score's weighted value and its time, not a difference:
// the account can't drift, and nothing needs to be told when time passes.
//
// Letters of one lead to one account come in the order in which they were sent. A lead that was merged into another
// has its place taken over by that one's letter, which names it. That letter can't overtake the last one of the lead
// that was merged: it is sent by a shard that has read what the merge's transaction committed, and so lies behind it in
// the account's inbox.

// Note is what a lead tells its account, and what an account tells its members. Field order is the format.
type Note struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	// Gone says that the lead left, if Known, and that those of Instead did.
	Gone bool
	// Role, Parts and Seen are what it is now; Was are the parts that it told before, Known that it did.
	Role             string
	Parts, Was, Seen []Part
	Known            bool
	// Pointer is the lead's: an id that was a pointer in between is another lead.
	Pointer uint64
	// Instead are leads that were merged into this one.
	Instead []Place
	// Traits are the account's, as a group call named them or as the account says them.
	Traits []TraitNote
	// Stage and Facts are what an account says to a member.
	Stage string
	Facts []Part
}

// Part is a lead.Part.
type Part struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Key      uint64
	Value    float64
	At       int64
}

// Place is what an account was told of a lead last.
type Place struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	ID       string
	Pointer  uint64
	Was      []Part
}

// TraitNote is a lead.Trait.
type TraitNote struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Name     string
	Kind     uint8
	Text     []byte
	Time     int64
	Message  uint64
}

func notedTrait(t *lead.Trait) TraitNote {
	return TraitNote{Name: t.Name, Kind: uint8(t.Value.Kind), Text: t.Value.Text, Time: t.Time, Message: t.Message}
}

func (t *TraitNote) trait() lead.Trait {
	return lead.Trait{Name: t.Name, Value: lead.Value{Kind: lead.ValueKind(t.Kind), Text: slices.Clone(t.Text)}, Time: t.Time, Message: t.Message}
}

func notedParts(parts []lead.Part) []Part {
	list := make([]Part, len(parts))
	for i, p := range parts {
		list[i] = Part{Key: p.Key, Value: p.Value, At: p.At}
	}
	return list
}

func partsOf(noted []Part) []lead.Part {
	if len(noted) == 0 {
		return nil
	}
	list := make([]lead.Part, len(noted))
	for i, p := range noted {
		list[i] = lead.Part{Key: p.Key, Value: p.Value, At: p.At}
	}
	return list
}

// membership returns what the present lead knows of its account, made if it is not there yet.
func membership(l *lead.Lead) *lead.Membership {
	if len(l.Account) == 0 {
		l.Account = []lead.Membership{{Time: lead.NoTime}}
	}
	return &l.Account[0]
}

// joinGroup notes what a group call says: where the lead belongs, and what the account's traits are.
func (e *Evaluator) joinGroup(ev *lead.Event, t int64) {
	if len(ev.GroupID) > maxGroupBytes {
		e.counts.LongGroups++
		return
	}
	m := membership(e.l)
	if m.Time == lead.NoTime || t > m.Time || t == m.Time && ev.MessageHash >= m.Message {
		m.Group, m.Time, m.Message = string(ev.GroupID), t, ev.MessageHash
	}
	if len(ev.GroupID) == 0 || len(ev.Traits) == 0 {
		return
	}
	ev.Traits.Each(func(key string, v lead.Value) bool {
		if _, read := e.set.accounts.set.traitSlot[key]; !read {
			return true
		}
		if len(v.Text) > maxTraitBytes {
			e.counts.LongTraits++
			v = lead.Value{Kind: lead.Null, Text: []byte("null")}
		}
		e.groupTraits = append(e.groupTraits, TraitNote{Name: key, Kind: uint8(v.Kind), Text: slices.Clone(v.Text), Time: t, Message: ev.MessageHash})
		return true
	})
	e.group = string(ev.GroupID)
}

// maxGroupBytes is the longest group id that is an account's.
const maxGroupBytes = 512

// say tells an account, or its members, what has changed. It ends whatever an entity goes through.
func (e *Evaluator) say() {
	switch {
	case e.set.accounts != nil:
		e.tell()
	case e.set.ofAccounts():
		e.answer("")
	}
}

// tell tells the present lead's account what it is now, if that is not what it was told last.
func (e *Evaluator) tell() {
	l := e.l
	account := e.set.accountOf(l)
	if account == "" && len(l.Account) == 0 && len(e.instead) == 0 {
		e.tellTraits(e.group)
		return
	}
	m := membership(l)
	traits, traitsTo := e.groupTraits, e.group
	if traitsTo != account {
		e.tellTraits(traitsTo)
		traits = nil
	}
	e.groupTraits, e.group = nil, ""
	known := m.Account != "" && m.Account == account
	if m.Account != "" && !known {
		e.write(m.Account, &Note{Gone: true, Known: true, Was: notedParts(m.Parts), Instead: e.placesIn(m.Account)})
		m.Account, m.Role, m.Parts, m.Seen = "", "", nil, nil
	}
	for len(e.instead) > 0 && (account == "" || e.instead[0].account != account) {
		to := e.instead[0].account
		e.write(to, &Note{Gone: true, Instead: e.placesIn(to)})
	}
	if account == "" {
		return
	}
	r := e.roleOf()
	if known && m.Role == r.name && len(e.instead) == 0 && len(traits) == 0 && e.isTold(m, r.weight) {
		return
	}
	was := m.Parts
	m.Account, m.Role = account, r.name
	m.Parts, m.Seen = e.parts(r.weight), e.latest()
	e.write(account, &Note{Role: m.Role, Parts: notedParts(m.Parts), Was: notedParts(was), Seen: notedParts(m.Seen), Known: known, Instead: e.placesIn(account), Traits: traits})
}

// tellTraits tells an account its traits, and nothing of the lead.
func (e *Evaluator) tellTraits(account string) {
	if len(e.groupTraits) > 0 {
		e.letters = append(e.letters, Letter{Kind: MemberLetter, To: AccountID(account), Time: e.l.Clock, Event: e.cause(), Note: &Note{Traits: e.groupTraits}})
		e.counts.Told++
	}
	e.groupTraits, e.group = nil, ""
}

func (e *Evaluator) write(account string, n *Note) {
	n.Pointer = e.l.Pointer
	e.letters = append(e.letters, Letter{Kind: MemberLetter, To: AccountID(account), From: e.l.ID, Time: e.l.Clock, Event: e.cause(), Note: n})
	e.counts.Told++
}

// isTold says that scores and signals are what the account was told.
func (e *Evaluator) isTold(m *lead.Membership, weight float64) bool {
	n := 0
	for i, slot := range e.set.accounts.scores {
		p, ok := e.part(i, slot, weight)
		if !ok {
			continue
		}
		if n >= len(m.Parts) || m.Parts[n] != p {
			return false
		}
		n++
	}
	if n != len(m.Parts) {
		return false
	}
	n = 0
	for _, f := range e.set.accounts.signals {
		w := e.signalState(f.keeper)
		if w == nil || w.Last == math.MinInt64 {
			continue
		}
		if n >= len(m.Seen) || m.Seen[n].Key != f.key || m.Seen[n].At != w.Last {
			return false
		}
		n++
	}
	return n == len(m.Seen)
}

// part is what the present lead adds to a score of its account; ok is false when that is nothing.
func (e *Evaluator) part(i, slot int, weight float64) (p lead.Part, ok bool) {
	v := &e.l.Scores[slot]
	p = lead.Part{Key: e.set.accounts.keys[i], Value: finite(float64(v.Value * weight)), At: v.At}
	return p, p.Value != 0
}

func (e *Evaluator) parts(weight float64) (list []lead.Part) {
	for i, slot := range e.set.accounts.scores {
		if p, ok := e.part(i, slot, weight); ok {
			list = append(list, p)
		}
	}
	return list
}

// latest are the latest times of the signals that accounts' conditions look at.
func (e *Evaluator) latest() (list []lead.Part) {
	for _, f := range e.set.accounts.signals {
		if w := e.signalState(f.keeper); w != nil && w.Last > math.MinInt64 {
			list = append(list, lead.Part{Key: f.key, At: w.Last})
		}
	}
	return list
}

// placed is a place in an account that the present lead takes over.
type placed struct {
	account string
	Place
}

// takeOver takes over the place that from, which is merged into l, has in an account, and returns it. The newest group
// call of the two says where the lead belongs.
func (e *Evaluator) takeOver(l, from *lead.Lead) *lead.Membership {
	if len(from.Account) == 0 {
		return nil
	}
	m := from.Account[0]
	switch {
	case e.set.accounts == nil:
		e.letters = Depart(from, max(l.Clock, from.Clock), "", e.letters)
	case m.Account != "":
		e.instead = append(e.instead, placed{m.Account, Place{ID: from.ID, Pointer: from.Pointer, Was: notedParts(m.Parts)}})
	}
	from.Account = nil
	if m.Time == lead.NoTime {
		return &m
	}
	if to := membership(l); to.Time == lead.NoTime || newer(m.Time, m.Message, to.Time, to.Message) {
		to.Group, to.Time, to.Message = m.Group, m.Time, m.Message
	}
	return &m
}

// placesIn takes the places in an account off the list of those to be taken over.
func (e *Evaluator) placesIn(account string) (list []Place) {
	rest := e.instead[:0]
	for _, p := range e.instead {
		if p.account == account {
			list = append(list, p.Place)
		} else {
			rest = append(rest, p)
		}
	}
	clear(e.instead[len(rest):])
	e.instead = rest
	return list
}

// Depart appends the letter with which a lead that is removed leaves its account. It is called before the lead's state is
// taken away, also by who receives the state of a lead that is no more.
func Depart(l *lead.Lead, at int64, event string, to []Letter) []Letter {
	if l == nil || len(l.Account) == 0 || l.Account[0].Account == "" {
		return to
	}
	m := &l.Account[0]
	return append(to, Letter{Kind: MemberLetter, To: AccountID(m.Account), From: l.ID, Time: at, Event: event, Note: &Note{Gone: true, Known: true, Pointer: l.Pointer, Was: notedParts(m.Parts)}})
}
