package rules

import (
	"testing"

	"leadstream/state/lead"
)

// TestCommandsAreNoEvents: a command moves the clock, but no inactivity, no count of events, no first or last time of one.
func TestCommandsAreNoEvents(t *testing.T) {
	p := newPerson(t, simple+"scores: {s: {lines: [{id: silent, inactive: 10d, add: -1}, {id: never, inactive: 20d, of: e, add: -10}]}}\n"+
		"handoffs: [{name: counted, when: 'count(\"e\", \"30d\") > 1'}]\n")
	p.does("e", "m", "")
	begin := p.l.Clock
	p.now = begin + 5*day
	if _, v := p.e.Command(p.l, &Command{ID: "c", Kind: Adjust, Score: "s", Points: 100, Time: p.now}, nil); v != Applied {
		t.Fatal(v)
	}
	if p.l.Clock != p.now || p.l.LastSeen != begin || p.l.Events != 1 || p.l.LastActive != begin {
		t.Errorf("clock %d, last seen %d, %d events", p.l.Clock, p.l.LastSeen, p.l.Events)
	}
	for _, c := range []struct{ at, want int64 }{{10*day - 1, 100}, {10 * day, 99}, {20*day - 1, 99}, {20 * day, 89}} {
		p.now = begin + c.at
		p.e.Fire(p.l, p.now, nil)
		if got := p.score("s"); got != float64(c.want) {
			t.Errorf("%d ms after the event the score is %v, want %d", c.at, got, c.want)
		}
	}
}

// TestLeadFields reads all that conditions may ask of the lead itself, by nodes of our own and through CEL.
func TestLeadFields(t *testing.T) {
	const first, last = "timestamp(\"1970-01-02T00:00:00Z\")", "timestamp(\"1970-01-04T00:00:00Z\")"
	for when, want := range map[string]bool{
		"lead.id == \"ann\"":                                   true,
		"lead.id == \"bob\"":                                   false,
		"lead.user_id == \"u2\"":                               true, // the latest by event time
		"lead.user_id.startsWith(\"u\")":                       true,
		"lead.events == 3":                                     true,
		"lead.events + 1 > 4":                                  false,
		"3 <= lead.events":                                     true,
		"lead.first_seen == " + first:                          true,
		"lead.first_seen < " + first:                           false,
		"lead.last_seen == " + last:                            true,
		"lead.last_seen - lead.first_seen == duration(\"2d\")": true,
	} {
		set, err := Parse(File{Name: "r", Src: []byte("handoffs: [{name: h, when: '" + when + " && stage == \"lead\"'}]\n")})
		if err != nil {
			t.Fatal(err)
		}
		e, l := set.NewEvaluator(), set.NewLead("ann", 1)
		var out []lead.Output
		for _, ev := range []lead.Event{{Time: 2 * day, UserID: []byte("u1")}, {Time: 3 * day, UserID: []byte("u2")}, {Time: day, UserID: []byte("u0")}} {
			ev.Type = lead.Page
			out, _ = e.Apply(l, &ev, out)
		}
		if e.enter(l, l.Clock, nil); e.holds(set.handoffs[0].when) != want {
			t.Errorf("%s: %v", when, !want)
		}
	}
}
