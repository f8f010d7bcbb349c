package rules

import (
	"cmp"
	"slices"
	"strings"

	"leadstream/state/lead"
)

// Merge makes two leads one: from is what a node was that points to l now. Both follow this rule set. What each
// knew adds up, as if all of it had come to one lead, as far as that is still known. from is used up.
func (e *Evaluator) Merge(l, from *lead.Lead, cause Cause, event string, out []lead.Output) []lead.Output {
	return e.merge(l, from, &Letter{Cause: cause, Event: event}, out)
}

func (e *Evaluator) merge(l, from *lead.Lead, m *Letter, out []lead.Output) []lead.Output {
	own(from, l.ID)
	fresh := !begun(l)
	if fresh {
		adopt(l, from)
	} else {
		out = e.Fire(l, min(from.Clock, never-1), out)
		if fresh = !begun(l); fresh { // it was removed
			adopt(l, from)
		}
	}
	place := e.takeOver(l, from)
	at := max(l.Clock, from.Clock)
	stage := l.Stage
	entered := l.StageSince
	if !fresh {
		e.dropDoubles(l, from, at)
	}
	e.begin(l, out)
	l.Clock = at
	e.enter(l, at, nil)
	e.because(m.Event, nil)
	if !fresh {
		e.combine(l, from)
	}
	e.rehear(place)
	e.touchEverything()
	e.counts.Merged++
	e.sayMerged(from.ID, m.Cause, stage, entered)
	e.evaluate(byEvent)
	e.settle()
	e.say()
	return e.Fire(l, l.Clock, e.out)
}

// own marks contributions as those of the id that they came for.
func own(from *lead.Lead, into string) {
	hash, home := lead.HashString(from.ID), lead.HashString(into)
	cs := from.Ledger.List()
	for i := range cs {
		c := &cs[i]
		if c.Own == 0 {
			c.Own = hash
		}
		if c.Own == home {
			c.Own = 0
		}
	}
	from.Ledger = lead.LedgerOf(cs)
}

// adopt makes l, to which nothing has happened yet, what from was.
func adopt(l, from *lead.Lead) {
	keep := *l
	*l = *from.Clone()
	l.Account = keep.Account
	l.ID, l.Epoch, l.Incarnation, l.Seq, l.Node = keep.ID, keep.Epoch, keep.Incarnation, keep.Seq, keep.Node
	l.IDs, l.OwnRare().Claims, l.OwnRare().Refused = keep.IDs, keep.Rare().Claims, keep.Rare().Refused
}

// dropDoubles takes out of from what both have counted: a message that came to both.
func (e *Evaluator) dropDoubles(l, from *lead.Lead, at int64) {
	var doubles []uint64
	for _, h := range from.Recent {
		if slices.Contains(l.Recent, h) {
			doubles = append(doubles, h)
		}
	}
	if len(doubles) == 0 {
		return
	}
	e.begin(from, nil)
	e.enter(from, at, nil)
	for _, h := range doubles {
		for _, c := range from.Ledger.All() {
			if c.Message == h {
				e.takeEntry(&c)
			}
		}
		e.retract(h)
		from.Events--
		e.counts.Duplicates++
	}
}

// combine adds what from knows to l, at the present moment.
func (e *Evaluator) combine(l, from *lead.Lead) {
	from.Clock = e.at
	e.mergeWindows(l, from)
	e.mergeScores(l, from)
	e.mergeLedger(l, from)
	e.mergeLines(l, from)
	e.trimLedger()
	mergeTraits(l, from)
	mergeConsents(l, from)
	e.mergeFields(l, from)
	e.mergeTags(l, from)
	e.mergeHeld(l, from)
	e.mergeRecent(l, from)
	if from.LastSeen > l.LastSeen || from.LastSeen == l.LastSeen && from.ID < l.ID {
		l.UserID, l.Zone = cmp.Or(from.UserID, l.UserID), cmp.Or(from.Zone, l.Zone)
	} else {
		l.UserID, l.Zone = cmp.Or(l.UserID, from.UserID), cmp.Or(l.Zone, from.Zone)
	}
	l.Events += from.Events
	l.FirstSeen, l.LastSeen = min(l.FirstSeen, from.FirstSeen), max(l.LastSeen, from.LastSeen)
	l.LastActive = max(l.LastActive, from.LastActive)
	l.Ready = l.Ready || from.Ready
	e.mergeStage(l, from)
	for i := range l.Edges {
		l.Edges[i].On = l.Edges[i].On || from.Edges[i].On
		l.Edges[i].Until = max(l.Edges[i].Until, from.Edges[i].Until)
	}
}

// mergeStage leaves l in the terminal stage of the two if one is, else in the higher one; its age is the winner's.
func (e *Evaluator) mergeStage(l, from *lead.Lead) {
	switch a, b := e.stageRank(l.Stage), e.stageRank(from.Stage); {
	case a == b:
		l.StageSince = min(l.StageSince, from.StageSince)
	case b > a:
		l.Stage, l.StageSince = from.Stage, from.StageSince
	}
}

// stageRank orders stages: terminal ones above all.
func (e *Evaluator) stageRank(stage uint16) int {
	rank := int(stage)
	if e.set.mergeRank != nil {
		rank = slices.Index(e.set.mergeRank, int(stage))
	}
	if e.set.stages[stage].terminal {
		rank += len(e.set.stages)
	}
	return rank
}

// reasonMerged is the reason of a stage that came with another lead.
const reasonMerged = "merged"

// sayMerged puts out that from was merged into the present lead, and that its stage is another one now.
func (e *Evaluator) sayMerged(from string, cause Cause, stage uint16, entered int64) {
	l := e.l
	if from != l.ID && cause != BySplit {
		o := e.output(lead.LeadMerged)
		o.From, o.To, o.Reason = from, l.ID, cause.String()
		e.out = append(e.out, o)
	}
	if stage != l.Stage {
		o := e.output(lead.StageChanged)
		o.From, o.To, o.Reason = e.set.stages[stage].name, e.set.stages[l.Stage].name, reasonMerged
		o.EnteredAt, o.InStage = entered, e.at-entered
		o.Top = e.top(maxTop)
		e.out = append(e.out, o)
	}
}

// mergeTraits takes the greater (time, message) of each trait.
func mergeTraits(l, from *lead.Lead) {
	for _, t := range from.Traits {
		i, found := findTrait(l, t.Name)
		switch {
		case !found:
			l.Traits = slices.Insert(l.Traits, i, t)
		case newer(t.Time, t.Message, l.Traits[i].Time, l.Traits[i].Message):
			l.Traits[i] = t
		}
	}
}

// newer compares by (time, message).
func newer(at int64, message uint64, than int64, thanMessage uint64) bool {
	return at > than || at == than && message > thanMessage
}

// mergeFields takes the earlier of first events' fields and the later of last ones.
func (e *Evaluator) mergeFields(l, from *lead.Lead) {
	for _, f := range from.Rare().Fields {
		i, found := slices.BinarySearchFunc(l.Rare().Fields, f.Slot, compareField)
		switch {
		case !found:
			l.OwnRare().Fields = slices.Insert(l.Rare().Fields, i, f)
		case newer(f.Time, f.Message, l.Rare().Fields[i].Time, l.Rare().Fields[i].Message) != e.set.fields[f.Slot].first:
			l.Rare().Fields[i] = f
		}
	}
}

// mergeTags adds weights; the strongest stay.
func (e *Evaluator) mergeTags(l, from *lead.Lead) {
	h := e.set.tags.halfLife
	for _, t := range from.Rare().Tags {
		w := decayHalfLife(t.Weight, t.At, e.at, h)
		i, found := slices.BinarySearchFunc(l.Rare().Tags, t.Name, compareTag)
		if found {
			x := &l.Rare().Tags[i]
			x.Weight, x.At = finite(decayHalfLife(x.Weight, x.At, e.at, h)+w), e.at
			continue
		}
		l.OwnRare().Tags = slices.Insert(l.Rare().Tags, i, lead.Tag{Name: t.Name, Weight: w, At: e.at})
	}
	if len(l.Rare().Tags) > maxTags {
		slices.SortFunc(l.Rare().Tags, func(a, b lead.Tag) int { return compareTags(&a, &b, e.at, h) })
		clear(l.Rare().Tags[maxTags:])
		l.OwnRare().Tags = l.Rare().Tags[:maxTags]
		slices.SortFunc(l.Rare().Tags, func(a, b lead.Tag) int { return strings.Compare(a.Name, b.Name) })
	}
}

// mergeHeld puts what both hold back in the order of release.
func (e *Evaluator) mergeHeld(l, from *lead.Lead) {
	if len(from.Rare().Held) == 0 {
		return
	}
	l.OwnRare().Held = append(l.Rare().Held, from.Rare().Held...)
	slices.SortStableFunc(l.Rare().Held, func(a, b lead.Held) int { return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Time, b.Time)) })
	if len(l.Rare().Held) > maxHeld {
		e.counts.HeldFull += int64(len(l.Rare().Held) - maxHeld)
		clear(l.Rare().Held[maxHeld:])
		l.OwnRare().Held = l.Rare().Held[:maxHeld]
	}
}

// mergeRecent keeps the newest messages of both, and retracts what one of them had been asked to retract before it
// came to the other.
func (e *Evaluator) mergeRecent(l, from *lead.Lead) {
	early := append(slices.Clone(l.Rare().Early), from.Rare().Early...)
	a := append(slices.Clone(l.Recent[l.RecentNext:]), l.Recent[:l.RecentNext]...)
	b := append(slices.Clone(from.Recent[from.RecentNext:]), from.Recent[:from.RecentNext]...)
	b = slices.DeleteFunc(b, func(h uint64) bool { return slices.Contains(a, h) })
	var all []uint64 // newest first, of both in turn
	for i, j := len(a)-1, len(b)-1; (i >= 0 || j >= 0) && len(all) < e.set.dedupe; {
		if i >= 0 {
			all = append(all, a[i])
			i--
		}
		if j >= 0 && len(all) < e.set.dedupe {
			all = append(all, b[j])
			j--
		}
	}
	slices.Reverse(all)
	l.Recent, l.RecentNext = all, 0
	l.OwnRare().Early = nil
	for _, h := range early {
		e.retract(h)
	}
}
