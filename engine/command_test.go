package engine_test

import (
	"strings"
	"testing"

	"leadstream/engine"
	"leadstream/rules"
)

// TestCommands says commands to leads: they are applied once, in the recorded order, and what can't be done is
// a dead letter.
func TestCommands(t *testing.T) {
	r := newRig(t, 3)
	r.produce(4, 30, 300)
	dir := t.TempDir()
	p := r.start("a", dir, nil)
	r.settle(p)
	say := func(id string, c rules.Command) {
		t.Helper()
		m, shard, err := engine.CommandLead(id, c, r.shards)
		if err != nil {
			t.Fatal(err)
		}
		r.log.Append(engine.TopicName("app", engine.TopicInbox), shard, nil, m, r.clock())
	}
	say("lead-001", rules.Command{Kind: rules.Adjust, ID: "c1", Score: "engagement", Points: 90})
	say("lead-001", rules.Command{Kind: rules.Adjust, ID: "c1", Score: "engagement", Points: 90}) // the same once more
	say("lead-002", rules.Command{Kind: rules.Move, ID: "c2", Stage: "recycled", Reason: "by_hand"})
	say("lead-002", rules.Command{Kind: rules.Adjust, ID: "c3", Score: "engagment", Points: 1})
	say("nobody", rules.Command{Kind: rules.Move, ID: "c4", Stage: "lead"})
	r.settle(p)
	view, err := p.engine.Lead(t.Context(), "lead-001", r.clock())
	if err != nil || view.Scores[0].Value < 89 || view.Scores[0].Value > 100 {
		t.Errorf("after an adjustment by 90: %+v, %v", view.Scores, err)
	}
	p.stop(t)
	r.check()
	var dead []string
	for _, rec := range r.log.Output(engine.TopicDeadletter) {
		for _, h := range rec.Headers {
			if h.Key == "__streams.errors.exception" && (string(h.Value) == "refused" || string(h.Value) == "no_lead") {
				dead = append(dead, string(h.Value))
			}
		}
	}
	if len(dead) != 2 {
		t.Errorf("dead letters %v, want one refused and one without a lead", dead)
	}
	moved := 0
	for _, rec := range r.log.Output(engine.TopicTransitions) {
		if strings.Contains(string(rec.Value), `"reason":"by_hand"`) {
			moved++
		}
	}
	if moved != 1 {
		t.Errorf("moved by hand %d times", moved)
	}
}
