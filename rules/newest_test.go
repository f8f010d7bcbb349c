package rules

import (
	"fmt"
	"strings"
	"testing"

	"leadstream/state/lead"
)

// What a lead remembers is bounded: these are tests of the last that is remembered and the first that is forgotten.

// person is a lead with its evaluator.
type person struct {
	*testing.T
	e   *Evaluator
	l   *lead.Lead
	now int64
}

func newPerson(t *testing.T, text string) *person {
	set, err := Parse(File{Name: "r", Src: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, set.NewEvaluator(), set.NewLead("ann", 1), day}
}

// does applies an event a second after the last.
func (p *person) does(name, id, properties string) ([]lead.Output, Verdict) {
	p.now += second
	ev := &lead.Event{Type: lead.Track, Name: name, Time: p.now, Properties: lead.Object(properties)}
	if id != "" {
		ev.MessageID, ev.MessageHash = []byte(id), lead.HashString(id)
	}
	return p.e.Apply(p.l, ev, nil)
}

func (p *person) score(name string) float64 {
	p.Helper()
	v := p.e.View(p.l, p.now)
	checkLedger(p, v)
	for _, s := range v.Scores {
		if s.Name == name {
			return s.Value
		}
	}
	p.Fatalf("there is no score %s", name)
	return 0
}

const simple = "signals: {e: {match: 'event.name == \"e\"'}, f: {match: 'event.name == \"f\"'}}\n"

func TestTheNewestMessages(t *testing.T) {
	for setting, n := range map[string]int{"": 128, "dedupe: 3\n": 3, "dedupe: 1\n": 1} {
		p := newPerson(t, setting+simple)
		is := func(i int, want Verdict) {
			t.Helper()
			if _, v := p.does("e", fmt.Sprintf("m%d", i), ""); v != want {
				t.Errorf("%q, message %d: verdict %d, want %d", setting, i, v, want)
			}
		}
		for i := range n {
			is(i, Applied)
		}
		is(0, Duplicate)
		is(n-1, Duplicate)
		is(n, Applied) // the 129th forgets the first
		is(0, Applied) // which forgets the second
		if n > 1 {
			is(n, Duplicate)
			is(1, Applied)
		}
		if want := int64(n + 2); n > 1 && p.l.Events != want+1 || n == 1 && p.l.Events != want {
			t.Errorf("%q: %d events", setting, p.l.Events)
		}
	}
	p := newPerson(t, "dedupe: 0\n"+simple)
	for range 3 {
		if _, v := p.does("e", "m", ""); v != Applied {
			t.Error("a duplicate was found where none is looked for")
		}
	}
	p = newPerson(t, simple)
	for range 3 {
		if _, v := p.does("e", "", ""); v != Applied {
			t.Error("an event without an id was taken for a duplicate")
		}
	}
}

// The newest 64 contributions are listed, the others are one sum.
func TestTheNewestContributions(t *testing.T) {
	p := newPerson(t, simple+"scores: {s: {half_life: 10d, lines: [{signal: e, add: 2}]}, x: {lines: [{signal: e, add: 3}]}}\n")
	for i := range 100 {
		p.does("e", fmt.Sprintf("m%d", i), "")
		v := p.e.View(p.l, p.now)
		checkLedger(t, v)
		own, older := 0, 0
		for _, c := range v.Ledger {
			if c.Line == olderLine {
				older++
			} else {
				own++
			}
		}
		if want := min(2*i+2, maxLedger); own != want || (older == 2) != (i >= 32) {
			t.Fatalf("after %d events %d entries, and %d for older ones", i+1, own, older)
		}
	}
	if got := p.score("x"); got != 300 {
		t.Errorf("score x is %v", got)
	}
}

// The newest 16 values have limits of their own.
func TestTheNewestValues(t *testing.T) {
	p := newPerson(t, simple+"scores: {s: {lines: [{signal: e, add: 1, limit: {times: 1, per: 30d, by: event.properties.v}}]}}\n")
	counts := func(v int, want bool) {
		t.Helper()
		before := p.score("s")
		p.does("e", "", fmt.Sprintf(`{"v": "v%d"}`, v))
		if got := p.score("s") > before; got != want {
			t.Errorf("value %d counted: %v", v, got)
		}
	}
	for v := range 16 {
		counts(v, true)
	}
	counts(0, false)
	counts(15, false)
	counts(16, true)
	counts(15, false)
	counts(0, true) // forgotten, and again the newest
	counts(16, false)
	counts(2, false)
	counts(1, true)
}

// A retraction waits for its message, and the newest 16 do.
func TestTheNewestRetractions(t *testing.T) {
	p := newPerson(t, simple+"scores: {s: {lines: [{signal: e, add: 1}]}}\n")
	p.does("f", "", "")
	for i := range 17 {
		c := &Command{ID: fmt.Sprintf("c%d", i), Kind: Retract, Time: p.now, Message: lead.HashString(fmt.Sprintf("m%d", i))}
		if _, v := p.e.Command(p.l, c, nil); v != Missed {
			t.Fatalf("verdict %d", v)
		}
	}
	for i, want := range map[int]float64{1: 0, 16: 0, 0: 1} {
		before := p.score("s")
		p.does("e", fmt.Sprintf("m%d", i), "")
		if got := p.score("s") - before; got != want {
			t.Errorf("message %d gave %v", i, got)
		}
	}
}

// The strongest 32 tags stay, by weight, then name; a list gives at most 16.
func TestTheStrongestTags(t *testing.T) {
	p := newPerson(t, simple+"tags: {lines: [{signal: e, tag: event.properties.t, weight: event.properties.w}]}\n")
	has := func(name string) bool { return p.e.tag(name).Weight != 0 }
	give := func(name string, w float64) {
		p.does("e", "", fmt.Sprintf(`{"t": %q, "w": %v}`, name, w))
		p.e.enter(p.l, p.now, nil)
	}
	for i := range 32 {
		give(fmt.Sprintf("t%02d", i), 1)
	}
	for _, c := range []struct {
		name       string
		weight     float64
		stays      bool
		gone, last string
	}{
		{"t99", 1, false, "", "t31"},
		{"a", 1, true, "t31", "t30"},
		{"zz", 1.5, true, "t30", "t29"},
		{"weak", 0.5, false, "", "t29"},
	} {
		give(c.name, c.weight)
		if len(p.l.Rare().Tags) != maxTags || has(c.name) != c.stays || c.gone != "" && has(c.gone) || !has(c.last) {
			t.Errorf("%s of weight %v: %d tags", c.name, c.weight, len(p.l.Rare().Tags))
		}
	}
	p = newPerson(t, simple+"tags: {lines: [{signal: e, tag: event.properties.t}]}\n")
	p.does("e", "", `{"t": [`+strings.TrimSuffix(strings.Repeat(`"a",`, 16), ",")+`, "b"]}`)
	if len(p.l.Rare().Tags) != 1 || p.l.Rare().Tags[0].Weight != 16 {
		t.Errorf("%+v", p.l.Rare().Tags)
	}
}

// distinct knows the 64 latest values, each by its newest time.
func TestTheLatestValues(t *testing.T) {
	p := newPerson(t, simple+"scores: {s: {lines: [{signal: f, add: 'distinct(\"e\", \"v\", \"30d\")'}]}}\nstages: [a]\n")
	count := func() float64 {
		before := p.score("s")
		p.does("f", "", "")
		return p.score("s") - before
	}
	for i := range 64 {
		p.does("e", "", fmt.Sprintf(`{"v": %d}`, i))
	}
	for _, c := range []struct {
		v    int
		want float64
	}{{0, 64}, {63, 64}, {64, 64}, {65, 64}, {0, 64}} {
		p.does("e", "", fmt.Sprintf(`{"v": %d}`, c.v))
		if got := count(); got != c.want {
			t.Errorf("after value %d there are %v", c.v, got)
		}
	}
	// 0 was seen again 70 s after the others, so it is still there when they have left.
	p.now = day + 64*second + 30*day
	if got := count(); got < 3 || got > 4 {
		t.Errorf("%v are left", got)
	}
}

// A trait's value that is too long is null, and counted.
func TestLongTraits(t *testing.T) {
	p := newPerson(t, "stages: [a, b]\ntransitions: [{from: a, to: b, when: 'has(traits.x)'}]\n")
	for n, want := range map[int]string{maxTraitBytes - 2: "b", maxTraitBytes - 1: "a"} {
		p.l = p.e.set.NewLead("ann", 1)
		p.e.Counts().Reset()
		p.now += second
		p.e.Apply(p.l, &lead.Event{Type: lead.Identify, Time: p.now, Traits: lead.Object(`{"x": "` + strings.Repeat("x", n) + `"}`)}, nil)
		if v := p.e.View(p.l, p.now); v.Stage != want || p.e.Counts().LongTraits != int64(len(want)-strings.Count(want, "b")) {
			t.Errorf("%d bytes: stage %s, %d too long", n, v.Stage, p.e.Counts().LongTraits)
		}
	}
}

// A lead holds back at most 256 things; a signal needs room for all of its parts.
func TestWhatIsHeldIsBounded(t *testing.T) {
	p := newPerson(t, simple+"scores: {s: {lines: [{signal: e, add: 1, hold: 1d}]}}\n")
	for i := range maxHeld + 3 {
		p.does("e", "", "")
		if want := min(i+1, maxHeld); len(p.l.Rare().Held) != want {
			t.Fatalf("after %d events %d are held", i+1, len(p.l.Rare().Held))
		}
	}
	if n := p.e.Counts().HeldFull; n != 3 {
		t.Errorf("%d had no room", n)
	}
	p.now += 2 * day
	p.e.Fire(p.l, p.now, nil)
	if got := p.score("s"); got != maxHeld {
		t.Errorf("%v points were released", got)
	}
	p = newPerson(t, "signals: {e: {match: 'event.name == \"e\"', hold: 1d}}\nscores: {s: {lines: [{signal: e, add: 1}]}}\n"+
		"handoffs: [{name: h, when: 'count(\"e\", \"7d\") > 1000'}]\n")
	for range maxHeld {
		p.does("e", "", "")
	}
	if n := p.e.Counts().HeldFull; len(p.l.Rare().Held) > maxHeld || len(p.l.Rare().Held)%3 != 0 || n != int64(maxHeld-maxHeld/3) {
		t.Errorf("%d are held, %d had no room", len(p.l.Rare().Held), n)
	}
}

// A stage change names the five contributions that count most now, the newer of equals first; a hand-off names all.
func TestWhatOutputsName(t *testing.T) {
	p := newPerson(t, simple+"scores: {s: {half_life: 1d, lines: [{signal: e, add: event.properties.n}]}}\nstages: [a, b]\n"+
		"transitions: [{from: a, to: b, when: 'signal(\"f\")'}]\nhandoffs: [{name: h, when: 'signal(\"f\")'}]\n")
	for i, n := range []int{5, 9, 5, -7, 1, 2, 9} {
		p.does("e", fmt.Sprintf("m%d", i), fmt.Sprintf(`{"n": %d}`, n))
		p.now = p.l.Clock - second // all at one time but the last two
		if i == 5 {
			p.now += second
		}
	}
	out, _ := p.does("f", "", "")
	if len(out) != 2 {
		t.Fatalf("%+v", out)
	}
	var points []float64
	for i, c := range out[0].Top {
		points = append(points, c.Points)
		if i > 0 && c.Now > out[0].Top[i-1].Now {
			t.Errorf("%v comes after %v", c.Now, out[0].Top[i-1].Now)
		}
	}
	if fmt.Sprint(points) != "[9 9 5 5 2]" || out[0].Top[0].Time <= out[0].Top[1].Time {
		t.Errorf("a stage change names %v", points)
	}
	if len(out[1].Top) != 7 {
		t.Errorf("a hand-off names %d", len(out[1].Top))
	}
}

// TestGradesBelowTheLowestFloor has the lowest grade for whatever is below all floors, in matrices too.
func TestGradesBelowTheLowestFloor(t *testing.T) {
	p := newPerson(t, simple+"scores:\n  s: {lines: [{signal: e, add: event.properties.n}], grades: {A: 75, B: 50, C: 25}}\n"+
		"  t: {lines: [{signal: f, add: 1}], grades: {\"1\": 10, \"2\": 0}}\nmatrix: {m: [s, t]}\n")
	for _, c := range []struct {
		add  int
		want string
	}{{0, "C2"}, {-100, "C2"}, {125, "C2"}, {25, "B2"}, {24, "B2"}, {1, "A2"}, {900, "A2"}, {-950, "C2"}} {
		p.does("e", "", fmt.Sprintf(`{"n": %d}`, c.add))
		if v := p.e.View(p.l, p.now); v.Matrices[0].Cell != c.want || v.Scores[0].Grade != c.want[:1] {
			t.Errorf("with %v points the grade is %s, the cell %s", v.Scores[0].Value, v.Scores[0].Grade, v.Matrices[0].Cell)
		}
	}
}

// TestRefusals has what SEMANTICS does not allow and no file of mistakes has.
func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"scores: {s: {lines: [{inactive: 59m, add: -1, repeat: true}]}}":                                            "1h",
		"scores: {s: {lines: [{inactive: 1h, add: -1, repeat: true}]}}":                                             "",
		"scores: {s: {min: 1, lines: [{signal: e, add: 1}]}}":                                                       "min",
		"scores: {s: {max: -1, lines: [{signal: e, add: 1}]}}":                                                      "max",
		"scores: {s: {min: 0, max: 0, lines: [{signal: e, add: 1}]}}":                                               "",
		"scores: {s: {lines: [{signal: e, add: 1}, {signal: e, add: 2}]}}":                                          "id",
		"scores: {s: {lines: [{signal: e, add: 1}, {id: two, signal: e, add: 2}]}}":                                 "",
		"stages: [a, b]\ntransitions: [{from: [a, b], to: b, when: 'true'}]":                                        "starts from",
		"stages: [a, b]\nterminal: [a]\ntransitions: [{from: any, to: b, when: 'true'}]":                            "",
		"scores: {s: {half_life: 1d, expire_after: 1d, lines: [{signal: e, add: 1}]}}":                              "exclude",
		"handoffs: [{name: h, when: 'distinct(\"e\", \"v\", \"1d\") >= 64'}]":                                       "",
		"handoffs: [{name: h, when: 'since(\"e\") > since(\"f\")'}]":                                                "constant",
		"handoffs: [{name: h, when: 'in_stage() > duration(traits.x)'}]":                                            "constant",
		"scores: {s: {lines: [{signal: e, add: 1}]}}\nhandoffs: [{name: h, when: 'score.s > double(lead.events)'}]": "constant",
	} {
		_, err := Parse(File{Name: "r", Src: []byte(simple + text)})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}

// Points that are due in one ms are released by their own time, in whatever order they came.
func TestHeldPointsGoByTheirOwnTime(t *testing.T) {
	for _, late := range []bool{false, true} {
		p := newPerson(t, simple+"scores: {s: {max: 10, lines: [{signal: e, add: 8, hold: 10m}, {signal: f, add: -5, hold: 5m}, {id: base, enter: a, add: 5}]}}\nstages: [a]\n")
		p.does("begin", "", "")
		start := p.now
		order := []struct {
			name string
			at   int64
		}{{"e", start + minute}, {"f", start + 6*minute}}
		if late {
			order[0], order[1] = order[1], order[0]
		}
		for _, x := range order {
			p.now = x.at - second
			p.does(x.name, "", "")
		}
		p.now = start + 11*minute
		p.e.Fire(p.l, p.now, nil)
		if got := p.score("s"); got != 5 { // 5 + 8 is cut to 10, then 5 go
			t.Errorf("late %v: %v points", late, got)
		}
	}
}

// A click in the ms of its mail's delivery is a person's, one before it a machine's, whichever is heard of first; so is the third link of a
// burst when exactly the span lies between.
func TestWhereMachinesBegin(t *testing.T) {
	const text = "signals: {e: {match: 'event.name == \"e\"'}, f: {match: 'event.name == \"f\"'}}\n" +
		"machines: {bursts: {distinct_links: 3, within: 2s}, delivered: f}\nscores: {s: {lines: [{signal: e, add: 1, hold: 10m}]}}\n"
	type event struct {
		name, link string
		at         int64
	}
	for _, c := range []struct {
		events []event
		want   float64
	}{
		{[]event{{"f", "", 0}, {"e", "x", 0}}, 1},
		{[]event{{"e", "x", 0}, {"f", "", 0}}, 1},
		{[]event{{"f", "", 1}, {"e", "x", 0}}, 0},
		{[]event{{"e", "x", 0}, {"f", "", 1}}, 0},
		{[]event{{"e", "x", 0}, {"e", "y", 1000}, {"e", "z", 2000}}, 0},
		{[]event{{"e", "x", 0}, {"e", "y", 1000}, {"e", "z", 2001}}, 3},
		{[]event{{"e", "x", 0}, {"e", "y", 1000}, {"e", "x", 1500}, {"e", "y", 2000}}, 4},
		{[]event{{"e", "x", 0}, {"e", "y", 0}}, 2},
	} {
		p := newPerson(t, text)
		for _, ev := range c.events {
			p.now = day + ev.at - second
			p.does(ev.name, "", `{"email_id": "m", "link": "`+ev.link+`"}`)
		}
		p.now = 2 * day
		p.e.Fire(p.l, p.now, nil)
		if got := p.score("s"); got != c.want {
			t.Errorf("%v: %v points, want %v", c.events, got, c.want)
		}
	}
}

// A switch to a shorter memory keeps the newest messages, one to a longer memory all.
func TestMessagesAfterASwitch(t *testing.T) {
	for setting, known := range map[string]int{"dedupe: 2": 2, "dedupe: 9": 4} {
		p := newPerson(t, "dedupe: 4\n"+simple)
		for i := range 6 { // m2 to m5 are known
			p.does("e", fmt.Sprintf("m%d", i), "")
		}
		old := p.e.set
		q := newPerson(t, setting+"\n"+simple)
		q.l, q.now = p.l, p.now
		q.e.Migrate(q.l, old, q.now, nil)
		for i := 5; i >= 6-known; i-- {
			if _, v := q.does("e", fmt.Sprintf("m%d", i), ""); v != Duplicate {
				t.Errorf("%s: message %d is not known any more", setting, i)
			}
		}
		if _, v := q.does("e", fmt.Sprintf("m%d", 5-known), ""); v != Applied {
			t.Errorf("%s: message %d is still known", setting, 5-known)
		}
	}
}
