package kafka

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"leadstream/engine"
)

// TestPlanProperties makes plans for random groups, and lets each group live on with them until nothing moves.
func TestPlanProperties(t *testing.T) {
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 5))
		shards, standbys := 1+rng.Int32N(24), rng.IntN(4)
		members := randomMembers(rng, shards)
		if err := livesOn(members, shards, standbys); err != nil {
			t.Fatalf("seed %d, %d shards, %d standbys: %v", seed, shards, standbys, err)
		}
	}
}

func randomMembers(rng *rand.Rand, shards int32) []planMember {
	members := make([]planMember, 1+rng.IntN(6))
	owners := rng.IntN(len(members) + 1) // the first that many share the shards
	for i := range members {
		m := &members[i]
		m.id, m.instance, m.generation = fmt.Sprint("m", i), fmt.Sprint("i", i), 7
		m.follows, m.holds = rng.IntN(8) > 0, map[int32]engine.Holding{}
		if rng.IntN(6) == 0 {
			m.generation = rng.Int32N(7)
		}
		for s := range shards {
			if k := engine.HoldingKind(rng.IntN(4)); k > 0 && m.follows {
				m.holds[s] = engine.Holding{Shard: s, Kind: k, Epoch: rng.Uint64N(1000)}
			}
		}
	}
	for s := range shards {
		for range 1 + rng.IntN(12)/11 { // now and then two claim one
			if owners == 0 || rng.IntN(10) == 0 {
				continue
			}
			m := &members[rng.IntN(owners)]
			if slices.Contains(m.claims, s) {
				continue
			}
			m.claims = append(m.claims, s)
			if m.follows && rng.IntN(4) > 0 {
				m.holds[s] = engine.Holding{Shard: s, Kind: engine.HoldingLive, Epoch: 1000}
			}
		}
	}
	return members
}

// livesOn plays the group's part: what is taken away is given up, who warms catches up, and a new plan is made.
func livesOn(members []planMember, shards int32, standbys int) error {
	moved := 0
	for round := 0; ; round++ {
		p := makePlan(members, shards, standbys)
		if err := checkPlan(members, shards, p); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		changed := false
		generation := int32(100 + round)
		claims := make([][]int32, len(members))
		for s := range shards {
			if i := p.owner[s]; i >= 0 {
				claims[i] = append(claims[i], s)
			}
			if w := p.warming[s]; w >= 0 {
				members[w].holds[s] = engine.Holding{Shard: s, Kind: engine.HoldingReady, Epoch: 1000}
				changed = true
			}
			if p.owner[s] != p.next[s] {
				changed = true
			}
		}
		for i := range members {
			m := &members[i]
			for _, s := range claims[i] {
				if !slices.Contains(m.claims, s) {
					moved++
					changed = true
				}
				if m.follows {
					m.holds[s] = engine.Holding{Shard: s, Kind: engine.HoldingLive, Epoch: 1000}
				}
			}
			for _, s := range m.claims {
				if !slices.Contains(claims[i], s) && m.follows {
					changed = true
					m.holds[s] = engine.Holding{Shard: s, Kind: engine.HoldingStored, Epoch: 999}
				}
			}
			m.claims, m.generation = claims[i], generation
		}
		if !changed {
			return checkRest(members, shards, standbys, p)
		}
		if round > 8 {
			return fmt.Errorf("no rest after %d rounds, %d moves", round, moved)
		}
	}
}

// checkPlan checks what must hold of every plan.
func checkPlan(members []planMember, shards int32, p plan) error {
	for s := range shards {
		latest := int32(-1)
		var claimants []int
		for i, m := range members {
			if slices.Contains(m.claims, s) {
				claimants = append(claimants, i)
				latest = max(latest, m.generation)
			}
		}
		if p.next[s] < 0 || p.next[s] >= len(members) {
			return fmt.Errorf("shard %d is nobody's", s)
		}
		if o := p.owner[s]; o >= 0 {
			if o != p.next[s] {
				return fmt.Errorf("shard %d is given to %d on its way to %d", s, o, p.next[s])
			}
			for _, c := range claimants {
				if c != o && (!slices.Contains(claimants, o) || members[c].generation >= members[o].generation) {
					return fmt.Errorf("shard %d is given to %d while %d claims it", s, o, c)
				}
			}
		} else if len(claimants) == 0 {
			return fmt.Errorf("shard %d is free and given to nobody", s)
		}
		for _, b := range p.standby[s] {
			if b == p.next[s] || !members[b].follows {
				return fmt.Errorf("shard %d has the standby %d, which owns it or follows nothing", s, b)
			}
		}
		if once := slices.Compact(slices.Clone(p.standby[s])); len(p.standby[s]) > len(once) {
			return fmt.Errorf("shard %d has a standby twice: %v", s, p.standby[s])
		}
		if w := p.warming[s]; w >= 0 && !slices.Contains(p.standby[s], w) {
			return fmt.Errorf("shard %d is to be warmed by %d, which does not follow it", s, w)
		}
	}
	return nil
}

// checkRest checks what holds once nothing moves any more.
func checkRest(members []planMember, shards int32, standbys int, p plan) error {
	counts := make([]int, len(members))
	follow := 0
	for _, m := range members {
		if m.follows {
			follow++
		}
	}
	for s := range shards {
		counts[p.owner[s]]++
		want := min(standbys, follow)
		if members[p.owner[s]].follows {
			want = min(standbys, follow-1)
		}
		if len(p.standby[s]) != want {
			return fmt.Errorf("shard %d has %d standbys, want %d", s, len(p.standby[s]), want)
		}
	}
	if slices.Max(counts)-slices.Min(counts) > 1 {
		return fmt.Errorf("members have %v shards", counts)
	}
	again := makePlan(members, shards, standbys)
	if !slices.Equal(again.owner, p.owner) {
		return fmt.Errorf("the plan after a plan is another one")
	}
	return nil
}

// planGroup is a group at rest: instances with these shards, all live.
func planGroup(owned ...[]int32) []planMember {
	members := make([]planMember, len(owned))
	for i, shards := range owned {
		members[i] = planMember{id: fmt.Sprint(i), instance: fmt.Sprint(i), generation: 3, follows: true, claims: shards, holds: map[int32]engine.Holding{}}
		for _, s := range shards {
			members[i].holds[s] = engine.Holding{Shard: s, Kind: engine.HoldingLive, Epoch: 100}
		}
	}
	return members
}

func holding(m *planMember, kind engine.HoldingKind, epoch uint64, shards ...int32) {
	for _, s := range shards {
		m.holds[s] = engine.Holding{Shard: s, Kind: kind, Epoch: epoch}
	}
}

func TestPlanOneJoins(t *testing.T) {
	members := planGroup([]int32{0, 1, 2, 3}, []int32{4, 5, 6, 7}, nil)
	p := makePlan(members, 8, 0)
	if want := []int{0, 0, 0, 0, 1, 1, 1, 1}; !slices.Equal(p.owner, want) {
		t.Fatalf("shards moved to who holds nothing of them: %v", p.owner)
	}
	warm := []int32{}
	for s, w := range p.warming {
		if w == 2 {
			warm = append(warm, int32(s))
		}
	}
	if len(warm) != 2 {
		t.Fatalf("the newcomer warms for %v, want two shards", warm)
	}
	holding(&members[2], engine.HoldingReady, 100, warm...)
	p = makePlan(members, 8, 0)
	for s := range int32(8) {
		want, o := -1, p.owner[s]
		if !slices.Contains(warm, s) {
			want = int(s) / 4
		}
		if o != want {
			t.Fatalf("shard %d is given to %d, want %d: %v", s, o, want, p.owner)
		}
	}
	for i := range 2 {
		members[i].claims = slices.DeleteFunc(members[i].claims, func(s int32) bool { return slices.Contains(warm, s) })
	}
	p = makePlan(members, 8, 0)
	for _, s := range warm {
		if p.owner[s] != 2 {
			t.Fatalf("shard %d was given up and is not the newcomer's: %v", s, p.owner)
		}
	}
}

func TestPlanOneDies(t *testing.T) {
	members := planGroup([]int32{0, 1, 2}, []int32{3, 4, 5})
	holding(&members[0], engine.HoldingReady, 99, 6)
	holding(&members[1], engine.HoldingReady, 99, 7)
	holding(&members[0], engine.HoldingStored, 90, 7)
	holding(&members[0], engine.HoldingFollowing, 20, 8)
	p := makePlan(members, 9, 1)
	if p.owner[6] != 0 || p.owner[7] != 1 {
		t.Errorf("the dead one's shards went to %d and %d, not to their standbys", p.owner[6], p.owner[7])
	}
	if p.owner[8] != 0 {
		t.Errorf("a shard went to %d, not to who holds something of it", p.owner[8])
	}
	for s := range 9 {
		if want := []int{1 - p.owner[s]}; !slices.Equal(p.standby[s], want) {
			t.Errorf("shard %d has standbys %v, want %v", s, p.standby[s], want)
		}
	}
}

func TestPlanClaims(t *testing.T) {
	for _, tt := range []struct {
		name        string
		generations [2]int32 // of two members that both claim shard 0
		want        int
	}{
		{"the one that missed a generation lost it", [2]int32{3, 4}, 1},
		{"the same the other way round", [2]int32{4, 3}, 0},
		{"both give it up", [2]int32{4, 4}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			members := planGroup([]int32{0}, []int32{0})
			for i, g := range tt.generations {
				members[i].generation = g
			}
			if p := makePlan(members, 1, 0); p.owner[0] != tt.want {
				t.Errorf("it is given to %d, want %d", p.owner[0], tt.want)
			}
		})
	}
}

func TestPlanStandbysAreSpread(t *testing.T) {
	members := planGroup([]int32{0, 1, 2}, []int32{3, 4, 5}, []int32{6, 7, 8})
	p := makePlan(members, 9, 1)
	follow := make([]int, 3)
	for s := range 9 {
		for _, b := range p.standby[s] {
			follow[b]++
		}
	}
	if slices.Max(follow)-slices.Min(follow) > 2 {
		t.Errorf("members follow %v shards", follow)
	}
	// They stay where they are when nothing else asks for a change.
	for s := range 9 {
		holding(&members[p.standby[s][0]], engine.HoldingReady, 100, int32(s))
	}
	q := makePlan(members, 9, 1)
	for s := range 9 {
		if !slices.Equal(p.standby[s], q.standby[s]) {
			t.Errorf("the standby of shard %d moved from %v to %v", s, p.standby[s], q.standby[s])
		}
	}
}
