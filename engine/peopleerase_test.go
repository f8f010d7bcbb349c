package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// erasures draws some among the rest: what they find is a matter of chance.
func (c *crowd) erasures() {
	for range 1 + c.rng.IntN(4) {
		id := c.ids[c.rng.IntN(len(c.ids))]
		c.command(id, c.erase(c.rng.IntN(8) == 0))
	}
}

func (c *crowd) erase(suppress bool) rules.Command {
	return rules.Command{Kind: rules.Erase, By: "office", Suppress: suppress, Salt: fmt.Appendf(nil, "salt %d", c.rng.IntN(1<<30))}
}

// checkErasures looks at what holds whatever came before what: nothing that happened to an erased id before the erasure is
// on any lead, no message is on two, and the audit says each thing once.
func (c *crowd) checkErasures() {
	holder, twice := map[uint64]string{}, map[uint64]bool{} // who erased a device may have the message that it sent as well
	for m := range c.byID {
		twice[lead.HashString(m)] = len(c.copies(m)) > 1
	}
	c.eachLead(func(l *lead.Lead) {
		for _, h := range l.Recent {
			if other := holder[h]; other != "" && !twice[h] && !c.separated() {
				c.fatalf("a message is on leads %s and %s", other, l.ID)
			}
			holder[h] = l.ID
		}
	})
	for _, e := range c.happen {
		if e.command == nil || e.command.Kind != rules.Erase || c.separated() {
			continue // what was separated by hand leaves what it was part of
		}
		for _, h := range c.happen {
			if h.command == nil && h.to == e.to && !twice[lead.HashString(h.message)] && (h.at <= e.at || e.command.Suppress) {
				if at := holder[lead.HashString(h.message)]; at != "" {
					c.fatalf("%s of %s is on lead %s, though %s was erased after it", h.message, h.to, at, e.to)
				}
			}
		}
	}
	c.checkAudit()
}

func (c *crowd) separated() bool {
	return slices.ContainsFunc(c.happen, func(h *happening) bool { return h.command != nil && h.command.Kind == rules.Unlink })
}

// copies are the ids that a message comes to.
func (c *crowd) copies(message string) map[string]bool {
	m := map[string]bool{}
	for _, h := range c.happen {
		if h.message == message {
			m[h.to] = true
		}
	}
	return m
}

// checkAudit finds one answer to each erasure, and one of each node that it asked to go.
func (c *crowd) checkAudit() {
	asked, nodes := map[string]int{}, map[string]int{}
	for _, r := range c.fleet.Out {
		if r.Topic != engine.TopicAudit {
			continue
		}
		var a engine.AuditRecord
		if err := json.Unmarshal(r.Value, &a); err != nil {
			c.fatalf("%v", err)
		}
		switch a.Type {
		case "erased":
			asked[a.Request]++
			nodes[a.Request] += *a.Nodes
		case "removed", "kept":
			nodes[a.Request]--
		}
		for _, id := range c.ids {
			if bytes.Contains(r.Value, []byte(id)) {
				c.fatalf("the audit says who: %s", r.Value)
			}
		}
	}
	for _, h := range c.happen {
		if h.command != nil && h.command.Kind == rules.Erase && asked[h.message] != h.delivered {
			c.fatalf("erasure %s was said %d times and answered %d times", h.message, h.delivered, asked[h.message])
		}
	}
	for r, n := range nodes {
		if n != 0 {
			c.fatalf("request %s: %d nodes were asked and did not answer", r, n)
		}
	}
}

func (c *crowd) eachLead(fn func(l *lead.Lead)) {
	if err := c.fleet.Each(func(l *lead.Lead) {
		if rules.Begun(l) {
			fn(l)
		}
	}); err != nil {
		c.fatalf("%v", err)
	}
}

// farewell erases one person in the end. Nobody is left who knows any of their ids, also in the stores; what
// comes once more of before changes nothing, and what comes of later is somebody new.
func (c *crowd) farewell() {
	var mine []string
	var who string
	for _, i := range c.rng.Perm(len(c.ids)) {
		if n := c.root(c.ids[i]); n != nil && !n.Gone {
			who = n.ID
			break
		}
	}
	if who == "" {
		return
	}
	for _, id := range c.ids {
		if n := c.root(id); n != nil && n.ID == who && !n.Gone {
			mine = append(mine, id)
		}
	}
	said := mine[c.rng.IntN(len(mine))]
	c.now += 1000
	old := c.happen
	c.command(said, c.erase(c.rng.IntN(4) == 0))
	c.deliver(c.happen[len(c.happen)-1])
	c.drain()
	if c.separated() {
		// What was separated by hand may still be listed by the lead that it was separated from.
		if n := c.root(said); n != nil && !n.Gone {
			c.fatalf("%s is still there", said)
		}
		return
	}
	c.nobody(mine)
	for _, h := range old { // the topic is read again
		if slices.Contains(mine, h.to) && (h.command == nil || h.command.Kind != rules.Erase) {
			c.deliver(h)
		}
		for c.rng.IntN(3) == 0 {
			c.step()
		}
	}
	c.drain()
	c.nobody(mine)
	// Who comes later is somebody new, unless the person is to be kept out.
	gone := c.happen[len(old)]
	c.event(said, "", "page", "")
	c.deliver(c.happen[len(c.happen)-1])
	c.drain()
	switch n := c.root(said); {
	case gone.command.Suppress:
		c.nobody(mine)
	case n == nil || n.ID != said || n.Events != 1:
		c.fatalf("%s came again and is %+v", said, n)
	}
}

// nobody fails when something is kept of ids that were erased.
func (c *crowd) nobody(mine []string) {
	if err := c.fleet.LayAll(); err != nil {
		c.fatalf("%v", err)
	}
	var at string
	if err := c.fleet.Each(func(l *lead.Lead) {
		b := lead.AppendEncode(nil, l)
		for _, id := range mine {
			if bytes.Contains(b, []byte(id)) {
				at = fmt.Sprintf("%s is mentioned by %+v", id, *l)
			}
		}
	}); err != nil {
		c.fatalf("%v", err)
	}
	if at != "" {
		c.fatalf("of %s: %s", strings.Join(mine, ", "), at)
	}
}
