package rules

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"leadstream/state/lead"
)

var (
	warnedTransition = regexp.MustCompile(`^transitions\[(\d+)\] never fires`)
	warnedHandoff    = regexp.MustCompile(`^hand-off "(\w+)" never fires`)
	warnedGrade      = regexp.MustCompile(`^scores\.(\w+)\.grades: no lead ever has grade "(\w+)"`)
	warnedStage      = regexp.MustCompile(`^no lead comes to stage "(\w+)"`)
	warnedLine       = regexp.MustCompile(`^score line (\w+)\.(\w+) never holds`)
)

// claims is what the warnings of a rule set say will never be.
type claims struct {
	transitions                    map[string]bool // by reason
	handoffs, grades, stages, line map[string]bool
	shadowed                       int
}

func claimsOf(set *Set) claims {
	c := claims{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, 0}
	for _, w := range set.Warnings() {
		if m := warnedTransition.FindStringSubmatch(w.Message); m != nil {
			c.transitions["t"+m[1]] = true
			if strings.Contains(w.Message, "is tried first") {
				c.shadowed++
			}
		} else if m := warnedHandoff.FindStringSubmatch(w.Message); m != nil {
			c.handoffs[m[1]] = true
		} else if m := warnedGrade.FindStringSubmatch(w.Message); m != nil {
			c.grades[m[1]+" "+m[2]] = true
		} else if m := warnedStage.FindStringSubmatch(w.Message); m != nil {
			c.stages[m[1]] = true
		} else if m := warnedLine.FindStringSubmatch(w.Message); m != nil {
			c.line[m[1]+" "+m[2]] = true
		}
	}
	return c
}

// TestWarningsAreTrue draws rule sets and histories: what a warning says never happens must not happen, and no score
// may leave the range that lint works out for it.
func TestWarningsAreTrue(t *testing.T) {
	var seen, shadowed, fired int
	for seed := range uint64(*cases / 20) {
		g := &drawer{r: rand.New(rand.NewPCG(seed, 7)), m: &model{
			scores: make(map[string]*modelScore), hold: make(map[string]int64),
		}}
		text := moreTransitions(g.r, g.rules())
		set, err := Parse(File{Name: "rules", Src: []byte(text)})
		if err != nil {
			t.Fatalf("seed %d:\n%s\n%v", seed, text, err)
		}
		c := claimsOf(set)
		seen += len(c.transitions) + len(c.handoffs) + len(c.grades) + len(c.stages) + len(c.line)
		shadowed += c.shadowed
		bounds := scoreBounds(set)
		eval, l := set.NewEvaluator(), set.NewLead("ann", 1)
		now := int64(100)
		for step := range 30 {
			var out []lead.Output
			if step > 0 && g.r.IntN(3) == 0 {
				now += g.r.Int64N(150)
				out = eval.Fire(l, now, nil)
			} else {
				ev := g.event(now, step)
				now = max(now, ev.time)
				out, _ = eval.Apply(l, g.message(ev, lead.HashString(ev.id)), nil)
			}
			fired += len(out)
			v := eval.View(l, max(now, l.Clock))
			if wrong := c.broken(out, &v, bounds); wrong != "" {
				t.Fatalf("seed %d: %s\n%s\n%s", seed, wrong, text, warnings(set))
			}
		}
	}
	// Without these the test would say nothing.
	if n := *cases / 20; n >= 500 && (seen < n || shadowed < n/10 || fired < n) {
		t.Errorf("%d warnings, %d of lines that others hide, %d outputs", seen, shadowed, fired)
	}
	t.Logf("%d warnings, %d of lines that others hide, %d outputs", seen, shadowed, fired)
}

// broken returns a claim that turned out to be wrong.
func (c *claims) broken(out []lead.Output, v *View, bounds []fact) string {
	for _, o := range out {
		switch {
		case o.Kind == lead.StageChanged && c.transitions[o.Reason]:
			return "fired: " + o.Reason
		case o.Kind == lead.StageChanged && c.stages[o.To]:
			return "came to " + o.To
		case o.Kind == lead.HandOff && c.handoffs[o.Name]:
			return "fired: " + o.Name
		}
	}
	for i, s := range v.Scores {
		if c.grades[s.Name+" "+s.Grade] {
			return "grade " + s.Name + " " + s.Grade
		}
		if s.Value < bounds[i].lo || s.Value > bounds[i].hi {
			return fmt.Sprintf("score %s is %v, not %s", s.Name, s.Value, showRange(bounds[i]))
		}
	}
	for _, x := range v.Ledger {
		if c.line[x.Score+" "+x.Line] {
			return "line " + x.Score + "." + x.Line + " holds"
		}
	}
	return ""
}

// moreTransitions gives transitions their places as reasons, and puts in lines with conditions that are there already,
// alone or with another, so that there are lines to be hidden by others.
func moreTransitions(r *rand.Rand, text string) string {
	var out, lines []string
	line := regexp.MustCompile(`^  - \{from: (\w+), to: (\w+), when: '(.*?)'(.*)\}$`)
	for _, l := range strings.Split(text, "\n") {
		m := line.FindStringSubmatch(l)
		if m == nil {
			out = append(out, l)
			continue
		}
		out = append(out, l)
		lines = append(lines, m[3])
		if r.IntN(2) == 0 {
			when := lines[r.IntN(len(lines))]
			if r.IntN(2) == 0 {
				when = "(" + when + ") && (" + lines[r.IntN(len(lines))] + ")"
			}
			to := "s" + strconv.Itoa(r.IntN(3))
			if to != m[1] && len(when) < 500 {
				out = append(out, fmt.Sprintf("  - {from: %s, to: %s, when: '%s'%s}", m[1], to, when, m[4]))
			}
		}
	}
	n := 0
	for i, l := range out {
		if line.MatchString(l) {
			out[i] = strings.Replace(l, "{from:", fmt.Sprintf("{reason: t%d, from:", n), 1)
			n++
		}
	}
	return strings.Join(out, "\n")
}

// TestFacts compares the algebra of facts with all values of a small domain.
func TestFacts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := []float64{math.Inf(-1), -1, 0, 0.5, 1, 1.5, 2, 3, math.Inf(1)}
	letters := []string{"a", "b", "c", "d"}
	holds := func(f fact, i int) bool {
		if !f.isRange {
			s := letters[i%len(letters)]
			return (f.in == nil || slices.Contains(f.in, s)) && !slices.Contains(f.out, s)
		}
		v := values[i]
		return (v > f.lo || v == f.lo && !f.loOpen) && (v < f.hi || v == f.hi && !f.hiOpen) && !slices.Contains(f.holes, v)
	}
	draw := func(isRange bool) fact {
		f := anyNumber
		if !isRange {
			f = fact{}
		}
		for range r.IntN(4) {
			switch {
			case isRange:
				f = f.meet(compared(cmpOp(r.IntN(6)), values[1+r.IntN(len(values)-2)]))
			case r.IntN(2) == 0:
				f = f.meet(oneOfThese(letters[r.IntN(4)], letters[r.IntN(4)], "z"))
			default:
				f = f.meet(noneOfThese(letters[r.IntN(4)]))
			}
		}
		return f
	}
	for range 20_000 {
		isRange := r.IntN(2) == 0
		f, g := draw(isRange), draw(isRange)
		both, within, some := f.meet(g), true, false
		for i := range values {
			if holds(both, i) != (holds(f, i) && holds(g, i)) {
				t.Fatalf("%+v and %+v make %+v", f, g, both)
			}
			within = within && (!holds(f, i) || holds(g, i))
			some = some || holds(f, i)
			if isRange && values[i] == math.Trunc(values[i]) && holds(f.whole(), i) != holds(f, i) {
				t.Fatalf("the whole numbers of %+v are not those of %+v", f, f.whole())
			}
		}
		if f.empty() && some {
			t.Fatalf("%+v is not empty", f)
		}
		if f.within(g) && !within {
			t.Fatalf("%+v is not within %+v", f, g)
		}
	}
}

// TestTrueOnceTheEventIsGone is about a line that is true whenever a later one is, but becomes so by the event's going away:
// it is not tried then, and at the later one's time it was true already. So the later one fires, and nobody must
// be warned of it. With an event or a signal that has to be there it is otherwise.
func TestTrueOnceTheEventIsGone(t *testing.T) {
	for _, c := range []struct {
		first, later string
		warned       bool
	}{
		{`!signal("s")`, `!signal("s") && in_stage() >= duration("1h")`, false},
		{`event.name != "s"`, `event.name != "s" && event.path == "/x"`, true},
		{`!(event.name == "s")`, `!(event.name == "s") && in_stage() >= duration("1h")`, false},
		{`!has(event.properties.x)`, `!has(event.properties.x) && since("s") >= duration("1h")`, false},
		{`signal("s")`, `signal("s") && in_stage() >= duration("1h")`, true},
		{`event.name == "s"`, `event.name == "s" && in_stage() >= duration("1h")`, true},
	} {
		text := fmt.Sprintf("signals: {s: {match: 'event.name == \"s\"'}}\nstages: [x, y, z]\ntransitions:\n"+
			"  - {from: x, to: y, when: '%s'}\n  - {from: x, to: z, when: '%s'}\n", c.first, c.later)
		set, err := Parse(File{Name: "rules", Src: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		if warned := len(claimsOf(set).transitions) > 0; warned != c.warned {
			t.Errorf("%s, %s: warned %v\n%s", c.first, c.later, warned, warnings(set))
		}
		e, l := set.NewEvaluator(), set.NewLead("ann", 1)
		out, _ := e.Apply(l, &lead.Event{Type: lead.Track, Name: "s", Time: 1000, Properties: lead.Object(`{"x": 1}`)}, nil)
		out = e.Fire(l, 2*hour, out)
		if got := say(nil, out); !c.warned && !slices.Equal(got, []string{"3601000 stage.changed x z "}) {
			t.Errorf("%s, %s: %q", c.first, c.later, got)
		}
	}
}
