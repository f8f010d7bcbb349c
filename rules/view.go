package rules

import "leadstream/state/lead"

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
	// NextChange is the first ms at which time alone changes something: points, a stage, a hand-off or a
	// hand-off's condition. Never if nothing does.
	NextChange int64
	// Ledger lists what the scores consist of, newest first: for each score its entries add up to its value.
	// State lines that hold come first. What contributions that are no longer known one by one still add is
	// one entry with the line "older", what min and max take away one with the line "limit".
	Ledger []lead.NamedContribution
}

// The lines of ledger entries that are no contributions.
const (
	olderLine = "older"
	limitLine = "limit"
)

// maxIdle bounds how many timers that change nothing are looked through for the next that does.
const maxIdle = 1000

// View shows a lead at an instant not before its clock. The lead is not changed.
func (e *Evaluator) View(l *lead.Lead, at int64) View {
	at = max(at, l.Clock)
	e.quiet = true
	e.enter(l, at, nil)
	v := View{
		At: at, UserID: l.UserID, FirstSeen: l.FirstSeen, LastSeen: l.LastSeen, Events: l.Events,
		Stage: e.set.stages[l.Stage].name, StageSince: l.StageSince,
		Scores: e.namedScores(), Ledger: e.contributions(),
	}
	for i := range e.set.scores {
		s := &e.set.scores[i]
		if s.state {
			v.Ledger = appendRest(v.Ledger, s.name, limitLine, v.Scores[i].Value-e.stateSum(i), at)
			continue
		}
		r := &l.Scores[i]
		v.Ledger = appendRest(v.Ledger, s.name, olderLine, decayHalfLife(r.Remainder, r.RemainderAt, at, s.halfLife), r.RemainderAt)
	}
	v.NextChange = e.nextChange(l)
	e.quiet = false
	return v
}

func appendRest(list []lead.NamedContribution, score, line string, now float64, t int64) []lead.NamedContribution {
	if now == 0 {
		return list
	}
	return append(list, lead.NamedContribution{Score: score, Line: line, Time: t, Points: now, Now: now})
}

// stateSum is a state score before it is clamped.
func (e *Evaluator) stateSum(slot int) float64 {
	sum := 0.0
	for _, i := range e.set.scores[slot].lines {
		if on, _ := e.test(e.set.lines[i].when); on {
			if v, ok := e.number(e.set.lines[i].add); ok {
				sum = finite(sum + v)
			}
		}
	}
	return sum
}

// nextChange fires a copy's timers until one does something.
func (e *Evaluator) nextChange(l *lead.Lead) int64 {
	saved := e.counts
	e.counts = e.set.newCounts()
	defer func() { e.counts = saved }()
	c := l.Clone()
	e.begin(c, nil)
	for range maxIdle {
		d, done := c.Due, e.counts.Timers
		if d == never {
			return never
		}
		e.fireAt(d)
		if e.counts.Timers > done {
			return max(d, l.Clock)
		}
	}
	return c.Due
}
