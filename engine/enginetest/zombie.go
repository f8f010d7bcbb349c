package enginetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"leadstream/engine"
)

// Stall stops a process's operations for a while, as SIGSTOP would. When that is longer than its session lasts, the group
// gives its shards to others, and it hears so only once it goes on: until then it believes in what it had.
func (c *Sim) Stall(d, session time.Duration) {
	c.mu.Lock()
	c.stalled = time.Now().Add(d)
	c.mu.Unlock()
	if d <= session {
		return
	}
	time.AfterFunc(session, func() { c.expel() })
	time.AfterFunc(d+time.Duration(c.meet("rejoin", engine.TopicPartition{}).Int64N(20_000_000)), func() { c.rejoin() })
}

// Expire ends the session of a process that is dead, some time after its death.
func (c *Sim) Expire(session time.Duration) { time.AfterFunc(session, func() { c.expel() }) }

// Leave implements engine.Group. The dead don't: their session has to end.
func (c *Sim) Leave(ctx context.Context) error {
	if c.Dead() {
		return errDead
	}
	return c.Client.Leave(ctx)
}

// expel removes the process from the group without telling it.
func (c *Sim) expel() {
	c.log.mu.Lock()
	g := &c.log.group
	in := slices.Contains(g.members, c.member)
	if in {
		g.members = slices.DeleteFunc(g.members, func(m *member) bool { return m == c.member })
		g.rebalance()
	}
	handing := slices.Clone(c.member.handing)
	c.log.mu.Unlock()
	if in {
		for _, done := range handing {
			done() // nobody waits for one that is gone
		}
	}
}

// rejoin tells an expelled process that it has lost everything, and lets it join again once it is done with that.
func (c *Sim) rejoin() {
	l := c.log
	l.mu.Lock()
	defer l.mu.Unlock()
	m := c.member
	if c.Dead() || m.left || slices.Contains(l.group.members, m) {
		return
	}
	lost := m.owns
	m.owns, m.valid = nil, 0
	m.changes <- engine.Change{Lost: lost, Fenced: true, Done: sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if m.left || c.Dead() {
			return
		}
		l.group.members = append(l.group.members, m)
		l.group.rebalance()
	})}
}
