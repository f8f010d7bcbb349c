package kafka

import (
	"slices"

	"leadstream/engine"
)

// planMember is what the leader of the group knows of a member when it makes a plan.
type planMember struct {
	id, instance, address string
	// generation is the last one it was in; claims the shards it had then and has not given up.
	generation int32
	claims     []int32
	// follows says that it can be a standby, holds what it has by shard.
	follows bool
	holds   map[int32]engine.Holding
}

func (m *planMember) kind(shard int32) engine.HoldingKind { return m.holds[shard].Kind }

// plan is who gets what, by index of the member.
type plan struct {
	// owner has the shard from this generation on; -1 while its former owner has yet to give it up.
	owner []int
	// next is to have the shard in the end of this rebalance; never -1 when there are members.
	next []int
	// standby are those that follow the shard, warming is the one of them that is to own it once it has caught up, else -1.
	standby [][]int
	warming []int
}

// planner makes a plan. It is a function of its arguments: no clock, no chance, and members are in a fixed order.
type planner struct {
	members []planMember
	shards  int
	current []int  // by shard: who owns it now, -1 if nobody or more than one claims it
	claimed []bool // by shard: someone claims it
	plan
	counts []int // by member: shards to be its own in the end, those that it warms for included
}

// makePlan spreads the shards over the members.
//
//   - A shard stays with its owner, as long as numbers allow it: they are to differ by at most one.
//   - A shard without an owner goes to a standby that has caught up, else to the newest local store, else to
//     whoever has least.
//   - A shard that has to move goes where it is followed already. Where it is not, its next owner first follows
//     it, and gets it in a later plan; meanwhile it stays.
//   - Nobody gets a shard that another member claims: it is left out until it is given up.
//   - Each shard has as many standbys as asked for, if there are members enough, on members other than its owner.
func makePlan(members []planMember, shards int32, standbys int) plan {
	p := &planner{members: members, shards: int(shards), counts: make([]int, len(members)),
		current: make([]int, shards), claimed: make([]bool, shards),
		plan: plan{owner: make([]int, shards), next: make([]int, shards), standby: make([][]int, shards), warming: make([]int, shards)}}
	if len(members) == 0 {
		return p.plan
	}
	p.findOwners()
	p.placeFree()
	p.balance()
	for s := range p.shards {
		p.owner[s] = p.next[s]
		if p.claimed[s] && p.current[s] != p.next[s] {
			p.owner[s] = -1
		}
	}
	p.placeStandbys(standbys)
	return p.plan
}

// findOwners takes each shard's owner for the only member that claims it as of the latest generation. A claim
// of an earlier one is of a member that has missed what happened since.
func (p *planner) findOwners() {
	latest := make([]int32, p.shards)
	for s := range p.shards {
		p.current[s], p.warming[s], p.next[s], latest[s] = -1, -1, -1, -1
	}
	for i := range p.members {
		m := &p.members[i]
		for _, s := range m.claims {
			if s < 0 || int(s) >= p.shards {
				continue
			}
			switch {
			case !p.claimed[s] || m.generation > latest[s]:
				p.current[s], latest[s] = i, m.generation
			case m.generation == latest[s] && p.current[s] != i:
				p.current[s] = -1 // both are to give it up
			}
			p.claimed[s] = true
		}
	}
	for s, i := range p.current {
		if i >= 0 {
			p.next[s] = i
			p.counts[i]++
		}
	}
}

// placeFree gives shards without an owner to those who have most of their state: first those that a standby
// can take over at once, since the numbers of the others can be chosen freely.
func (p *planner) placeFree() {
	for s := range p.shards {
		if p.next[s] >= 0 {
			continue
		}
		if i := p.best(s, func(i int) bool { return p.members[i].kind(int32(s)) >= engine.HoldingReady }, true); i >= 0 {
			p.give(s, i)
		}
	}
	quota := (p.shards + len(p.members) - 1) / len(p.members)
	for s := range p.shards {
		if p.next[s] >= 0 {
			continue
		}
		i := p.best(s, func(i int) bool { return p.members[i].kind(int32(s)) > 0 && p.counts[i] < quota }, false)
		if i < 0 {
			i = p.best(s, func(int) bool { return true }, true)
		}
		p.give(s, i)
	}
}

func (p *planner) give(s, to int) {
	p.next[s] = to
	p.counts[to]++
}

// best returns the eligible member with the fewest shards and then the newest state; or, unless fewest, the
// newest state and then the fewest shards. -1 if none is eligible.
func (p *planner) best(s int, eligible func(int) bool, fewest bool) int {
	best := -1
	for i := range p.members {
		if !eligible(i) {
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		a, b := p.members[i].holds[int32(s)], p.members[best].holds[int32(s)]
		less, more := p.counts[i] < p.counts[best], p.counts[i] > p.counts[best]
		newer, older := a.Epoch > b.Epoch, a.Epoch < b.Epoch
		if fewest && (less || !more && newer) || !fewest && (newer || !older && less) {
			best = i
		}
	}
	return best
}

// balance moves shards from who has most to who has least until their numbers differ by at most one. A shard whose
// next owner has to follow it first counts as moved.
func (p *planner) balance() {
	for {
		hi, lo := 0, 0
		for i, n := range p.counts {
			if n > p.counts[hi] {
				hi = i
			}
			if n < p.counts[lo] {
				lo = i
			}
		}
		if p.counts[hi]-p.counts[lo] <= 1 {
			return
		}
		best, cost := -1, 0
		for s := range p.shards {
			if p.next[s] != hi || p.warming[s] >= 0 {
				continue
			}
			if c := p.cost(s, lo); best < 0 || c < cost {
				best, cost = s, c
			}
		}
		if best < 0 {
			return // all it has is on its way already
		}
		p.counts[hi]--
		p.counts[lo]++
		if p.warms(best, lo) {
			p.warming[best] = lo
		} else {
			p.next[best] = lo
		}
	}
}

// warms says that a shard stays where it is until the other member has caught up: it is live there, and would
// not be here for as long as it takes to restore it.
func (p *planner) warms(s, to int) bool {
	from := p.current[s]
	return from >= 0 && p.members[from].kind(int32(s)) == engine.HoldingLive && p.members[to].follows &&
		p.members[to].kind(int32(s)) < engine.HoldingReady
}

// cost orders the shards that may move to a member by how little it disturbs.
func (p *planner) cost(s, to int) int {
	kind := p.members[to].kind(int32(s))
	switch {
	case kind >= engine.HoldingReady:
		return 0
	case !p.warms(s, to):
		return 1
	default:
		return 2 + int(engine.HoldingReady-kind)
	}
}

// placeStandbys chooses who follows each shard: those who do already as long as it is not too many, then whoever
// has least to do, the newest local store deciding between equals.
func (p *planner) placeStandbys(n int) {
	n = min(n, len(p.members)-1)
	limit := 0
	if n > 0 {
		limit = (p.shards*n+len(p.members)-1)/len(p.members) + 1
	}
	followed := make([]int, len(p.members))
	eligible := func(s, i int) bool {
		return i != p.next[s] && i != p.current[s] && p.members[i].follows && !slices.Contains(p.standby[s], i)
	}
	add := func(s, i int) {
		p.standby[s] = append(p.standby[s], i)
		followed[i]++
	}
	for s := range p.shards {
		if w := p.warming[s]; w >= 0 {
			add(s, w)
		}
	}
	missing := func(s int) bool {
		have := len(p.standby[s])
		if p.warming[s] >= 0 {
			have-- // it is to be the owner
		}
		return have < n
	}
	for _, kind := range []engine.HoldingKind{engine.HoldingLive, engine.HoldingReady, engine.HoldingFollowing} {
		for s := range p.shards {
			for i := range p.members {
				if missing(s) && eligible(s, i) && p.members[i].kind(int32(s)) == kind && followed[i] < limit {
					add(s, i)
				}
			}
		}
	}
	for s := range p.shards {
		for missing(s) {
			best := -1
			for i := range p.members {
				if !eligible(s, i) {
					continue
				}
				if best < 0 || followed[i] < followed[best] ||
					followed[i] == followed[best] && p.members[i].holds[int32(s)].Epoch > p.members[best].holds[int32(s)].Epoch {
					best = i
				}
			}
			if best < 0 {
				break
			}
			add(s, best)
		}
		slices.Sort(p.standby[s])
	}
}
