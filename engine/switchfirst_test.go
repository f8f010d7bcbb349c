package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"leadstream/engine"
)

// TestNewerRulesComeFirst merges a lead into one on a shard that has not heard of the rules that it follows: that shard
// switches before it takes it in, so that nothing of what only the newer rules count is lost. A lead under older rules
// is brought under the newer ones.
func TestNewerRulesComeFirst(t *testing.T) {
	newer := mustRules(t, strings.Replace(peopleRules, "scores:\n", "scores:\n  extra: {lines: [{signal: visit, add: 10}]}\n", 1))
	e := quietEngine(t, 2, peopleRules)
	f := engine.NewFleet(e, rand.New(rand.NewPCG(1, 1)), base)
	f.Clean = true
	ids := [2][]string{}
	for i := range 20 {
		id := fmt.Sprint("id", i)
		s := engine.ShardOf([]byte(id), 2)
		ids[s] = append(ids[s], id)
	}
	n := 0
	see := func(user, device string) {
		n++
		f.Append(engine.TopicPartition{Topic: "web", Partition: int32(n % 2)}, nil, fmt.Appendf(nil,
			`{"type":"page","userId":%q,"anonymousId":%q,"messageId":"m%d","timestamp":%d}`, user, device, n, base+int64(n)))
	}
	settle := func() {
		for range 1000 {
			w := f.Waiting()
			if len(w) == 0 {
				return
			}
			if err := f.Step(w[0]); err != nil {
				t.Fatal(err)
			}
		}
		t.Fatal("no end")
	}
	device, user := ids[0][0], ids[1][0]
	device2, user2 := ids[1][1], ids[0][1]
	see("", device2) // under the old rules
	settle()
	f.SwitchOne(0, newer)
	see("", device)
	see("", device)
	settle()
	see(user, device)
	see(user2, device2)
	settle()
	for id, want := range map[string][2]float64{user: {20, 3}, user2: {10, 2}} {
		l, err := f.Node(id)
		if err != nil || l.Rules != newer.ID() {
			t.Fatalf("%s follows %x, want %x: %v", id, l.Rules, newer.ID(), err)
		}
		v := newer.NewEvaluator().View(l, base+1000)
		// The event that linked them came before the switch.
		if v.Scores[0].Value < want[0] || v.Scores[1].Value != want[1] {
			t.Errorf("lead %s has %v and %v, want %v", id, v.Scores[0], v.Scores[1], want)
		}
	}
}
