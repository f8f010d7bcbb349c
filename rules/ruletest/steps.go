package ruletest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"leadstream/rules"
	"leadstream/state/lead"
)

// defaultLead is the lead of events that name none.
const defaultLead = "lead"

// maxTimes bounds how often one step may happen.
const maxTimes = 10_000

// step is one event or one command, or with neither the passing of time.
type step struct {
	at      int64 // ms since 1970
	lead    string
	event   *lead.Event
	command *rules.Command
	text    string // what it is, for readers: `step 3 (track Demo Requested)`
}

// id is the message id.
func (s *step) id() string {
	switch {
	case s.event != nil:
		return string(s.event.MessageID)
	case s.command != nil:
		return s.command.ID
	}
	return ""
}

// rawStep is a step as the file has it.
type rawStep struct {
	at, every, wait *yaml.Node
	times           int
	id, reason      string
	lead            string
	kinds           []string
	event           lead.Event
	command         *rules.Command
	points          *yaml.Node
	properties      lead.Object // of a page
	place           string      // a page's path or url
	stage, account  *yaml.Node  // of a move
	what            string
}

// given reads the steps of a test and works out when each happens.
func (r *fileReader) given(n *yaml.Node, t *test) {
	now, number := t.start, 0
	r.list(n, "given", func(n *yaml.Node) {
		number++
		raw := rawStep{times: 1, what: fmt.Sprintf("given[%d]", number)}
		before := len(r.problems)
		if !r.rawStep(n, &raw) || len(r.problems) > before {
			return
		}
		if raw.wait != nil {
			if len(raw.kinds) > 0 || raw.at != nil {
				r.errorf(n, "%s: wait stands alone", raw.what)
			}
			now += r.duration(raw.wait, "wait")
			t.steps = append(t.steps, step{at: now})
			return
		}
		if len(raw.kinds) != 1 {
			r.errorf(n, "%s must be one of track, page, screen, identify, group, alias, adjust, retract, move, link, unlink and wait", raw.what)
			return
		}
		r.command(n, &raw)
		at := now
		if raw.at != nil {
			at, _ = r.moment(raw.at, raw.what+".at", t.start, now)
		}
		every := int64(0)
		if raw.every != nil {
			every = r.duration(raw.every, raw.what+".every")
		}
		for i := range raw.times {
			t.steps = append(t.steps, r.step(&raw, number, i, at+int64(i)*every))
		}
		if raw.account == nil && !slices.Contains(t.leads, raw.lead) {
			t.leads = append(t.leads, raw.lead)
		}
		now = max(now, at+int64(raw.times-1)*every)
	})
	t.end = now
}

// moment reads a time: 3d2h after the test's start, -1d before it, +2h after now, or a date and time. precise is false
// for one that is written with ~.
func (r *reader) moment(n *yaml.Node, what string, start, now int64) (ms int64, ok bool) {
	if n.Kind != yaml.ScalarNode {
		r.errorf(n, "%s must be a time, found %s", what, found(n))
		return now, false
	}
	if ms, ok := parseInstant(n.Value); ok {
		return ms, true
	}
	from, sign, text := start, int64(1), n.Value
	if rest, relative := strings.CutPrefix(text, "+"); relative {
		from, text = now, rest
	} else if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = -1, rest
	}
	d, err := rules.ParseDuration(text)
	if err != nil {
		r.errorf(n, "%s: %s is no time: write 3d2h since the test's start, +2h since the step before, or 2026-01-05T09:00:00Z", what, found(n))
		return now, false
	}
	return from + sign*d, true
}

// rawStep reads one entry of given.
func (r *fileReader) rawStep(n *yaml.Node, raw *rawStep) bool {
	ev := &raw.event
	kind := func(name string, typ lead.Type, read func(n *yaml.Node)) key {
		return key{name, func(n *yaml.Node) {
			raw.kinds = append(raw.kinds, name)
			ev.Type = typ
			read(n)
		}}
	}
	command := func(name string, k rules.CommandKind, read func(c *rules.Command, n *yaml.Node)) key {
		return key{name, func(n *yaml.Node) {
			raw.kinds = append(raw.kinds, name)
			raw.command = &rules.Command{Kind: k}
			read(raw.command, n)
		}}
	}
	text := func(name string, to *[]byte) key {
		return key{name, func(n *yaml.Node) { *to = []byte(r.text(n, raw.what+"."+name)) }}
	}
	object := func(name string, to *lead.Object) key {
		return key{name, func(n *yaml.Node) { *to = r.object(n, raw.what+"."+name) }}
	}
	ok := r.mapping(n, raw.what,
		key{"at", func(n *yaml.Node) { raw.at = n }},
		kind("track", lead.Track, func(n *yaml.Node) { ev.Name = r.text(n, "track") }),
		kind("page", lead.Page, func(n *yaml.Node) { raw.place = r.text(n, "page") }),
		kind("screen", lead.Screen, func(n *yaml.Node) { ev.Name = r.text(n, "screen") }),
		kind("identify", lead.Identify, func(n *yaml.Node) { ev.Traits = r.object(n, "identify") }),
		kind("group", lead.Group, func(n *yaml.Node) {
			if !isNull(n) { // null leaves
				ev.GroupID = []byte(r.text(n, "group"))
			}
		}),
		kind("alias", lead.Alias, func(n *yaml.Node) { ev.PreviousID = []byte(r.text(n, "alias")) }),
		object("properties", &raw.properties), object("context", &ev.Context), object("traits", &ev.Traits),
		key{"name", func(n *yaml.Node) { ev.Name = r.text(n, "name") }},
		command("adjust", rules.Adjust, func(c *rules.Command, n *yaml.Node) {
			c.Score = r.name(n, "score", r.text(n, "adjust"), r.known.scores)
		}),
		command("retract", rules.Retract, func(c *rules.Command, n *yaml.Node) { c.Message = lead.HashString(r.text(n, "retract")) }),
		command("move", rules.Move, func(_ *rules.Command, n *yaml.Node) { raw.stage = n }),
		command("link", rules.Link, func(c *rules.Command, n *yaml.Node) { c.With = r.text(n, "link") }),
		command("unlink", rules.Unlink, func(_ *rules.Command, n *yaml.Node) { raw.lead = r.text(n, "unlink") }),
		key{"points", func(n *yaml.Node) { raw.points = n }},
		key{"reason", func(n *yaml.Node) { raw.reason = r.text(n, "reason") }},
		key{"lead", func(n *yaml.Node) { raw.lead = r.text(n, "lead") }},
		key{"account", func(n *yaml.Node) { raw.account = n }},
		text("user_id", &ev.UserID), text("anonymous_id", &ev.AnonymousID),
		text("category", &ev.Category), text("channel", &ev.Channel),
		key{"source", func(n *yaml.Node) { ev.Source = r.text(n, "source") }},
		key{"id", func(n *yaml.Node) { raw.id = r.text(n, "id") }},
		key{"times", func(n *yaml.Node) { raw.times = r.count(n, raw.what+".times") }},
		key{"every", func(n *yaml.Node) { raw.every = n }},
		key{"wait", func(n *yaml.Node) { raw.wait = n }},
	)
	switch {
	case raw.account != nil:
		r.ofAccount(n, raw)
	case raw.lead == "":
		raw.lead = defaultLead
	}
	return ok
}

// ofAccount makes a step one of an account.
func (r *fileReader) ofAccount(n *yaml.Node, raw *rawStep) {
	switch {
	case raw.lead != "":
		r.errorf(n, "%s: a step is of a lead or of an account, not both", raw.what)
	case raw.command == nil || raw.command.Kind != rules.Move:
		r.errorf(n, "%s: only a move is of an account; what leads do finds its way there by group or by their domain", raw.what)
	}
	raw.lead = r.account(raw.account)
}

// account reads the id of an account and returns that of its entity.
func (r *fileReader) account(n *yaml.Node) string {
	if !r.hasAccounts {
		r.errorf(n, "the rules have no accounts")
	}
	return rules.AccountID(r.text(n, "account"))
}

// command reads what belongs to a command, and to nothing else.
func (r *fileReader) command(n *yaml.Node, raw *rawStep) {
	c := raw.command
	switch {
	case raw.points != nil && (c == nil || c.Kind != rules.Adjust), c != nil && c.Kind == rules.Adjust && raw.points == nil:
		r.errorf(n, "%s: adjust needs points, like {adjust: engagement, points: 10}, and nothing else has them", raw.what)
		return
	case raw.reason != "" && (c == nil || c.Kind != rules.Move):
		r.errorf(n, "%s: only a move has a reason", raw.what)
		return
	case c == nil:
		return
	}
	c.Reason = raw.reason
	if raw.stage != nil {
		known := &r.known
		if raw.account != nil {
			known = &r.accounts
		}
		c.Stage = r.stage(raw.stage, r.text(raw.stage, "move"), known)
	}
	if raw.points != nil {
		v, err := strconv.ParseFloat(raw.points.Value, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			r.errorf(raw.points, "points must be a number, found %s", found(raw.points))
		}
		c.Points = v
	}
}

// count reads how often a step happens.
func (r *reader) count(n *yaml.Node, what string) int {
	var times int
	if n.Kind != yaml.ScalarNode || n.Decode(&times) != nil || times < 1 || times > maxTimes {
		r.errorf(n, "%s must be a whole number from 1 to %d, found %s", what, maxTimes, found(n))
		return 1
	}
	return times
}

// step makes the i-th event or command of a raw step.
func (r *fileReader) step(raw *rawStep, number, i int, at int64) step {
	id := fmt.Sprintf("step %d", number)
	if raw.times > 1 {
		id = fmt.Sprintf("step %d, %d", number, i+1)
	}
	about := raw.event.Name
	if raw.place != "" {
		about = raw.place
	}
	s := step{at: at, lead: raw.lead, text: id + " (" + strings.TrimSpace(raw.kinds[0]+" "+about) + ")"}
	if raw.id != "" {
		id = raw.id // the same for each of several: they are duplicates then
	}
	if raw.command != nil {
		c := *raw.command
		c.Time, c.ID = at, id
		s.command = &c
		return s
	}
	ev := raw.event
	ev.Time = at
	ev.RoutingID = []byte(raw.lead)
	if ev.UserID == nil && ev.AnonymousID == nil {
		ev.UserID = ev.RoutingID
	}
	if ev.Type == lead.Alias {
		ev.RoutingID = ev.PreviousID
	}
	ev.MessageID, ev.MessageHash = []byte(id), lead.HashString(id)
	ev.Properties = raw.properties
	if raw.place != "" {
		ev.Name, ev.Properties = page(raw.place, ev.Name, raw.properties)
	}
	s.event = &ev
	return s
}

// page puts what a page is called by where events have it: a path, an address, else its name.
func page(place, name string, properties lead.Object) (string, lead.Object) {
	field := ""
	switch {
	case strings.HasPrefix(place, "/"):
		field = "path"
	case strings.Contains(place, "://"):
		field = "url"
	default:
		return place, properties
	}
	b := quote([]byte("{"), field)
	b = quote(append(b, ':'), place)
	if len(properties) > len("{}") {
		b = append(append(b, ','), properties[1:]...)
		return name, b
	}
	return name, append(b, '}')
}
