package micro

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"leadstream/rules"
	"leadstream/state/lead"
)

// BenchmarkLines applies events under rule sets of 10, 100 and 1,000 lines, and as many state lines, transitions and windows,
// of which an event can touch ten. times-of-10 is the CPU time in comparison with that of 10 lines: at most 3 is promised.
func BenchmarkLines(b *testing.B) {
	var ten float64
	for _, lines := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			set, err := rules.Parse(rules.File{Name: "lines.yaml", Src: []byte(linesRules(lines))})
			if err != nil {
				b.Fatal(err)
			}
			e, l := set.NewEvaluator(), set.NewLead("lead-0000421337", 1)
			ev := &lead.Event{Type: lead.Track, Name: "e0", Properties: lead.Object(`{"v": 20}`)}
			var out []lead.Output
			apply := func() {
				ev.Time, ev.MessageHash = ev.Time+60_000, ev.MessageHash+1
				out, _ = e.Apply(l, ev, out[:0])
			}
			for range 1000 {
				apply() // until rings, windows and the ledger are full
			}
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				apply()
			}
			each := float64((cpuTime(b) - before).Nanoseconds()) / float64(b.N)
			if lines == 10 {
				ten = each
			}
			b.ReportMetric(each, "cpu-ns/event")
			if ten > 0 {
				b.ReportMetric(each/ten, "times-of-10")
			}
		})
	}
}

// linesRules has n lines of each kind. Event e0 is the first ten signals, and touches what reads them.
func linesRules(n int) string {
	var b strings.Builder
	b.WriteString("signals:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%d: {match: 'event.name == \"e%d\" && event.properties.v >= %d'}\n", i, i/10, i%10)
	}
	b.WriteString("scores:\n  fit:\n    lines:\n")
	for i := range n {
		fmt.Fprintf(&b, "      - {id: l%d, when: 'traits.t%d >= %d', add: 1}\n", i, i, i)
	}
	b.WriteString("    grades: {A: 1000000, B: 0}\n")
	for i := range n / 10 {
		fmt.Fprintf(&b, "  e%d:\n    half_life: 14d\n    lines:\n", i)
		for j := i * 10; j < i*10+10; j++ {
			fmt.Fprintf(&b, "      - {signal: s%d, add: %d}\n", j, j%7+1)
		}
	}
	b.WriteString("stages: [a, b]\ntransitions:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {from: a, to: b, when: 'score.e%d > 1e9 && grade.fit == \"A\" && count(\"s%d\", \"30d\") > 5'}\n", i/10, i)
	}
	return b.String()
}

// TestLinesRules says that the benchmark's rule sets can be read and do what it needs of them.
func TestLinesRules(t *testing.T) {
	for _, lines := range []int{10, 1000} {
		set, err := rules.Parse(rules.File{Name: "lines.yaml", Src: []byte(linesRules(lines))})
		if err != nil {
			t.Fatal(err)
		}
		e, l := set.NewEvaluator(), set.NewLead("lead-0000421337", 1)
		e.Apply(l, &lead.Event{Type: lead.Track, Name: "e0", Time: time.Hour.Milliseconds(), Properties: lead.Object(`{"v": 20}`)}, nil)
		if v := e.View(l, l.Clock); v.Scores[1].Value != 34 {
			t.Errorf("%d lines: score %s is %v", lines, v.Scores[1].Name, v.Scores[1].Value)
		}
	}
}
