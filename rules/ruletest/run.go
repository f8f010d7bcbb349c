package ruletest

import (
	"cmp"
	"fmt"
	"slices"

	"leadstream/rules"
	"leadstream/state/lead"
)

// look is what a lead was at a moment for which a test has an expectation.
type look struct {
	*expectation
	view    rules.View
	members []rules.NamedMember // of an account, with those that have no row in others
	others  int64
	seen    bool // the lead had begun by then
}

// bench is one run of one test.
type bench struct {
	eval  *rules.Evaluator
	set   *rules.Set
	leads map[string]*lead.Lead
	order []string // in which they came up
	out   []lead.Output
	said  []string // of commands that did nothing
	looks []look   // by time; those before next have been taken
	next  int
}

// run runs a test. Time passes as on a shard whose tick follows the events: before anything happens at a time, all
// timers up to it fire. What leads and accounts tell each other arrives at once.
func (t *test) run(set *rules.Set) Result {
	b := bench{eval: set.NewEvaluator(), set: set, leads: make(map[string]*lead.Lead)}
	for i := range t.expect {
		if e := &t.expect[i]; e.kind == 0 {
			b.looks = append(b.looks, look{expectation: e})
		}
	}
	slices.SortStableFunc(b.looks, func(x, y look) int { return cmp.Compare(x.at, y.at) })
	now := t.start
	for _, s := range t.steps {
		if s.at > now {
			b.lookBefore(s.at)
			b.fire(s.at)
			now = s.at
		}
		if s.event != nil || s.command != nil {
			b.apply(&s)
		}
	}
	b.lookBefore(t.end + 1)
	slices.SortStableFunc(b.out, func(x, y lead.Output) int { return cmp.Compare(x.At, y.At) })
	return t.result(&b)
}

// fire lets time pass for all leads and accounts, timer by timer, so that none hears of another's past.
func (b *bench) fire(to int64) {
	for {
		var next *lead.Lead
		for _, id := range b.order {
			if l := b.leads[id]; l.Due <= to && (next == nil || l.Due < next.Due) {
				next = l
			}
		}
		if next == nil {
			return
		}
		b.out = b.eval.Fire(next, next.Due, b.out)
		b.deliver(nil)
	}
}

// lookBefore takes the looks that are due before a time.
func (b *bench) lookBefore(to int64) {
	for ; b.next < len(b.looks) && b.looks[b.next].at < to; b.next++ {
		k := &b.looks[b.next]
		b.fire(k.at)
		if b.leads[k.lead] == nil {
			continue
		}
		l := b.root(k.lead)
		k.seen = rules.Begun(l)
		switch {
		case !k.seen:
		case rules.IsAccount(k.lead):
			v, _ := b.eval.ViewAccount(l, k.at)
			k.view, k.members, k.others = v.View, v.Members, v.Others
		default:
			k.view = b.eval.View(l, k.at)
		}
	}
}

// node returns what is kept of an id.
func (b *bench) node(id string) *lead.Lead {
	l := b.leads[id]
	if l == nil {
		l = b.set.NewLead(id, 1)
		b.leads[id] = l
		b.order = append(b.order, id)
	}
	return l
}

// root returns the lead that an id belongs to.
func (b *bench) root(id string) *lead.Lead {
	var route rules.Route
	for {
		l := b.node(id)
		to, ok := b.eval.Follow(l, &route)
		if to == "" || !ok {
			return l
		}
		id = to
	}
}

// deliver carries what ids and accounts say to each other, at once. What a lead's change said comes before letters that
// are because of it.
func (b *bench) deliver(letters []rules.Letter) {
	letters = append(b.eval.Pending(), letters...)
	for len(letters) > 0 {
		m := letters[0]
		letters = letters[1:]
		if m.Kind == rules.EraseLetter {
			continue // of a lead that retention removed: here its other ids stay what they are
		}
		var from *lead.Lead
		if m.State != nil {
			from = new(lead.Lead)
			if err := lead.Decode(m.State, from); err != nil {
				panic("bug: " + err.Error())
			}
		}
		var more []rules.Letter
		b.out, more, _ = b.eval.Receive(b.node(m.To), from, &m, b.out, nil)
		letters = append(append(letters, b.eval.Pending()...), more...)
	}
}

func (b *bench) apply(s *step) {
	defer b.deliver(nil)
	if s.event != nil {
		l := b.root(string(s.event.RoutingID))
		var v rules.Verdict
		if b.out, v = b.eval.Apply(l, s.event, b.out); v == rules.Applied {
			b.deliver(b.eval.Links(l, s.event, nil))
		}
		return
	}
	var verdict rules.Verdict
	switch s.command.Kind {
	case rules.Link:
		b.deliver([]rules.Letter{rules.LinkCommand(s.lead, s.command)})
	case rules.Unlink:
		var m rules.Letter
		if m, verdict = b.eval.Unlink(b.node(s.lead), s.command); verdict == rules.Applied {
			b.deliver([]rules.Letter{m})
		}
	default:
		b.out, verdict = b.eval.Command(b.root(s.lead), s.command, b.out)
	}
	switch verdict {
	case rules.Missed:
		b.said = append(b.said, s.text+": nothing is known of that message, or not yet")
	case rules.Refused:
		b.said = append(b.said, s.text+": refused: points are not added to that score, or the lead is in that stage already, or the id is not linked")
	}
}

// notes tell what the evaluator counted.
func (b *bench) notes() []string {
	notes := b.said
	c := b.eval.Counts()
	errors := make(map[string]int64) // a line with several conditions has its name several times
	for i, n := range c.Errors {
		errors[b.set.Rules()[i]] += n
	}
	for _, rule := range b.set.Rules() {
		if n := errors[rule]; n > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s, which counts as false or as no points", rule, times(n, "error")))
			errors[rule] = 0
		}
	}
	for i, n := range c.Dropped {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("hand-off %s: %s inside its cooldown", b.set.Handoffs()[i], times(n, "rising edge")))
		}
	}
	if c.Gated > 0 {
		notes = append(notes, times(c.Gated, "event")+" without the consent that the gate asks for, whose signals do not count")
	}
	if c.TooLate > 0 {
		notes = append(notes, times(c.TooLate, "event")+" older than max_late, for which signal() is false")
	}
	if c.Duplicates > 0 {
		notes = append(notes, times(c.Duplicates, "duplicate")+" left out")
	}
	return notes
}

func times(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
