package rules

import (
	"slices"

	"leadstream/state/lead"
)

// runTransitions fires what is possible and true, in file order, starting over from each new stage; each
// line at most once. It reports whether anything fired.
func (e *Evaluator) runTransitions(m mode) bool {
	clear(e.fired)
	moved := false
	for e.runStage(m, moved) {
		moved = true
	}
	return moved
}

// runStage fires the first line of the present stage that may fire, and reports whether there was one.
func (e *Evaluator) runStage(m mode, entered bool) bool {
	l := e.l
	// A line that was true before and has not fired, by a timer, may fire now, touched or not.
	all := entered || l.Ready || e.lookAtAll
	ready := false
	e.transitionsHold = never
	for _, i := range e.set.from[l.Stage] {
		tr := &e.set.transitions[i]
		if !all && e.marked[i] != e.stamp {
			e.skipped = true
			continue
		}
		ripe := tr.ripe(l)
		if e.at < ripe {
			e.transitionsHold = min(e.transitionsHold, ripe)
			continue // what its condition does before that changes nothing
		}
		on := e.look(tr.when, &e.transitionsHold)
		ready = ready || on && !tr.when.ofEvent()
		if !on || e.fired[i] {
			continue
		}
		if m == byTimer && !entered && !(tr.minStay > 0 && e.at == ripe) && e.wasTrue(i) {
			continue // it was true before this timer, so this timer is not its reason
		}
		e.fired[i] = true
		e.move(tr, m)
		return true
	}
	l.Ready = ready
	return false
}

// ripe is when a lead has been in its stage for as long as the line asks.
func (tr *transition) ripe(l *lead.Lead) int64 { return addSpan(l.StageSince, tr.minStay) }

// wasTrue says whether a transition's condition was true just before this timer.
func (e *Evaluator) wasTrue(i int) bool {
	if e.knowsBefore {
		return e.before[i] == triTrue
	}
	was := false
	e.scope.before(e.at-1, func() { was = e.holds(e.set.transitions[i].when) })
	return was
}

// move makes a transition.
func (e *Evaluator) move(tr *transition, m mode) {
	cause := e.cause()
	if m == byTimer && tr.minStay > 0 && tr.ripe(e.l) == e.at && cause == timerCrossing {
		cause = timerMinStay
	}
	e.changeStage(tr, cause)
}

// changeStage puts the lead into another stage and says so.
func (e *Evaluator) changeStage(tr *transition, cause string) {
	l := e.l
	o := e.output(lead.StageChanged)
	o.From, o.To, o.Reason = e.set.stages[l.Stage].name, e.set.stages[tr.to].name, tr.reason
	o.EnteredAt, o.InStage, o.Event = l.StageSince, e.at-l.StageSince, cause
	l.Stage, l.StageSince = uint16(tr.to), e.at
	e.touch(&e.set.readers.stage)
	e.changed()
	o.Top = e.top(maxTop)
	e.out = append(e.out, o)
	e.enterStage()
}

// enterStage runs the lines of the stage that was entered.
func (e *Evaluator) enterStage() {
	for _, slot := range e.set.entering[e.l.Stage] {
		ln := &e.set.lines[slot]
		w, _, ok := e.number(ln.add)
		if ln.set {
			w -= e.unclamped(ln.score)
		}
		if ok && w != 0 {
			e.contribute(slot, 0, w, e.at, 0)
		}
	}
}

// The kinds of timers, as outputs name them.
const (
	timerCrossing   = "timer:crossing"
	timerInactivity = "timer:inactivity"
	timerMinStay    = "timer:min_stay"
	timerHold       = "timer:hold"
	byRules         = "rules"
)

// output begins an output: what all of them say.
func (e *Evaluator) output(k lead.Kind) lead.Output {
	l := e.l
	o := lead.Output{
		Kind: k, ID: lead.OutputID(l.ID, l.Incarnation, l.Seq), Lead: l.ID, UserID: l.UserID, At: e.at,
		Event: e.cause(), RuleSet: e.set.version, Scores: e.namedScores(), Matrices: e.namedCells(),
	}
	l.Seq++
	if e.set.ofAccounts() {
		o.Lead, o.Account = "", AccountOf(l.ID)
		o.MemberCount, o.Members = int64(len(rows(l).Members))+rows(l).Others, e.topMembers(maxTop)
	}
	return o
}

func (e *Evaluator) namedScores() []lead.NamedScore {
	list := make([]lead.NamedScore, len(e.set.scores))
	for i := range e.set.scores {
		s := &e.set.scores[i]
		list[i] = lead.NamedScore{Name: s.name, Value: e.scoreAt(i)}
		if len(s.gradeNames) > 0 {
			g, _ := e.gradeAt(i)
			list[i].Grade = s.gradeNames[g]
		}
	}
	return list
}

func (e *Evaluator) namedCells() []lead.NamedCell {
	if len(e.set.matrices) == 0 {
		return nil
	}
	list := make([]lead.NamedCell, len(e.set.matrices))
	for i := range e.set.matrices {
		cell, _ := e.cellAt(i)
		list[i] = lead.NamedCell{Name: e.set.matrices[i].name, Cell: e.set.matrices[i].cells[cell]}
	}
	return list
}

// worth is what a contribution is worth now: that of the ledger's entry, or of a state line that holds.
type worth struct {
	now   float64
	time  int64
	entry int // its place in the ledger, -1 for a line
	line  int
}

// before says that a is listed before b: what is worth more, or the newer one.
func (a *worth) before(b *worth) bool { return a.now > b.now || a.now == b.now && a.time > b.time }

// top returns what the scores consist of: the ledger's contributions that still count and the state lines
// that hold, by present value, at most most of them.
func (e *Evaluator) top(most int) []lead.NamedContribution {
	all := e.worths()
	n := 0
	for _, w := range all { // the best so far are all[:n], in order
		switch {
		case n < most:
			n++
		case !w.before(&all[n-1]):
			continue
		}
		i := n - 1
		for ; i > 0 && w.before(&all[i-1]); i-- {
			all[i] = all[i-1]
		}
		all[i] = w
	}
	return e.named(all[:n])
}

// contributions lists them newest first, state lines before all, those worth nothing any more left out.
func (e *Evaluator) contributions() []lead.NamedContribution { return e.named(e.worths()) }

// worths lists what contributions returns. The list is good until the next call.
func (e *Evaluator) worths() []worth {
	l := e.l
	quiet := e.quiet
	e.quiet = true // the lines' errors were counted when they were evaluated
	defer func() { e.quiet = quiet }()
	list := e.worthList[:0]
	for i := range e.set.lines {
		ln := &e.set.lines[i]
		if ln.tiers == nil {
			continue
		}
		if v, _ := e.stateLine(ln); v != 0 {
			list = append(list, worth{now: v, time: e.at, entry: -1, line: i})
		}
	}
	lines := len(list)
	for place, c := range l.Ledger.All() {
		if now := e.set.scores[c.Score].left(&l.Scores[c.Score], &c, e.at); now != 0 {
			list = append(list, worth{now: now, time: c.Time, entry: place})
		}
	}
	slices.Reverse(list[lines:])
	e.worthList = list
	return list
}

// named says contributions in the rule set's words.
func (e *Evaluator) named(ws []worth) []lead.NamedContribution {
	list := make([]lead.NamedContribution, len(ws))
	for i, w := range ws {
		n := &list[i]
		n.Time, n.Now = w.time, w.now
		if w.entry < 0 {
			ln := &e.set.lines[w.line]
			n.Score, n.Line, n.Points = e.set.scores[ln.score].name, ln.id, w.now
			continue
		}
		c := e.l.Ledger.At(w.entry)
		n.Score, n.Line, n.Points = e.set.scores[c.Score].name, manualLine, c.Points
		if c.Line != lead.NoSlot {
			n.Line = e.set.lines[c.Line].id
		}
		if c.Signal != lead.NoSlot {
			n.Signal = e.set.signals[c.Signal].name
		}
	}
	return list
}
