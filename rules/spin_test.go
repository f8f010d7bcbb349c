package rules

import (
	"slices"
	"testing"

	"leadstream/state/lead"
)

const spinning = `
signals: {s: {match: 'event.name == "s"'}}
scores:
  silent:
    lines: [{inactive: 1h, add: -1}, {signal: s, add: 10, hold: 10m}]
stages: [a, b]
transitions:
  - {from: a, to: b, when: 'in_stage() >= duration("5ms")'}
  - {from: b, to: a, when: 'in_stage() >= duration("5ms")'}
handoffs:
  - {name: every_other, when: 'stage == "a"'}
`

// TestSpin has rules that lead in a circle. What one call returns is bounded, wherever the tick was the same comes out, and an
// event sets the lead going again.
func TestSpin(t *testing.T) {
	set, err := Parse(File{Name: "r", Src: []byte(spinning)})
	if err != nil {
		t.Fatal(err)
	}
	run := func(ticks ...int64) (all []string) {
		e, l := set.NewEvaluator(), set.NewLead("ann", 1)
		most := 0
		take := func(out []lead.Output) {
			most = max(most, len(out))
			all = say(all, out)
		}
		apply := func(at int64) {
			for len(ticks) > 0 && ticks[0] < at {
				take(e.Fire(l, ticks[0], nil))
				if l.Due <= ticks[0] {
					t.Fatalf("due at %d after the tick at %d", l.Due, ticks[0])
				}
				ticks = ticks[1:]
			}
			out, _ := e.Apply(l, &lead.Event{Type: lead.Track, Name: "s", Time: at}, nil)
			take(out)
		}
		apply(day)
		apply(day + 50) // ten moves lie between: it is not stopped
		if l.Spins != 0 || e.Counts().Stopped > 0 {
			t.Fatalf("%d outputs counted, stopped %d", l.Spins, e.Counts().Stopped)
		}
		n := len(all)
		apply(9 * day)
		if got := len(all) - n; got < maxSpins || got > maxSpins+10 {
			t.Errorf("%d outputs until the next event", got)
		}
		if e.Counts().Stopped != 1 || l.Due == never || most > maxSpins+10 {
			t.Errorf("stopped %d, due %d, %d outputs at once", e.Counts().Stopped, l.Due, most)
		}
		if v := e.View(l, 9*day); v.Scores[0].Value != 20 {
			t.Errorf("what was held is %v at the next event", v.Scores[0].Value)
		}
		out, _ := e.Command(l, &Command{ID: "c", Kind: Adjust, Score: "silent", Points: 1, Time: 10 * day}, nil)
		take(out)
		take(e.Fire(l, 20*day, nil))
		if l.Due != never || l.Spins < maxSpins || e.Counts().Stopped != 3 {
			t.Errorf("due %d, %d outputs counted, stopped %d", l.Due, l.Spins, e.Counts().Stopped)
		}
		return all
	}
	want := run()
	for _, ticks := range [][]int64{{day + 7, day + 23, 2 * day}, {day + 20, day + 1000, day + 1001, 3 * day, 4 * day}} {
		if got := run(ticks...); !slices.Equal(got, want) {
			t.Errorf("with ticks at %v there are %d outputs, without %d", ticks, len(got), len(want))
		}
	}
}
