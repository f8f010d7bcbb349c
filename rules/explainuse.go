package rules

import (
	"slices"
	"strconv"
	"strings"
)

// eventUses puts together the signals that ask for the same events.
func (s *Set) eventUses() []EventUse {
	var uses []EventUse
	asked := s.askedSignals()
	for slot := range s.signals {
		m := &s.signals[slot].match
		var types []string
		for _, t := range m.types {
			types = append(types, t.String())
		}
		slices.Sort(types)
		names := m.names
		if names == nil {
			names = []string{""}
		}
		for _, name := range names {
			i := slices.IndexFunc(uses, func(u EventUse) bool { return u.Name == name && slices.Equal(u.Types, types) })
			if i < 0 {
				i = len(uses)
				uses = append(uses, EventUse{Types: types, Name: name})
			}
			uses[i].Signals = append(uses[i].Signals, s.signalUse(slot, asked[slot]))
		}
	}
	return uses
}

func (s *Set) signalUse(slot int, asked []string) SignalUse {
	g := &s.signals[slot]
	u := SignalUse{Signal: g.name, Certain: g.match.rest == nil, Rules: asked}
	for _, i := range g.lines {
		u.Lines = append(u.Lines, s.lineName(i))
	}
	for _, i := range g.tags {
		u.Lines = append(u.Lines, "tags["+strconv.Itoa(i)+"]")
	}
	for _, i := range g.keepers {
		u.Kept = append(u.Kept, s.keepers[i].name)
	}
	for _, i := range g.fields {
		u.Kept = append(u.Kept, s.fields[i].name)
	}
	return u
}

func (s *Set) lineName(slot int) string {
	ln := &s.lines[slot]
	return s.scores[ln.score].name + "." + ln.id
}

// askedSignals returns, by signal, the rules that ask for it by signal().
func (s *Set) askedSignals() [][]string {
	asked := make([][]string, len(s.signals))
	note := func(rule string, n node) {
		eachNode(n, func(n node) {
			if x, ok := n.(*signalNode); ok && !slices.Contains(asked[x.slot], rule) {
				asked[x.slot] = append(asked[x.slot], rule)
			}
		})
	}
	for i := range s.transitions {
		note(s.transitionName(i), s.transitions[i].when.node)
	}
	for i := range s.handoffs {
		note("hand-off "+s.handoffs[i].name, s.handoffs[i].when.node)
	}
	for i := range s.retracts {
		asked[s.retracts[i].signal] = append(asked[s.retracts[i].signal], "retract["+strconv.Itoa(i)+"]")
	}
	if d := s.machines.delivered; d >= 0 && s.holds && d < len(asked) {
		asked[d] = append(asked[d], "machines.delivered")
	}
	return asked
}

// transitionName tells a transition by its place, target and reason.
func (s *Set) transitionName(i int) string {
	tr := &s.transitions[i]
	name := "transitions[" + strconv.Itoa(i) + "] to " + s.stages[tr.to].name
	if tr.reason != "" {
		name += " (" + tr.reason + ")"
	}
	return name
}

// eachNode calls fn for a condition and all conditions in it.
func eachNode(n node, fn func(n node)) {
	fn(n)
	switch n := n.(type) {
	case *notNode:
		eachNode(n.a, fn)
	case *andNode:
		for _, p := range n.parts {
			eachNode(p, fn)
		}
	case *orNode:
		for _, p := range n.parts {
			eachNode(p, fn)
		}
	case *choiceNode:
		eachNode(n.test, fn)
		eachNode(n.yes, fn)
		eachNode(n.no, fn)
	case *eventOnly:
		eachNode(n.a, fn)
	case *celNode:
		for i := range n.terms {
			if n.terms[i].cond != nil {
				eachNode(n.terms[i].cond, fn)
			}
		}
	}
}

// timedRules returns what time alone can change, and how many conditions it can't.
func (s *Set) timedRules() (list []TimedRule, untimed int) {
	fs := &formulas{set: s}
	add := func(rule string, c *cond, more ...string) {
		on := more
		eachNode(c.node, func(n node) {
			for _, q := range fs.timedIn(n) {
				if !slices.Contains(on, q) {
					on = append(on, q)
				}
			}
		})
		if len(on) == 0 {
			untimed++
			return
		}
		list = append(list, TimedRule{rule, on})
	}
	for i := range s.lines {
		ln := &s.lines[i]
		for j := range ln.tiers {
			name := "line " + s.lineName(i)
			if len(ln.tiers) > 1 {
				name += " tiers[" + strconv.Itoa(j) + "]"
			}
			add(name, ln.tiers[j].when)
		}
		if ln.inactive > 0 {
			list = append(list, TimedRule{"line " + s.lineName(i), []string{"inactive for " + formatDuration(ln.inactive)}})
		}
		if ln.hold > 0 {
			list = append(list, TimedRule{"line " + s.lineName(i), []string{"held for " + formatDuration(ln.hold)}})
		}
	}
	for i := range s.signals {
		if h := s.signals[i].hold; h > 0 {
			list = append(list, TimedRule{"signal " + s.signals[i].name, []string{"held for " + formatDuration(h)}})
		}
	}
	for i := range s.transitions {
		tr := &s.transitions[i]
		var more []string
		if tr.minStay > 0 {
			more = []string{"min_stay " + formatDuration(tr.minStay)}
		}
		add(s.transitionName(i), tr.when, more...)
	}
	for i := range s.handoffs {
		add("hand-off "+s.handoffs[i].name, s.handoffs[i].when)
	}
	return list, untimed
}

// timedIn names what one condition, without those in it, asks of time.
func (fs *formulas) timedIn(n node) []string {
	set := fs.set
	score := func(slot int) []string {
		if !set.scores[slot].timed && set.scores[slot].decay != decayStepped {
			return nil
		}
		return []string{"score." + set.scores[slot].name}
	}
	switch n := n.(type) {
	case *scoreNode:
		var on []string
		for _, p := range n.parts {
			if p.score >= 0 {
				on = append(on, score(p.score)...)
			} else {
				on = append(on, "tags["+strconv.Quote(p.tag)+"]")
			}
		}
		return on
	case *gradeNode:
		return score(n.score)
	case *matrixNode:
		return append(score(set.matrices[n.matrix].rows), score(set.matrices[n.matrix].cols)...)
	case *clockNode:
		return []string{fs.clockName(n) + ", " + formatDuration(n.ms)}
	case *dateNode:
		return []string{"until(" + strconv.Quote(n.trait) + "), " + formatDuration(max(n.ms, 0))}
	case *withoutNode:
		return []string{"without(" + fs.windowName(n.y) + ", " + fs.windowName(n.x) + "), " + formatDuration(n.span)}
	case *thenNode:
		return []string{"then(" + fs.windowName(n.a) + ", " + fs.windowName(n.b) + "), " + formatDuration(n.span)}
	case *numCompare:
		return fs.timedNumber(n.term)
	case *celNode:
		var on []string
		for i := range n.terms {
			t := &n.terms[i]
			switch {
			case t.cond != nil || t.field != nil:
			case t.num != nil:
				on = append(on, fs.timedNumber(t.num)...)
			case t.matrix >= 0:
				on = append(append(on, score(set.matrices[t.matrix].rows)...), score(set.matrices[t.matrix].cols)...)
			default:
				on = append(on, score(t.grade)...)
			}
		}
		return on
	}
	return nil
}

// timedNumber names a number that time changes.
func (fs *formulas) timedNumber(t numTerm) []string {
	switch t := t.(type) {
	case *windowTerm:
		name := fs.windowName(t.keeper)
		if t.kind == windowOfCount {
			name = "count(" + name + ")"
		}
		return []string{name + ", " + formatDuration(t.span)}
	case localTerm:
		if t.weekday {
			return []string{"local.weekday"}
		}
		return []string{"local.hour"}
	case tagTerm:
		return []string{"tags[" + strconv.Quote(t.name) + "]"}
	}
	return nil
}

// windowName is a window's name; that of a signal's own window is the signal's.
func (fs *formulas) windowName(keeper int) string {
	return strings.TrimPrefix(fs.set.keepers[keeper].name, "signal ")
}
