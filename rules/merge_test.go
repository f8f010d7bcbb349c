package rules

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"leadstream/state/lead"
)

const mergeRules = `
signals:
  visit:  {match: 'event.type == "page"'}
  demo:   {match: 'event.name == "Demo"'}
  pay:    {match: 'event.name == "Pay"'}
scores:
  warm: {half_life: 7d, lines: [{signal: demo, add: 10}]}
  plain: {lines: [{signal: visit, add: 1}]}
  capped: {half_life: 1d, max: 100, lines: [{signal: demo, add: 80}]}
  fresh: {expire_after: 10d, lines: [{signal: pay, add: 5}]}
  falling: {linear_over: 90d, lines: [{signal: pay, add: 9}]}
  steps: {step: {every: 1d, keep: 0.5}, lines: [{signal: pay, add: 16}]}
  limited: {lines: [{id: v, signal: visit, add: 1, limit: {times: 2, per: 1d}}]}
  points: {lines: [{id: p, signal: demo, add: 6, limit: {points: 10, per: 1d}}]}
  once: {lines: [{id: o, signal: demo, add: 3, limit: {once: true}}]}
  silent: {lines: [{id: s, inactive: 30d, add: -5, repeat: true}]}
  total: {derived: '2 * score.warm + score.plain'}
tags: {half_life: 10d, lines: [{signal: visit, tag: event.properties.topic, weight: 1}]}
stages: [visitor, lead, mql, sql, lost]
terminal: [lost]
merge_rank: [visitor, mql, lead, sql, lost]
transitions:
  - {from: visitor, to: lead, when: 'has(traits.email)'}
  - {from: [visitor, lead], to: mql, when: 'count("visit", "30d") >= 6'}
  - {from: mql, to: sql, when: 'signal("demo")'}
  - {from: any, to: lost, when: 'signal("pay") && event.properties.bad == true'}
handoffs:
  - {name: call, when: 'score.warm >= 15', cooldown: 30d}
`

type merger struct {
	t   *testing.T
	set *Set
	ev  *Evaluator
	out []lead.Output
}

func newMerger(t *testing.T, text string) *merger {
	t.Helper()
	set, err := Parse(File{Name: "rules", Src: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return &merger{t: t, set: set, ev: set.NewEvaluator()}
}

func (m *merger) lead(id string, events ...*lead.Event) *lead.Lead {
	l := m.set.NewLead(id, 1)
	for _, ev := range events {
		m.out, _ = m.ev.Apply(l, ev, m.out)
	}
	return l
}

func (m *merger) merge(l, from *lead.Lead) []lead.Output {
	return m.ev.Merge(l, from.Clone(), ByEvent, "m", nil)
}

// at makes an event that happened some days in.
func at(days float64, name, id string, properties ...string) *lead.Event {
	ev := &lead.Event{Type: lead.Track, Name: name, Time: int64(days * float64(day)), MessageID: []byte(id), MessageHash: lead.HashString(id)}
	if name == "page" {
		ev.Type, ev.Name = lead.Page, ""
	}
	if len(properties) > 0 {
		ev.Properties = lead.Object(properties[0])
	}
	return ev
}

func identify(days float64, id, traits string) *lead.Event {
	ev := at(days, "", id)
	ev.Type, ev.Traits = lead.Identify, lead.Object(traits)
	return ev
}

func (m *merger) score(l *lead.Lead, name string, days float64) float64 {
	for _, s := range m.ev.View(l, int64(days*float64(day))).Scores {
		if s.Name == name {
			return s.Value
		}
	}
	m.t.Fatalf("no score %s", name)
	return 0
}

func (m *merger) want(l *lead.Lead, days float64, want map[string]float64) {
	m.t.Helper()
	for name, w := range want {
		if got := m.score(l, name, days); math.Abs(got-w) > 1e-9*math.Max(1, math.Abs(w)) {
			m.t.Errorf("score %s is %v, want %v", name, got, w)
		}
	}
	checkLedger(m.t, m.ev.View(l, max(l.Clock, int64(days*float64(day)))))
}

func TestMergedScores(t *testing.T) {
	m := newMerger(t, mergeRules)
	a := m.lead("a", at(0.1, "Demo", "1"), at(0.1, "Pay", "2"), at(0.2, "page", "3"))
	b := m.lead("b", at(7.1, "Demo", "4"), at(7.1, "Pay", "5"), at(7.1, "page", "6"), at(7.1, "page", "7"))
	for _, l := range []*lead.Lead{a, b} {
		from := b
		if l == b {
			from = a
		}
		l = l.Clone()
		m.merge(l, from)
		if l.Clock != b.Clock {
			t.Errorf("clock %d, want %d", l.Clock, b.Clock)
		}
		m.want(l, 7.1, map[string]float64{
			"warm": 15, "plain": 3, "capped": 80.625, "fresh": 10, "total": 33, "points": 12, "once": 3,
			"falling": 9 + 9*83.0/90, "steps": 16 + 16.0/128, "limited": 3,
		})
		m.want(l, 8.1, map[string]float64{"fresh": 10, "steps": 8 + 16.0/256})
		m.want(l, 10.2, map[string]float64{"fresh": 5})
		if l.Events != 7 || l.FirstSeen != a.FirstSeen || l.LastSeen != b.LastSeen {
			t.Errorf("events %d, seen %d to %d", l.Events, l.FirstSeen, l.LastSeen)
		}
	}
}

func TestMergedClip(t *testing.T) {
	m := newMerger(t, mergeRules)
	a, b := m.lead("a", at(1, "Demo", "1")), m.lead("b", at(1, "Demo", "2"))
	m.merge(a, b)
	m.want(a, 1, map[string]float64{"capped": 100})
	m.want(a, 2, map[string]float64{"capped": 50})
}

func TestMergedLimits(t *testing.T) {
	m := newMerger(t, mergeRules)
	a := m.lead("a", at(0.1, "page", "1"), at(0.3, "page", "2"), at(0.1, "Demo", "3"))
	b := m.lead("b", at(0.2, "page", "4"), at(2.2, "page", "5"), at(0.5, "Demo", "6"))
	m.merge(a, b)
	// Of the three visits of the first day two count; of 12 points 10; the second demo counts no more once.
	m.want(a, 2.2, map[string]float64{"limited": 3, "points": 10, "once": 3, "plain": 4})
	var counted []int64
	for _, x := range a.Lines {
		if m.set.lines[x.Slot].id == "v" {
			counted = x.Counted
		}
	}
	if fmt.Sprint(counted) != fmt.Sprint([]int64{day / 5, 11 * day / 5}) && len(counted) != 2 {
		t.Errorf("the limit remembers %v", counted)
	}
}

func TestMergedDuplicates(t *testing.T) {
	m := newMerger(t, mergeRules)
	a := m.lead("a", at(1, "Demo", "1"), at(1, "page", "2"), at(1, "Pay", "5"))
	b := m.lead("b", at(1, "Demo", "1"), at(2, "page", "3"), at(1, "Pay", "5"))
	m.merge(a, b)
	m.want(a, 2, map[string]float64{"points": 6, "plain": 2, "fresh": 5})
	if a.Events != 4 {
		t.Errorf("%d events, want 4", a.Events)
	}
	if _, v := m.ev.Apply(a, at(3, "page", "3"), nil); v != Duplicate {
		t.Error("a message of the other lead is no duplicate")
	}
}

func TestMergedStage(t *testing.T) {
	m := newMerger(t, mergeRules)
	visits := func(n int) (list []*lead.Event) {
		for i := range n {
			list = append(list, at(1+float64(i)/10, "page", fmt.Sprint("v", i)))
		}
		return list
	}
	mql := m.lead("a", visits(6)...)
	known := m.lead("b", identify(3, "i", `{"email":"x@y.z"}`))
	lost := m.lead("c", at(1, "Pay", "p", `{"bad":true}`))
	for _, c := range []struct {
		into, from *lead.Lead
		stage      string
		since      float64
		outs       string
	}{
		{mql, known, "lead", 3, "merged stage:mql-lead:merged stage:lead-mql:"},
		{known, lost, "lost", 1, "merged stage:lead-lost:merged"},
		{lost, known, "lost", 1, "merged"},
	} {
		l := c.into.Clone()
		outs := m.merge(l, c.from)
		var got []string
		for _, o := range outs {
			switch o.Kind {
			case lead.LeadMerged:
				got = append(got, "merged")
				if o.From != c.from.ID || o.To != l.ID || o.Lead != l.ID || o.Reason != "event" {
					t.Errorf("merged %+v", o)
				}
			case lead.StageChanged:
				got = append(got, "stage:"+o.From+"-"+o.To+":"+o.Reason)
			}
		}
		if s := strings.Join(got, " "); s != c.outs {
			t.Errorf("%s into %s: %s, want %s", c.from.ID, c.into.ID, s, c.outs)
		}
		if c.stage == "lost" && (m.set.stages[l.Stage].name != c.stage || l.StageSince != int64(c.since*float64(day))) {
			t.Errorf("%s into %s: stage %d since %d", c.from.ID, c.into.ID, l.Stage, l.StageSince)
		}
	}
}

func TestMergedEvaluation(t *testing.T) {
	m := newMerger(t, mergeRules)
	a, b := m.lead("a", at(1, "Demo", "1")), m.lead("b", at(1, "Demo", "2"))
	b.Edges[0].Until = 20 * day
	c := a.Clone()
	if outs := m.merge(c, b); len(outs) != 1 {
		t.Errorf("inside the other's cooldown: %d outputs", len(outs))
	}
	b.Edges[0].Until = 0
	if outs := m.merge(a, b); len(outs) != 2 || outs[1].Kind != lead.HandOff || outs[1].At != day {
		t.Errorf("two halves of what a hand-off asks for: %+v", outs)
	}
	if a.Due > 31*day {
		t.Errorf("due %d: inactivity is not armed", a.Due)
	}
}

func TestMergedTraitsAndTags(t *testing.T) {
	m := newMerger(t, mergeRules)
	a := m.lead("a", identify(2, "1", `{"email":"new@x"}`), at(2, "page", "2", `{"topic":"go"}`))
	b := m.lead("b", identify(1, "3", `{"email":"old@x"}`), at(1, "page", "4", `{"topic":"go"}`), at(1, "page", "5", `{"topic":"kafka"}`))
	for _, p := range [][2]*lead.Lead{{a, b}, {b, a}} {
		l := p[0].Clone()
		m.merge(l, p[1])
		if v := traitValue(l, "email"); v.Str() != "new@x" {
			t.Errorf("email %s", v.Text)
		}
		w := m.ev.View(l, 2*day).Tags
		if len(w) != 2 || w[0].Name != "go" || math.Abs(w[0].Weight-1-math.Exp2(-0.1)) > 1e-12 {
			t.Errorf("tags %+v", w)
		}
	}
}

// TestMergeIsLikeOneLead draws events for up to four leads, merges them in any order, and compares with one lead
// that got all of them.
func TestMergeIsLikeOneLead(t *testing.T) {
	const text = `
signals:
  visit:  {match: 'event.type == "page"'}
  demo:   {match: 'event.name == "Demo"'}
scores:
  warm: {half_life: 7d, lines: [{signal: demo, add: 10}, {id: down, signal: visit, add: -3}]}
  plain: {lines: [{signal: visit, add: 1}]}
  fresh: {expire_after: 10d, lines: [{signal: demo, add: 5}]}
  falling: {linear_over: 90d, lines: [{signal: visit, add: 9}]}
  seen: {lines: [{id: c, when: 'count("visit", "30d") >= 3', add: 7}, {id: d, when: 'distinct("demo", "n", "20d") >= 2', add: 2}, {id: l, when: 'last("demo", "n") == 3.0', add: 1}]}
stages: [visitor, lead]
`
	m := newMerger(t, text)
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 2 + r.IntN(3)
		var parts [4][]*lead.Event
		var all []*lead.Event
		now := float64(r.IntN(10))
		for i := range 3 + r.IntN(18) { // few enough for the ledger to know all of them
			now += r.Float64() * float64(r.IntN(6))
			name := []string{"page", "Demo"}[r.IntN(2)]
			ev := at(now-float64(r.IntN(2))*r.Float64()*5, name, fmt.Sprint("m", i), fmt.Sprintf(`{"n":%d}`, r.IntN(5)))
			all = append(all, ev)
			k := r.IntN(n)
			parts[k] = append(parts[k], ev)
			if r.IntN(10) == 0 { // the same message comes to another id too
				parts[(k+1)%n] = append(parts[(k+1)%n], ev)
			}
		}
		one := m.lead("one", all...)
		var leads []*lead.Lead
		for k := range n {
			leads = append(leads, m.lead(fmt.Sprint("l", k), parts[k]...))
		}
		for len(leads) > 1 {
			i := r.IntN(len(leads))
			from := leads[i]
			leads = append(leads[:i:i], leads[i+1:]...)
			into := leads[r.IntN(len(leads))]
			if !begun(from) {
				continue
			}
			m.merge(into, from)
		}
		l := leads[0]
		if !begun(l) {
			continue
		}
		for _, later := range []float64{0, 3, 11, 40} {
			x, y := m.ev.View(l, one.Clock+int64(later*float64(day))), m.ev.View(one, one.Clock+int64(later*float64(day)))
			for i, s := range x.Scores {
				if w := y.Scores[i].Value; math.Abs(s.Value-w) > 1e-9*math.Max(1, math.Abs(w)) {
					t.Fatalf("seed %d: score %s is %v, of one lead %v", seed, s.Name, s.Value, w)
				}
			}
		}
		if l.Events != one.Events || l.FirstSeen != one.FirstSeen || l.LastSeen != one.LastSeen || l.Clock != one.Clock {
			t.Fatalf("seed %d: %d events, %d to %d, clock %d; of one lead %d, %d to %d, %d", seed, l.Events, l.FirstSeen, l.LastSeen, l.Clock, one.Events, one.FirstSeen, one.LastSeen, one.Clock)
		}
	}
}
