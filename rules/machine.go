package rules

import (
	"bytes"
	"slices"

	"leadstream/state/lead"
)

// machines says what gives a machine away.
type machines struct {
	// A burst: that many distinct links within that many ms. 0 links is no such rule.
	links  int
	within int64
	// delivered is the signal of a mail's delivery, -1 for none: what happened before it is a machine's.
	delivered int
	// traps are links that no person sees; agents parts of the user agents of machines, in lower case.
	traps, agents [][]byte
	// Where an event says which mail it belongs to, and which link was followed.
	mail, link *eventField
}

// lookAtMail notes which mail and link the present event belongs to.
func (e *Evaluator) lookAtMail() {
	e.mail, e.link = 0, 0
	m := &e.set.machines
	if !e.set.holds {
		return
	}
	e.mail, e.link = m.mail.key(&e.scope), m.link.key(&e.scope)
}

// findMachines looks whether the present event gives a machine away, and drops what is held of it. held
// says that the event has put something there.
func (e *Evaluator) findMachines(t int64, held bool) {
	m := &e.set.machines
	if m.delivered >= 0 && e.matched[m.delivered] == e.stamp && e.mail != 0 {
		e.delivered(t)
	}
	if !held {
		return
	}
	switch {
	case e.isMachine():
		e.dropMail(e.mail, 0) // what it would have held itself was dropped before
	case e.mail != 0 && (e.beforeDelivery(t) || e.isDropped(e.mail)):
		e.dropMail(e.mail, e.ev.MessageHash)
	case m.links > 0 && e.link != 0:
		e.findBurst(t)
	}
}

// isMachine says that the event itself shows it: a trap link, or a listed user agent.
func (e *Evaluator) isMachine() bool {
	m := &e.set.machines
	if len(m.traps) > 0 && e.link != 0 {
		link := m.link.value(&e.scope).Bytes()
		for _, trap := range m.traps {
			if bytes.HasPrefix(link, trap) {
				return true
			}
		}
	}
	if len(m.agents) > 0 {
		agent := bytes.ToLower(e.ev.Context.Get("userAgent").Bytes())
		for _, part := range m.agents {
			if bytes.Contains(agent, part) {
				return true
			}
		}
	}
	return false
}

// dropPresent drops what the present event would have held, and remembers its mail.
func (e *Evaluator) dropPresent(t int64) {
	e.counts.Machines++
	if e.mail != 0 && !e.isDropped(e.mail) {
		e.enterHeld(lead.Held{Kind: lead.HeldDropped, Due: addSpan(max(t, e.at), e.set.longestHold), Time: t, Mail: e.mail, Link: e.link})
	}
}

// delivered notes a delivery, and drops what is held of the mail from before it.
func (e *Evaluator) delivered(t int64) {
	if slices.ContainsFunc(e.l.Rare().Held, func(h lead.Held) bool { return h.Mail == e.mail && !isMarker(h.Kind) && h.Time < t }) {
		e.dropMail(e.mail, 0)
	}
	e.enterHeld(lead.Held{Kind: lead.HeldDelivery, Due: addSpan(max(t, e.at), e.set.longestHold), Time: t, Mail: e.mail})
}

func (e *Evaluator) beforeDelivery(t int64) bool {
	return slices.ContainsFunc(e.l.Rare().Held, func(h lead.Held) bool { return h.Kind == lead.HeldDelivery && h.Mail == e.mail && t < h.Time })
}

func (e *Evaluator) isDropped(mail uint64) bool {
	return slices.ContainsFunc(e.l.Rare().Held, func(h lead.Held) bool { return h.Kind == lead.HeldDropped && h.Mail == mail })
}

// findBurst looks for enough distinct links in a span that the present click at t lies in.
func (e *Evaluator) findBurst(t int64) {
	m := &e.set.machines
	var clicks []lead.Held // one for each link and time
	for _, h := range e.l.Rare().Held {
		if h.Link != 0 && h.Kind != lead.HeldDelivery && h.Time >= t-m.within && h.Time <= t+m.within {
			clicks = append(clicks, h)
		}
	}
	slices.SortStableFunc(clicks, func(a, b lead.Held) int { return int(a.Time - b.Time) })
	for i := range clicks {
		links := make(map[uint64]bool) // asked for its size only
		for _, c := range clicks[i:] {
			if c.Time-clicks[i].Time > m.within {
				break
			}
			links[c.Link] = true
		}
		if len(links) < m.links {
			continue
		}
		for _, c := range clicks[i:] {
			if c.Time-clicks[i].Time <= m.within {
				e.dropMail(c.Mail, c.Message)
			}
		}
	}
}

// dropMail turns what is held of a mail, and of a message, into markers: they add nothing, and what comes
// of the same mail before they are due is dropped too.
func (e *Evaluator) dropMail(mail, message uint64) {
	for i := range e.l.Rare().Held {
		h := &e.l.Rare().Held[i]
		if isMarker(h.Kind) || !(mail != 0 && h.Mail == mail || message != 0 && h.Message == message) {
			continue
		}
		if h.Kind == lead.HeldPoints || h.Kind == lead.HeldSignal {
			e.counts.Machines++
		}
		*h = lead.Held{Kind: lead.HeldDropped, Due: h.Due, Time: h.Time, Message: h.Message, Mail: h.Mail, Link: h.Link}
	}
}
