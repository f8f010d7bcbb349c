package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// finishScores resolves what scores read of each other, when all expressions are compiled.
func (ld *loader) finishScores() {
	for i := range ld.set.scores {
		if s := &ld.set.scores[i]; s.decay == decayAll || s.decay == decayLine {
			s.keeper = ld.keeperSlot(-1, keeper{name: "score " + strconv.Quote(s.name)})
			ld.addSpan(s.keeper, s.span)
		}
	}
	v := &scoreVisitor{ld: ld, state: make([]uint8, len(ld.set.scores))}
	for i := range ld.set.scores {
		v.visit(i)
	}
}

// scoreVisitor walks from scores to those that they read, finds circles, and flattens derived scores.
type scoreVisitor struct {
	ld    *loader
	state []uint8
}

const (
	visiting = 1
	visited  = 2
)

// visit resolves a score. It returns false for one that is being resolved: a circle.
func (v *scoreVisitor) visit(slot int) bool {
	s := &v.ld.set.scores[slot]
	switch v.state[slot] {
	case visited:
		return true
	case visiting:
		return false
	}
	v.state[slot] = visiting
	defer func() { v.state[slot] = visited }()
	switch s.decay {
	case decayNone:
		s.timed = s.halfLife > 0
	case decayAll, decayLine:
		s.timed = true
	case stateScore:
		v.stateScore(slot)
	case derived:
		v.derived(slot)
	}
	return true
}

func (v *scoreVisitor) stateScore(slot int) {
	s := &v.ld.set.scores[slot]
	for _, i := range s.lines {
		for _, tier := range v.ld.set.lines[i].tiers {
			if tier.when == nil || tier.add == nil {
				continue // it has a mistake of its own
			}
			s.timed = s.timed || tier.when.deps.timed || tier.add.deps.timed
			for _, r := range append(slices.Clone(tier.when.deps.scores), tier.add.deps.scores...) {
				if !v.visit(r) {
					v.ld.errorf(v.ld.lineNodes[i], "score %q depends on itself through score %q", s.name, v.ld.set.scores[r].name)
					return
				}
			}
		}
	}
}

// derived puts the parts of derived scores in their places, so that one sum of scores remains.
func (v *scoreVisitor) derived(slot int) {
	s, n := &v.ld.set.scores[slot], v.ld.derivedNodes[slot]
	var flat []weight
	base := s.base
	for _, w := range s.parts {
		if !v.visit(w.score) {
			v.ld.errorf(n, "score %q depends on itself through score %q", s.name, v.ld.set.scores[w.score].name)
			return
		}
		part := &v.ld.set.scores[w.score]
		s.timed = s.timed || part.timed
		switch {
		case part.clamped() && part.timed:
			v.ld.errorf(n, "score %q is derived from %q, which changes with time and is limited by min or max; when such a sum crosses a value can't be told exactly: leave min and max to %q", s.name, part.name, s.name)
			return
		case part.decay == derived && !part.clamped():
			flat = addSums(flat, scaleSum(slices.Clone(part.parts), w.by))
			base += float64(w.by * part.base)
		default:
			flat = addSums(flat, []weight{w})
		}
	}
	s.parts, s.base = flat, base
	if reason := v.ld.notSummable(flat); reason != "" {
		v.ld.errorf(n, "score %q: %s", s.name, reason)
	}
}

// notSummable says why scores can't be compared as one sum, "" if they can.
func (ld *loader) notSummable(sum []weight) string {
	if len(sum) < 2 {
		return ""
	}
	var lives []int64
	for _, w := range sum {
		if w.score < 0 {
			continue
		}
		s := &ld.set.scores[w.score]
		if s.halfLife > 0 && !slices.Contains(lives, s.halfLife) {
			lives = append(lives, s.halfLife)
		}
	}
	if len(lives)+1 > maxTerms {
		return fmt.Sprintf("a sum of scores with %d different half-lives; at most %d are supported", len(lives), maxTerms-1)
	}
	return ""
}

// readDerived compiles the sum that a score is derived from.
func (ld *loader) readDerived(t text, slot int) {
	p, ok := ld.compile(t)
	if !ok {
		return
	}
	b := &builder{ld: ld, p: p}
	e := p.ast.NativeRep().Expr()
	sum, base, ok := b.linear(e)
	switch {
	case !ok || slices.ContainsFunc(sum, func(w weight) bool { return w.score < 0 }):
		b.errorf(e, "a derived score is a sum of scores with constant weights, like 0.6 * score.a + 0.4 * score.b")
		return
	case len(sum) == 0:
		b.errorf(e, "a derived score must be derived from a score")
		return
	}
	for _, w := range sum {
		if math.IsNaN(w.by) || math.IsInf(w.by, 0) {
			b.errorf(e, "a weight is not a finite number")
			return
		}
	}
	ld.set.scores[slot].parts, ld.set.scores[slot].base = sum, base
}

// readMatrices reads {segment: [fit, engagement]}.
func (ld *loader) readMatrices(n ynode) {
	ld.pairs(n, "matrix", "names to two scores with grades, like {segment: [fit, engagement]}", func(key, v ynode) {
		name := key.Value
		if !isIdentifier(name) {
			ld.errorf(key, "a matrix's name must be a word of letters, digits and _, found %q", shorten(name))
			return
		}
		if slices.Contains(ld.matrixNames, name) || len(ld.matrixNames) >= maxMatrices {
			ld.errorf(key, "matrix %q is there twice, or there are more than %d", name, maxMatrices)
			return
		}
		var scores []string
		var nodes []ynode
		ld.list(v, "matrix."+name, false, func(v ynode) {
			if s, ok := ld.name(v, "matrix."+name); ok {
				scores, nodes = append(scores, s), append(nodes, v)
			}
		})
		if len(scores) != 2 {
			ld.errorf(v, "matrix.%s must be a list of two scores", name)
			return
		}
		ld.matrixNames = append(ld.matrixNames, name)
		ld.matrixScores = append(ld.matrixScores, matrixScores{scores, nodes})
		ld.set.matrices = append(ld.set.matrices, matrix{name: name, cells: []string{""}})
	})
}

// matrixScores are the scores of a matrix as the file has them.
type matrixScores struct {
	names []string
	nodes []ynode
}

// finishMatrix names the cells, when all scores are known.
func (ld *loader) finishMatrix(slot int) {
	m, raw := &ld.set.matrices[slot], ld.matrixScores[slot]
	var slots [2]int
	for i, name := range raw.names {
		s, ok := ld.scoreAt[name]
		switch {
		case !ok:
			ld.errorf(raw.nodes[i], "matrix.%s: unknown score %q%s", m.name, shorten(name), suggest(name, ld.scoreNames))
			return
		case len(ld.set.scores[s].gradeNames) == 0:
			ld.errorf(raw.nodes[i], "matrix.%s: score %q has no grades", m.name, name)
			return
		}
		slots[i] = s
	}
	m.rows, m.cols, m.cells = slots[0], slots[1], nil
	for _, row := range ld.set.scores[m.rows].gradeNames {
		for _, col := range ld.set.scores[m.cols].gradeNames {
			m.cells = append(m.cells, row+col)
		}
	}
}
