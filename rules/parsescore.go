package rules

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"
)

func (ld *loader) readScores(n ynode) {
	if n.Kind != yaml.MappingNode {
		ld.errorf(n, "scores must be a mapping from names to scores, found %s", n.kindName())
		return
	}
	ld.each(n, func(key, v ynode) {
		name := key.Value
		if !isIdentifier(name) {
			ld.errorf(key, "a score's name must be a word of letters, digits and _, so that expressions can say score.%s; found %q", "name", shorten(name))
			return
		}
		slot := len(ld.set.scores)
		if !ld.declare(key, "score", name, ld.scoreAt, slot, maxScores) {
			return
		}
		ld.set.scores = append(ld.set.scores, score{name: name, min: -math.MaxFloat64, max: math.MaxFloat64})
		ld.scoreNames = append(ld.scoreNames, name)
		ld.readScore(v, slot)
	})
}

func (ld *loader) readScore(n ynode, slot int) {
	s := &ld.set.scores[slot]
	what := "scores." + s.name
	var halfLife ynode
	ld.object(n, what,
		field{key: "half_life", read: func(v ynode) {
			halfLife = v
			ld.setDuration(v, what+".half_life", 1, &s.halfLife)
		}},
		field{key: "max", read: func(v ynode) {
			if f, ok := ld.number(v, what+".max"); ok && f < 0 {
				ld.errorf(v, "%s.max must be at least 0, where every score starts", what)
			} else if ok {
				s.max = f
			}
		}},
		field{key: "min", read: func(v ynode) {
			if f, ok := ld.number(v, what+".min"); ok && f > 0 {
				ld.errorf(v, "%s.min must be at most 0, where every score starts", what)
			} else if ok {
				s.min = f
			}
		}},
		field{key: "lines", read: func(v ynode) { ld.list(v, what+".lines", false, func(v ynode) { ld.readLine(v, slot) }) }},
		field{key: "grades", read: func(v ynode) { ld.readGrades(v, slot) }},
		ld.unsupported("expire_after", "expire_after"), ld.unsupported("linear_over", "linear_over"),
		ld.unsupported("step", "step"), ld.unsupported("derived", "derived"), ld.unsupported("account", "accounts"),
	)
	s = &ld.set.scores[slot]
	if n.Kind == yaml.MappingNode && len(s.lines) == 0 && len(ld.errors) == 0 {
		ld.warnf(n, "%s has no lines, so it is always 0", what)
	}
	if s.state && halfLife.Node != nil {
		ld.errorf(halfLife, "%s has state lines (when), which hold or do not hold; they do not decay", what)
	}
	ld.nameLines(slot)
}

// readGrades reads {A: 75, B: 50}; the order of the file does not matter.
func (ld *loader) readGrades(n ynode, slot int) {
	what := "scores." + ld.set.scores[slot].name + ".grades"
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		ld.errorf(n, "%s must be a mapping from grades to the scores they begin at, found %s", what, n.kindName())
		return
	}
	type grade struct {
		name  string
		floor float64
	}
	var list []grade
	ld.each(n, func(key, v ynode) {
		name, ok1 := ld.name(key, "a grade")
		floor, ok2 := ld.number(v, what+"."+key.Value)
		if ok1 && ok2 {
			if slices.ContainsFunc(list, func(g grade) bool { return g.floor == floor }) {
				ld.errorf(v, "%s: two grades begin at %v", what, floor)
			}
			list = append(list, grade{name, floor})
		}
	})
	if len(list) > maxGrades {
		ld.errorf(n, "%s: more than %d grades", what, maxGrades)
	}
	slices.SortFunc(list, func(a, b grade) int { return cmp.Compare(b.floor, a.floor) })
	s := &ld.set.scores[slot]
	s.gradeNames, s.gradeFloors = nil, nil
	for _, g := range list {
		s.gradeNames, s.gradeFloors = append(s.gradeNames, g.name), append(s.gradeFloors, g.floor)
	}
}

// rawLine is a line as the file has it.
type rawLine struct {
	n                       ynode
	add, when, inactive, of ynode
	signal, id              string
	signalNode              ynode
	limit, repeat           ynode
	once                    bool
}

// kind is the name of a line that has no id.
func (r *rawLine) kind() string {
	switch {
	case r.when.Node != nil:
		return "when"
	case r.inactive.Node != nil:
		return "inactive"
	}
	return r.signal
}

func (ld *loader) readLine(n ynode, score int) {
	what := "scores." + ld.set.scores[score].name + ".lines[" + strconv.Itoa(len(ld.set.scores[score].lines)) + "]"
	raw := rawLine{n: n}
	isObject := ld.object(n, what,
		field{key: "id", read: func(v ynode) { raw.id, _ = ld.name(v, what+".id") }},
		field{key: "signal", read: func(v ynode) { raw.signalNode = v; raw.signal, _ = ld.name(v, what+".signal") }},
		field{key: "add", read: func(v ynode) { raw.add = v }},
		field{key: "when", read: func(v ynode) { raw.when = v }},
		field{key: "inactive", read: func(v ynode) { raw.inactive = v }},
		field{key: "of", read: func(v ynode) { raw.of = v }},
		field{key: "repeat", read: func(v ynode) { raw.repeat = v }},
		field{key: "limit", read: func(v ynode) { raw.limit = v }},
		field{key: "once", read: func(v ynode) { raw.once, _ = ld.boolean(v, what+".once") }},
		ld.unsupported("hold", "hold"), ld.unsupported("tiers", "tiers"), ld.unsupported("enter", "stage lines (enter)"),
		ld.unsupported("set", "stage lines (set)"),
	)
	if !isObject {
		return
	}
	kinds := 0
	for _, k := range []ynode{raw.signalNode, raw.when, raw.inactive} {
		if k.Node != nil {
			kinds++
		}
	}
	if kinds != 1 {
		if len(ld.errors) == 0 || kinds > 1 {
			ld.errorf(n, "%s must have one of signal, when and inactive", what)
		}
		return
	}
	if len(ld.set.lines) >= maxLines {
		if len(ld.set.lines) == maxLines {
			ld.errorf(n, "more than %d lines", maxLines)
		}
		return
	}
	slot := len(ld.set.lines)
	ld.set.lines = append(ld.set.lines, line{id: raw.id, score: score, signal: -1})
	ld.set.scores[score].lines = append(ld.set.scores[score].lines, slot)
	ld.lineNodes = append(ld.lineNodes, n)
	ld.lineKinds = append(ld.lineKinds, raw.kind())
	ld.finishLine(slot, what, raw)
}

// finishLine reads what depends on the kind of line.
func (ld *loader) finishLine(slot int, what string, raw rawLine) {
	ln := &ld.set.lines[slot]
	s := &ld.set.scores[ln.score]
	p := inAdd
	switch {
	case raw.when.Node != nil:
		p = inTimerAdd
		if len(s.lines) > 1 && !s.state {
			ld.errorf(raw.when, "%s: a score has either state lines (when) or others, not both; make it two scores", what)
		}
		s.state = true
		if t, ok := ld.expression(raw.when, what+".when", inState); ok {
			ld.later = append(ld.later, func() { ld.set.lines[slot].when = ld.condition(t, ld.rule("line", ld.lineName(slot))) })
		}
		if raw.limit.Node != nil || raw.once {
			ld.errorf(raw.n, "%s: a state line holds or does not hold; it has no limit", what)
		}
	case s.state:
		ld.errorf(raw.n, "%s: a score has either state lines (when) or others, not both; make it two scores", what)
	case raw.inactive.Node != nil:
		p = inTimerAdd
		ld.readInactive(slot, what, raw)
	default:
		ld.later = append(ld.later, func() {
			i, ok := ld.signalAt[raw.signal]
			if !ok {
				ld.errorf(raw.signalNode, "%s: unknown signal %q%s", what, shorten(raw.signal), suggest(raw.signal, ld.signalNames))
				return
			}
			sig := &ld.set.signals[i]
			sig.used = true
			sig.lines = append(sig.lines, slot)
			ld.set.lines[slot].signal = i
		})
	}
	if raw.inactive.Node == nil && (raw.of.Node != nil || raw.repeat.Node != nil) {
		ld.errorf(raw.n, "%s: of and repeat belong to inactive", what)
	}
	ld.readLimit(slot, what, raw)
	if raw.add.Node == nil {
		ld.errorf(raw.n, "%s needs add, the points", what)
		return
	}
	if t, ok := ld.expression(raw.add, what+".add", p); ok {
		ld.later = append(ld.later, func() { ld.set.lines[slot].add = ld.points(t, ld.rule("line", ld.lineName(slot))) })
	}
}

// points compiles add: a number as YAML writes it, or an expression.
func (ld *loader) points(t text, rule int) *number {
	if v, err := strconv.ParseFloat(t.src, 64); err == nil && t.n.ShortTag() != "!!str" {
		if !isFinite(v) {
			ld.errorf(t.n, "%s must be a finite number", t.what)
		}
		return &number{isConst: true, value: v, rule: rule}
	}
	return ld.compileNumber(t, rule)
}

func (ld *loader) readInactive(slot int, what string, raw rawLine) {
	ln := &ld.set.lines[slot]
	if raw.repeat.Node != nil {
		ln.repeat, _ = ld.boolean(raw.repeat, what+".repeat")
	}
	least := int64(1)
	if ln.repeat {
		least = minRepeat
	}
	ln.inactive, _ = ld.duration(raw.inactive, what+".inactive", least)
	ld.set.inactive = append(ld.set.inactive, slot)
	if raw.of.Node == nil {
		return
	}
	ld.list(raw.of, what+".of", true, func(v ynode) {
		name, ok := ld.name(v, what+".of")
		if !ok {
			return
		}
		ld.later = append(ld.later, func() {
			i, known := ld.signalAt[name]
			if !known {
				ld.errorf(v, "%s.of: unknown signal %q%s", what, shorten(name), suggest(name, ld.signalNames))
				return
			}
			ld.set.signals[i].used = true
			ld.keepLast(i)
			ld.set.lines[slot].of = append(ld.set.lines[slot].of, i)
		})
	})
	if raw.of.Kind == yaml.SequenceNode && len(raw.of.Content) == 0 {
		ld.errorf(raw.of, "%s.of is empty; leave it out for track, page and screen events", what)
	}
}

func (ld *loader) readLimit(slot int, what string, raw rawLine) {
	if raw.limit.Node == nil {
		if raw.once {
			ld.set.lines[slot].limit = &limit{Once: true}
		}
		return
	}
	what += ".limit"
	lim := limit{Once: raw.once}
	ok := ld.object(raw.limit, what,
		field{key: "times", read: func(v ynode) { setInt(ld, v, what+".times", 1, maxTimes, &lim.Times) }},
		field{key: "points", read: func(v ynode) {
			if f, ok := ld.number(v, what+".points"); ok && f <= 0 {
				ld.errorf(v, "%s.points must be more than 0; it is counted without sign", what)
			} else if ok {
				lim.Points = f
			}
		}},
		field{key: "per", read: func(v ynode) { ld.setDuration(v, what+".per", 1, &lim.Per) }},
		field{key: "once", read: func(v ynode) { lim.Once, _ = ld.boolean(v, what+".once") }},
		field{key: "by", read: func(v ynode) {
			if raw.inactive.Node != nil {
				ld.errorf(v, "%s.by: there is no event when a timer fires", what)
			} else if t, ok := ld.expression(v, what+".by", inAdd); ok {
				ld.later = append(ld.later, func() { ld.set.lines[slot].by = ld.key(t) })
			}
		}},
	)
	if !ok {
		return
	}
	switch {
	case lim.Once && (lim.Times > 0 || lim.Points > 0):
		ld.errorf(raw.limit, "%s: once is for ever, so times and points add nothing to it", what)
	case !lim.Once && lim.Times == 0 && lim.Points == 0 && len(ld.errors) == 0:
		ld.errorf(raw.limit, "%s needs times, points or once", what)
	case !lim.Once && lim.Per == 0 && len(ld.errors) == 0:
		ld.errorf(raw.limit, "%s needs per, the span that it is about; or once: true for ever", what)
	}
	ld.set.lines[slot].limit = &lim
}

// nameLines gives lines without id the name of their signal or kind, where that is unique in the score.
func (ld *loader) nameLines(score int) {
	s := &ld.set.scores[score]
	ids := make(map[string]bool)
	for _, i := range s.lines {
		if id := ld.set.lines[i].id; id != "" {
			if ids[id] {
				ld.errorf(ld.lineNodes[i], "scores.%s: line id %q is there twice", s.name, id)
			}
			ids[id] = true
		}
	}
	for _, i := range s.lines {
		ln := &ld.set.lines[i]
		if ln.id != "" {
			continue
		}
		ln.id = ld.lineKinds[i]
		if ids[ln.id] {
			ld.errorf(ld.lineNodes[i], "scores.%s: another line is called %q too; give this one an id", s.name, ln.id)
		}
		ids[ln.id] = true
	}
}

func (ld *loader) lineName(slot int) string {
	ln := &ld.set.lines[slot]
	return ld.set.scores[ln.score].name + "." + ln.id
}
