package main

import (
	"fmt"
	"math"
)

// What the engine says of real data is compared with what is computed here: the most direct way to apply a rule set
// to one lead, that looks at it at every moment at which anything could change. It shares no code with the engine.

// pastEvent is one event of a lead, as a test reads it from a file by its own means.
type pastEvent struct {
	at      int64
	name    string
	revenue float64
}

// bruteLine is a transition with the truth of its condition at some moment.
type bruteLine struct {
	from, to string
	when     bool
	minStay  int64
}

// bruteHandoff is a hand-off with the truth of its condition at some moment.
type bruteHandoff struct {
	name     string
	when     bool
	cooldown int64
}

// bruteRules is a rule set as a program. ev is the name of the event that is being applied, "" between events.
type bruteRules interface {
	// apply takes what an event changes, apart from stages.
	apply(e pastEvent)
	// ripen takes what time alone adds at a moment.
	ripen(at int64)
	// next is a moment after `after` up to which nothing changes by itself.
	next(after int64) int64
	lines(at int64, ev string) []bruteLine
	handoffs(at int64, ev string) []bruteHandoff
}

// bruteLead is one lead.
type bruteLead struct {
	rules      bruteRules
	stage      string
	since, now int64
	on         map[string]bool
	quietUntil map[string]int64
	out        []said
}

const bruteNever = int64(math.MaxInt64)

const day = int64(86_400_000)

// bruteForce computes what is said of a lead up to a time.
func bruteForce(newRules func(*bruteLead) bruteRules, first string, events []pastEvent, until int64) *bruteLead {
	b := &bruteLead{stage: first, since: events[0].at, now: events[0].at, on: map[string]bool{}, quietUntil: map[string]int64{}}
	b.rules = newRules(b)
	for _, e := range events {
		b.pass(e.at)
		b.now = e.at
		b.rules.apply(e)
		b.look(e.name, nil)
	}
	b.pass(until)
	return b
}

// pass lets time pass.
func (b *bruteLead) pass(to int64) {
	for {
		next := b.rules.next(b.now)
		for _, l := range b.rules.lines(b.now, "") {
			if ripe := b.since + l.minStay; ripe > b.now {
				next = min(next, ripe)
			}
		}
		if next > to {
			return
		}
		before := b.rules.lines(next-1, "")
		b.now = next
		b.rules.ripen(next)
		b.look("", before)
	}
}

// look evaluates everything. before is nil for an event; for a moment without one it says what was true just before it,
// since time makes only happen what it makes true.
func (b *bruteLead) look(ev string, before []bruteLine) {
	fired := map[int]bool{}
	for again := true; again; {
		again = false
		for i, l := range b.rules.lines(b.now, ev) {
			ripe := b.since + l.minStay
			if l.from != b.stage && l.from != "any" || l.to == b.stage || !l.when || fired[i] || b.now < ripe {
				continue
			}
			if before != nil && len(fired) == 0 && before[i].when && (l.minStay == 0 || b.now != ripe) {
				continue
			}
			b.out = append(b.out, said{fmt.Sprintf("%s>%s", b.stage, l.to), b.now})
			b.stage, b.since = l.to, b.now
			fired[i], again = true, true
			break
		}
	}
	for _, h := range b.rules.handoffs(b.now, ev) {
		if h.when && !b.on[h.name] && b.now >= b.quietUntil[h.name] {
			b.out = append(b.out, said{"handoff " + h.name, b.now})
			b.quietUntil[h.name] = b.now + h.cooldown
		}
	}
	for _, h := range b.rules.handoffs(b.now, "") {
		b.on[h.name] = h.when
	}
}

// decaying is a value with a half-life.
type decaying struct {
	halfLife int64
	value    float64
	at       int64
}

func (d *decaying) read(t int64) float64 {
	return d.value * math.Pow(0.5, float64(t-d.at)/float64(d.halfLife))
}

// add adds points at a moment and keeps the value within bounds.
func (d *decaying) add(points float64, at int64, low, high float64) {
	d.value = math.Max(low, math.Min(high, d.read(at)+points))
	d.at = at
}

// crosses is the first moment at which the value is on the other side of a bound than it is now, by bisection.
func (d *decaying) crosses(bound float64) int64 {
	above := d.value >= bound
	if above == (bound <= 0) || d.value == 0 { // it goes towards 0, and never arrives
		return bruteNever
	}
	low, high := d.at, d.at+1
	for (d.read(high) >= bound) == above {
		high += high - low
	}
	for high-low > 1 {
		if mid := low + (high-low)/2; (d.read(mid) >= bound) == above {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// younger counts the times less than span before at.
func younger(times []int64, span, at int64) (n int) {
	for _, t := range times {
		if at-t < span {
			n++
		}
	}
	return n
}

// after is the smallest of the moments that is after t.
func after(t int64, moments ...int64) int64 {
	next := bruteNever
	for _, m := range moments {
		if m > t {
			next = min(next, m)
		}
	}
	return next
}

// loanDesk is deploy/import/bpi12w-rules.yaml.
type loanDesk struct {
	*bruteLead
	momentum          decaying
	crossings         []int64
	effort            float64
	suspectedBefore   bool
	suspected         int64
	worked, chasedAll []int64
}

func newLoanDesk(b *bruteLead) bruteRules {
	return &loanDesk{bruteLead: b, momentum: decaying{halfLife: 3 * day, at: b.now}}
}

func (d *loanDesk) apply(e pastEvent) {
	points := map[string]float64{"Application Completed": 1, "Incomplete File Chased": 10, "Called After Offer": 20, "Application Validated": 40}
	if w := points[e.name]; w > 0 {
		d.momentum.add(w, e.at, math.Inf(-1), math.Inf(1))
		d.crossings = []int64{d.momentum.crosses(0.1), d.momentum.crosses(2), d.momentum.crosses(45)}
	}
	if younger(d.worked, day, e.at) < 3 {
		d.worked = append(d.worked, e.at)
		d.effort = math.Min(40, d.effort+1)
	}
	if e.name == "Incomplete File Chased" {
		d.chasedAll = append(d.chasedAll, e.at)
	}
	if e.name == "Fraud Checked" {
		d.suspected = e.at
		if !d.suspectedBefore {
			d.effort = math.Min(40, d.effort+5)
		}
		d.suspectedBefore = true
	}
}

func (d *loanDesk) ripen(int64) {}

func (d *loanDesk) next(t int64) int64 {
	next := min(after(t, d.crossings...), after(t, d.since+7*day, d.since+2*day))
	if d.suspectedBefore {
		next = min(next, after(t, d.suspected+3*day))
	}
	for _, c := range d.chasedAll {
		next = min(next, after(t, c+7*day, c+14*day))
	}
	return next
}

func (d *loanDesk) lines(t int64, ev string) []bruteLine {
	checked, complete, called, valid := ev == "Fraud Checked", ev == "Application Completed", ev == "Called After Offer", ev == "Application Validated"
	revived := complete || ev == "Incomplete File Chased"
	quiet := d.suspectedBefore && t-d.suspected >= 3*day || !d.suspectedBefore
	m := d.momentum.read(t)
	return []bruteLine{
		{"any", "suspect", checked, 0},
		{"suspect", "contacted", quiet, 0},
		{"new", "contacted", ev == "Lead Handled", 0},
		{"new", "offered", complete, 0}, {"contacted", "offered", complete, 0},
		{"contacted", "called", called, 0}, {"offered", "called", called, 0}, {"cooled", "called", called, 0},
		{"cooled", "offered", revived, 0},
		{"contacted", "validated", valid, 0}, {"offered", "validated", valid, 0}, {"called", "validated", valid, 0}, {"cooled", "validated", valid, 0},
		{"validated", "called", called, 3_600_000},
		{"contacted", "cooled", t-d.since >= 7*day, 0},
		{"offered", "cooled", m < 0.1, 0},
		{"called", "cooled", m < 2, 0},
		{"validated", "settled", t-d.since >= 2*day && younger(d.chasedAll, 14*day, t) == 0, 0},
	}
}

func (d *loanDesk) handoffs(t int64, _ string) []bruteHandoff {
	return []bruteHandoff{
		{"sign_now", d.stage == "called" && d.momentum.read(t) >= 45, 7 * day},
		{"incomplete_file", younger(d.chasedAll, 7*day, t) >= 3 && d.effort >= 5, 14 * day},
	}
}

// shop is deploy/import/cdnow-rules.yaml.
type shop struct {
	*bruteLead
	recency, mood        decaying
	crossings            []int64
	revenue              float64
	days                 []int64
	orders, big          []int64
	last, silenceCounted int64
}

func newShop(b *bruteLead) bruteRules {
	return &shop{bruteLead: b, recency: decaying{halfLife: 60 * day, at: b.now}, mood: decaying{halfLife: 30 * day, at: b.now}}
}

func (s *shop) apply(e pastEvent) {
	s.orders, s.last = append(s.orders, e.at), e.at
	s.recency.add(10+e.revenue/20, e.at, math.Inf(-1), 100)
	s.revenue += e.revenue
	if younger(s.days, day, e.at) == 0 {
		s.days = append(s.days, e.at)
	}
	if e.revenue >= 100 {
		s.big = append(s.big, e.at)
		s.mood.add(8, e.at, -20, math.Inf(1))
	}
	s.cross()
}

func (s *shop) cross() { s.crossings = []int64{s.recency.crosses(40), s.mood.crosses(-4)} }

// silence is when the next quarter without an order is over. A silence is counted once, until there is a later order.
func (s *shop) silence() int64 {
	if s.last <= s.silenceCounted {
		return bruteNever
	}
	return s.last + 90*day
}

func (s *shop) ripen(at int64) {
	if at == s.silence() {
		s.mood.add(-6, at, -20, math.Inf(1))
		s.silenceCounted = at
		s.cross()
	}
}

func (s *shop) next(t int64) int64 {
	next := min(after(t, s.crossings...), after(t, s.silence(), s.last+180*day))
	for _, o := range s.orders {
		next = min(next, after(t, o+30*day, o+90*day))
	}
	for _, o := range s.big {
		next = min(next, after(t, o+120*day))
	}
	return next
}

func (s *shop) lines(t int64, ev string) []bruteLine {
	rhythm := 0
	if younger(s.orders, 30*day, t) >= 1 {
		rhythm += 10
	}
	if younger(s.orders, 90*day, t) >= 3 {
		rhythm += 30
	}
	return []bruteLine{
		{"new", "repeat", len(s.days) >= 2, 0},
		{"repeat", "regular", rhythm >= 40, 0},
		{"regular", "repeat", rhythm < 30, 0},
		{"any", "lapsed", t-s.last >= 180*day, 0},
		{"lapsed", "repeat", ev != "", 0},
	}
}

func (s *shop) handoffs(t int64, _ string) []bruteHandoff {
	return []bruteHandoff{
		{"concierge", s.revenue >= 500 && s.recency.read(t) >= 40, 30 * day},
		{"win_back", s.stage == "lapsed" && s.revenue >= 100, 365 * day},
		{"disappointed", s.mood.read(t) < -4 && younger(s.big, 120*day, t) >= 1, 90 * day},
	}
}
