package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"leadstream/state/lead"
)

// town is a few nodes that write to each other; letters are delivered in the order in which they were sent.
type town struct {
	*merger
	nodes map[string]*lead.Lead
	post  []Letter
	count int
	dead  int
}

func newTown(t *testing.T, text string) *town {
	return &town{merger: newMerger(t, text), nodes: map[string]*lead.Lead{}}
}

func (w *town) node(id string) *lead.Lead {
	if w.nodes[id] == nil {
		w.nodes[id] = w.set.NewLead(id, 1)
	}
	return w.nodes[id]
}

// happens delivers an event to its id, through pointers.
func (w *town) happens(ev *lead.Event) {
	id := string(ev.RoutingID)
	var r Route
	for {
		n := w.node(id)
		to, ok := w.ev.Follow(n, &r)
		if !ok {
			w.dead++
			return
		}
		if to == "" {
			var v Verdict
			w.out, v = w.ev.Apply(n, ev, w.out)
			if v == Applied {
				w.post = w.ev.Links(n, ev, w.post)
			}
			return
		}
		id = to
		w.count++
	}
}

func (w *town) deliver() {
	for len(w.post) > 0 {
		w.deliverOne()
	}
}

func (w *town) deliverOne() {
	m := w.post[0]
	w.post = w.post[1:]
	w.count++
	if err := m.Check(); err != nil {
		w.t.Fatal(err)
	}
	var from *lead.Lead
	if m.State != nil {
		from = new(lead.Lead)
		if err := lead.Decode(m.State, from); err != nil {
			w.t.Fatal(err)
		}
		if err := w.ev.set.Fits(from); err != nil {
			w.t.Fatal(err)
		}
	}
	var v Verdict
	w.out, w.post, v = w.ev.Receive(w.node(m.To), from, &m, w.out, w.post)
	if v == TooFar {
		w.dead++
	}
}

func (w *town) root(id string) *lead.Lead {
	for range MaxHops {
		n := w.node(id)
		if n.Forward == "" {
			return n
		}
		id = n.Forward
	}
	w.t.Fatalf("%s ends nowhere", id)
	return nil
}

func (w *town) together(ids ...string) bool {
	for _, id := range ids[1:] {
		if w.root(id) != w.root(ids[0]) {
			return false
		}
	}
	return true
}

var townMessages int

// seen makes an event of a user on a device; either may be "".
func seen(days float64, user, device string) *lead.Event {
	townMessages++
	ev := at(days, "page", fmt.Sprint("t", townMessages))
	ev.UserID, ev.AnonymousID, ev.RoutingID = []byte(user), []byte(device), []byte(user)
	if user == "" {
		ev.UserID, ev.RoutingID = nil, ev.AnonymousID
	}
	return ev
}

func alias(days float64, previous, user string) *lead.Event {
	ev := seen(days, user, "")
	ev.Type, ev.PreviousID, ev.RoutingID = lead.Alias, []byte(previous), []byte(previous)
	return ev
}

const linkRules = `
signals: {visit: {match: 'event.type == "page"'}}
scores: {n: {lines: [{signal: visit, add: 1}]}}
identity: {link_by: [email, phone], never: [Kiosk, shared@x.com], max_ids: 4}
`

func (w *town) points(id string) float64 { return w.score(w.root(id), "n", 1000) }

func TestLinkedByEvent(t *testing.T) {
	w := newTown(t, linkRules)
	for _, ev := range []*lead.Event{seen(1, "", "a"), seen(2, "", "a"), seen(3, "u", "a"), seen(4, "u", "a"), seen(5, "", "a")} {
		w.happens(ev)
		w.deliver()
	}
	if !w.together("a", "u") || w.root("a").ID != "u" || w.points("a") != 5 {
		t.Fatalf("%+v", w.root("a"))
	}
	if sent := w.ev.Counts().Linked; sent != 1 || idCount(w.root("u")) != 2 {
		t.Errorf("%d links, %d ids", sent, idCount(w.root("u")))
	}
	if w.count > 4 {
		t.Errorf("%d messages: a link is said once", w.count)
	}
	if len(w.out) != 1 || w.out[0].Kind != lead.LeadMerged || w.out[0].From != "a" || w.out[0].To != "u" {
		t.Errorf("outputs %+v", w.out)
	}
}

func TestSecondUserOnADevice(t *testing.T) {
	w := newTown(t, linkRules)
	for i := range 10 { // two people swap devices all the time
		w.happens(seen(float64(i), "u", []string{"a", "b"}[i%2]))
		w.happens(seen(float64(i), "v", []string{"b", "a"}[i%2]))
		w.happens(seen(float64(i), "", "a"))
		w.deliver()
	}
	if w.together("u", "v") || !w.together("a", "u") || !w.together("b", "v") {
		t.Fatal("the devices belong to those who had them first")
	}
	if got := w.points("u") + w.points("v"); got != 30 {
		t.Errorf("%v points, want 30", got)
	}
	if c := w.ev.Counts(); c.Refused[WhySecondUser] != 2 || w.count > 30 {
		t.Errorf("refused %v, %d messages", c.Refused, w.count)
	}
	if r := w.root("u").Rare().Refused; len(r) != 1 || r[0].ID != "a" || r[0].With != "v" {
		t.Errorf("kept for inspection: %+v", r)
	}
	w.happens(alias(20, "v", "u"))
	w.deliver()
	if !w.together("u", "v", "a", "b") || w.points("u") != 30 {
		t.Errorf("an alias joins users: %v points", w.points("u"))
	}
}

func TestRefusedIDs(t *testing.T) {
	w := newTown(t, linkRules)
	for _, id := range []string{"anonymous", "-1", "0", "00000000-0000-0000-0000-000000000000", "kiosk"} {
		w.happens(seen(1, "u", id))
		w.happens(seen(1, id, "dev-"+id))
	}
	for i := range 6 {
		w.happens(seen(2, "w", fmt.Sprint("d", i)))
	}
	w.deliver()
	if c := w.ev.Counts(); c.Refused[WhyNever] != 10 || c.Refused[WhyMaxIDs] != 3 || c.Linked != 3 {
		t.Errorf("refused %v, linked %d", c.Refused, c.Linked)
	}
	if n := idCount(w.root("w")); n != 4 {
		t.Errorf("%d ids, want 4", n)
	}
}

func TestCircles(t *testing.T) {
	for n := 2; n < 8; n++ {
		for mask := range 1 << n {
			w := newTown(t, linkRules)
			ids := make([]string, n)
			for i := range ids {
				ids[i] = fmt.Sprint("u", (i*5)%n)
				w.happens(seen(1, ids[i], ""))
			}
			for i := range ids { // each points to the next; some letters are delivered between
				w.happens(alias(2, ids[i], ids[(i+1)%n]))
				if mask&(1<<i) != 0 {
					w.deliver()
				}
			}
			w.deliver()
			if !w.together(ids...) || w.points(ids[0]) != float64(n) || w.dead > 0 {
				t.Fatalf("%d ids, %b: %v points", n, mask, w.points(ids[0]))
			}
		}
	}
}

// TestChains links a thousand ids in a row, from either end and from the middle out.
func TestChains(t *testing.T) {
	id := func(i int) string { return fmt.Sprintf("u%04d", i) }
	for name, c := range map[string]struct {
		n     int
		order func(i, n int) int
	}{
		"forward": {1000, func(i, _ int) int { return i }}, "backward": {200, func(i, n int) int { return n - 2 - i }},
		"mixed": {301, func(i, n int) int { return i * 7 % (n - 1) }},
	} {
		n := c.n
		w := newTown(t, strings.Replace(linkRules, "max_ids: 4", "max_ids: 10", 1))
		for i := range n {
			w.happens(seen(1, id(i), ""))
		}
		for i := range n - 1 {
			w.happens(alias(2, id(c.order(i, n)), id(c.order(i, n)+1)))
			w.deliver()
		}
		if w.dead > 0 || w.root(id(0)) != w.root(id(n-1)) || w.points(id(0)) != float64(n) || idCount(w.root(id(0))) != n {
			t.Errorf("%s: %d lost, %v points, %d ids", name, w.dead, w.points(id(0)), idCount(w.root(id(0))))
		}
		before := w.count
		w.happens(seen(3, id(0), ""))
		if hops := w.count - before; hops >= n || w.points(id(0)) != float64(n+1) {
			t.Errorf("%s: an event at the far end took %d hops", name, hops)
		}
	}
	w := newTown(t, linkRules)
	for i := range MaxHops + 10 { // a chain that nobody walked yet
		w.node(id(i)).Forward = id(i + 1)
	}
	w.happens(seen(1, id(0), ""))
	w.happens(seen(1, id(20), ""))
	if w.dead != 1 {
		t.Errorf("%d dead letters, want the one that has too far to go", w.dead)
	}
}

func TestLinkedByTrait(t *testing.T) {
	w := newTown(t, linkRules)
	named := func(days float64, user, traits string) {
		ev := seen(days, user, "")
		ev.Type, ev.Traits = lead.Identify, lead.Object(traits)
		w.happens(ev)
		w.deliver()
	}
	w.happens(seen(1, "late", ""))
	w.happens(seen(0, "early", ""))
	named(5, "late", `{"email":" Ann@X.com "}`)
	named(6, "early", `{"email":"ann@x.COM"}`)
	if !w.together("late", "early") || w.root("late").ID != "early" {
		t.Error("the earlier first seen is the target")
	}
	named(7, "bob", `{"email":"shared@x.com","phone":"+49 (30) 1234-5"}`)
	named(7, "cid", `{"email":"SHARED@x.com"}`)
	named(8, "dan", `{"phone":"0049 30 12345"}`)
	if w.together("bob", "cid") || !w.together("bob", "dan") || w.root("dan").ID != "bob" {
		t.Error("a shared mailbox links nobody, a phone number written in another way does")
	}
	for id := range w.nodes {
		if IsIdentifier(id) && strings.Contains(id, "@") {
			t.Error("an identifier's id shows an address")
		}
	}
}

func TestUnlink(t *testing.T) {
	w := newTown(t, linkRules)
	for _, ev := range []*lead.Event{seen(1, "", "a"), seen(2, "", "a"), seen(3, "u", ""), seen(4, "u", "a"), seen(5, "", "a")} {
		w.happens(ev)
		w.deliver()
	}
	m, v := w.ev.Unlink(w.node("a"), &Command{Kind: Unlink, Time: 6 * day, ID: "c"})
	if v != Applied {
		t.Fatal(v)
	}
	w.post = append(w.post, m)
	w.deliver()
	if w.together("a", "u") || w.points("a") != 3 || w.points("u") != 2 || has(w.root("u"), "a") {
		t.Errorf("points %v and %v", w.points("a"), w.points("u"))
	}
	if _, v := w.ev.Unlink(w.node("a"), &Command{}); v != Refused {
		t.Error("an id that is no pointer can't be separated")
	}
	w.happens(seen(7, "u", "a"))
	w.happens(alias(8, "a", "u"))
	w.deliver()
	if w.together("a", "u") || w.ev.Counts().Refused[WhyApart] == 0 {
		t.Error("the pair is remembered")
	}
	w.post = append(w.post, LinkCommand("a", &Command{Kind: Link, With: "u", Time: 9 * day}))
	w.deliver()
	if !w.together("a", "u") || w.points("a") != 6 {
		t.Errorf("an operator may link them again: %v points", w.points("a"))
	}
	if !slices.ContainsFunc(w.out, func(o lead.Output) bool { return o.Reason == "command" }) {
		t.Error("no output says that it was a command")
	}
}

// TestIDsThatDoNotFit refuses to move a lead with more ids than a message can hold.
func TestIDsThatDoNotFit(t *testing.T) {
	w := newTown(t, linkRules)
	w.happens(seen(1, "big", ""))
	for i := range 600 {
		noteID(w.root("big"), fmt.Sprintf("%s%04d", strings.Repeat("x", 1000), i), true)
	}
	w.happens(alias(2, "big", "other"))
	w.deliver()
	if w.together("big", "other") || w.points("big") != 1 || w.ev.Counts().Refused[WhyTooLarge] != 1 {
		t.Errorf("refused %v", w.ev.Counts().Refused)
	}
}

// TestHotAnonymousID links a device after a hundred thousand events: what moves is no more than a lead.
func TestHotAnonymousID(t *testing.T) {
	w := newTown(t, linkRules)
	const n = 100_000
	for i := range n {
		ev := at(float64(i)/n, "page", fmt.Sprint("h", i))
		ev.AnonymousID, ev.RoutingID = []byte("hot"), []byte("hot")
		w.happens(ev)
	}
	w.happens(seen(2, "u", "hot"))
	largest := 0
	for len(w.post) > 0 {
		largest = max(largest, len(w.post[0].State))
		w.deliverOne()
	}
	if w.count != 2 || largest == 0 || largest > 32<<10 {
		t.Errorf("%d letters, the largest with a lead of %d bytes", w.count, largest)
	}
	if l := w.root("hot"); l.Events != n+1 || w.points("hot") != n+1 {
		t.Errorf("%d events, %v points", l.Events, w.points("hot"))
	}
}
