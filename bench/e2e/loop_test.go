package main

import (
	"math"
	"testing"

	"leadstream/bench/workload"
	ruleset "leadstream/rules"
	"leadstream/state/lead"
)

// TestLoop: what is written by hand has the scores and the stages that the rules give.
func TestLoop(t *testing.T) {
	set, err := ruleset.Parse(ruleset.File{Name: "rules.yaml", Src: []byte(rules)})
	if err != nil {
		t.Fatal(err)
	}
	l := loop{leads: map[string]*looped{}}
	known := map[string]*lead.Lead{}
	changes := 0
	ev := set.NewEvaluator()
	for i := range 20_000 {
		key := string(rune('a' + i*i%7))
		x := known[key]
		if x == nil {
			x = set.NewLead(key, 1)
			known[key] = x
		}
		e := lead.Event{Type: lead.Track, Name: workload.LoadNames[i*31%len(workload.LoadNames)], Time: 1_700_000_000_000 + int64(i)*300_000, MessageHash: uint64(i + 1)}
		out, _ := ev.Apply(x, &e, nil)
		changes += len(out)
		l.add([]byte(key), &e)
		if got, want := l.leads[key].score, ev.View(x, e.Time).Scores[0].Value; math.Abs(got-want) > 1e-6 {
			t.Fatalf("event %d: the score is %v, want %v", i, got, want)
		}
		if got := l.leads[key].stage; int(got) != int(x.Stage) {
			t.Fatalf("event %d: the stage is %d, want %d", i, got, x.Stage)
		}
	}
	if changes == 0 || l.changes != uint64(changes) {
		t.Errorf("%d changes of a stage, want %d", l.changes, changes)
	}
}
