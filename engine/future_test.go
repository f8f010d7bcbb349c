package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
)

// TestMaxFutureSwitches applies rules with another max_future while the engine runs: it holds from the switch on, for events that are
// forwarded as well, and what is done again after a crash is limited as it was.
func TestMaxFutureSwitches(t *testing.T) {
	r := newRig(t, 2)
	r.parts = map[string]int32{"web": 1, "mail": 1}
	sets := []*rules.Set{mustRules(t, "max_future: 10m\n"+testRules), mustRules(t, "max_future: 1m\n"+testRules)}
	r.set = sets[0]
	r.tune = func(c *engine.Config) { c.CheckpointInterval = time.Hour }
	const ahead = 5 * 60_000
	send := func(group string) {
		for i := range 8 {
			v := fmt.Appendf(nil, `{"userId":"%s-%d","timestamp":%d,"type":"track","event":"Demo Requested"}`, group, i, base+ahead)
			r.log.Append("web", 0, nil, v, base)
		}
	}
	p := r.start("a", t.TempDir(), nil)
	send("before")
	r.settle(p)
	r.apply(sets[1])
	r.awaitRules(p, sets[1].Version())
	send("after")
	r.settle(p)
	p.kill(t)
	p = r.start("b", t.TempDir(), nil)
	send("again")
	r.settle(p)
	p.stop(t)
	said := r.saidOf()
	for group, at := range map[string]int64{"before": base + ahead, "after": base, "again": base} {
		for i := range 8 {
			id := fmt.Sprintf("%s-%d", group, i)
			if len(said[id]) == 0 || !strings.Contains(said[id][0], fmt.Sprintf(`"at":%d,`, at)) {
				t.Errorf("of %s was said, not at %d,\n%v", id, at, said[id])
			}
		}
	}
	rp := &enginetest.Replayer{App: "app", Shards: r.shards, Sources: r.sources, Rules: r.set, Switched: sets, History: r.log.Client("checker")}
	w, err := rp.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := rp.CheckOutputs(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	states := map[string][]byte{}
	for _, rec := range r.log.Output(engine.TopicState) {
		states[string(rec.Key)] = rec.Value
	}
	if err := w.CheckStates(states); err != nil {
		t.Fatal(err)
	}
}
