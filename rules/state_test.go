package rules

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"leadstream/state/lead"
)

// TestStatesGolden has hashes of leads and outputs after random histories, which must be the same on every
// machine, to the last bit. They are of the fields and not of their encoding, so that a new schema changes none.
func TestStatesGolden(t *testing.T) {
	var b strings.Builder
	for seed := range uint64(60) {
		g := newDrawer(seed + 5000)
		set, err := Parse(File{Name: "rules", Src: []byte(g.rules())})
		if err != nil {
			t.Fatal(err)
		}
		e, l := set.NewEvaluator(), set.NewLead("ann", 1)
		sum := sha256.New()
		now := int64(100)
		for step := range 15 {
			ev := g.event(now, step)
			now = max(now, ev.time)
			out, _ := e.Apply(l, g.message(ev, lead.HashString(ev.id)), nil)
			out = e.Fire(l, now, out)
			for i := range out {
				sum.Write(lead.AppendJSON(nil, &out[i]))
			}
			fmt.Fprintln(sum, l.Clock, l.FirstSeen, l.LastSeen, l.LastActive, l.Events, l.Stage, l.StageSince, l.Ready, l.Due, l.Seq)
			fmt.Fprintf(sum, "%x %x %x %x %x %x", l.Scores, l.Lines, l.Signals, l.Ledger.List(), l.Rare().Tags, l.Rare().Held)
			fmt.Fprintln(sum, l.Edges, l.Traits, l.Recent, l.RecentNext, l.Rare().Fields, l.Rare().Early)
		}
		fmt.Fprintf(&b, "%d %x\n", seed, sum.Sum(nil)[:8])
	}
	compareGolden(t, "testdata/states.golden", b.String())
}
