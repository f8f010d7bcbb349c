package rules

import "fmt"

// Slots name what the slots of a lead's state stand for: its lists have numbers, which are places in these.
type Slots struct {
	Scores []string `json:"scores"`
	// Lines are the lines of scores, as score.line.
	Lines []string `json:"lines"`
	// Windows are what Signals of a lead's state are: of signals, of fields of them, of scores.
	Windows  []string `json:"windows"`
	Signals  []string `json:"signals"`
	Fields   []string `json:"fields"`
	Handoffs []string `json:"handoffs"`
	Stages   []string `json:"stages"`
	// Account names the keys of what the lead told its account (scores and signals) and of what that said to the lead: the
	// comparisons of the account's scores. A key that is not here is of rules of before.
	Account map[uint64]string `json:"account,omitempty"`
}

// Slots returns the names of the rule set's slots.
func (s *Set) Slots() *Slots {
	x := &Slots{}
	for i := range s.scores {
		x.Scores = append(x.Scores, s.scores[i].name)
	}
	for i := range s.lines {
		x.Lines = append(x.Lines, s.scores[s.lines[i].score].name+"."+s.lines[i].id)
	}
	for i := range s.keepers {
		x.Windows = append(x.Windows, s.keepers[i].name)
	}
	for i := range s.signals {
		x.Signals = append(x.Signals, s.signals[i].name)
	}
	for i := range s.fields {
		x.Fields = append(x.Fields, s.fields[i].name)
	}
	for i := range s.handoffs {
		x.Handoffs = append(x.Handoffs, s.handoffs[i].name)
	}
	for i := range s.stages {
		x.Stages = append(x.Stages, s.stages[i].name)
	}
	if s.accounts != nil {
		x.Account = s.accounts.set.keyNames()
	}
	return x
}

// keyNames are the names of the keys between leads and accounts, of the rule set of accounts.
func (s *Set) keyNames() map[uint64]string {
	names := map[uint64]string{}
	for i, key := range s.side.keys {
		names[key] = "score " + s.scores[i].name
	}
	for i, key := range s.side.people {
		names[key] = "signal " + s.side.names[i]
	}
	for i := s.side.normal; i < len(s.handoffs); i++ {
		h := &s.handoffs[i]
		if n, ok := h.when.node.(*scoreNode); ok {
			op := ">"
			if n.op == opGE {
				op = ">="
			}
			names[h.fact] = fmt.Sprintf("account.score.%s %s %v", s.scores[n.parts[0].score].name, op, n.c)
		}
	}
	return names
}
