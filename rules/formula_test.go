package rules

import (
	"fmt"

	"leadstream/state/lead"
)

// formula draws a condition as text and as the model evaluates it.
func (g *drawer) formula(depth int, events bool) (string, formula) {
	if depth == 0 || g.r.IntN(3) == 0 {
		return g.atom(events)
	}
	a, fa := g.formula(depth-1, events)
	first := g.term
	b, fb := g.formula(depth-1, events)
	second := g.term
	g.term = ""
	switch g.r.IntN(5) {
	case 0, 1:
		g.note("and", first, second)
		return "(" + a + " && " + b + ")", func(m *model, t int64, ev *modelEvent) tri {
			x, y := fa(m, t, ev), fb(m, t, ev)
			switch {
			case x == triFalse || y == triFalse:
				return triFalse
			case x == triError || y == triError:
				return triError
			}
			return triTrue
		}
	case 2, 3:
		g.note("or", first, second)
		return "(" + a + " || " + b + ")", func(m *model, t int64, ev *modelEvent) tri {
			x, y := fa(m, t, ev), fb(m, t, ev)
			switch {
			case x == triTrue || y == triTrue:
				return triTrue
			case x == triError || y == triError:
				return triError
			}
			return triFalse
		}
	}
	g.note("not", first)
	g.term = first
	return "!(" + a + ")", func(m *model, t int64, ev *modelEvent) tri {
		switch fa(m, t, ev) {
		case triTrue:
			return triFalse
		case triFalse:
			return triTrue
		}
		return triError
	}
}

var operators3 = []struct {
	text  string
	holds func(a, b float64) bool
}{
	{"<", func(a, b float64) bool { return a < b }}, {"<=", func(a, b float64) bool { return a <= b }},
	{">", func(a, b float64) bool { return a > b }}, {">=", func(a, b float64) bool { return a >= b }},
	{"==", func(a, b float64) bool { return a == b }}, {"!=", func(a, b float64) bool { return a != b }},
}

func (g *drawer) atom(events bool) (string, formula) {
	g.term = ""
	if g.wide && g.r.IntN(6) == 0 {
		return g.wideAtom(events)
	}
	op := operators3[g.r.IntN(len(operators3))]
	signal := g.pick("e0", "e1", "e2")
	ms := g.r.Int64N(120)
	switch n := g.r.IntN(19); {
	case n < 3:
		return g.scoreAtom(events, op.text, op.holds)
	case n == 3:
		g.term = "count"
		return g.countAtom(signal, op.text, op.holds, ms+1)
	case n == 4:
		g.term = "since"
		return fmt.Sprintf("since(\"%s\") %s duration(\"%dms\")", signal, op.text, ms), func(m *model, t int64, _ *modelEvent) tri {
			if len(m.occurred[signal]) == 0 {
				return truth(op.holds(1, 0))
			}
			return truth(op.holds(float64(t-m.last(signal)), float64(ms)))
		}
	case n == 5 && (events || g.wide):
		g.term = "in_stage"
		return fmt.Sprintf("in_stage() %s duration(\"%dms\")", op.text, ms), func(m *model, t int64, _ *modelEvent) tri {
			return truth(op.holds(float64(t-m.since), float64(ms)))
		}
	case n == 6 && events:
		g.term = "signal"
		return fmt.Sprintf("signal(\"%s\")", signal), func(_ *model, _ int64, ev *modelEvent) tri {
			return truth(ev != nil && ev.released[signal])
		}
	case n == 7 && events:
		g.term = "event"
		text := "event.name == \"%s\""
		if g.r.IntN(2) == 0 { // through CEL
			text = "event.name + \"\" == \"%s\""
		}
		return fmt.Sprintf(text, signal), func(_ *model, _ int64, ev *modelEvent) tri {
			return truth(ev != nil && ev.name == signal)
		}
	case n == 8 && (events || g.wide):
		st := g.pick("s0", "s1", "s2")
		return fmt.Sprintf("stage == \"%s\"", st), func(m *model, _ int64, _ *modelEvent) tri { return truth(m.stage == st) }
	case n == 9 && events:
		g.term = "grade"
		grade := g.pick("A", "B", "C")
		text := "grade.f == \"%s\""
		if g.r.IntN(2) == 0 { // through CEL
			text = "grade.f + \"\" == \"%s\""
		}
		return fmt.Sprintf(text, grade), func(m *model, t int64, _ *modelEvent) tri { return truth(m.grade(t) == grade) }
	case n == 10:
		name := g.pick("x", "y")
		return "has(traits." + name + ")", func(m *model, _ int64, _ *modelEvent) tri {
			v, ok := m.traits[name]
			return truth(ok && v >= 0)
		}
	}
	switch n := g.r.IntN(11); {
	case n < 6:
		return g.pastAtom(n, signal, op.text, op.holds, ms)
	case n == 6:
		g.term = "until"
		return fmt.Sprintf("until(\"z\") %s duration(\"%dms\")", op.text, ms), func(m *model, t int64, _ *modelEvent) tri {
			z, ok := m.traits["z"]
			if !ok || z < 0 {
				return triError
			}
			return truth(op.holds(float64(int64(z)-t), float64(ms)))
		}
	case n == 7:
		g.term = "tags"
		k := float64(g.r.IntN(8)) / 2
		return fmt.Sprintf("tags[\"hot\"] %s %g", op.text, k), func(m *model, t int64, _ *modelEvent) tri {
			return truth(op.holds(decayHalfLife(m.tag.value, m.tag.at, t, m.tag.halfLife), k))
		}
	}
	name, k := g.pick("x", "y"), g.r.IntN(5)
	text := "traits.%s %s %d"
	if g.r.IntN(2) == 0 { // through CEL
		text = "traits.%s + 0 %s %d"
	}
	return fmt.Sprintf(text, name, op.text, k), func(m *model, _ int64, _ *modelEvent) tri {
		v, ok := m.traits[name]
		if !ok || v < 0 {
			return triError
		}
		return truth(op.holds(float64(v), float64(k)))
	}
}

func (g *drawer) countAtom(signal, op string, holds func(a, b float64) bool, ms int64) (string, formula) {
	k := float64(g.r.IntN(4))
	wrap := "count(\"%s\", \"%dms\") %s %g"
	if g.r.IntN(2) == 0 { // through CEL
		wrap = "[count(\"%s\", \"%dms\")].exists(c, c %s %g)"
	}
	return fmt.Sprintf(wrap, signal, ms, op, k), func(m *model, t int64, _ *modelEvent) tri {
		n := 0
		for _, s := range m.occurred[signal] {
			if t-s.time < ms {
				n++
			}
		}
		return truth(holds(float64(n), k))
	}
}

// scoreAtom compares a score, or the sum of two, with a constant. State scores may read those that are stored.
func (g *drawer) scoreAtom(events bool, op string, holds func(a, b float64) bool) (string, formula) {
	k := float64(g.r.IntN(20)-4) + 0.5*float64(g.r.IntN(2))
	name := g.pick("a", "b", "n")
	if events && (g.r.IntN(3) == 0 || g.wide && g.r.IntN(2) == 0) {
		name = g.pick("f", "d")
	}
	straight := g.m.scores["a"] == nil || g.m.scores["b"] == nil || g.m.scores["a"].decay != decayNone || g.m.scores["b"].decay != decayNone
	if g.r.IntN(4) > 0 && !(g.wide && g.r.IntN(2) == 0) || straight || name == "f" || name == "d" {
		g.term = "score " + g.kindOf(name)
		return fmt.Sprintf("score.%s %s %g", name, op, k), func(m *model, t int64, _ *modelEvent) tri { return truth(holds(m.score(name, t), k)) }
	}
	g.term = "score sum"
	return fmt.Sprintf("score.a - score.b %s %g", op, k), func(m *model, t int64, _ *modelEvent) tri {
		a, b := m.scores["a"], m.scores["b"]
		v := sumAt([]expTerm{{a.value, a.at, a.halfLife}, {-b.value, b.at, b.halfLife}}, t)
		return truth(holds(v, k))
	}
}

// pastAtom draws a term about what happened before.
func (g *drawer) pastAtom(n int, signal, op string, holds func(a, b float64) bool, ms int64) (string, formula) {
	ms++
	other := g.pick("e0", "e1", "e2")
	k := float64(g.r.IntN(8))
	g.term = []string{"sum", "distinct", "then", "without", "last", "first"}[n]
	switch n {
	case 0:
		return fmt.Sprintf("sum(\"%s\", \"v\", \"%dms\") %s %g", signal, ms, op, k), func(m *model, t int64, _ *modelEvent) tri {
			sum := 0.0
			for _, e := range m.occurred[signal] {
				if t-e.time < ms {
					sum += float64(e.value)
				}
			}
			return truth(holds(sum, k))
		}
	case 1:
		return fmt.Sprintf("distinct(\"%s\", event.properties.v, duration(\"%dms\")) %s %g", signal, ms, op, k), func(m *model, t int64, _ *modelEvent) tri {
			values := make(map[int]bool)
			for _, e := range m.occurred[signal] {
				if t-e.time < ms {
					values[e.value] = true
				}
			}
			return truth(holds(float64(len(values)), k))
		}
	case 2:
		return fmt.Sprintf("then(\"%s\", \"%s\", \"%dms\")", other, signal, ms), func(m *model, t int64, _ *modelEvent) tri {
			for _, a := range m.occurred[other] {
				for _, b := range m.occurred[signal] {
					if d := b.time - a.time; a.id != b.id && d >= 0 && d <= ms && t < b.time+ms {
						return triTrue
					}
				}
			}
			return triFalse
		}
	case 3:
		return fmt.Sprintf("without(\"%s\", \"%s\", \"%dms\")", signal, other, ms), func(m *model, t int64, _ *modelEvent) tri {
			if len(m.occurred[signal]) == 0 || len(m.occurred[other]) > 0 && m.last(other) > m.last(signal) {
				return triFalse
			}
			return truth(t-m.last(signal) >= ms)
		}
	case 4:
		return fmt.Sprintf("last(\"%s\", \"v\") == %g", signal, k), func(m *model, _ int64, _ *modelEvent) tri {
			e := m.edge(signal, func(a, b *modelEvent) bool {
				return a.time > b.time || a.time == b.time && lead.HashString(a.id) > lead.HashString(b.id)
			})
			return truth(e != nil && float64(e.value) == k)
		}
	}
	return fmt.Sprintf("first(\"%s\", \"v\") == %g", signal, k), func(m *model, _ int64, _ *modelEvent) tri {
		e := m.edge(signal, func(a, b *modelEvent) bool {
			return a.time < b.time || a.time == b.time && lead.HashString(a.id) < lead.HashString(b.id)
		})
		return truth(e != nil && float64(e.value) == k)
	}
}

// edge returns the event of a signal that comes before all others.
func (m *model) edge(signal string, before func(a, b *modelEvent) bool) *modelEvent {
	var best *modelEvent
	for i := range m.occurred[signal] {
		if e := &m.occurred[signal][i]; best == nil || before(e, best) {
			best = e
		}
	}
	return best
}
