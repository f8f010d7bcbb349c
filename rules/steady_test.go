package rules

import "testing"

// TestStepsEnd has a derived score of a step score: it is looked at with every step, until there is nothing left that a step
// could change. Else each lead would have a timer a day for ever.
func TestStepsEnd(t *testing.T) {
	for keep, last := range map[string]int64{"0": 1, "0.5": 1076} {
		p := newPerson(t, simple+"scores: {s: {step: {every: 1d, keep: "+keep+"}, lines: [{signal: e, add: 1}]}, d: {derived: '2 * score.s'}}\n"+
			"handoffs: [{name: h, when: 'score.d > 100'}]\n")
		p.does("e", "m", "")
		at := p.l.Clock
		steps := int64(0)
		for p.l.Due != never && steps < 2000 {
			if p.l.Due != at+(steps+1)*day {
				t.Fatalf("keep %s: step %d is due at %d", keep, steps+1, p.l.Due)
			}
			p.e.Fire(p.l, p.l.Due, nil)
			steps++
		}
		if steps < last-1 || steps > last {
			t.Errorf("keep %s: %d steps, want %d", keep, steps, last)
		}
	}
}
