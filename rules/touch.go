package rules

// After an event only what it can have changed needs to be looked at again. A condition that reads nothing
// that the event touched is what it was: what time changes is found by timers, and those due by then have
// fired. So each thing that can change knows its readers, and a lead's timer may stay too early.

// readers lists who reads a thing: conditions (transitions, then hand-offs), and scores through their state
// lines or because they are derived.
type readers struct{ conds, scores []int }

// readerIndex has the readers of everything that conditions read.
type readerIndex struct {
	traits, keepers, fields, scores []readers
	tags, stage, consent            readers
	// always are those that look at the event, its signals, or the lead's counters.
	always readers
}

// finishReaders lists the readers of everything, when all is compiled.
func (s *Set) finishReaders() {
	r := &s.readers
	r.traits, r.keepers = make([]readers, len(s.traits)), make([]readers, len(s.keepers))
	r.fields, r.scores = make([]readers, len(s.fields)), make([]readers, len(s.scores))
	for id := range len(s.transitions) + len(s.handoffs) {
		s.enterReader(&s.conditionOf(id).deps, func(x *readers) { x.conds = append(x.conds, id) })
	}
	for slot := range s.scores {
		sc := &s.scores[slot]
		enter := func(x *readers) {
			if n := len(x.scores); n == 0 || x.scores[n-1] != slot {
				x.scores = append(x.scores, slot)
			}
		}
		for _, w := range sc.parts {
			enter(&r.scores[w.score])
		}
		for _, i := range sc.lines {
			for _, tier := range s.lines[i].tiers {
				s.enterReader(&tier.when.deps, enter)
				s.enterReader(&tier.add.deps, enter)
			}
		}
	}
	for slot := range s.scores {
		s.scores[slot].kept = s.scores[slot].decay == stateScore && !s.scores[slot].timed
	}
}

// enterReader calls enter for the readers of each thing that deps names.
func (s *Set) enterReader(d *deps, enter func(*readers)) {
	r := &s.readers
	for _, name := range d.traits {
		enter(&r.traits[s.traitSlot[name]])
	}
	for _, k := range d.windows {
		enter(&r.keepers[k])
	}
	for _, f := range d.fields {
		enter(&r.fields[f])
	}
	for _, slot := range d.scores {
		enter(&r.scores[slot])
	}
	if d.tags {
		enter(&r.tags)
	}
	if d.stage {
		enter(&r.stage)
	}
	if d.consent {
		enter(&r.consent)
	}
	if d.event || d.signalNow || d.lead {
		enter(&r.always)
	}
}

// conditionOf returns the condition of a transition or hand-off by its place in readers.
func (s *Set) conditionOf(id int) *cond {
	if id < len(s.transitions) {
		return s.transitions[id].when
	}
	return s.handoffs[id-len(s.transitions)].when
}

// touch says that what these read is another thing now.
func (e *Evaluator) touch(r *readers) {
	for _, id := range r.conds {
		e.marked[id] = e.stamp
	}
	for _, slot := range r.scores {
		if e.set.scores[slot].kept {
			e.l.Scores[slot].At = 0
		}
		if e.touched[slot] != e.stamp {
			e.touched[slot] = e.stamp
			e.touch(&e.set.readers.scores[slot])
		}
	}
}

// isMarked says whether a condition must be looked at.
func (e *Evaluator) isMarked(id int) bool { return e.lookAtAll || e.marked[id] == e.stamp }

// sumKnown is the At of a kept state score whose Value is its present sum.
const sumKnown = 1

// touchEverything is for changes whose readers nobody lists.
func (e *Evaluator) touchEverything() {
	e.lookAtAll = true
	for i := range e.set.scores {
		if e.set.scores[i].kept {
			e.l.Scores[i].At = 0
		}
	}
	e.changed()
}
