package rules

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"leadstream/state/lead"
)

// BenchmarkApplyB2B applies a visitor's usual events to one lead under the shipped kind of rule set.
func BenchmarkApplyB2B(b *testing.B) {
	src, err := os.ReadFile("testdata/b2b.good.yaml")
	if err != nil {
		b.Fatal(err)
	}
	set, err := Parse(File{Name: "b2b", Src: src})
	if err != nil {
		b.Fatal(err)
	}
	ctx := lead.Object(`{"page":{"path":"/blog/x","title":"X"},"library":{"name":"analytics.js"}}`)
	events := []*lead.Event{
		{Type: lead.Page, Name: "Blog", Properties: lead.Object(`{"path":"/blog/x","url":"https://example.com/blog/x"}`), Context: ctx},
		{Type: lead.Page, Name: "Pricing", Properties: lead.Object(`{"path":"/pricing/eu"}`), Context: ctx},
		{Type: lead.Track, Name: "Email Opened", Properties: lead.Object(`{"email_id":"e-17"}`)},
		{Type: lead.Track, Name: "Something Else", Properties: lead.Object(`{"a":1}`), Context: ctx},
	}
	benchApply(b, set, events)
}

// BenchmarkApplyLines has rule sets of n lines of which an event can touch ten.
func BenchmarkApplyLines(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("lines=%d", n), func(b *testing.B) {
			var text strings.Builder
			text.WriteString("signals:\n")
			for i := range n {
				fmt.Fprintf(&text, "  s%d: {match: 'event.name == \"e%d\" && event.properties.v >= %d'}\n", i, i/10, i%10)
			}
			text.WriteString("scores:\n  e:\n    half_life: 14d\n    lines:\n")
			for i := range n {
				fmt.Fprintf(&text, "      - {signal: s%d, add: %d}\n", i, i%7+1)
			}
			text.WriteString("stages: [a, b]\ntransitions:\n  - {from: a, to: b, when: score.e > 1e9}\n")
			set, err := Parse(File{Name: "r", Src: []byte(text.String())})
			if err != nil {
				b.Fatal(err)
			}
			benchApply(b, set, []*lead.Event{{Type: lead.Track, Name: "e0", Properties: lead.Object(`{"v": 20}`)}})
		})
	}
}

// BenchmarkApplyWide has n lines of every kind: points, state lines, transitions, hand-offs and windows, of
// which an event can touch ten.
func BenchmarkApplyWide(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("lines=%d", n), func(b *testing.B) {
			set, err := Parse(File{Name: "r", Src: []byte(wideRules(n))})
			if err != nil {
				b.Fatal(err)
			}
			benchApply(b, set, []*lead.Event{{Type: lead.Track, Name: "e0", Properties: lead.Object(`{"v": 20}`)}})
		})
	}
}

// BenchmarkParse reads the same rule sets.
func BenchmarkParse(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("lines=%d", n), func(b *testing.B) {
			src := []byte(wideRules(n))
			for b.Loop() {
				if _, err := Parse(File{Name: "r", Src: src}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestApplyDoesNotAllocate has conditions of every kind that has a node of its own, on a lead that knows all
// that the event brings.
func TestApplyDoesNotAllocate(t *testing.T) {
	set, err := Parse(File{Name: "r", Src: []byte(wideRules(100))})
	if err != nil {
		t.Fatal(err)
	}
	e, l := set.NewEvaluator(), set.NewLead("l", 1)
	ev := &lead.Event{Type: lead.Track, Name: "e0", Properties: lead.Object(`{"v": 20}`)}
	var out []lead.Output
	apply := func() {
		ev.Time, ev.MessageHash = ev.Time+hour, ev.MessageHash+1
		out, _ = e.Apply(l, ev, out[:0])
	}
	for range 1000 {
		apply() // until rings and windows are full
	}
	if n := testing.AllocsPerRun(1000, apply); n >= 1 {
		t.Errorf("%v allocations an event", n)
	}
}

func wideRules(n int) string {
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
	for i := range max(1, min(n/10, 100)) {
		fmt.Fprintf(&b, "  e%d:\n    half_life: 14d\n    lines:\n", i)
		for j := i * 10; j < i*10+10; j++ {
			fmt.Fprintf(&b, "      - {signal: s%d, add: %d}\n", j, j%7+1)
		}
	}
	b.WriteString("stages: [a, b]\ntransitions:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {from: a, to: b, when: 'score.e%d > 1e9 && grade.fit == \"A\" && count(\"s%d\", \"30d\") > 5'}\n", i/10%100, i)
	}
	b.WriteString("handoffs:\n")
	for i := range n / 10 {
		fmt.Fprintf(&b, "  - {name: h%d, when: 'score.e%d > 1e8'}\n", i, i)
	}
	return b.String()
}

func benchApply(b *testing.B, set *Set, events []*lead.Event) {
	e, l := set.NewEvaluator(), set.NewLead("l", 1)
	var out []lead.Output
	id := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		ev := events[id%uint64(len(events))]
		id++
		ev.Time, ev.MessageHash = int64(id)*minute, id
		out, _ = e.Apply(l, ev, out[:0])
	}
}
