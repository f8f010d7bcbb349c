package engine_test

import (
	"math"
	"slices"
	"strings"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
	"leadstream/state/lead"
)

// root follows an id to its lead.
func (c *crowd) root(id string) *lead.Lead {
	for range rules.MaxHops {
		n, err := c.fleet.Node(id)
		if err != nil {
			c.fatalf("%v", err)
		}
		if n == nil || n.Forward == "" {
			return n
		}
		id = n.Forward
	}
	c.fatalf("the pointers of %s end nowhere", id)
	return nil
}

func (c *crowd) check() {
	for _, r := range c.fleet.Out {
		if r.Topic == engine.TopicDeadletter && !strings.Contains(string(r.Headers[0].Value), "refused") && !strings.Contains(string(r.Headers[0].Value), "no_lead") {
			c.fatalf("a dead letter: %s", r.Headers[0].Value)
		}
	}
	if c.erases {
		c.checkErasures()
		return
	}
	roots := map[string]*lead.Lead{} // by id
	for _, id := range c.ids {
		if n := c.root(id); n != nil {
			roots[id] = n
		}
	}
	if c.loose {
		c.checkLoose(roots)
		return
	}
	c.checkPartition(roots)
}

// checkPartition compares with the model's groups.
func (c *crowd) checkPartition(roots map[string]*lead.Lead) {
	members := map[string][]*happening{}
	seen := map[string]bool{}
	for _, h := range c.happen {
		if h.command == nil && !seen[h.message] {
			seen[h.message] = true
			g := find(c.groups, h.to)
			members[g] = append(members[g], h)
		}
	}
	leadOf, groupOf := map[string]string{}, map[string]string{}
	for _, id := range c.ids {
		n := roots[id]
		if n == nil {
			continue // it never came up
		}
		g := find(c.groups, id)
		if leadOf[g] != "" && leadOf[g] != n.ID || groupOf[n.ID] != "" && groupOf[n.ID] != g {
			c.fatalf("id %s belongs to lead %s, others of its group to %q; the lead's group was %q", id, n.ID, leadOf[g], groupOf[n.ID])
		}
		if leadOf[g] == "" {
			leadOf[g], groupOf[n.ID] = n.ID, g
			c.checkLead(n, members[g])
		}
	}
}

// checkLead compares a lead with one that got all of its group's events in the order of time.
func (c *crowd) checkLead(n *lead.Lead, events []*happening) {
	set := mustRules(c.t, peopleRules)
	ev := set.NewEvaluator()
	one := set.NewLead("one", 1)
	dec := enginetest.Source("web", "web", false).NewDecoder()
	slices.SortFunc(events, func(a, b *happening) int { return int(a.at - b.at) })
	for _, h := range events {
		var e lead.Event
		if err := dec.Decode(&engine.Record{Value: []byte(h.value)}, h.at, &e); err != nil {
			c.fatalf("%v", err)
		}
		e.RoutingID = []byte("one")
		ev.Apply(one, &e, nil)
	}
	if n.Events != one.Events || n.FirstSeen != one.FirstSeen || n.LastSeen != one.LastSeen {
		c.fatalf("lead %s has %d events from %d to %d, want %d from %d to %d", n.ID, n.Events, n.FirstSeen, n.LastSeen, one.Events, one.FirstSeen, one.LastSeen)
	}
	if !rules.Begun(one) {
		return
	}
	for _, at := range []int64{c.now, c.now + 15*86_400_000} {
		x, y := ev.View(n, at), ev.View(one, at)
		for i := range x.Scores {
			if got, want := x.Scores[i].Value, y.Scores[i].Value; math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
				c.fatalf("lead %s: score %s is %v, want %v", n.ID, x.Scores[i].Name, got, want)
			}
		}
	}
}

// checkLoose looks at what holds whatever is refused.
func (c *crowd) checkLoose(roots map[string]*lead.Lead) {
	separated := c.separated()
	userOf := map[string]string{}
	leads := map[string]*lead.Lead{}
	for _, id := range c.ids {
		n := roots[id]
		if n == nil {
			continue
		}
		leads[n.ID] = n
		if !strings.HasPrefix(id, "u") {
			continue
		}
		u := find(c.known, id)
		if other := userOf[n.ID]; other != "" && other != u && !separated {
			c.fatalf("users %s and %s are joined in lead %s", u, other, n.ID)
		}
		userOf[n.ID] = u
	}
	total, pages := 0.0, map[string]bool{}
	for _, h := range c.happen {
		if h.kind == "page" {
			pages[h.message] = true
		}
	}
	set := mustRules(c.t, peopleRules)
	for _, id := range slices.Sorted(keys(leads)) {
		if rules.Begun(leads[id]) {
			total += set.NewEvaluator().View(leads[id], c.now).Scores[0].Value
		}
	}
	if total != float64(len(pages)) {
		c.fatalf("%g points on all leads, want %d", total, len(pages))
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
