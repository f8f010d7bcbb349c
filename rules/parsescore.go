package rules

import (
	"cmp"
	"math"
	"slices"

	"go.yaml.in/yaml/v4"
)

// pairs reads a mapping from names that the file chooses.
func (ld *loader) pairs(n ynode, what, of string, fn func(key, v ynode)) {
	if n.Kind != yaml.MappingNode {
		ld.errorf(n, "%s must be a mapping from %s, found %s", what, of, n.kindName())
		return
	}
	ld.each(n, fn)
}

func (ld *loader) readScores(n ynode) {
	ld.pairs(n, "scores", "names to scores", func(key, v ynode) {
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
		ld.derivedNodes = append(ld.derivedNodes, ynode{})
		ld.readScore(v, slot)
	})
}

func (ld *loader) readScore(n ynode, slot int) {
	s := &ld.set.scores[slot]
	what := "scores." + s.name
	var decays []ynode
	var derivedFrom, lines ynode
	decaying := func(key string, d decay, least int64, to *int64) field {
		return field{key: key, read: func(v ynode) {
			decays = append(decays, v)
			s.decay = d
			ld.setDuration(v, what+"."+key, least, to)
		}}
	}
	ld.object(n, what,
		decaying("half_life", decayNone, 1, &s.halfLife),
		decaying("expire_after", decayAll, 1, &s.span),
		decaying("linear_over", decayLine, 1, &s.span),
		field{key: "step", read: func(v ynode) {
			decays = append(decays, v)
			s.decay = decayStepped
			ld.readStep(v, s, what+".step")
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
		field{key: "lines", read: func(v ynode) { lines = v }},
		field{key: "derived", read: func(v ynode) { derivedFrom = v }},
		field{key: "grades", read: func(v ynode) { ld.readGrades(v, slot) }},
	)
	if len(decays) > 1 {
		ld.errorf(decays[1], "%s has more than one decay; half_life, expire_after, linear_over and step exclude each other", what)
	}
	if derivedFrom.Node != nil {
		ld.derive(derivedFrom, slot, what, len(decays) > 0 || lines.Node != nil)
		return
	}
	if lines.Node != nil {
		ld.list(lines, what+".lines", false, func(v ynode) { ld.readLine(v, slot) })
	}
	s = &ld.set.scores[slot]
	if n.Kind == yaml.MappingNode && len(s.lines) == 0 && len(ld.errors) == 0 {
		ld.warnf(n, "%s has no lines, so it is always 0", what)
	}
	if s.decay == stateScore && len(decays) > 0 {
		ld.errorf(decays[0], "%s has state lines (when, tiers), which hold or do not hold; they do not decay", what)
	}
	ld.nameLines(slot)
}

func (ld *loader) derive(n ynode, slot int, what string, more bool) {
	ld.set.scores[slot].decay = derived
	ld.derivedNodes[slot] = n
	if more {
		ld.errorf(n, "%s is derived, so it has no lines and no decay of its own", what)
	}
	if t, ok := ld.expression(n, what+".derived", inDerived); ok {
		ld.later = append(ld.later, func() { ld.readDerived(t, slot) })
	}
}

func (ld *loader) readStep(n ynode, s *score, what string) {
	s.keep = -1
	ld.object(n, what,
		field{key: "every", read: func(v ynode) { ld.setDuration(v, what+".every", 1, &s.span) }},
		field{key: "keep", read: func(v ynode) {
			if f, ok := ld.number(v, what+".keep"); ok && (f < 0 || f > maxKeep) {
				ld.errorf(v, "%s.keep is what a step leaves, from 0 to 0.999999; found %v", what, f)
				s.keep = 0
			} else {
				s.keep = f
			}
		}},
	)
	if n.Kind == yaml.MappingNode && len(ld.errors) == 0 && (s.span == 0 || s.keep < 0) {
		ld.errorf(n, "%s needs every and keep, like {every: 7d, keep: 0.5}", what)
	}
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
	ld.noteGrades(n, slot)
	s := &ld.set.scores[slot]
	s.gradeNames, s.gradeFloors = nil, nil
	for _, g := range list {
		s.gradeNames, s.gradeFloors = append(s.gradeNames, g.name), append(s.gradeFloors, g.floor)
	}
}

// nameLines gives lines without id the name of their signal or kind, where that is unique in the score.
func (ld *loader) nameLines(score int) {
	s := &ld.set.scores[score]
	ids := map[string]bool{olderLine: true, limitLine: true, manualLine: true}
	for _, i := range s.lines {
		if id := ld.set.lines[i].id; id != "" {
			switch {
			case id == olderLine || id == limitLine || id == manualLine:
				ld.errorf(ld.lineNodes[i], "scores.%s: a line can't be called %q, which stands for something else in ledgers", s.name, id)
			case ids[id]:
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
	return ld.set.lineName(slot)
}
