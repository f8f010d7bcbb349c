package rules

// After an event only what it can have changed needs to be looked at again. A condition that reads nothing
// that the event touched is what it was: what time changes is found by timers, and those due by then have
// fired. So each thing that can change knows its readers, and a lead's timer may stay too early.

// readers lists, for everything that conditions read, those who read it: transitions, then hand-offs.
type readers struct {
	traits, keepers, fields, scores [][]int
	// always are those that look at the event, its signals, or the lead's counters.
	tags, stage, always []int
	// Sums are state scores that time does not change: they are kept until something they read changes.
	traitSums, fieldSums, scoreSums [][]int
	stageSums, leadSums             []int
}

// reach is all that a condition reads, through scores too.
type reach struct {
	traits, keepers, fields, scores map[int]bool
	tags, stage, lead, event        bool
}

// follow adds what deps names, and what the scores among it depend on.
func (s *Set) follow(r *reach, d *deps) {
	for _, name := range d.traits {
		r.traits[s.traitSlot[name]] = true
	}
	for _, k := range d.windows {
		r.keepers[k] = true
	}
	for _, f := range d.fields {
		r.fields[f] = true
	}
	r.tags, r.stage, r.lead = r.tags || d.tags, r.stage || d.stage, r.lead || d.lead
	r.event = r.event || d.event || d.signalNow
	for _, slot := range d.scores {
		if r.scores[slot] {
			continue
		}
		r.scores[slot] = true
		sc := &s.scores[slot]
		for _, w := range sc.parts {
			s.follow(r, &deps{scores: []int{w.score}})
		}
		for _, i := range sc.lines {
			for _, tier := range s.lines[i].tiers {
				s.follow(r, &tier.when.deps)
				s.follow(r, &tier.add.deps)
			}
		}
	}
}

func newReach() *reach {
	return &reach{traits: make(map[int]bool), keepers: make(map[int]bool), fields: make(map[int]bool), scores: make(map[int]bool)}
}

// finishReaders lists the readers of everything, when all is compiled.
func (s *Set) finishReaders() {
	r := &s.readers
	r.traits, r.traitSums = make([][]int, len(s.traits)), make([][]int, len(s.traits))
	r.keepers = make([][]int, len(s.keepers))
	r.fields, r.fieldSums = make([][]int, len(s.fields)), make([][]int, len(s.fields))
	r.scores, r.scoreSums = make([][]int, len(s.scores)), make([][]int, len(s.scores))
	enter := func(to [][]int, of map[int]bool, id int) {
		for i := range of { // each list gets the id once, whatever the order
			to[i] = append(to[i], id)
		}
	}
	for id := range len(s.transitions) + len(s.handoffs) {
		x := newReach()
		s.follow(x, &s.conditionOf(id).deps)
		enter(r.traits, x.traits, id)
		enter(r.keepers, x.keepers, id)
		enter(r.fields, x.fields, id)
		enter(r.scores, x.scores, id)
		if x.tags {
			r.tags = append(r.tags, id)
		}
		if x.stage {
			r.stage = append(r.stage, id)
		}
		if x.event || x.lead {
			r.always = append(r.always, id)
		}
	}
	for slot := range s.scores {
		if s.scores[slot].decay != stateScore || s.scores[slot].timed {
			continue
		}
		x := newReach()
		s.follow(x, &deps{scores: []int{slot}})
		s.scores[slot].kept = len(x.keepers) == 0 && !x.tags && !x.event
		if !s.scores[slot].kept {
			continue
		}
		enter(r.traitSums, x.traits, slot)
		enter(r.fieldSums, x.fields, slot)
		enter(r.scoreSums, x.scores, slot)
		if x.stage {
			r.stageSums = append(r.stageSums, slot)
		}
		if x.lead {
			r.leadSums = append(r.leadSums, slot)
		}
	}
}

// conditionOf returns the condition of a transition or hand-off by its place in readers.
func (s *Set) conditionOf(id int) *cond {
	if id < len(s.transitions) {
		return s.transitions[id].when
	}
	return s.handoffs[id-len(s.transitions)].when
}

// mark says that conditions may have changed.
func (e *Evaluator) mark(ids []int) {
	for _, id := range ids {
		e.marked[id] = e.stamp
	}
}

// isMarked says whether a condition must be looked at.
func (e *Evaluator) isMarked(id int) bool { return e.lookAtAll || e.marked[id] == e.stamp }

// forgetSums says that state scores must be added up again.
func (e *Evaluator) forgetSums(slots []int) {
	for _, slot := range slots {
		e.l.Scores[slot].At = 0
	}
}

// sumKnown is the At of a kept state score whose Value is its present sum.
const sumKnown = 1

func (e *Evaluator) touchTrait(slot int) {
	e.mark(e.set.readers.traits[slot])
	e.forgetSums(e.set.readers.traitSums[slot])
}

func (e *Evaluator) touchField(slot int) {
	e.mark(e.set.readers.fields[slot])
	e.forgetSums(e.set.readers.fieldSums[slot])
}

func (e *Evaluator) touchScore(slot int) {
	e.mark(e.set.readers.scores[slot])
	e.forgetSums(e.set.readers.scoreSums[slot])
}

func (e *Evaluator) touchStage() {
	e.mark(e.set.readers.stage)
	e.forgetSums(e.set.readers.stageSums)
}

// touchLead is for what every event changes.
func (e *Evaluator) touchLead() {
	e.mark(e.set.readers.always)
	e.forgetSums(e.set.readers.leadSums)
}

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
