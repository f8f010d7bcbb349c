package rules

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"leadstream/state/lead"
)

const (
	defaultEraseGrace      = 7 * day
	minGrace, minRetention = hour, hour
	// maxNamed is how many identifiers a lead remembers to have named.
	maxNamed = 1_000
)

// subjectPrefix begins the ids of the entities that erasures leave. It begins with that of identifiers: no event can
// have such an id.
const subjectPrefix = identifierPrefix + identifierPrefix

// Subject stands for an id that was erased, where the id itself may not: 32 hexadecimal digits. Who knows the salt can
// check whether an id is meant; nobody can read it back.
func Subject(salt []byte, id string) string {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte(id))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// BarID is the id under which is kept what an erased id bars, once the id itself is kept no more.
func BarID(salt []byte, id string) string { return subjectPrefix + Subject(salt, id) }

// IsBar says that an id is a BarID.
func IsBar(id string) bool { return strings.HasPrefix(id, subjectPrefix) }

// Bury leaves nothing of a node but its id and up to when it bars events: after, or what it barred before if that is
// more. It does so until the rule set's erase_grace is over, which FirstSeen says, for good if after is Never. request is
// what asked for it, "" if nobody did.
func (e *Evaluator) Bury(n *lead.Lead, after int64, request string) {
	after = max(after, n.After)
	until := int64(0)
	switch {
	case after == never:
		until = never
	case after != 0:
		until = addSpan(after, e.set.eraseGrace)
	}
	*n = lead.Lead{ID: n.ID, Epoch: n.Epoch, Rules: e.set.id, UserID: request, FirstSeen: until, Due: lead.NoTime, Node: lead.Node{Gone: true, After: after}}
}

// Barred is the time up to which events of a node are dropped, 0 for most nodes. What is gone bars nothing any more
// once the shard's tick has come to the end of its grace.
func Barred(n *lead.Lead, tick int64) int64 {
	if n == nil || n.Gone && n.FirstSeen <= tick {
		return 0
	}
	return n.After
}

// Bar is what takes the place of a node that is gone: the same under its BarID. It is nil if the node never barred
// anything.
func Bar(n *lead.Lead, salt []byte) *lead.Lead {
	if n.After == 0 {
		return nil
	}
	b := n.Clone()
	b.ID, b.UserID, b.Due = BarID(salt, n.ID), "", n.FirstSeen
	return b
}

// Erase takes a lead away, and asks for all ids to be taken away that point to it, those by which the command came included. The letters that it appends carry
// the command's time, salt and request. found is false when nothing was known of the lead: it is barred all the same.
func (e *Evaluator) Erase(n *lead.Lead, c *Command, way *Route, out []lead.Output, to []Letter) (_ []lead.Output, _ []Letter, found bool) {
	found = begun(n) || len(n.IDs) > 0
	if begun(n) {
		subject := Subject(c.Salt, n.ID)
		out = append(out, lead.Output{
			Kind: lead.LeadErased, ID: lead.OutputID(subject, n.Incarnation, n.Seq), Lead: subject, At: c.Time, Event: c.ID, RuleSet: e.set.version,
		})
	}
	for _, h := range way.Path {
		noteID(n, h.ID, true)
	}
	m := Letter{Kind: EraseLetter, From: n.ID, Cause: ByErasure, Time: c.Time, Event: c.ID, Salt: c.Salt, Suppress: c.Suppress}
	to = e.depart(n, &m, to)
	e.Bury(n, until(c.Time, c.Suppress), requests(n, c.ID))
	return out, to, found
}

// Asked counts the letters that ask a node to go: with them goes one by which a lead leaves its account.
func Asked(letters []Letter) (n int) {
	for i := range letters {
		if letters[i].Kind == EraseLetter {
			n++
		}
	}
	return n
}

// requestSep is between the requests that wait for one node to be gone for good.
const requestSep = "\n"

// requests are those that a node is buried by: it may be gone already and somebody else waits for that.
func requests(n *lead.Lead, request string) string {
	if !n.Gone || n.UserID == "" || request == "" || len(n.UserID) > maxRequests {
		return cmp.Or(request, goneBy(n))
	}
	return n.UserID + requestSep + request
}

// maxRequests bounds the bytes of the requests that wait for a node.
const maxRequests = 4096

func goneBy(n *lead.Lead) string {
	if n.Gone {
		return n.UserID
	}
	return ""
}

// Requests are those that wait for a node that is gone to be so for good.
func Requests(n *lead.Lead) []string {
	if goneBy(n) == "" {
		return nil
	}
	return strings.Split(n.UserID, requestSep)
}

// until is up to when an erasure bars events.
func until(at int64, suppress bool) int64 {
	if suppress {
		return never
	}
	return at
}

// depart is where a lead leaves for good, erased or expired: it appends what all others are told who have something of it. m is
// the letter for its ids. The lead is still whole.
func (e *Evaluator) depart(l *lead.Lead, m *Letter, to []Letter) []Letter {
	return Depart(l, max(l.Clock, m.Time), m.Event, scatter(l, m, to))
}

// scatter appends a copy of m for every node that knows of n: the ids that are the lead's or were to be, the
// identifiers that it named, and those that it was not linked to or was separated from.
func scatter(n *lead.Lead, m *Letter, to []Letter) []Letter {
	all := make([]string, 0, len(n.IDs))
	for i := range n.IDs {
		all = append(all, n.IDs[i].ID)
	}
	said := map[string]bool{n.ID: true}
	say := func(id string, mine bool) {
		if said[id] || id == "" {
			return
		}
		said[id] = true
		x := *m
		x.To, x.Known = id, mine
		if !mine { // what is not surely the lead's must be seen to point to one of its ids
			x.IDs = all
		}
		to = append(to, x)
	}
	for i := range n.IDs {
		say(n.IDs[i].ID, n.IDs[i].Merged)
	}
	for _, id := range n.Rare().Named {
		say(id, false)
	}
	for i := range n.Rare().Refused {
		if r := &n.Rare().Refused[i]; r.Why != WhyNever { // those are no ids
			say(r.ID, false)
			say(r.With, false)
		}
	}
	for _, id := range n.Apart {
		say(id, false)
	}
	return to
}

// EraseNode applies an EraseLetter to the node that it came to, which may be gone already. It appends the letter that
// goes on, if what was erased is mentioned at the end of a pointer. removed says that nothing is left of the node.
func (e *Evaluator) EraseNode(n *lead.Lead, m *Letter, to []Letter) (_ []Letter, removed bool) {
	whole := func(id string) bool { return id == m.From || slices.Contains(m.IDs, id) }
	first, erasure := len(m.Route.Path) == 0, m.Cause == ByErasure
	switch {
	case n.Gone:
		removed = true // its events may be still to come
	case m.To == m.From: // what a lead leaves that nothing was heard of for too long
		removed = n.Forward == "" && !begun(n) && len(n.IDs) == 0
	case n.Forward != "" && first && (m.Known || whole(n.Forward)):
		removed = !slices.Contains(n.Apart, m.From)
	}
	if removed {
		after, request := int64(0), ""
		if erasure {
			request = m.Event
		}
		if erasure && !IsIdentifier(m.To) {
			after = until(m.Time, m.Suppress)
		}
		to = tellOthers(n, m, to)
		e.Bury(n, after, requests(n, request))
		return to, true
	}
	n.OwnRare().Refused = slices.DeleteFunc(n.Rare().Refused, func(r lead.Refusal) bool { return whole(r.ID) || whole(r.With) })
	n.IDs = slices.DeleteFunc(n.IDs, func(x lead.LinkedID) bool { return x.ID == m.From || !x.Merged && whole(x.ID) })
	n.Apart = slices.DeleteFunc(n.Apart, whole)
	next := *m
	id, ok := e.Follow(n, &next.Route)
	if ok && id != "" && !IsIdentifier(m.To) {
		next.To, next.Known = id, false
		return append(to, next), false
	}
	return to, false
}

// tellOthers asks those whom only this node knows to forget it: ids that it was separated from, or not linked to.
func tellOthers(n *lead.Lead, m *Letter, to []Letter) []Letter {
	x := Letter{Kind: EraseLetter, From: n.ID, Cause: m.Cause, Time: m.Time, Salt: m.Salt, Suppress: m.Suppress}
	others := lead.Lead{ID: n.ID, Node: lead.Node{Apart: n.Apart}}
	others.OwnRare().Refused = n.Rare().Refused
	return scatter(&others, &x, to)
}

// Turn is what an id that bars a letter answers. What a lead was that points here is taken away too, for the link
// was said before the erasure. Who asked for a link is to forget that: it would not ask again. from is the letter's decoded State,
// until up to when the id bars.
func (e *Evaluator) Turn(m *Letter, from *lead.Lead, salt []byte, until int64, to []Letter) []Letter {
	x := Letter{Kind: EraseLetter, From: m.To, Cause: ByErasure, Time: until, Salt: salt}
	if until == never {
		x.Time, x.Suppress = m.Time, true
	}
	switch {
	case m.Kind == LinkLetter && m.Target != "" && m.Target != m.To:
		x.To, x.IDs = m.Target, []string{m.To}
		return append(to, x)
	case m.Kind != StateLetter:
		return to
	}
	to = Depart(from, m.Time, m.Event, to)
	if from == nil {
		from = &lead.Lead{}
	}
	all := from.Clone()
	all.ID = m.To
	if _, known := findID(all.IDs, m.From); !known {
		noteID(all, m.From, true)
	}
	return scatter(all, &x, to)
}

// retentionDue is when a lead is removed if no event comes.
func (e *Evaluator) retentionDue() int64 {
	if e.set.retention == 0 {
		return never
	}
	return addSpan(e.l.LastSeen, e.set.retention)
}

// expire takes away the present lead, of which nothing was heard for too long. What is left has not begun, and is
// removed by a letter to itself: the shard counts it, so that whoever comes back is another incarnation.
func (e *Evaluator) expire(at int64) {
	l := e.l
	l.Clock = at
	e.enter(l, at, nil)
	e.because(timerRetention, nil)
	o := e.output(lead.LeadExpired)
	o.To, o.EnteredAt, o.InStage = e.set.stages[l.Stage].name, l.StageSince, at-l.StageSince
	e.out = append(e.out, o)
	m := Letter{Kind: EraseLetter, From: l.ID, Cause: ByRetention, Time: at}
	e.letters = e.depart(l, &m, e.letters)
	m.To = l.ID
	e.letters = append(e.letters, m)
	fresh := e.set.NewLead(l.ID, l.Incarnation)
	fresh.Seq, fresh.Epoch, fresh.Pointer, fresh.After, fresh.Apart = l.Seq, l.Epoch, l.Pointer, l.After, l.Apart
	*l = *fresh
}

// Pending returns the letters that timers have written since it was called last.
func (e *Evaluator) Pending() []Letter {
	to := e.letters
	e.letters = nil
	return to
}

const timerRetention = "timer:retention"
