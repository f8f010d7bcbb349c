package rules

import (
	"slices"

	"leadstream/state/lead"
)

// Unlink makes a pointer a lead again. The letter that it returns tells the lead that it pointed to. It is Refused for
// an id that is no pointer.
func (e *Evaluator) Unlink(n *lead.Lead, c *Command) (Letter, Verdict) {
	if n.Forward == "" || n.Identifier {
		return Letter{}, Refused
	}
	from := n.Forward
	e.becomeLead(n)
	n.Known = n.User
	separate(n, from)
	m := Letter{Kind: SplitLetter, To: from, From: n.ID, Cause: BySplit, Time: clampTime(c.Time), Event: c.ID}
	for _, x := range n.IDs {
		if x.Merged {
			m.IDs = append(m.IDs, x.ID)
		}
	}
	return m, Applied
}

// LinkCommand is the letter that a Link command to an id asks for.
func LinkCommand(id string, c *Command) Letter {
	return Letter{Kind: LinkLetter, To: id, From: id, Target: c.With, Cause: ByCommand, Time: clampTime(c.Time), Event: c.ID}
}

// split takes an id out of a lead: the contributions that the ledger knows as its own go back to it.
func (e *Evaluator) split(n *lead.Lead, m *Letter, out []lead.Output, to []Letter) ([]lead.Output, []Letter) {
	gone := append([]string{m.From}, m.IDs...)
	n.IDs = slices.DeleteFunc(n.IDs, func(x lead.LinkedID) bool { return slices.Contains(gone, x.ID) })
	separate(n, m.From)
	back := Letter{Kind: StateLetter, To: m.From, From: n.ID, Cause: BySplit, Time: max(n.Clock, m.Time), Event: m.Event}
	if !begun(n) {
		return out, append(to, back)
	}
	out = e.Fire(n, min(m.Time, never-1), out)
	if !begun(n) { // it was removed
		return out, append(to, back)
	}
	e.begin(n, out)
	n.Clock = max(n.Clock, m.Time)
	e.enter(n, n.Clock, nil)
	e.because(m.Event, nil)
	if own := e.takeOwn(gone); len(own) > 0 {
		l := e.leadOf(m.From, own)
		e.begin(n, e.out)
		e.enter(n, n.Clock, nil)
		back.State = lead.AppendEncode(nil, l)
	}
	e.touchEverything()
	e.evaluate(byEvent)
	e.settle()
	e.say()
	return e.Fire(n, n.Clock, e.out), append(to, back)
}

// takeOwn removes the contributions that came for some ids, and what else is known of their messages.
func (e *Evaluator) takeOwn(ids []string) []lead.Contribution {
	hashes := make([]uint64, len(ids))
	for i, id := range ids {
		hashes[i] = lead.HashString(id)
	}
	var own, kept []lead.Contribution
	l := e.l
	for _, c := range l.Ledger.All() {
		if c.Own == 0 || !slices.Contains(hashes, c.Own) {
			kept = append(kept, c)
			continue
		}
		e.takeBack(&c)
		e.takeEntry(&c)
		own = append(own, c)
	}
	l.Ledger = lead.LedgerOf(kept)
	for i := range own {
		if own[i].Message != 0 {
			e.forgetEntries(own[i].Message)
		}
	}
	// Should they come again, they come to the other lead; should that be linked again, it brings them.
	l.Recent = append(slices.Clone(l.Recent[l.RecentNext:]), l.Recent[:l.RecentNext]...)
	l.Recent, l.RecentNext = slices.DeleteFunc(l.Recent, func(h uint64) bool {
		return slices.ContainsFunc(own, func(c lead.Contribution) bool { return c.Message == h })
	}), 0
	return own
}

// takeEntry removes a contribution from a score that keeps them one by one.
func (e *Evaluator) takeEntry(c *lead.Contribution) {
	sc := &e.set.scores[c.Score]
	if sc.decay != decayAll && sc.decay != decayLine {
		return
	}
	k := &e.set.keepers[sc.keeper]
	k.win.remove(e.keep(sc.keeper), c.Message, c.Points)
	e.dropEmptyWindows()
}

// leadOf makes a lead of contributions that were taken from another at the present moment.
func (e *Evaluator) leadOf(id string, own []lead.Contribution) *lead.Lead {
	l := e.set.NewLead(id, 1)
	l.Clock, l.FirstSeen, l.LastSeen = e.at, own[0].Time, own[0].Time
	for i := range own {
		l.FirstSeen, l.LastSeen = min(l.FirstSeen, own[i].Time), max(l.LastSeen, own[i].Time)
	}
	l.StageSince = l.FirstSeen
	e.begin(l, e.out)
	e.enter(l, e.at, nil)
	for _, c := range own {
		points, moved := e.addPoints(int(c.Score), c.Points, c.Time, c.Message)
		if !moved {
			continue
		}
		c.Points = points
		if sc := &e.set.scores[c.Score]; sc.decay == decayStepped {
			c.Steps = l.Scores[c.Score].Steps - (e.at-c.Time)/sc.span
		}
		e.enterLedger(c)
		if !slices.Contains(l.Recent, c.Message) {
			e.remember(l, c.Message)
		}
	}
	return l
}
