package rules

import (
	"strconv"

	"go.yaml.in/yaml/v4"
)

// rawLine is a line as the file has it.
type rawLine struct {
	n                               ynode
	add, set, when, tiers, enter    ynode
	signalNode, inactive, of, limit ynode
	repeat, hold                    ynode
	signal, stage, id               string
	once                            bool
}

// kind is the name of a line that has no id.
func (r *rawLine) kind() string {
	switch {
	case r.when.Node != nil:
		return "when"
	case r.tiers.Node != nil:
		return "tiers"
	case r.inactive.Node != nil:
		return "inactive"
	case r.enter.Node != nil:
		return r.stage
	}
	return r.signal
}

func (ld *loader) readLine(n ynode, score int) {
	what := "scores." + ld.set.scores[score].name + ".lines[" + strconv.Itoa(len(ld.set.scores[score].lines)) + "]"
	raw := rawLine{n: n}
	before := len(ld.errors)
	isObject := ld.object(n, what,
		field{key: "id", read: func(v ynode) { raw.id, _ = ld.name(v, what+".id") }},
		field{key: "signal", read: func(v ynode) { raw.signalNode = v; raw.signal, _ = ld.name(v, what+".signal") }},
		field{key: "add", read: func(v ynode) { raw.add = v }},
		field{key: "set", read: func(v ynode) { raw.set = v }},
		field{key: "when", read: func(v ynode) { raw.when = v }},
		field{key: "tiers", read: func(v ynode) { raw.tiers = v }},
		field{key: "enter", read: func(v ynode) { raw.enter = v; raw.stage, _ = ld.name(v, what+".enter") }},
		field{key: "inactive", read: func(v ynode) { raw.inactive = v }},
		field{key: "of", read: func(v ynode) { raw.of = v }},
		field{key: "repeat", read: func(v ynode) { raw.repeat = v }},
		field{key: "limit", read: func(v ynode) { raw.limit = v }},
		field{key: "once", read: func(v ynode) { raw.once, _ = ld.boolean(v, what+".once") }},
		field{key: "hold", read: func(v ynode) { raw.hold = v }},
	)
	if !isObject {
		return
	}
	kinds := 0
	for _, k := range []ynode{raw.signalNode, raw.when, raw.tiers, raw.inactive, raw.enter} {
		if k.Node != nil {
			kinds++
		}
	}
	if kinds != 1 {
		if len(ld.errors) == before || kinds > 1 {
			ld.errorf(n, "%s must have one of signal, when, tiers, inactive and enter", what)
		}
		return
	}
	if len(ld.set.lines) >= maxLines {
		if len(ld.set.lines) == maxLines {
			ld.errorf(n, "more than %d lines", maxLines)
			ld.set.lines = append(ld.set.lines, line{}) // so that it is said once
		}
		return
	}
	slot := len(ld.set.lines)
	ld.set.lines = append(ld.set.lines, line{id: raw.id, score: score, signal: -1, enter: -1})
	ld.set.scores[score].lines = append(ld.set.scores[score].lines, slot)
	ld.lineNodes = append(ld.lineNodes, n)
	ld.lineKinds = append(ld.lineKinds, raw.kind())
	ld.finishLine(slot, what, &raw, before)
}

// finishLine reads what depends on the kind of line.
func (ld *loader) finishLine(slot int, what string, raw *rawLine, before int) {
	isState := raw.when.Node != nil || raw.tiers.Node != nil
	s := &ld.set.scores[ld.set.lines[slot].score]
	if len(s.lines) > 1 && isState != (s.decay == stateScore) {
		ld.errorf(raw.n, "%s: a score has either state lines (when, tiers) or others, not both; make it two scores", what)
	}
	if isState {
		if s.decay == decayNone && s.halfLife == 0 {
			s.decay = stateScore // any other decay is refused when the score has been read
		} else if s.decay != stateScore {
			ld.errorf(raw.n, "%s: state lines (when, tiers) hold or do not hold; they do not decay", what)
		}
		ld.readState(slot, what, raw, before)
		return
	}
	p := inTimerAdd
	switch {
	case raw.inactive.Node != nil:
		ld.readInactive(slot, what, raw)
	case raw.enter.Node != nil:
		ld.stageRefs = append(ld.stageRefs, func() {
			if i, ok := ld.stage(raw.enter, what+".enter", raw.stage); ok {
				ld.set.lines[slot].enter = i
			}
		})
	default:
		p = inAdd
		ld.later = append(ld.later, func() {
			if i, ok := ld.lookUpSignal(raw.signalNode, what, raw.signal); ok {
				ld.set.signals[i].lines = append(ld.set.signals[i].lines, slot)
				ld.set.lines[slot].signal = i
			}
		})
	}
	if raw.inactive.Node == nil && (raw.of.Node != nil || raw.repeat.Node != nil) {
		ld.errorf(raw.n, "%s: of and repeat belong to inactive", what)
	}
	if raw.hold.Node != nil {
		if p == inAdd {
			ld.setDuration(raw.hold, what+".hold", 1, &ld.set.lines[slot].hold)
		} else {
			ld.errorf(raw.hold, "%s: only the points of a signal's line can be held back", what)
		}
	}
	ld.readLimit(slot, what, raw)
	ld.readPoints(slot, what, raw, p, before)
}

// lookUpSignal finds a signal that something uses.
func (ld *loader) lookUpSignal(v ynode, what, name string) (int, bool) {
	i, ok := ld.signalAt[name]
	if !ok {
		ld.errorf(v, "%s: unknown signal %q%s", what, shorten(name), suggest(name, ld.signalNames))
		return 0, false
	}
	ld.set.signals[i].used = true
	return i, true
}

// readPoints reads add, or set for stage lines.
func (ld *loader) readPoints(slot int, what string, raw *rawLine, p place, before int) {
	from, key := raw.add, "add"
	switch {
	case raw.set.Node == nil:
	case raw.enter.Node == nil:
		ld.errorf(raw.set, "%s: only a line that is run by entering a stage (enter) can set the score", what)
		return
	case raw.add.Node != nil:
		ld.errorf(raw.set, "%s has add and set; it can have one of them", what)
		return
	default:
		from, key = raw.set, "set"
		ld.set.lines[slot].set = true
	}
	if from.Node == nil {
		if len(ld.errors) == before {
			ld.errorf(raw.n, "%s needs add, the points", what)
		}
		return
	}
	if t, ok := ld.expression(from, what+"."+key, p); ok {
		ld.later = append(ld.later, func() { ld.set.lines[slot].add = ld.points(t, ld.rule("line", ld.lineName(slot))) })
	}
}

// readState reads the conditions and points of a state line.
func (ld *loader) readState(slot int, what string, raw *rawLine, before int) {
	for _, k := range []ynode{raw.limit, raw.of, raw.repeat, raw.set, raw.hold} {
		if k.Node != nil {
			ld.errorf(k, "%s: a state line holds or does not hold; it has when (or tiers) and add only", what)
		}
	}
	if raw.once {
		ld.errorf(raw.n, "%s: a state line holds or does not hold; it has no limit", what)
	}
	if raw.when.Node != nil {
		ld.readTier(slot, what, raw.n, raw.when, raw.add, before)
		return
	}
	if raw.add.Node != nil {
		ld.errorf(raw.add, "%s: each of the tiers has its own add", what)
	}
	count := 0
	ld.list(raw.tiers, what+".tiers", false, func(v ynode) {
		tier := what + ".tiers[" + strconv.Itoa(count) + "]"
		if count++; count > maxTiers {
			if count == maxTiers+1 {
				ld.errorf(v, "more than %d tiers", maxTiers)
			}
			return
		}
		var when, add ynode
		before := len(ld.errors)
		if ld.object(v, tier,
			field{key: "when", read: func(v ynode) { when = v }},
			field{key: "add", read: func(v ynode) { add = v }},
		) {
			ld.readTier(slot, tier, v, when, add, before)
		}
	})
	if raw.tiers.Kind == yaml.SequenceNode && count == 0 {
		ld.errorf(raw.tiers, "%s.tiers is empty", what)
	}
}

func (ld *loader) readTier(slot int, what string, n, when, add ynode, before int) {
	if len(ld.errors) > before {
		return
	}
	if when.Node == nil || add.Node == nil {
		ld.errorf(n, "%s needs when and add", what)
		return
	}
	i := len(ld.set.lines[slot].tiers)
	ld.set.lines[slot].tiers = append(ld.set.lines[slot].tiers, tierLine{})
	cond, ok1 := ld.expression(when, what+".when", inState)
	points, ok2 := ld.expression(add, what+".add", inState)
	if !ok1 || !ok2 {
		return
	}
	ld.later = append(ld.later, func() {
		rule := ld.rule("line", ld.lineName(slot))
		tier := &ld.set.lines[slot].tiers[i]
		tier.when, tier.add = ld.condition(cond, rule), ld.points(points, rule)
	})
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

func (ld *loader) readInactive(slot int, what string, raw *rawLine) {
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
			if i, known := ld.lookUpSignal(v, what+".of", name); known {
				ld.set.lines[slot].of = append(ld.set.lines[slot].of, ld.signalKeeper(i))
			}
		})
	})
	if raw.of.Kind == yaml.SequenceNode && len(raw.of.Content) == 0 {
		ld.errorf(raw.of, "%s.of is empty; leave it out for track, page and screen events", what)
	}
}

func (ld *loader) readLimit(slot int, what string, raw *rawLine) {
	if raw.limit.Node == nil {
		if raw.once {
			ld.set.lines[slot].limit = &limit{Once: true}
		}
		return
	}
	what += ".limit"
	before := len(ld.errors)
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
			if raw.signalNode.Node == nil {
				ld.errorf(v, "%s.by: there is no event when a timer or a stage runs the line", what)
			} else if t, ok := ld.expression(v, what+".by", inAdd); ok {
				ld.later = append(ld.later, func() {
					ld.set.lines[slot].by = ld.key(t, ld.rule("line", ld.lineName(slot)), false)
				})
			}
		}},
	)
	if !ok {
		return
	}
	switch {
	case len(ld.errors) > before:
	case lim.Once && (lim.Times > 0 || lim.Points > 0):
		ld.errorf(raw.limit, "%s: once is for ever, so times and points add nothing to it", what)
	case !lim.Once && lim.Times == 0 && lim.Points == 0:
		ld.errorf(raw.limit, "%s needs times, points or once", what)
	case !lim.Once && lim.Per == 0:
		ld.errorf(raw.limit, "%s needs per, the span that it is about; or once: true for ever", what)
	}
	ld.set.lines[slot].limit = &lim
}
