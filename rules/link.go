package rules

import (
	"cmp"
	"slices"
	"strings"

	"leadstream/state/lead"
)

// A person is known by many ids. Each id is a node; linked ids form chains of pointers that end in a lead. Nodes
// are on different shards and only ever hear of each other by letters, which may come late and in any order between
// shards. What follows decides, for one node and one letter, what becomes of the node and which letters it
// sends.

// Verdicts of Receive beside Applied.
const (
	// Forwarded says that the letter went on to another node.
	Forwarded Verdict = iota + 20
	// TooFar says that a letter followed more than MaxHops pointers: it is a dead letter.
	TooFar
)

const (
	maxRefused = 16
	maxClaims  = 64
	maxApart   = 64
)

// idCount is how many ids a lead has, its own included.
func idCount(l *lead.Lead) int {
	n := 1
	for i := range l.IDs {
		if l.IDs[i].Merged {
			n++
		}
	}
	return n
}

func findID(ids []lead.LinkedID, id string) (int, bool) {
	return slices.BinarySearchFunc(ids, id, func(x lead.LinkedID, id string) int { return strings.Compare(x.ID, id) })
}

// has says that an id is the lead's own or was merged into it.
func has(l *lead.Lead, id string) bool {
	if id == l.ID {
		return true
	}
	i, found := findID(l.IDs, id)
	return found && l.IDs[i].Merged
}

// noteID notes an id of the lead.
func noteID(l *lead.Lead, id string, merged bool) {
	if id == l.ID {
		return
	}
	i, found := findID(l.IDs, id)
	switch {
	case found:
		l.IDs[i].Merged = l.IDs[i].Merged || merged
	case len(l.IDs) < maxKnownIDs:
		l.IDs = slices.Insert(l.IDs, i, lead.LinkedID{ID: id, Merged: merged})
	}
}

// mergedIDs is one sorted list of two, without the lead's own id: a lead that went through a chain of a thousand links
// brings a thousand ids.
func mergedIDs(own string, a, b []lead.LinkedID) []lead.LinkedID {
	list := make([]lead.LinkedID, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var x lead.LinkedID
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].ID < b[0].ID:
			x, a = a[0], a[1:]
		case len(a) == 0 || b[0].ID < a[0].ID:
			x, b = b[0], b[1:]
		default:
			x = lead.LinkedID{ID: a[0].ID, Merged: a[0].Merged || b[0].Merged}
			a, b = a[1:], b[1:]
		}
		if x.ID != own && len(list) < maxKnownIDs {
			list = append(list, x)
		}
	}
	return list
}

// refuse counts a refused link and keeps it for inspection.
func (e *Evaluator) refuse(l *lead.Lead, id, with string, at int64, why uint8) {
	e.counts.Refused[why]++
	for i := range l.Rare().Refused {
		if r := &l.Rare().Refused[i]; r.ID == id && r.With == with && r.Why == why {
			return // the first time is the interesting one
		}
	}
	if len(l.Rare().Refused) >= maxRefused {
		l.OwnRare().Refused = slices.Delete(l.Rare().Refused, 0, 1)
	}
	l.OwnRare().Refused = append(l.Rare().Refused, lead.Refusal{ID: id, With: with, Time: at, Why: why})
}

// Links says what an event that was just applied to a lead says of who is who, and appends the letters that it
// asks for. An alias makes the lead itself a pointer.
func (e *Evaluator) Links(l *lead.Lead, ev *lead.Event, to []Letter) []Letter {
	to = e.linkAnonymous(l, ev, to)
	e.linkValues(ev, func(trait, value string) {
		if e.set.identity.isNever(value) {
			e.refuse(l, l.ID, trait, l.Clock, WhyNever)
			return
		}
		id := identifierID(trait, value)
		hash := lead.HashString(id)
		if slices.Contains(l.Rare().Claims, hash) {
			return
		}
		l.OwnRare().Claims = appendNewest(l.Rare().Claims, hash, maxClaims)
		name(l, id)
		e.counts.Claimed++
		to = append(to, Letter{Kind: ClaimLetter, To: id, From: l.ID, Cause: ByTrait, Time: l.Clock, Event: string(ev.MessageID), First: l.FirstSeen, Known: l.Known})
	})
	if ev.Type != lead.Alias {
		return to
	}
	target := ev.UserID
	if len(target) == 0 {
		target = ev.AnonymousID
	}
	if len(target) == 0 || string(target) == string(ev.PreviousID) {
		return to
	}
	m := Letter{Kind: LinkLetter, To: l.ID, From: string(ev.PreviousID), Target: string(target), Cause: ByAlias, Time: l.Clock, Event: string(ev.MessageID), Known: len(ev.UserID) > 0}
	to, _ = e.linkAway(l, &m, to)
	return to
}

// linkAnonymous asks for the link of an event's anonymousId to its userId, once.
func (e *Evaluator) linkAnonymous(l *lead.Lead, ev *lead.Event, to []Letter) []Letter {
	user, anonymous := ev.UserID, ev.AnonymousID
	if len(user) == 0 || len(anonymous) == 0 || string(user) == string(anonymous) || string(anonymous) == l.ID {
		return to
	}
	if ev.Type == lead.Alias && string(anonymous) == string(ev.PreviousID) {
		return to // that is what the alias itself says
	}
	i, found := slices.BinarySearchFunc(l.IDs, anonymous, func(x lead.LinkedID, id []byte) int { return strings.Compare(x.ID, string(id)) })
	if found {
		return to
	}
	id, with := string(anonymous), string(user)
	room := e.set.identity.maxIDs - len(l.IDs) - 1
	switch r := &e.set.identity; {
	case r.isNever(id), r.isNever(with):
		e.refuse(l, id, with, l.Clock, WhyNever)
		return to
	case room < 1:
		e.refuse(l, id, with, l.Clock, WhyMaxIDs)
		return to
	}
	l.IDs = slices.Insert(l.IDs, i, lead.LinkedID{ID: id})
	return append(to, Letter{Kind: LinkLetter, To: id, From: id, Target: with, Cause: ByEvent, Time: l.Clock, Event: string(ev.MessageID), Known: true, Room: room})
}

// Receive applies a letter to the node that it came to, which it changes in place. from is the decoded State of a
// StateLetter, under this rule set, nil if it has none. It appends outputs and letters.
func (e *Evaluator) Receive(n, from *lead.Lead, m *Letter, out []lead.Output, to []Letter) ([]lead.Output, []Letter, Verdict) {
	switch m.Kind {
	case MemberLetter:
		return e.memberLetter(n, m, out), to, Applied
	case AccountLetter:
		return e.accountNews(n, m, out), to, Applied
	}
	if m.Kind == ClaimLetter {
		return out, e.claim(n, m, to), Applied
	}
	if m.Kind == LinkLetter && len(m.Route.Path) == 0 && e.isApart(n, m) {
		return out, to, Applied
	}
	if (m.Kind == SplitLetter || m.Cause == BySplit) && len(m.Route.Path) == 0 {
		separate(n, m.From)
	}
	next := *m
	id, ok := e.Follow(n, &next.Route)
	switch {
	case !ok:
		return out, Depart(from, m.Time, m.Event, to), TooFar
	case id != "":
		next.To = id
		return out, append(to, next), Forwarded
	}
	switch m.Kind {
	case LinkLetter:
		if n.Due <= m.Time {
			out = e.Fire(n, min(m.Time, never-1), out)
		}
		to, _ = e.linkAway(n, &next, to)
	case StateLetter:
		out = e.join(n, from, &next, out)
	case SplitLetter:
		out, to = e.split(n, &next, out, to)
	}
	return out, to, Applied
}

// isApart refuses a link between ids that were separated by hand.
func (e *Evaluator) isApart(n *lead.Lead, m *Letter) bool {
	i := slices.Index(n.Apart, m.Target)
	if i < 0 {
		return false
	}
	if m.Cause == ByCommand {
		n.Apart = slices.Delete(n.Apart, i, i+1)
		return false
	}
	e.refuse(n, n.ID, m.Target, m.Time, WhyApart)
	return true
}

func separate(n *lead.Lead, id string) {
	if id != n.ID && !slices.Contains(n.Apart, id) {
		if len(n.Apart) >= maxApart {
			n.Apart = slices.Delete(n.Apart, 0, 1)
		}
		n.Apart = append(n.Apart, id)
	}
}

// linkAway makes a lead a pointer to the letter's target, unless that is refused or done already. The letters that
// it appends take what the lead was there. done says that the ids are one lead's, now or soon.
func (e *Evaluator) linkAway(n *lead.Lead, m *Letter, to []Letter) (_ []Letter, done bool) {
	if has(n, m.Target) {
		return to, true
	}
	if e.isApart(n, m) {
		return to, false
	}
	if m.Cause == ByEvent {
		why := uint8(0)
		switch {
		case n.Known, m.Route.Known:
			why = WhySecondUser
		case idCount(n) > m.Room:
			why = WhyMaxIDs
		}
		if why != 0 {
			e.refuse(n, m.From, m.Target, m.Time, why)
			return to, false
		}
	}
	if stateTooLarge(n) {
		e.refuse(n, m.From, m.Target, m.Time, WhyTooLarge)
		return to, false
	}
	s := Letter{Kind: StateLetter, To: m.Target, From: n.ID, Cause: m.Cause, Time: max(n.Clock, m.Time), Event: m.Event}
	n.Known = n.Known || m.Known
	s.Known = n.Known
	if m.Cause == ByCommand && begun(n) {
		n.Clock = max(n.Clock, m.Time) // commands move the clock
	}
	if begun(n) || len(n.IDs) > 0 {
		moved := *n
		moved.Epoch = 0 // what it becomes part of has one of its own
		s.State, s.Time = lead.AppendEncode(nil, &moved), n.Clock
	}
	// The pointer keeps what belongs to the id, and which ids came with it.
	node, ids, refused := n.Node, n.IDs, n.Rare().Refused
	node.Forward = m.Target
	node.Pointer++
	*n = lead.Lead{ID: n.ID, Epoch: n.Epoch, Incarnation: n.Incarnation, Seq: n.Seq, Rules: n.Rules, Due: never, LastActive: lead.NoTime, Node: node, IDs: ids}
	n.OwnRare().Refused = refused
	s.Route = Route{Path: []Hop{{ID: n.ID, Pointer: node.Pointer}}, Known: node.Known}
	e.counts.Linked++
	return append(to, s), true
}

// maxStateIDs bounds the bytes of the ids that a lead takes along, so that it fits a message of the inbox. All else of a lead
// is bounded.
const maxStateIDs = 512 << 10

func stateTooLarge(n *lead.Lead) bool {
	size := 0
	for i := range n.IDs {
		size += len(n.IDs[i].ID) + 4
	}
	return size > maxStateIDs
}

// join takes in what a node was that points here now.
func (e *Evaluator) join(n, from *lead.Lead, m *Letter, out []lead.Output) []lead.Output {
	if m.Cause != BySplit {
		n.Known = n.Known || m.Known
		noteID(n, m.From, true)
	}
	if from == nil {
		return out
	}
	n.IDs = mergedIDs(n.ID, n.IDs, from.IDs)
	for _, h := range from.Rare().Claims {
		if !slices.Contains(n.Rare().Claims, h) {
			n.OwnRare().Claims = appendNewest(n.Rare().Claims, h, maxClaims)
		}
	}
	for _, id := range from.Rare().Named {
		name(n, id)
	}
	for _, r := range from.Rare().Refused {
		if !slices.Contains(n.Rare().Refused, r) {
			n.OwnRare().Refused = append(n.Rare().Refused, r)
		}
	}
	slices.SortStableFunc(n.Rare().Refused, func(a, b lead.Refusal) int { return cmp.Compare(a.Time, b.Time) })
	n.OwnRare().Refused = slices.Delete(n.Rare().Refused, 0, max(0, len(n.Rare().Refused)-maxRefused))
	if !begun(from) {
		return out
	}
	return e.merge(n, from, m, out)
}

// claim tells an identifier that a lead names it. Two leads that do are linked: the one first seen earlier, as far
// as is known here, is the target.
func (e *Evaluator) claim(n *lead.Lead, m *Letter, to []Letter) []Letter {
	if n.Forward == "" {
		n.Identifier, n.Forward, n.FirstSeen, n.Known, n.Due = true, m.From, m.First, m.Known, never
		n.Scores, n.Edges = nil, nil
		return to
	}
	if n.Forward == m.From {
		n.FirstSeen, n.Known = min(n.FirstSeen, m.First), n.Known || m.Known
		return to
	}
	source, target := m.From, n.Forward
	known := n.Known
	if m.First < n.FirstSeen || m.First == n.FirstSeen && m.From < n.Forward {
		source, target, known = n.Forward, m.From, m.Known
	}
	n.Forward, n.FirstSeen, n.Known = target, min(n.FirstSeen, m.First), n.Known || m.Known
	return append(to, Letter{Kind: LinkLetter, To: source, From: source, Target: target, Cause: ByTrait, Time: m.Time, Event: m.Event, Known: known})
}

// appendNewest appends to a list of which only the newest are kept.
func appendNewest(list []uint64, h uint64, most int) []uint64 {
	if len(list) >= most {
		list = slices.Delete(list, 0, len(list)-most+1)
	}
	return append(list, h)
}

// name notes an identifier that the lead has named.
func name(l *lead.Lead, id string) {
	if !slices.Contains(l.Rare().Named, id) && len(l.Rare().Named) < maxNamed {
		l.OwnRare().Named = append(l.Rare().Named, id)
	}
}
