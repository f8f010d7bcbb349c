package rules

import "leadstream/state/lead"

// NamedCondition is the condition of a transition or a hand-off, as it is at one instant.
type NamedCondition struct {
	// Kind is that of the output that comes of it; When is its text.
	Kind lead.Kind
	When string
	// To and Reason are a transition's, Name and Team a hand-off's.
	To, Reason, Name, Team string
	// Open says that the line starts at the present stage; a hand-off's always does. Holds says that the condition is true.
	Open, Holds bool
	// NotBefore is the ms before which an open line does not fire: the end of its min_stay, or of a hand-off's cooldown.
	// 0 says that nothing holds it back any more.
	NotBefore int64
}

// namedConditions evaluates the conditions of transitions and hand-offs.
func (e *Evaluator) namedConditions(l *lead.Lead, at int64) []NamedCondition {
	e.quiet = true
	defer func() { e.quiet = false }()
	e.enter(l, at, nil)
	var list []NamedCondition
	for i := range e.set.transitions {
		tr := &e.set.transitions[i]
		c := NamedCondition{Kind: lead.StageChanged, When: tr.when.src, To: e.set.stages[tr.to].name, Reason: tr.reason, Open: tr.from[l.Stage], Holds: e.holds(tr.when)}
		if ripe := tr.ripe(l); c.Open && ripe > at {
			c.NotBefore = ripe
		}
		list = append(list, c)
	}
	for i := range e.set.handoffs {
		h := &e.set.handoffs[i]
		if h.fact != 0 {
			break // what leads' conditions ask for
		}
		c := NamedCondition{Kind: lead.HandOff, When: h.when.src, Name: h.name, Team: h.team, Open: true, Holds: e.holds(h.when)}
		if until := l.Edges[i].Until; until > at {
			c.NotBefore = until
		}
		list = append(list, c)
	}
	return list
}

// weightOf is the weight of a role.
func (s *Set) weightOf(name string) float64 {
	for i := range s.accounts.roles {
		if s.accounts.roles[i].name == name {
			return s.accounts.roles[i].weight
		}
	}
	return 1
}
