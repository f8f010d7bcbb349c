package rules

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"leadstream/state/lead"
)

func newDrawer(seed uint64) *drawer {
	return &drawer{r: rand.New(rand.NewPCG(seed, 1)), m: &model{
		scores: make(map[string]*modelScore), occurred: make(map[string][]modelEvent), traits: make(map[string]int),
		traitTime: make(map[string]int64), traitID: make(map[string]uint64), seen: make(map[string]bool),
		hold: make(map[string]int64), lastActive: math.MinInt64, stage: "s0", maxLate: 50,
	}}
}

// TestSwitchToTheSameRules switches to rules that differ in a comment only: nothing may come of it, then or
// later. Only a transition that is true and waits for an event fires at the switch.
func TestSwitchToTheSameRules(t *testing.T) {
	switched := 0
	for seed := range uint64(100) {
		g := newDrawer(seed)
		text := g.rules()
		a, err := Parse(File{Name: "a", Src: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse(File{Name: "a", Src: []byte("# again\n" + text)})
		if err != nil {
			t.Fatal(err)
		}
		if a.ID() == b.ID() {
			t.Fatal("two texts have one id")
		}
		stay, move := a.NewEvaluator(), a.NewEvaluator()
		l, m := a.NewLead("ann", 1), a.NewLead("ann", 1)
		var want, got []string
		now, at, whole := int64(100), 3+g.r.IntN(4), true
		for step := range 10 {
			if step == at {
				if want = say(want, stay.Fire(l, now, nil)); l.Ready || stay.waits(l, max(now, l.Clock)) {
					whole = false
					break
				}
				move = b.NewEvaluator()
				got = say(got, move.Migrate(m, a, max(now, m.Clock), nil))
				if m.Rules != b.ID() {
					t.Fatalf("seed %d: the lead follows %x", seed, m.Rules)
				}
				switched++
			}
			ev := g.event(now, step)
			now = max(now, ev.time)
			hash := lead.HashString(ev.id)
			out, _ := stay.Apply(l, g.message(ev, hash), nil)
			want = say(want, out)
			out, _ = move.Apply(m, g.message(ev, hash), nil)
			got = say(got, out)
		}
		want, got = say(want, stay.Fire(l, now+500, nil)), say(got, move.Fire(m, now+500, nil))
		if whole && !slices.Equal(got, want) {
			t.Fatalf("seed %d:\n%s\n got %v\nwant %v", seed, text, got, want)
		}
	}
	if switched < 50 {
		t.Errorf("only %d leads were switched", switched)
	}
}

// waits says that a transition that reads the event is true without one: a switch would fire it.
func (e *Evaluator) waits(l *lead.Lead, at int64) bool {
	e.enter(l, at, nil)
	return slices.ContainsFunc(e.set.from[l.Stage], func(i int) bool {
		on, _ := e.test(e.set.transitions[i].when)
		return on && at >= e.set.transitions[i].ripe(l)
	})
}

func say(list []string, out []lead.Output) []string {
	for _, o := range out {
		list = append(list, fmt.Sprintf("%d %s %s %s %s", o.At, o.Kind, o.From, o.To, o.Name))
	}
	return list
}

// TestSwitchToOtherRules switches between rule sets that have names in common: whatever they are, ledgers
// add up, the timer is armed for later, and the lead goes on.
func TestSwitchToOtherRules(t *testing.T) {
	for seed := range uint64(150) {
		g := newDrawer(seed)
		a, err := Parse(File{Name: "a", Src: []byte(g.rules())})
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse(File{Name: "b", Src: []byte(newDrawer(seed + 1_000_000).rules())})
		if err != nil {
			t.Fatal(err)
		}
		old, e, l := a.NewEvaluator(), b.NewEvaluator(), a.NewLead("ann", 1)
		now := int64(100)
		for step := range 8 {
			ev := g.event(now, step)
			now = max(now, ev.time)
			old.Apply(l, g.message(ev, lead.HashString(ev.id)), nil)
		}
		before := l.Clock
		at := max(now+g.r.Int64N(100), l.Clock)
		out := e.Migrate(l, a, at, nil)
		for _, o := range out {
			if o.Kind == lead.HandOff && o.At == at && o.Event == byRules {
				t.Fatalf("seed %d: a hand-off fired at the switch", seed)
			}
		}
		if l.Clock < before || l.Clock > at || l.Due <= at || len(l.Scores) != len(b.scores) || len(l.Edges) != len(b.handoffs) {
			t.Fatalf("seed %d: clock %d, due %d after a switch at %d", seed, l.Clock, l.Due, at)
		}
		checkLedger(t, e.View(l, at))
		// What is encoded is all there is: a decoded copy goes on as the lead does.
		twin := new(lead.Lead)
		if err := lead.Decode(lead.AppendEncode(nil, l), twin); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		x, y := say(nil, e.Fire(l, at+300, nil)), say(nil, b.NewEvaluator().Fire(twin, at+300, nil))
		if !slices.Equal(x, y) {
			t.Fatalf("seed %d: %v after encoding, %v without", seed, y, x)
		}
		checkLedger(t, e.View(l, at+300))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestSwitchMovesWindows switches to rules in which windows and fields have other places: each goes on as what it means.
func TestSwitchMovesWindows(t *testing.T) {
	lines := []string{`count("e", "30d")`, `count("f", "30d") * 10`, `sum("e", "v", "30d") * 100`, `distinct("f", "v", "30d") * 10000`}
	rules := func(order ...int) string {
		text := simple + "scores: {s: {lines: ["
		for _, i := range order {
			text += fmt.Sprintf("{id: l%d, signal: show, add: '%s'}, ", i, lines[i])
		}
		return strings.Replace(text, "signals: {", "signals: {show: {match: 'event.name == \"show\"'}, ", 1) +
			"]}}\nhandoffs: [{name: h, when: 'last(\"e\", \"v\") == 4 && first(\"f\", \"v\") == 7 && signal(\"show\")'}]\n"
	}
	p := newPerson(t, rules(0, 1, 2, 3))
	for _, v := range []int{3, 4} {
		p.does("e", "", fmt.Sprintf(`{"v": %d}`, v))
	}
	for _, v := range []int{7, 8, 8} {
		p.does("f", "", fmt.Sprintf(`{"v": %d}`, v))
	}
	old := p.e.set
	q := newPerson(t, strings.Replace(rules(3, 2, 1, 0), "handoffs: [", "handoffs: [{name: new, when: 'last(\"f\", \"v\") == 8 && first(\"e\", \"v\") == 3'}, ", 1))
	q.l, q.now = p.l, p.now
	q.e.Migrate(q.l, old, q.now, nil)
	out, _ := q.does("show", "", "{}")
	if got := q.score("s"); got != 2+30+700+20_000 || len(out) != 1 || out[0].Name != "h" {
		t.Errorf("%v points, %v", got, say(nil, out))
	}
}
