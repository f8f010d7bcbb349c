package rules

import (
	"slices"
	"strings"
)

// maxComparisons bounds how many pairs of transitions are looked at: a rule set has a few hundred.
const maxComparisons = 20_000

// shadowed warns of transitions that can never be the one that fires: whenever they are true, a line that is tried
// before them is true as well.
func (l *linter) shadowed() {
	left := maxComparisons
	for j := range l.set.transitions {
		later := &l.set.transitions[j]
		if l.dead[j] {
			continue
		}
		by, stages := -1, 0
		for st, possible := range later.from {
			if !possible || l.set.stages[st].terminal {
				continue
			}
			stages++
			if by = l.shadowOf(j, st, &left); by < 0 {
				break
			}
		}
		if stages > 0 && by >= 0 {
			first := l.where(l.set.transitions[by].when)
			l.warnf(l.where(later.when), "transitions[%d] never fires: whenever it is true, transitions[%d] (%s:%d), which is tried first, is true as well",
				j, by, first.f.name, first.Line)
		}
	}
}

// shadowOf returns a transition that always fires instead of the j-th from a stage, -1 if there is none.
func (l *linter) shadowOf(j, st int, left *int) int {
	later := &l.set.transitions[j]
	for i := range j {
		first := &l.set.transitions[i]
		if !first.from[st] || l.dead[i] || first.minStay > later.minStay {
			continue
		}
		if *left--; *left < 0 {
			return -1
		}
		if l.hides(i, j, st) {
			return i
		}
	}
	return -1
}

// hides says that the i-th transition is true from a stage whenever the j-th is, and that it can then really fire.
func (l *linter) hides(i, j, st int) bool {
	first, later := &l.set.transitions[i], &l.set.transitions[j]
	a, b := l.inStage(i, st), l.inStage(j, st)
	if !b.implies(a) && !l.sameText(first.when, later.when) {
		return false
	}
	// A line that becomes true by an event's going away is not tried then, and a timer finds it true already: so it
	// does not fire, and the later one may.
	if (first.when.deps.event || first.when.deps.signalNow) && !truerByEvents(a) {
		return false
	}
	return !l.returns(first.to, st, b)
}

// sameText says that two conditions are written alike.
func (l *linter) sameText(a, b *cond) bool {
	return strings.TrimSpace(l.places[a].text.src) == strings.TrimSpace(l.places[b].text.src)
}

// truerByEvents says that a condition which is true without an event was true with one, too.
func truerByEvents(w ways) bool {
	return !w.unknown && !slices.ContainsFunc(w.list, func(f facts) bool {
		if there, ok := f[theEvent]; ok && slices.Contains(there.in, yes) {
			return false // it asks for an event
		}
		for k, x := range f {
			if strings.HasPrefix(k, "signal(") && slices.Contains(x.in, yes) {
				continue
			}
			for _, ofEvent := range []string{theEvent, "signal(", "event.", "has(event.", "condition "} {
				if strings.HasPrefix(k, ofEvent) {
					return true
				}
			}
		}
		return false
	})
}

// returns says that a lead that goes to a stage may come back within the same evaluation: then a line that has
// fired does not fire again, and later lines have their turn. w is what is true all the while.
func (l *linter) returns(from, back int, w ways) bool {
	held := ways{unknown: w.unknown}
	for _, f := range w.list {
		kept := make(facts, len(f))
		for k, x := range f {
			// Entering a stage may change scores.
			if k != theStage && k != "in_stage()" && !(x.isRange && l.hasStageLines()) {
				kept[k] = x
			}
		}
		held.list = append(held.list, kept)
	}
	now := one("in_stage()", between(0, 0))
	seen := make([]bool, len(l.set.stages))
	var visit func(st int) bool
	visit = func(st int) bool {
		if st == back {
			return true
		}
		if seen[st] {
			return false
		}
		seen[st] = true
		for _, k := range l.set.from[st] {
			tr := &l.set.transitions[k]
			if tr.minStay == 0 && !l.inStage(k, st).both(now).both(held).never() && visit(tr.to) {
				return true
			}
		}
		return false
	}
	return visit(from)
}

func (l *linter) hasStageLines() bool {
	return slices.ContainsFunc(l.set.lines, func(ln line) bool { return ln.enter >= 0 })
}
