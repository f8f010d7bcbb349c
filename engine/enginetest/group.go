package enginetest

import (
	"context"
	"slices"
	"sync"

	"leadstream/engine"
)

// group is the consumer group of a Log: members share the shards evenly, sticking to what they have.
type group struct {
	log        *Log
	members    []*member
	generation int32
	waiting    int  // members that were not done with what they lost
	again      bool // membership changed meanwhile
	standbys   int  // of each shard; 0: no plan is made
}

type member struct {
	name    string
	changes chan engine.Change
	owns    []int32
	valid   int32 // the generation it knows
	left    bool
	handing []func() // Done of its Lost changes: called for it when it is gone
}

func (g *group) join(name string) *member {
	m := &member{name: name, changes: make(chan engine.Change, 64)}
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	g.members = append(g.members, m)
	g.rebalance()
	return m
}

// rebalance assigns shards anew. Callers hold the log's lock. What a member loses is gained by another
// only once it is done with it; what happens meanwhile is the next rebalance's.
func (g *group) rebalance() {
	if g.waiting > 0 {
		g.again = true
		return
	}
	g.again = false
	g.generation++
	n := len(g.members)
	if n == 0 {
		return
	}
	want := map[*member][]int32{}
	taken := map[int32]bool{}
	quota := (int(g.log.shards) + n - 1) / n
	for _, m := range g.members {
		for _, s := range m.owns {
			if len(want[m]) < quota && !taken[s] {
				want[m] = append(want[m], s)
				taken[s] = true
			}
		}
	}
	for s := range g.log.shards {
		if taken[s] {
			continue
		}
		least := slices.MinFunc(g.members, func(a, b *member) int { return len(want[a]) - len(want[b]) })
		want[least] = append(want[least], s)
	}
	var gains []func()
	release := func() {
		for _, f := range gains {
			f()
		}
	}
	for _, m := range g.members {
		m.valid = g.generation
		var lost, gained []int32
		for _, s := range m.owns {
			if !slices.Contains(want[m], s) {
				lost = append(lost, s)
			}
		}
		for _, s := range want[m] {
			if !slices.Contains(m.owns, s) {
				gained = append(gained, s)
			}
		}
		m.owns = want[m]
		p := g.plan(m, want)
		if len(gained) > 0 || p != nil {
			gains = append(gains, func() { m.changes <- engine.Change{Gained: gained, Plan: p, Done: func() {}} })
		}
		if len(lost) > 0 {
			g.waiting++
			done := sync.OnceFunc(func() {
				g.log.mu.Lock()
				defer g.log.mu.Unlock()
				if g.waiting--; g.waiting > 0 {
					return
				}
				release()
				if g.again {
					g.rebalance()
				}
			})
			m.handing = append(m.handing, done)
			m.changes <- engine.Change{Lost: lost, Done: done}
		}
	}
	if g.waiting == 0 {
		release()
	}
}

// plan tells a member who has what. Each shard is followed by the members after its owner.
func (g *group) plan(of *member, want map[*member][]int32) *engine.Plan {
	if g.standbys == 0 {
		return nil
	}
	p := &engine.Plan{}
	for i, m := range g.members {
		x := engine.PlanMember{Instance: m.name, Owned: slices.Sorted(slices.Values(want[m]))}
		for k := 1; k <= min(g.standbys, len(g.members)-1); k++ {
			before := g.members[(i+len(g.members)-k)%len(g.members)]
			x.Standby = append(x.Standby, want[before]...)
		}
		slices.Sort(x.Standby)
		if m == of {
			p.Standby = x.Standby
		}
		p.Members = append(p.Members, x)
	}
	return p
}

// Standbys has each shard followed by n members beside its owner, from the next rebalance on.
func (l *Log) Standbys(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.group.standbys = n
}

func (g *group) valid(f engine.Fence) bool {
	return slices.ContainsFunc(g.members, func(m *member) bool { return m.name == f.Member && m.valid == f.Generation })
}

// Kick removes a member without telling it: what it commits from now on is fenced.
func (c *Client) Kick() {
	c.log.mu.Lock()
	g := &c.log.group
	g.members = slices.DeleteFunc(g.members, func(m *member) bool { return m == c.member })
	c.member.left = true
	g.rebalance()
	c.log.mu.Unlock()
	for _, done := range c.member.handing {
		done() // nobody waits for one that is gone
	}
}

// Changes implements engine.Group.
func (c *Client) Changes() <-chan engine.Change { return c.member.changes }

// Pending implements engine.Group.
func (c *Client) Pending() bool { return len(c.member.changes) > 0 }

// Fence implements engine.Group.
func (c *Client) Fence() (engine.Fence, bool) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return engine.Fence{Member: c.member.name, Generation: c.member.valid}, c.member.valid > 0
}

// Leave implements engine.Group.
func (c *Client) Leave(context.Context) error {
	if !c.member.left {
		c.Kick()
	}
	return nil
}
