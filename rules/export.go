package rules

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
	return x
}
