package rules

import (
	"math"
	"slices"

	"leadstream/state/lead"
)

// View is a lead in the words of its rule set, at one instant.
type View struct {
	// At is the instant in ms that scores, grades and what is left of contributions are for.
	At int64
	// UserID, FirstSeen, LastSeen and Events are the lead's own.
	UserID              string
	FirstSeen, LastSeen int64
	Events              int64
	// Stage is the present stage, StageSince when it was entered.
	Stage      string
	StageSince int64
	// Scores are in the rule set's order, with their grades.
	Scores []lead.NamedScore
	// Matrices are the cells of the rule set's matrices, in its order.
	Matrices []lead.NamedCell
	// Consents are what the lead said about purposes, by their names.
	Consents []NamedConsent
	// Tags are the lead's tags, the strongest first, with their weights at At.
	Tags []NamedTag
	// NextChange is the first ms at which time alone changes something: points, a stage, a hand-off or a
	// hand-off's condition. Never if nothing does.
	NextChange int64
	// Ledger lists what the scores consist of, newest first: for each score its entries add up to its value.
	// State lines that hold come first. What contributions that are no longer known one by one still add is
	// one entry with the line "older", what min and max take away one with the line "limit". A derived score
	// has one entry for each score that it is derived from.
	Ledger []lead.NamedContribution
}

// NamedTag is a tag and its weight.
type NamedTag struct {
	Name   string
	Weight float64
}

// The lines of ledger entries that are no contributions of a line.
const (
	manualLine = "manual"
	olderLine  = "older"
	limitLine  = "limit"
)

// maxIdle bounds how many timers that change nothing are looked through for the next that does.
const maxIdle = 1000

// View shows a lead at an instant not before its clock. The lead is not changed.
func (e *Evaluator) View(l *lead.Lead, at int64) View {
	v := e.viewNow(l, at)
	e.quiet = true
	v.NextChange = e.nextChange(l)
	e.quiet = false
	return v
}

// viewNow is View without a look ahead, which costs more than all the rest.
func (e *Evaluator) viewNow(l *lead.Lead, at int64) View {
	at = max(at, l.Clock)
	e.quiet = true
	e.enter(l, at, nil)
	v := View{
		At: at, UserID: l.UserID, FirstSeen: l.FirstSeen, LastSeen: l.LastSeen, Events: l.Events,
		Stage: e.set.stages[l.Stage].name, StageSince: l.StageSince, NextChange: never,
		Scores: e.namedScores(), Matrices: e.namedCells(), Tags: e.namedTags(), Consents: namedConsents(l), Ledger: e.contributions(),
	}
	e.explainRest(&v)
	e.quiet = false
	return v
}

// explainRest adds what the contributions do not explain of the scores.
func (e *Evaluator) explainRest(v *View) {
	for i := range e.set.scores {
		s, shown := &e.set.scores[i], v.Scores[i].Value
		plain := e.unclamped(i)
		at := v.At
		add := func(line string, now float64) {
			if now != 0 {
				v.Ledger = append(v.Ledger, lead.NamedContribution{Score: s.name, Line: line, Time: at, Points: now, Now: now})
			}
		}
		switch s.decay {
		case derived:
			for _, w := range s.parts {
				add("score."+e.set.scores[w.score].name, float64(w.by*v.Scores[w.score].Value))
			}
			add("constant", s.base)
		case decayAll, decayLine:
			// Their contributions are all known as a sum, and those in the ledger one by one.
			rest, size := plain, 0.0
			for _, c := range v.Ledger {
				if c.Score == s.name {
					rest -= c.Now
					size = max(size, math.Abs(c.Now))
				}
			}
			if math.Abs(rest) > 1e-12*size {
				add(olderLine, rest)
			}
		case decayNone, decayStepped:
			at = e.l.Scores[i].RemainderAt
			add(olderLine, s.remainder(&e.l.Scores[i], v.At))
		}
		if s.clamped() {
			add(limitLine, shown-plain)
		}
	}
}

func (e *Evaluator) namedTags() []NamedTag {
	if len(e.l.Rare().Tags) == 0 {
		return nil
	}
	at, h := e.at, e.set.tags.halfLife
	sorted := slices.Clone(e.l.Rare().Tags)
	slices.SortFunc(sorted, func(a, b lead.Tag) int { return compareTags(&a, &b, at, h) })
	list := make([]NamedTag, len(sorted))
	for i, t := range sorted {
		list[i] = NamedTag{t.Name, decayHalfLife(t.Weight, t.At, at, h)}
	}
	return list
}

// nextChange fires a copy's timers until one does something.
func (e *Evaluator) nextChange(l *lead.Lead) int64 {
	saved := e.counts
	e.counts = e.set.newCounts()
	defer func() { e.counts = saved }()
	c := l.Clone()
	e.begin(c, nil)
	at := l.Clock
	for range maxIdle {
		d, done := c.Due, e.counts.Timers
		if d == never {
			return never
		}
		at = max(at, d)
		e.fireAt(d, at)
		if e.counts.Timers > done {
			return at
		}
	}
	return c.Due
}
