package rules

import (
	"math"
	"slices"
)

// This file is a brute-force model of a lead: it keeps all that ever happened, looks at every single ms,
// and knows nothing of validUntil, timers, windows or dispatch. The engine must say the same at the same ms.

// formula is a condition as the model evaluates it: at ms t, with or without an event.
type formula func(m *model, t int64, ev *modelEvent) tri

type modelEvent struct {
	time   int64
	id     string
	name   string         // the signal's name too
	traits map[string]int // -1 removes
	value  int
}

type modelLine struct {
	score, signal string // signal "" for inactivity and state lines
	add           float64
	times         int
	points        float64
	per           int64
	once          bool
	inactive      int64
	of            string // "" for any event
	tiers         []modelTier
	enter         string
	set           bool

	counted []modelPoint
	fired   int64
	hasFire bool
}

type modelTier struct {
	when formula
	add  float64
}

type modelPoint struct {
	time   int64
	points float64
}

type modelScore struct {
	decay    decay
	halfLife int64
	span     int64
	keep     float64
	min, max float64
	value    float64
	at, gain int64
	points   []modelPoint // of expiring and linear scores
	parts    map[string]float64
	base     float64
}

type modelTransition struct {
	from    []string
	to      string
	when    formula
	minStay int64
}

type modelHandoff struct {
	name     string
	when     formula
	cooldown int64
	on       bool
	until    int64
	fired    bool
}

type modelOutput struct {
	at       int64
	what     string
	from, to string
}

// model is a lead and its rules.
type model struct {
	scoreNames  []string
	scores      map[string]*modelScore
	lines       []*modelLine
	grades      map[string]float64 // of score f: A, B; else C
	transitions []*modelTransition
	handoffs    []*modelHandoff
	maxLate     int64

	begun       bool
	clock       int64
	stage       string
	since       int64
	first       int64
	lastActive  int64
	active      bool
	occurred    map[string][]modelEvent
	traits      map[string]int
	traitTime   map[string]int64
	traitID     map[string]uint64
	seen        map[string]bool
	out         []modelOutput
	checkedUpTo int64 // timers at or before it have been looked at
}

func (s *modelScore) full() bool { return len(s.points) > maxEntries }

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
		for k := s.gain + s.span; k <= t; k += s.span {
			if k > s.at {
				v *= s.keep
			}
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

// apply is "Applying an event".
func (m *model) apply(ev *modelEvent, hash uint64) {
	if m.seen[ev.id] {
		return
	}
	m.seen[ev.id] = true
	if !m.begun {
		m.begun = true
		m.clock, m.since, m.first, m.checkedUpTo = ev.time, ev.time, ev.time, ev.time
		m.enter(ev.time)
	}
	m.fire(ev.time)
	m.clock = max(m.clock, ev.time)
	m.checkedUpTo = m.clock // what lies between it and the tick is looked at again, with the event
	m.first = min(m.first, ev.time)
	m.lastActive = max(m.lastActive, ev.time)
	m.active = true
	for name, v := range ev.traits {
		old, there := m.traitTime[name]
		if !there || ev.time > old || ev.time == old && hash >= m.traitID[name] {
			m.traits[name], m.traitTime[name], m.traitID[name] = v, ev.time, hash
		}
	}
	m.occurred[ev.name] = append(m.occurred[ev.name], *ev)
	for _, l := range m.lines {
		if l.signal == ev.name && l.signal != "" {
			m.contribute(l, ev.time, m.clock)
		}
	}
	seen := ev
	if m.clock-ev.time > m.maxLate {
		seen = &modelEvent{time: ev.time, name: ev.name, id: "too late"}
	}
	m.evaluate(m.clock, seen, nil)
	for _, h := range m.handoffs {
		h.on = h.when(m, m.clock, nil) == triTrue
	}
	m.pastDue()
}

// pastDue fires inactivity whose due time lies at or before the clock.
func (m *model) pastDue() {
	for {
		due := m.nextInactivity()
		if due > m.clock {
			return
		}
		m.timer(due, m.clock)
	}
}

func (m *model) nextInactivity() int64 {
	due := int64(math.MaxInt64)
	for _, l := range m.lines {
		if l.inactive > 0 {
			due = min(due, m.inactivityDue(l))
		}
	}
	return due
}

func (m *model) inactivityDue(l *modelLine) int64 {
	last := m.first
	if l.of == "" && m.active {
		last = m.lastActive
	}
	if l.of != "" && len(m.occurred[l.of]) > 0 {
		last = m.last(l.of)
	}
	if l.hasFire && last <= l.fired {
		return math.MaxInt64
	}
	return last + l.inactive
}

func (m *model) last(signal string) int64 {
	last := int64(math.MinInt64)
	for _, e := range m.occurred[signal] {
		last = max(last, e.time)
	}
	return last
}

// enter runs the lines of the present stage.
func (m *model) enter(t int64) {
	for _, l := range m.lines {
		if l.enter != m.stage || l.enter == "" {
			continue
		}
		w := l.add
		if l.set {
			w -= m.unclamped(l.score, t)
		}
		if w != 0 {
			m.contributeOf(l, w, t, t)
		}
	}
}

// fire looks at every ms up to and including to.
func (m *model) fire(to int64) {
	for t := m.checkedUpTo + 1; t <= to; t++ {
		m.timer(t, t)
	}
	m.checkedUpTo = max(m.checkedUpTo, to)
}

// timer is what happens at ms t because of timers due at d.
func (m *model) timer(d, t int64) {
	// What was true before the points of this ms: one ms before, or just before when d has passed.
	pre := t - 1
	if d < t {
		pre = t
	}
	before := make([]bool, len(m.transitions))
	for i, tr := range m.transitions {
		before[i] = tr.when(m, pre, nil) == triTrue
	}
	moved := false
	for _, l := range m.lines {
		if l.inactive > 0 && m.inactivityDue(l) == d {
			l.hasFire, l.fired = true, d
			moved = m.contribute(l, d, t) || moved
		}
	}
	if m.evaluate(t, nil, before) || moved {
		m.clock = t
	}
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

// evaluate runs transitions and hand-offs at ms t. before is nil when an event caused it.
func (m *model) evaluate(t int64, ev *modelEvent, before []bool) bool {
	changed, entered := false, false
	fired := make([]bool, len(m.transitions))
	for again := true; again; {
		again = false
		for i, tr := range m.transitions {
			if fired[i] || !slices.Contains(tr.from, m.stage) || t < m.since+tr.minStay {
				continue
			}
			if tr.when(m, t, ev) != triTrue {
				continue
			}
			stays := tr.minStay > 0 && t == m.since+tr.minStay
			if before != nil && !entered && !stays && before[i] {
				continue
			}
			m.out = append(m.out, modelOutput{t, "stage", m.stage, tr.to})
			fired[i], entered, again, changed = true, true, true, true
			m.stage, m.since = tr.to, t
			m.enter(t)
			break
		}
	}
	for _, h := range m.handoffs {
		on := h.when(m, t, ev) == triTrue
		if on == h.on {
			continue
		}
		h.on, changed = on, true
		if on && !(h.fired && t < h.until) {
			if h.cooldown > 0 {
				h.fired, h.until = true, t+h.cooldown
			}
			m.out = append(m.out, modelOutput{t, h.name, "", m.stage})
		}
	}
	return changed
}
