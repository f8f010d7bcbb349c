package rules

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

// This file warns of rules that are allowed and can't do what they seem to be for. Every warning is certain: where
// a mistake can't be told from an intention, nothing is said.

// placedCond is a compiled condition with its text.
type placedCond struct {
	cond *cond
	text text
}

// threshold is a comparison of scores with a constant, with its place.
type threshold struct {
	text  text
	at    common.Location
	parts []weight
	op    cmpOp
	c     float64
}

// noteCondition keeps a condition for lint.
func (ld *loader) noteCondition(c *cond, t text) *cond {
	if c != nil {
		ld.conds = append(ld.conds, placedCond{c, t})
	}
	return c
}

// noteGrades keeps the place of a score's grades for lint.
func (ld *loader) noteGrades(n ynode, slot int) {
	if ld.gradeNodes == nil {
		ld.gradeNodes = make(map[int]ynode)
	}
	ld.gradeNodes[slot] = n
}

// noteThreshold keeps a comparison for lint.
func (b *builder) noteThreshold(e ast.Expr, sum []weight, op cmpOp, c float64) {
	b.ld.thresholds = append(b.ld.thresholds, threshold{b.p.text, b.p.location(e), slices.Clone(sum), op, c})
}

// linter looks through a rule set that has no mistakes.
type linter struct {
	*loader
	fs     *formulas
	places map[*cond]*placedCond
	// when are the ways in which each transition is true, in any stage.
	when   []ways
	staged map[[2]int]ways // the same by stage, as far as it was asked for
	// dead are the transitions that never fire.
	dead []bool
}

// lint adds warnings.
func (ld *loader) lint() {
	l := &linter{
		loader: ld, fs: &formulas{set: ld.set, bounds: scoreBounds(ld.set), roles: ld.roles}, places: make(map[*cond]*placedCond),
		dead: make([]bool, len(ld.set.transitions)), staged: make(map[[2]int]ways),
	}
	for i := range ld.conds {
		l.places[ld.conds[i].cond] = &ld.conds[i]
	}
	for i := range ld.set.transitions {
		l.when = append(l.when, l.fs.ways(ld.set.transitions[i].when.node, true))
	}
	l.signals()
	l.thresholdsOutOfReach()
	l.gradesOutOfReach()
	l.conditions()
	l.stagesOutOfReach()
	l.shadowed()
	l.roles()
	for i := range ld.conds {
		l.absent(&ld.conds[i])
	}
}

// warnAt warns of a place in an expression.
func (l *linter) warnAt(t text, at common.Location, format string, args ...any) {
	l.problemAt(t, at, format, args...)
	last := len(l.errors) - 1
	l.warnings = append(l.warnings, l.errors[last])
	l.errors = l.errors[:last]
}

// signals warns of signals that no event can be.
func (l *linter) signals() {
	for i := range l.set.signals {
		s := &l.set.signals[i]
		if w := l.fs.match(&s.match); w.never() {
			l.warnf(l.signalNodes[i], "no event can be signal %q%s", s.name, because(w))
		}
		if s.match.rest != nil {
			l.absent(&placedCond{s.match.rest, text{n: l.signalNodes[i], what: "signals." + s.name}})
		}
	}
}

// because says why something is never true.
func because(w ways) string {
	switch {
	case w.conflict == "":
		return ""
	case strings.HasPrefix(w.conflict, "condition "), strings.HasPrefix(w.conflict, "without("), strings.HasPrefix(w.conflict, "then("):
		return ": its parts exclude each other"
	}
	return ": what it asks of " + w.conflict + " is impossible"
}

// thresholdsOutOfReach warns of comparisons with values that a score never passes.
func (l *linter) thresholdsOutOfReach() {
	for _, t := range l.thresholds {
		name, r := l.fs.sumName(t.parts), l.fs.sumBounds(t.parts, 0)
		verdict := ""
		switch f := compared(t.op, t.c); {
		case r.meet(f).empty():
			verdict = "never"
		case r.within(f):
			verdict = "always"
		default:
			continue
		}
		l.warnAt(t.text, t.at, "this is %s true: %s is %s", verdict, name, showRange(r))
	}
}

// showRange says what a score can be.
func showRange(r fact) string {
	lo, hi := strconv.FormatFloat(r.lo, 'g', 6, 64), strconv.FormatFloat(r.hi, 'g', 6, 64)
	switch {
	case r.lo == r.hi:
		return "always " + lo
	case math.IsInf(r.lo, -1):
		return "at most " + hi
	case math.IsInf(r.hi, 1):
		return "at least " + lo
	}
	return "from " + lo + " to " + hi
}

// gradesOutOfReach warns of grades that a score never has.
func (l *linter) gradesOutOfReach() {
	for i := range l.set.scores {
		s, r := &l.set.scores[i], l.fs.bounds[i]
		for g, name := range s.gradeNames {
			only := make([]bool, len(s.gradeNames))
			only[g] = true
			if l.fs.grades(i, only, true).never() {
				l.warnf(l.gradeNodes[i], "scores.%s.grades: no lead ever has grade %q: the score is %s", s.name, name, showRange(r))
			}
		}
	}
}

// where returns where a condition stands.
func (l *linter) where(c *cond) ynode { return l.places[c].text.n }

// conditions warns of conditions that are never true.
func (l *linter) conditions() {
	for i := range l.set.transitions {
		tr := &l.set.transitions[i]
		w := ways{}
		for st, possible := range tr.from {
			if possible {
				w = w.either(l.inStage(i, st))
			}
		}
		if w.never() {
			l.dead[i] = true
			l.warnf(l.where(tr.when), "transitions[%d] never fires%s", i, because(w))
		}
	}
	for i := range l.set.handoffs {
		h := &l.set.handoffs[i]
		if h.fact != 0 {
			continue // what leads' conditions ask for
		}
		if w := l.fs.ways(h.when.node, true); w.never() {
			l.warnf(l.where(h.when), "hand-off %q never fires%s", h.name, because(w))
		}
	}
	for i := range l.set.lines {
		for n, tier := range l.set.lines[i].tiers {
			w := l.fs.ways(tier.when.node, true)
			switch {
			case !w.never():
			case len(l.set.lines[i].tiers) == 1:
				l.warnf(l.where(tier.when), "score line %s never holds%s", l.lineName(i), because(w))
			default:
				l.warnf(l.where(tier.when), "score line %s: tiers[%d] never holds%s", l.lineName(i), n, because(w))
			}
		}
	}
}

// inStage returns the ways in which a transition is true of a lead in a stage.
func (l *linter) inStage(i, st int) ways {
	w, ok := l.staged[[2]int{i, st}]
	if !ok {
		w = one(theStage, oneOfThese(l.set.stages[st].name)).both(l.when[i])
		l.staged[[2]int{i, st}] = w
	}
	return w
}

// stagesOutOfReach warns of stages to which no way leads but over transitions that never fire.
func (l *linter) stagesOutOfReach() {
	all, alive := l.reached(func(int) bool { return true }), l.reached(func(i int) bool { return !l.dead[i] })
	for st := range l.set.stages {
		if all[st] && !alive[st] {
			l.warnf(l.stageNodes[st], "no %s comes to stage %q but by a command: transitions on the way to it never fire", l.who(), l.set.stages[st].name)
		}
	}
}

// reached returns the stages to which transitions lead from the first.
func (l *linter) reached(use func(i int) bool) []bool {
	reached := make([]bool, len(l.set.stages))
	reached[0] = true
	for changed := true; changed; {
		changed = false
		for i := range l.set.transitions {
			tr := &l.set.transitions[i]
			if reached[tr.to] || !use(i) {
				continue
			}
			for st, ok := range tr.from {
				if ok && reached[st] && !l.set.stages[st].terminal {
					reached[tr.to], changed = true, true
				}
			}
		}
	}
	return reached
}
