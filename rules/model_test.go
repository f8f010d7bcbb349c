package rules

import (
	"math"
	"slices"
	"time"
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
	// released are the held signals that are released now; there is no event then.
	released map[string]bool
}

// pending is something that the model holds back.
type pending struct {
	due, time int64
	line      *modelLine
	ev        *modelEvent // a whole signal
	tooLate   bool
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
	hold          int64

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
	term    string // what when consists of, "" if of several
	minStay int64
}

type modelHandoff struct {
	name     string
	when     formula
	term     string
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
	hold        map[string]int64 // of signals
	tag         modelScore       // the weight of the tag "hot", which e0 gives
	held        []pending
	checkedUpTo int64 // timers at or before it have been looked at
	zone        *time.Location
	byTime      map[string]int // what fired because time passed, by the term it consists of
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
	tooLate := m.clock-ev.time > m.maxLate
	seen := &modelEvent{time: ev.time, name: ev.name, id: ev.id, released: make(map[string]bool)}
	if due := ev.time + m.hold[ev.name]; due > m.clock {
		m.held = append(m.held, pending{due: due, time: ev.time, ev: ev, tooLate: tooLate})
	} else {
		seen.released[ev.name] = !tooLate
		m.occur(ev, m.clock)
	}
	m.evaluate(m.clock, seen, nil)
	for _, h := range m.handoffs {
		h.on = h.when(m, m.clock, nil) == triTrue
	}
	m.pastDue(m.clock)
}

// occur is what a signal does at clock t.
func (m *model) occur(ev *modelEvent, t int64) (moved bool) {
	m.occurred[ev.name] = append(m.occurred[ev.name], *ev)
	if ev.name == "e0" {
		h := m.tag.halfLife
		m.tag.value = decayHalfLife(m.tag.value, m.tag.at, t, h) + decayHalfLife(1.5, ev.time, t, h)
		m.tag.at = t
	}
	for _, l := range m.lines {
		if l.signal != ev.name || l.signal == "" || l.add == 0 {
			continue
		}
		if due := ev.time + l.hold; due > t {
			m.held = append(m.held, pending{due: due, time: ev.time, line: l})
			continue
		}
		moved = m.contribute(l, ev.time, t) || moved
	}
	return moved
}

// release does what was held until t, by its own time.
func (m *model) release(t int64, released map[string]bool) (moved bool) {
	for {
		best := -1
		for i, p := range m.held {
			if p.due == t && (best < 0 || p.time < m.held[best].time) {
				best = i
			}
		}
		if best < 0 {
			return moved
		}
		p := m.held[best]
		m.held = slices.Delete(m.held, best, best+1)
		if p.line != nil {
			moved = m.contribute(p.line, p.time, t) || moved
			continue
		}
		released[p.ev.name] = released[p.ev.name] || !p.tooLate
		moved = m.occur(p.ev, t) || moved
	}
}

// pastDue fires at t inactivity whose due time lies at or before it.
func (m *model) pastDue(t int64) {
	for due := m.nextInactivity(); due <= t; due = m.nextInactivity() {
		m.timer(due, t)
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
		m.pastDue(t)
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
	seen := &modelEvent{name: "", released: make(map[string]bool)}
	moved := d == t && m.release(t, seen.released)
	for _, l := range m.lines {
		if l.inactive > 0 && m.inactivityDue(l) == d {
			l.hasFire, l.fired = true, d
			moved = m.contribute(l, d, t) || moved
		}
	}
	if len(seen.released) == 0 {
		seen = nil
	}
	if m.evaluate(t, seen, before) || moved {
		m.clock = t
	}
	if seen != nil { // it is over: what rose because of it falls
		for _, h := range m.handoffs {
			h.on = h.when(m, t, nil) == triTrue
		}
	}
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
			if before != nil && ev == nil && !entered && !stays {
				m.byTime[tr.term]++
			}
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
			if before != nil && ev == nil && !entered {
				m.byTime[h.term]++
			}
		}
	}
	return changed
}
