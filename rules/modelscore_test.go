package rules

import (
	"math"
	"slices"
)

// What the model knows of scores: it adds up all contributions anew whenever it is asked.

// full says that something keeps more entries than are told apart.
func (m *model) full() bool {
	return len(m.scores["a"].points) > maxEntries || len(m.scores["b"].points) > maxEntries ||
		slices.ContainsFunc(m.lines, func(l *modelLine) bool { return l.points > 0 && len(l.counted) > maxPointsKept })
}

func (m *model) score(name string, t int64) float64 {
	s := m.scores[name]
	v := m.unclamped(name, t)
	if s.decay != decayNone && s.decay != decayStepped {
		v = clip(v, s.min, s.max)
	}
	return v
}

func (m *model) unclamped(name string, t int64) float64 {
	s := m.scores[name]
	switch s.decay {
	case stateScore:
		sum := 0.0
		for _, l := range m.lines {
			if l.score != name {
				continue
			}
			for _, tier := range l.tiers {
				if tier.when(m, t, nil) == triTrue {
					sum += tier.add
					break
				}
			}
		}
		return sum
	case decayAll:
		sum := 0.0
		for _, p := range s.points {
			if t-p.time < s.span {
				sum += p.points
			}
		}
		return sum
	case decayLine:
		sum := 0.0 // whole numbers: exact
		for _, p := range s.points {
			if left := s.span - (t - p.time); left > 0 {
				sum += p.points * float64(min(left, s.span))
			}
		}
		return sum / float64(s.span)
	case derived:
		sum := s.base
		for _, part := range []string{"a", "b", "n", "f"} {
			sum += s.parts[part] * m.score(part, t)
		}
		return sum
	case decayStepped:
		v := s.value
		if v == 0 {
			return 0
		}
		passed := max(0, (s.at-s.gain)/s.span) // steps that the value has behind it
		for k := s.gain + (passed+1)*s.span; k <= t; k += s.span {
			v *= s.keep
		}
		return v
	}
	return decayHalfLife(s.value, s.at, t, s.halfLife)
}

func (m *model) grade(t int64) string {
	v := m.score("f", t)
	switch {
	case v >= m.grades["A"]:
		return "A"
	case v >= m.grades["B"]:
		return "B"
	}
	return "C"
}

// cell is the matrix of the grades of f and a.
func (m *model) cell(t int64) string {
	if m.score("a", t) >= 6 {
		return m.grade(t) + "H"
	}
	return m.grade(t) + "L"
}

// contribute makes one contribution of time s at clock t and reports whether the score moved.
func (m *model) contribute(l *modelLine, s, t int64) bool { return m.contributeOf(l, l.add, s, t) }

func (m *model) contributeOf(l *modelLine, w float64, s, t int64) bool {
	limited := l.once || l.times > 0 || l.points > 0
	keep := l.times
	if l.times == 0 {
		keep = math.MaxInt
	}
	at := -1
	if limited {
		n, used := 0, 0.0
		for _, c := range l.counted {
			if c.time > s-l.per && c.time < s+l.per {
				n++
				used += c.points
			}
		}
		switch {
		case l.once && len(l.counted) > 0:
			return false
		case l.times > 0 && n >= l.times:
			return false
		case !l.once && len(l.counted) >= keep && s < l.counted[0].time:
			return false
		}
		if l.points > 0 {
			if used >= l.points {
				return false
			}
			w = math.Copysign(min(math.Abs(w), l.points-used), w)
		}
		for at = len(l.counted); at > 0 && l.counted[at-1].time > s; at-- {
		}
		l.counted = slices.Insert(l.counted, at, modelPoint{s, math.Abs(w)})
	}
	sc := m.scores[l.score]
	if sc.decay == decayAll || sc.decay == decayLine {
		sc.points = append(sc.points, modelPoint{s, w})
		if limited && len(l.counted) > keep {
			l.counted = l.counted[1:]
		}
		return w != 0 && t-s < sc.span
	}
	old := m.unclamped(l.score, t)
	fade := func(v float64) float64 { return decayHalfLife(v, s, t, sc.halfLife) }
	if sc.decay == decayStepped {
		fade = func(v float64) float64 { return v * math.Pow(sc.keep, float64((t-s)/sc.span)) }
	}
	sum := old + fade(w)
	now := clip(sum, sc.min, sc.max)
	if now != sum && limited {
		changed := math.Abs(decayHalfLife(now-old, t, s, sc.halfLife))
		if sc.decay == decayStepped {
			changed = math.Abs(w * ((now - old) / fade(w)))
		}
		l.counted[at].points = min(l.counted[at].points, changed)
	}
	if limited && len(l.counted) > keep {
		l.counted = l.counted[1:]
	}
	if now == old {
		return false
	}
	if w > 0 && (sc.value == 0 || s > sc.gain) {
		sc.gain = s
	}
	sc.value, sc.at = now, t
	return true
}
