package rules

import (
	"math"
	"slices"

	"leadstream/state/lead"
)

// Migrate brings a lead from the rule set it followed under this one, as of at, which is not before its
// clock: the old rules fire what is due by then, then scores, lines, hand-offs, signals and stages that
// have the same name go on, new ones start empty, others go. Then the lead is evaluated: transitions
// fire, edge bits are set without firing.
func (e *Evaluator) Migrate(l *lead.Lead, old *Set, at int64, out []lead.Output) []lead.Output {
	if IsAccount(l.ID) && !e.set.ofAccounts() {
		return e.migrateAccount(l, old, at, out)
	}
	if l.Forward != "" || !begun(l) {
		e.reshape(l)
		return out
	}
	if e.old == nil || e.old.set != old {
		e.old = old.NewEvaluator()
	}
	out = e.old.Fire(l, at, out)
	e.letters = append(e.letters, e.old.Pending()...)
	e.counts.Timers += e.old.counts.Timers
	e.counts.Idle += e.old.counts.Idle
	e.counts.Stopped += e.old.counts.Stopped
	e.old.counts.Reset() // errors of rules that are gone are counted for nobody
	if !begun(l) {       // it was removed
		e.reshape(l)
		return out
	}
	m := migration{from: old, to: e.set, l: l, at: at}
	gone := m.run()
	e.begin(l, out)
	e.enter(l, at, nil)
	e.because(byRules, nil)
	if e.set.ofAccounts() {
		e.remake()
	}
	e.rehear(nil)
	e.touchEverything()
	moved := false
	if gone != "" {
		moved = true
		o := e.output(lead.StageChanged)
		o.From, o.To, o.Reason = gone, e.set.stages[l.Stage].name, reasonRemoved
		o.EnteredAt, o.InStage = l.StageSince, at-l.StageSince
		o.Top = e.top(maxTop)
		l.StageSince = at
		e.out = append(e.out, o)
	}
	moved = e.evaluate(bySwitch) || moved
	e.settle()
	// An inactivity that is new may have been due long ago: it fires at the switch.
	if moved || l.Due <= at {
		l.Clock = at
	}
	e.say()
	return e.Fire(l, at, e.out)
}

// reasonRemoved is the reason of leaving a stage that the new rules do not have.
const reasonRemoved = "stage_removed"

// migration carries one lead's state over.
type migration struct {
	from, to *Set
	l        *lead.Lead
	at       int64
}

// run rewrites the lead's state. It returns the name of the lead's stage if that is gone.
func (m *migration) run() (gone string) {
	l := m.l
	m.scores()
	m.lines()
	m.windows()
	m.tags()
	l.OwnRare().Consents = slices.DeleteFunc(l.Rare().Consents, func(c lead.Consent) bool { return m.to.purposeSlot(c.Purpose) < 0 })
	m.held()
	edges := make([]lead.Edge, len(m.to.handoffs))
	for i := range m.to.handoffs {
		if j := slices.IndexFunc(m.from.handoffs, func(h handoff) bool { return h.name == m.to.handoffs[i].name }); j >= 0 {
			edges[i] = l.Edges[j]
		}
	}
	l.Edges = edges
	name := m.from.stages[l.Stage].name
	if i := slices.IndexFunc(m.to.stages, func(s stage) bool { return s.name == name }); i >= 0 {
		l.Stage = uint16(i)
	} else {
		l.Stage, gone = 0, name
	}
	l.Traits = slices.DeleteFunc(l.Traits, func(t lead.Trait) bool { _, read := m.to.traitSlot[t.Name]; return !read })
	m.dedupe()
	l.Rules = m.to.id
	return gone
}

// scores carries values and the ledger over. A score whose decay is another one goes on from its value
// at the switch, and what is left of its contributions then is what they are from then on. Stored values
// and kept contributions can't become each other: such a score starts empty, as do state and derived ones,
// of which nothing is stored.
func (m *migration) scores() {
	l := m.l
	scores := make([]lead.Score, len(m.to.scores))
	for i := range m.to.scores {
		s := &m.to.scores[i]
		if j, ok := m.from.scoreSlot[s.name]; ok && sameForm(s, &m.from.scores[j]) && s.stores() {
			scores[i] = m.score(&m.from.scores[j], s, l.Scores[j])
		}
	}
	ledger := make([]lead.Contribution, 0, l.Ledger.Len())
	for _, c := range l.Ledger.All() {
		old := &m.from.scores[c.Score]
		i, ok := m.to.scoreSlot[old.name]
		if !ok || !sameForm(&m.to.scores[i], old) {
			continue
		}
		if n, known := m.contribution(c, i, &scores[i]); known {
			ledger = append(ledger, n)
		} else if s := &m.to.scores[i]; s.stores() {
			v := &scores[i]
			v.Remainder = finite(s.remainder(v, m.at) + old.left(&l.Scores[c.Score], &c, m.at))
			v.RemainderAt = m.at
		}
	}
	for i := range scores {
		m.clip(&scores[i], &m.to.scores[i])
	}
	l.Scores, l.Ledger = scores, lead.LedgerOf(ledger)
}

// stores says that one value is all there is to a score.
func (s *score) stores() bool { return s.decay == decayNone || s.decay == decayStepped }

// sameForm says that two scores keep the same kind of thing.
func sameForm(a, b *score) bool {
	return a.decay == b.decay || a.stores() && b.stores()
}

// sameDecay says that time does the same to both.
func sameDecay(a, b *score) bool {
	return a.decay == b.decay && a.halfLife == b.halfLife && a.span == b.span && a.keep == b.keep
}

// score carries a stored value over.
func (m *migration) score(old, s *score, v lead.Score) lead.Score {
	if sameDecay(old, s) {
		return v
	}
	n := lead.Score{Value: old.stored(&v, m.at), At: m.at, Remainder: old.remainder(&v, m.at), RemainderAt: m.at}
	if s.decay == decayStepped {
		// Steps are counted from the latest gain that is known, else from the switch.
		if n.Gain = v.Gain; old.decay != decayStepped {
			n.Gain = m.at
		}
	}
	return n
}

// contribution rewrites a ledger entry; known is false when its line is gone, or when its points of that
// time can't be said under the new decay. v is the new score.
func (m *migration) contribution(c lead.Contribution, score int, v *lead.Score) (_ lead.Contribution, known bool) {
	old, s := &m.from.scores[c.Score], &m.to.scores[score]
	line := lead.NoSlot
	if c.Line != lead.NoSlot {
		i := m.sameLine(int(c.Line), score)
		if i < 0 {
			return c, false
		}
		line = uint16(i)
	}
	if s.stores() && !sameDecay(old, s) {
		now := old.left(&m.l.Scores[c.Score], &c, m.at)
		if s.decay == decayStepped {
			c.Points, c.Steps = now, v.Steps
		} else {
			c.Points, c.Steps = decayHalfLife(now, m.at, c.Time, s.halfLife), 0
		}
		if math.Abs(c.Points) > 1e300 {
			return c, false
		}
	}
	c.Score, c.Line, c.Signal = uint16(score), line, lead.NoSlot
	if line != lead.NoSlot {
		if sig := m.to.lines[line].signal; sig >= 0 {
			c.Signal = uint16(sig)
		}
	}
	return c, true
}

// clip brings a stored value within new bounds; the remainder takes the difference, so that the ledger adds up.
func (m *migration) clip(v *lead.Score, s *score) {
	now := s.stored(v, m.at)
	if !s.stores() || now >= s.min && now <= s.max {
		return
	}
	v.Remainder = finite(s.remainder(v, m.at) + clip(now, s.min, s.max) - now)
	v.RemainderAt = m.at
	v.Steps += s.stepsIn(v, m.at)
	v.Value, v.At = clip(now, s.min, s.max), m.at
}

// sameLine returns the line of a score that has the id of an old one, -1 if there is none.
func (m *migration) sameLine(old, score int) int {
	id := m.from.lines[old].id
	for _, i := range m.to.scores[score].lines {
		if m.to.lines[i].id == id {
			return i
		}
	}
	return -1
}

// lines carries over what limits and inactivity remember.
func (m *migration) lines() {
	var lines []lead.Line
	for _, x := range m.l.Lines {
		old := &m.from.lines[x.Slot]
		score, ok := m.to.scoreSlot[m.from.scores[old.score].name]
		if !ok {
			continue
		}
		i := m.sameLine(int(x.Slot), score)
		if i < 0 || m.to.lines[i].limit == nil && m.to.lines[i].inactive == 0 || (old.inactive > 0) != (m.to.lines[i].inactive > 0) {
			continue
		}
		x.Slot = uint16(i)
		if lim := m.to.lines[i].limit; lim == nil {
			x.Counted, x.Points = nil, nil
		} else {
			x.Counted, x.Points = fitted(lim, x.Counted, x.Points)
		}
		lines = append(lines, x)
	}
	slices.SortFunc(lines, compareLines)
	m.l.Lines = lines
}

// fitted makes what a limit remembers as long as the new limit remembers it.
func fitted(lim *limit, counted []int64, points []float64) ([]int64, []float64) {
	if over := len(counted) - lim.kept(); over > 0 && !lim.Once {
		counted = counted[over:]
		points = points[min(over, len(points)):]
	}
	if lim.Points == 0 {
		return counted, nil
	}
	if len(points) != len(counted) {
		points = make([]float64, len(counted)) // nothing is known of them: they used up nothing
	}
	return counted, points
}

// windows carries windows and fields over, by what they mean.
func (m *migration) windows() {
	var list []lead.Signal
	for _, x := range m.l.Signals {
		name := m.from.keepers[x.Slot].name
		i := slices.IndexFunc(m.to.keepers, func(k keeper) bool { return k.name == name })
		if i < 0 {
			continue
		}
		x.Slot = uint16(i)
		if k := &m.to.keepers[i]; k.spans == nil && !k.entries {
			x.Entries, x.Buckets = nil, nil
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b lead.Signal) int { return int(a.Slot) - int(b.Slot) })
	m.l.Signals = list
	var fields []lead.Field
	for _, x := range m.l.Rare().Fields {
		name := m.from.fields[x.Slot].name
		if i := slices.IndexFunc(m.to.fields, func(k fieldKeeper) bool { return k.name == name }); i >= 0 {
			x.Slot = uint16(i)
			fields = append(fields, x)
		}
	}
	slices.SortFunc(fields, func(a, b lead.Field) int { return int(a.Slot) - int(b.Slot) })
	m.l.OwnRare().Fields = fields
}

// tags carries the weights of tags over, under the new half-life from the switch on.
func (m *migration) tags() {
	l := m.l
	if !m.to.tags.declared {
		l.OwnRare().Tags = nil
		return
	}
	if from, to := m.from.tags.halfLife, m.to.tags.halfLife; from != to {
		for i := range l.Rare().Tags {
			l.Rare().Tags[i].Weight, l.Rare().Tags[i].At = decayHalfLife(l.Rare().Tags[i].Weight, l.Rare().Tags[i].At, m.at, from), m.at
		}
	}
}

// held carries over what is held back, as far as its line or signal is still there.
func (m *migration) held() {
	l := m.l
	var list []lead.Held
	keep := false // whether the signal is there that parts belong to
	for _, h := range l.Rare().Held {
		slot := -1
		switch h.Kind {
		case lead.HeldDropped, lead.HeldDelivery:
			slot = 0
		case lead.HeldPoints, lead.HeldLine:
			old := &m.from.lines[h.Slot]
			if score, ok := m.to.scoreSlot[m.from.scores[old.score].name]; ok && (h.Kind == lead.HeldPoints || keep) {
				slot = m.sameLine(int(h.Slot), score)
			}
			if slot >= 0 && m.to.lines[slot].signal < 0 {
				slot = -1
			}
		case lead.HeldSignal:
			name := m.from.signals[h.Slot].name
			slot = slices.IndexFunc(m.to.signals, func(s signal) bool { return s.name == name })
			keep = slot >= 0
		case lead.HeldEntry:
			name := m.from.keepers[h.Slot].name
			slot = slices.IndexFunc(m.to.keepers, func(k keeper) bool { return keep && k.name == name })
		case lead.HeldField:
			name := m.from.fields[h.Slot].name
			slot = slices.IndexFunc(m.to.fields, func(k fieldKeeper) bool { return keep && k.name == name })
		case lead.HeldTag:
			if keep && m.to.tags.declared {
				slot = 0
			}
		}
		if slot >= 0 {
			h.Slot = uint16(slot)
			list = append(list, h)
		}
	}
	l.OwnRare().Held = list
}

// dedupe makes the ring of messages as long as the new rules want it, the newest kept.
func (m *migration) dedupe() {
	l := m.l
	if m.from.dedupe == m.to.dedupe {
		return
	}
	ring := make([]uint64, 0, min(len(l.Recent), m.to.dedupe))
	ordered := append(slices.Clone(l.Recent[l.RecentNext:]), l.Recent[:l.RecentNext]...)
	ring = append(ring, ordered[max(0, len(ordered)-m.to.dedupe):]...)
	l.Recent, l.RecentNext = ring, 0
}
