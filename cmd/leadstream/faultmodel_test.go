package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"leadstream/engine"
)

// faultRules is small enough that model, which knows nothing of how the engine works, can be checked by eye.
const faultRules = `
signals:
  visit: {match: 'event.type == "page"'}
  demo: {match: 'event.name == "Demo Requested"'}
scores:
  engagement:
    half_life: 7d
    max: 100
    lines:
      - {id: visit, signal: visit, add: 3}
      - {id: demo, signal: demo, add: 40}
stages: [visitor, lead, mql, recycled]
transitions:
  - {from: visitor, to: lead, when: 'score.engagement >= 10'}
  - {from: lead, to: mql, when: 'score.engagement >= 35', reason: engaged}
  - {from: mql, to: lead, when: 'score.engagement < 20', reason: cooled}
  - {from: lead, to: recycled, when: 'in_stage() >= duration("6d")', reason: stale}
  - {from: recycled, to: visitor, when: 'score.engagement < 5'}
handoffs:
  - {name: hot, when: 'score.engagement >= 50', cooldown: 3d, assign: {team: sales}}
`

// otherRules are faultRules and a score that the ordered leads have nothing of: what they say does not change.
func otherRules(i int) string {
	return strings.NewReplacer("signals:\n", "signals:\n  extra: {match: 'event.name == \"Extra\"'}\n", "scores:\n", fmt.Sprintf(`scores:
  noise:
    half_life: %dd
    lines:
      - {id: extra, signal: extra, add: %d}
`, i, 10*i)).Replace(faultRules)
}

// modelEvent is what the model needs of an event, in the order in which they happen to a lead.
type modelEvent struct {
	id     string // messageId
	at     int64
	points float64
}

// said is an output as the model sees it.
type said struct {
	what string // "visitor>lead" or "handoff hot"
	at   int64
}

// hear adds what an output says of its lead.
func hear(all map[string][]said, topic engine.Topic, r *engine.Record) error {
	var o struct {
		Lead, From, To, Name string
		At                   int64
	}
	if err := json.Unmarshal(r.Value, &o); err != nil {
		return err
	}
	what := o.From + ">" + o.To
	if topic == engine.TopicHandoffs {
		what = "handoff " + o.Name
	}
	all[o.Lead] = append(all[o.Lead], said{what, o.At})
	return nil
}

const faultDay = int64(86_400_000)

// modelLead computes all outputs of one lead up to a time, straight from faultRules: it looks at the lead
// after every event and at every millisecond at which time alone can matter.
func modelLead(events []modelEvent, until int64) []said {
	m := &modelState{stage: "visitor"}
	seen := []string{}
	for _, e := range events {
		if slices.Contains(seen, e.id) {
			continue
		}
		seen = append(seen, e.id)
		if len(seen) > 128 {
			seen = seen[1:]
		}
		if m.clock == 0 {
			m.clock, m.since, m.anchor = e.at, e.at, e.at
		}
		m.elapse(e.at)
		m.clock = e.at
		m.value = math.Min(100, m.score(e.at)+e.points)
		m.anchor = e.at
		m.look(e.at)
	}
	m.elapse(until)
	return m.out
}

type modelState struct {
	stage                string
	since, clock, anchor int64
	value                float64
	hot                  bool
	quietUntil           int64
	out                  []said
}

func (m *modelState) score(t int64) float64 {
	return m.value * math.Pow(0.5, float64(t-m.anchor)/float64(7*faultDay))
}

// elapse lets time pass: it goes from one possible moment of change to the next.
func (m *modelState) elapse(to int64) {
	for m.clock != 0 {
		next := to + 1
		for _, floor := range []float64{50, 20, 5} {
			if at := m.firstBelow(floor); at > m.clock {
				next = min(next, at)
			}
		}
		if at := m.since + 6*faultDay; m.stage == "lead" && at > m.clock {
			next = min(next, at)
		}
		if next > to {
			return
		}
		m.clock = next
		m.look(next)
	}
}

// firstBelow is the first millisecond at which the score is below a floor, 0 if it is so already.
func (m *modelState) firstBelow(floor float64) int64 {
	if m.score(m.clock) < floor {
		return 0
	}
	low, high := m.clock, m.clock+1
	for m.score(high) >= floor {
		high += high - low
	}
	for high-low > 1 {
		if mid := low + (high-low)/2; m.score(mid) < floor {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// look evaluates the rules at a time.
func (m *modelState) look(t int64) {
	type line struct {
		from, to string
		when     bool
	}
	used := map[int]bool{}
	for again := true; again; {
		again = false
		s := m.score(t)
		lines := []line{
			{"visitor", "lead", s >= 10}, {"lead", "mql", s >= 35}, {"mql", "lead", s < 20},
			{"lead", "recycled", t-m.since >= 6*faultDay}, {"recycled", "visitor", s < 5},
		}
		for i, l := range lines {
			if l.from == m.stage && l.when && !used[i] {
				used[i] = true
				m.out = append(m.out, said{fmt.Sprintf("%s>%s", l.from, l.to), t})
				m.stage, m.since, again = l.to, t, true
				break
			}
		}
	}
	hot := m.score(t) >= 50
	if hot && !m.hot && t >= m.quietUntil {
		m.out = append(m.out, said{"handoff hot", t})
		m.quietUntil = t + 3*faultDay
	}
	m.hot = hot
}
