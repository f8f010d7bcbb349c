package rules

import (
	"testing"

	"leadstream/state/lead"
)

// countedNode counts how often a condition is looked at.
type countedNode struct {
	node
	n *int
}

func (c *countedNode) eval(x *scope) (tri, int64) {
	*c.n++
	return c.node.eval(x)
}

// counted makes all conditions of a rule set count.
func counted(set *Set, n *int) {
	wrap := func(c *cond) {
		if c != nil {
			c.node = &countedNode{c.node, n}
		}
	}
	for i := range set.signals {
		wrap(set.signals[i].match.rest)
	}
	for i := range set.lines {
		for j := range set.lines[i].tiers {
			wrap(set.lines[i].tiers[j].when)
		}
	}
	for i := range set.transitions {
		wrap(set.transitions[i].when)
	}
	for i := range set.handoffs {
		wrap(set.handoffs[i].when)
	}
}

// TestCostIsOfWhatAnEventTouches applies the same events under 10, 100 and 1,000 lines of every kind, ten of which they can
// touch: as many conditions are looked at and as much is allocated, to the last one.
func TestCostIsOfWhatAnEventTouches(t *testing.T) {
	type cost struct {
		conditions int
		allocs     float64
	}
	var want cost
	for _, lines := range []int{10, 100, 1000} {
		set, err := Parse(File{Name: "r", Src: []byte(wideRules(lines))})
		if err != nil {
			t.Fatal(err)
		}
		var got cost
		counted(set, &got.conditions)
		e, l := set.NewEvaluator(), set.NewLead("l", 1)
		events := []*lead.Event{
			{Type: lead.Track, Name: "e0", Properties: lead.Object(`{"v": 20}`)},
			{Type: lead.Track, Name: "e0", Properties: lead.Object(`{"v": 4}`)},
			{Type: lead.Track, Name: "of no rule", Properties: lead.Object(`{"v": 4}`)},
			{Type: lead.Page, Context: lead.Object(`{"traits": {"unread": 4}}`)},
		}
		now := int64(0)
		var out []lead.Output
		apply := func() {
			for _, ev := range events {
				now += minute
				ev.Time, ev.MessageHash = now, uint64(now)
				out, _ = e.Apply(l, ev, out[:0])
			}
		}
		for range 500 {
			apply() // until rings, windows and the ledger are full
		}
		got.conditions = 0
		apply()
		conditions := got.conditions
		got.allocs = testing.AllocsPerRun(100, apply)
		got.conditions = conditions
		if want.conditions == 0 {
			want = got
		}
		if got != want || got.conditions == 0 {
			t.Errorf("%d lines: %+v, and with 10 lines %+v", lines, got, want)
		}
		t.Logf("%d lines: %d conditions and %v allocations for %d events", lines, got.conditions, got.allocs, len(events))
	}
}
