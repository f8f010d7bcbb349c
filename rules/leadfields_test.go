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

// TestActivity: track, page and screen events are activity; identify, group and alias are not, and neither is what the line does not
// name. F, the last firing, holds without repeat until there is activity after it.
func TestActivity(t *testing.T) {
	for kind, active := range map[lead.Type]bool{lead.Track: true, lead.Page: true, lead.Screen: true, lead.Identify: false, lead.Group: false, lead.Alias: false} {
		p := newPerson(t, simple+"scores: {s: {lines: [{id: silent, inactive: 10d, add: -1}]}, o: {lines: [{id: silent, inactive: 10d, of: f, add: -1}]}}\n")
		p.does("e", "", "")
		begin := p.l.Clock
		p.e.Apply(p.l, &lead.Event{Type: kind, Time: begin + 5*day}, nil)
		p.now = begin + 10*day
		p.e.Fire(p.l, p.now, nil)
		if got := p.score("s"); (got == 0) != active {
			t.Errorf("%v after five days: %v after ten", kind, got)
		}
		if got := p.score("o"); got != -1 {
			t.Errorf("%v is no f: %v", kind, got)
		}
		p.e.Apply(p.l, &lead.Event{Type: kind, Time: begin + 20*day}, nil)
		p.now = begin + 40*day
		p.e.Fire(p.l, p.now, nil)
		if got, want := p.score("s"), map[bool]float64{true: -2, false: -1}[active]; got != want {
			t.Errorf("%v after twenty days: %v after forty, want %v", kind, got, want)
		}
	}
}

// TestTheLatestSays: of user ids and time zones the latest event's counts, of two at one time the one that came later, and never an
// older one's.
func TestTheLatestSays(t *testing.T) {
	set, err := Parse(File{Name: "r", Src: []byte("handoffs: [{name: h, when: 'local.hour == 3'}]\n")})
	if err != nil {
		t.Fatal(err)
	}
	e, l := set.NewEvaluator(), set.NewLead("ann", 1)
	for _, c := range []struct {
		at                         int64
		user, zone, isUser, inZone string
	}{
		{2 * day, "u1", "Europe/Berlin", "u1", "Europe/Berlin"},
		{2 * day, "u2", "Asia/Tokyo", "u2", "Asia/Tokyo"},
		{2*day - 1, "u3", "Europe/Paris", "u2", "Asia/Tokyo"},
		{3 * day, "", "", "u2", "Asia/Tokyo"},
		{2*day + 1, "u4", "Europe/Rome", "u2", "Asia/Tokyo"},
		{4 * day, "u5", "No/Where", "u5", "Asia/Tokyo"},
	} {
		ev := &lead.Event{Type: lead.Page, Time: c.at, Context: lead.Object(`{"timezone": "` + c.zone + `"}`)}
		if c.user != "" {
			ev.UserID = []byte(c.user)
		}
		e.Apply(l, ev, nil)
		if l.UserID != c.isUser || l.Zone != c.inZone {
			t.Errorf("after %s in %s the lead is %s in %s", c.user, c.zone, l.UserID, l.Zone)
		}
	}
}

func TestHosts(t *testing.T) {
	for url, want := range map[string]string{
		"https://www.Example.com:8080/a?b#c": "www.example.com", "//example.com": "example.com", "http://a@b@example.com/x@y": "example.com",
		"https://[2001:DB8::1]:443/": "[2001:db8::1]", "https://[2001:db8::1]/": "[2001:db8::1]", "/path": "", "example.com/x": "", "mailto:a@b": "",
		"https://example.com?x=http://other.com": "example.com", "": "",
	} {
		if got := string(urlHost([]byte(url))); got != want {
			t.Errorf("the host of %q is %q, want %q", url, got, want)
		}
	}
}

// TestPathOrder: properties.path, else context.page.path, else the path of properties.url, else that of context.page.url.
func TestPathOrder(t *testing.T) {
	set, err := Parse(File{Name: "r", Src: []byte("signals: {e: {match: 'event.path == \"/x\"'}}\n")})
	if err != nil {
		t.Fatal(err)
	}
	e, l := set.NewEvaluator(), set.NewLead("ann", 1)
	for _, c := range []struct{ properties, page, want string }{
		{`{"path": "/1", "url": "https://h/3?q"}`, `{"path": "/2", "url": "https://h/4"}`, "/1"},
		{`{"url": "https://h/3?q"}`, `{"path": "/2", "url": "https://h/4"}`, "/2"},
		{`{"url": "https://h/3?q"}`, `{"url": "https://h/4"}`, "/3"},
		{`{"url": "https://h"}`, `{"url": "https://h/4"}`, "/"},
		{`{"url": "none", "path": ""}`, `{"url": "https://h/4#f"}`, "/4"},
		{`{}`, `{}`, ""},
	} {
		ev := &lead.Event{Type: lead.Page, Properties: lead.Object(c.properties), Context: lead.Object(`{"page": ` + c.page + `}`)}
		e.enter(l, 0, ev)
		if got := string(e.eventText(fieldPath)); got != c.want {
			t.Errorf("%s and %s: path %q, want %q", c.properties, c.page, got, c.want)
		}
	}
}
