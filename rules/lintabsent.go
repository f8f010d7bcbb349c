package rules

import "slices"

// absent warns of negations over fields that may be absent: an absent field is an error, which makes the whole
// condition false, so that !(event.properties.x == "y") is false for an event without x.
func (l *linter) absent(c *placedCond) {
	l.absentIn(c, c.cond.node, false, nil)
}

// absentIn looks at a part of a condition. guarded are the fields that are known to be there when it counts.
func (l *linter) absentIn(c *placedCond, n node, negated bool, guarded []string) {
	switch n := n.(type) {
	case *notNode:
		l.absentIn(c, n.a, true, guarded)
	case *andNode:
		l.absentInParts(c, n.parts, negated, guarded, true)
	case *orNode:
		l.absentInParts(c, n.parts, negated, guarded, false)
	case *choiceNode:
		l.absentIn(c, n.test, negated, guarded)
		l.absentIn(c, n.yes, negated, asked(n.test, true, guarded))
		l.absentIn(c, n.no, negated, asked(n.test, false, guarded))
	case *eventOnly:
		l.absentIn(c, n.a, negated, guarded)
	case *memberIn:
		l.warnAbsent(c, &n.p, negated || n.not, guarded)
	case *memberOrder:
		l.warnAbsent(c, &n.p, negated, guarded)
	case *memberText:
		l.warnAbsent(c, &n.p, negated, guarded)
	case *flagNode:
		l.warnAbsent(c, &n.p, negated, guarded)
	}
}

// absentInParts looks at the parts of && or ||. Each part counts only where the others do not decide.
func (l *linter) absentInParts(c *placedCond, parts []node, negated bool, guarded []string, all bool) {
	for _, p := range parts {
		guarded = asked(p, all, guarded)
	}
	for _, p := range parts {
		l.absentIn(c, p, negated, guarded)
	}
}

// asked adds the field that a part asks for: has(x) where it is true, or !has(x) where it is false.
func asked(n node, want bool, guarded []string) []string {
	switch n := n.(type) {
	case *hasNode:
		if want {
			return append(slices.Clip(guarded), n.p.name())
		}
	case *notNode:
		return asked(n.a, !want, guarded)
	case *eventOnly:
		return asked(n.a, want, guarded)
	case *andNode:
		if want {
			for _, p := range n.parts {
				guarded = asked(p, true, guarded)
			}
		}
	}
	return guarded
}

func (l *linter) warnAbsent(c *placedCond, p *path, negated bool, guarded []string) {
	if !negated || slices.Contains(guarded, p.name()) {
		return
	}
	l.warnf(c.text.n, "%s: where %s is absent, what is negated here is an error and counts as false, not as true; say !has(%[2]s) || ... if it should be true then, has(%[2]s) && ... if not",
		c.text.what, p.name())
}
