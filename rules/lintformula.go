package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"leadstream/state/lead"
)

// formulas reads compiled conditions as facts. What it does not know is a quantity of its own that is yes or no, so
// everything it says is true of any lead.
type formulas struct {
	set    *Set
	bounds []fact // by score
	cel    map[node]string
	roles  []string // that members of an account can have
}

// Names of quantities that are no number.
const (
	theStage = "the stage"
	theEvent = "whether there is an event"
	yes, no  = "yes", "no"
)

func answer(b bool) fact {
	if b {
		return oneOfThese(yes)
	}
	return oneOfThese(no)
}

// ways returns the ways in which a condition is true (want) or false, errors being neither.
func (fs *formulas) ways(n node, want bool) ways {
	switch n := n.(type) {
	case constNode:
		if n.v == truth(want) {
			return always
		}
		return ways{}
	case *notNode:
		return fs.ways(n.a, !want)
	case *andNode:
		return fs.joined(n.parts, want, want)
	case *orNode:
		return fs.joined(n.parts, want, !want)
	case *choiceNode:
		yes := fs.ways(n.test, true).both(fs.ways(n.yes, want))
		return yes.either(fs.ways(n.test, false).both(fs.ways(n.no, want)))
	case *eventOnly:
		if want {
			return one(theEvent, answer(true)).both(fs.ways(n.a, true))
		}
		return one(theEvent, answer(false)).either(fs.ways(n.a, false))
	case *signalNode:
		return fs.signal(n.slot, want)
	case *consentNode:
		return one("consent["+strconv.Quote(fs.set.consent.purposes[n.slot].name)+"]", answer(want))
	case *stageNode:
		return one(theStage, fs.oneOf(n.in, fs.set.Stages(), want))
	case *celNode:
		w := one(fs.identity(n), answer(want))
		if n.event && want {
			w = w.both(one(theEvent, answer(true)))
		} else if n.event {
			w = w.either(one(theEvent, answer(false)))
		}
		return w
	}
	if w, ok := fs.scores(n, want); ok {
		return w
	}
	if w, ok := fs.history(n, want); ok {
		return w
	}
	if w, ok := fs.fields(n, want); ok {
		return w
	}
	return one(fs.identity(n), answer(want))
}

// joined are the ways for parts of which all must be as wanted, or one.
func (fs *formulas) joined(parts []node, want, all bool) ways {
	w := ways{}
	if all {
		w = always
	}
	for _, p := range parts {
		if all {
			w = w.both(fs.ways(p, want))
		} else {
			w = w.either(fs.ways(p, want))
		}
	}
	return w
}

// identity names a condition that nothing is known of. Two conditions never share it.
func (fs *formulas) identity(n node) string {
	if fs.cel == nil {
		fs.cel = make(map[node]string)
	}
	name, ok := fs.cel[n]
	if !ok {
		name = "condition " + strconv.Itoa(len(fs.cel))
		fs.cel[n] = name
	}
	return name
}

// oneOf is the fact that something is one of the names that are marked, or of the others.
func (fs *formulas) oneOf(in []bool, names []string, want bool) fact {
	f := fact{in: []string{}}
	for i, name := range names {
		if in[i] == want {
			f.in = append(f.in, name)
		}
	}
	return f
}

// signal says what an event is that is a signal: at least what the signal's match asks of it.
func (fs *formulas) signal(slot int, want bool) ways {
	s := &fs.set.signals[slot]
	w := one("signal("+strconv.Quote(s.name)+")", answer(want))
	if !want || s.hold > 0 { // a signal that is held back comes without its event
		return w
	}
	return w.both(fs.match(&s.match))
}

// match returns the ways in which an event is a signal.
func (fs *formulas) match(m *match) ways {
	w := one(theEvent, answer(true))
	if m.types != nil {
		f := fact{in: []string{}}
		for _, t := range m.types {
			f.in = append(f.in, t.String())
		}
		w = w.both(one("event.type", f))
	}
	if m.names != nil {
		w = w.both(one("event.name", oneOfThese(m.names...)))
	}
	if m.rest == nil {
		return w
	}
	if rest := fs.ways(m.rest.node, true); !rest.unknown {
		w = w.both(rest)
	}
	return w
}

// scores reads comparisons of scores, grades and matrices.
func (fs *formulas) scores(n node, want bool) (ways, bool) {
	switch n := n.(type) {
	case *scoreNode:
		return one(fs.sumName(n.parts), fs.sumBounds(n.parts, 0).meet(compared(asWanted(n.op, want), n.c))), true
	case *factNode:
		return one(accountScorePrefix+n.score, compared(asWanted(n.op, want), n.c)), true
	case *gradeNode:
		return fs.grades(n.score, n.in, want), true
	case *matrixNode:
		m := &fs.set.matrices[n.matrix]
		cols := len(fs.set.scores[m.cols].gradeNames)
		w := ways{}
		for row := range len(fs.set.scores[m.rows].gradeNames) {
			only := make([]bool, len(fs.set.scores[m.rows].gradeNames))
			only[row] = true
			w = w.either(fs.grades(m.rows, only, true).both(fs.grades(m.cols, n.in[row*cols:(row+1)*cols], want)))
		}
		return w, true
	}
	return ways{}, false
}

// grades returns the ranges of a score in which its grade is one of those that are marked, or of the others.
func (fs *formulas) grades(slot int, in []bool, want bool) ways {
	s := &fs.set.scores[slot]
	name := fs.sumName([]weight{{score: slot, by: 1}})
	w := ways{}
	for i := 0; i < len(in); i++ {
		if in[i] != want {
			continue
		}
		f := fs.bounds[slot]
		if i > 0 {
			f = f.meet(compared(opLT, s.gradeFloors[i-1]))
		}
		for i+1 < len(in) && in[i+1] == want {
			i++
		}
		if i+1 < len(in) {
			f = f.meet(compared(opGE, s.gradeFloors[i]))
		}
		w = w.either(one(name, f))
	}
	return w
}

// sumName names a weighted sum of scores and tags.
func (fs *formulas) sumName(parts []weight) string {
	var names []string
	for _, p := range parts {
		name := "tags[" + strconv.Quote(p.tag) + "]"
		if p.score >= 0 {
			name = "score." + fs.set.scores[p.score].name
		}
		if p.by != 1 {
			name = strconv.FormatFloat(p.by, 'g', -1, 64) + " * " + name
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " + ")
}

// history reads what is asked of the past and of the time.
func (fs *formulas) history(n node, want bool) (ways, bool) {
	switch n := n.(type) {
	case *clockNode:
		return one(fs.clockName(n), compared(asWanted(n.op, want), float64(n.ms)).meet(compared(opGE, 0))), true
	case *dateNode:
		return one("until("+strconv.Quote(n.trait)+")", compared(asWanted(n.op, want), float64(n.ms))), true
	case *withoutNode:
		w := one(fmt.Sprintf("without(%d, %d, %d)", n.y, n.x, n.span), answer(want))
		if want {
			w = w.both(one("since("+fs.windowName(n.y)+")", compared(opGE, float64(n.span))))
		}
		return w, true
	case *thenNode:
		return one(fmt.Sprintf("then(%d, %d, %d)", n.a, n.b, n.span), answer(want)), true
	case *numCompare:
		return fs.numberTerm(n, want)
	}
	return ways{}, false
}

// clockName names the time that a condition asks for.
func (fs *formulas) clockName(n *clockNode) string {
	if n.signal < 0 {
		return "in_stage()"
	}
	return "since(" + fs.windowName(n.signal) + ")"
}

// asWanted returns the comparison, or the one that holds where it does not.
func asWanted(op cmpOp, want bool) cmpOp {
	if want {
		return op
	}
	return op.negated()
}

// numberTerm reads comparisons of windows and of the local time.
func (fs *formulas) numberTerm(n *numCompare, want bool) (ways, bool) {
	f := compared(asWanted(n.op, want), n.c)
	switch t := n.term.(type) {
	case *windowTerm:
		name := fs.set.keepers[t.keeper].name + " within " + formatDuration(t.span)
		switch t.kind {
		case windowOfCount:
			return one("count of "+name, f.meet(compared(opGE, 0)).whole()), true
		case windowOfDistinct:
			return one(name, f.meet(between(0, maxEntries)).whole()), true
		}
		return one(name, f), true
	case memberTerm:
		return fs.members(t, f), true
	case localTerm:
		if t.weekday {
			return one("local.weekday", f.meet(between(1, 7)).whole()), true
		}
		return one("local.hour", f.meet(between(0, 23)).whole()), true
	}
	return ways{}, false
}

// fields reads comparisons of the event's fields and of traits.
func (fs *formulas) fields(n node, want bool) (ways, bool) {
	switch n := n.(type) {
	case *fieldNode:
		name := textName(n.source)
		if n.test.op != textIn || name == "" {
			return one(name+" "+testName(&n.test), answer(want)), name != ""
		}
		var values []string
		for _, w := range n.test.want {
			values = append(values, string(w))
		}
		possible := fs.possibleText(name)
		if want {
			return one(name, possible.meet(oneOfThese(values...))), true
		}
		return one(name, possible.meet(noneOfThese(values...))), true
	case *memberIn:
		var values []string
		for i := range n.want {
			values = append(values, n.want[i].name())
		}
		if want != n.not {
			return fs.member(&n.p, "", oneOfThese(values...)), true
		}
		return fs.member(&n.p, "", noneOfThese(values...)), true
	case *memberOrder:
		if n.c.kind == lead.Number {
			return fs.member(&n.p, " as a number", compared(asWanted(n.op, want), n.c.num)), true
		}
		return fs.member(&n.p, fmt.Sprintf(" %d %s", n.op, n.c.name()), answer(want)), true
	case *memberText:
		return fs.member(&n.p, " "+testName(&n.test), answer(want)), true
	case *flagNode:
		return fs.member(&n.p, "", oneOfThese(fmt.Sprint("bool ", want))), true
	case *hasNode:
		return one("has("+n.p.name()+")", answer(want)), true
	}
	return ways{}, false
}

// member is a fact about a member that must be there.
func (fs *formulas) member(p *path, of string, f fact) ways {
	return one(p.name()+of, f).both(one("has("+p.name()+")", answer(true)))
}

// textName names a declared text field, "" for one that it does not know.
func textName(src textSource) string {
	switch src := src.(type) {
	case eventText:
		return "event." + eventStrings[src.field]
	case accountText:
		return string(src)
	case leadText:
		if src.user {
			return "lead.user_id"
		}
		return "lead.id"
	}
	return ""
}

func testName(t *textTest) string {
	var b strings.Builder
	for name, op := range textFunctions {
		if op == t.op {
			b.WriteString(name)
		}
	}
	for _, w := range t.want {
		b.WriteString(strconv.Quote(string(w)))
	}
	return b.String()
}

// name writes a path as expressions do.
func (p *path) name() string {
	root := "traits"
	for name, r := range pathRoots {
		if r == p.root {
			root = name
		}
	}
	return root + "." + strings.Join(p.keys, ".")
}

// name tells literals apart.
func (c *literal) name() string {
	switch c.kind {
	case lead.Number:
		return "number " + strconv.FormatFloat(c.num, 'g', -1, 64)
	case lead.String:
		return "text " + string(c.str)
	case lead.Bool:
		return fmt.Sprint("bool ", c.flag)
	}
	return "null"
}
