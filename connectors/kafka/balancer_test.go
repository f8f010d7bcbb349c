package kafka

import (
	"slices"
	"sync/atomic"
	"testing"

	"leadstream/engine"
)

// holder is a member whose holdings a test sets.
type holder struct {
	*watched
	has atomic.Pointer[[]engine.Holding]
}

func (h *holder) set(kind engine.HoldingKind, epoch uint64, shards ...int32) {
	var list []engine.Holding
	if p := h.has.Load(); p != nil {
		list = slices.DeleteFunc(slices.Clone(*p), func(x engine.Holding) bool { return slices.Contains(shards, x.Shard) })
	}
	for _, s := range shards {
		list = append(list, engine.Holding{Shard: s, Kind: kind, Epoch: epoch})
	}
	h.has.Store(&list)
}

func hold(t *testing.T, b *Broker, instance string, standbys int, shards int32, kinds ...engine.HoldingKind) *holder {
	t.Helper()
	h := &holder{}
	for s, k := range kinds {
		if k > 0 {
			h.set(k, 10, int32(s))
		}
	}
	h.watched = watchAs(t, b, instance, func(c *Config) { c.Shards = shards }, Member{Address: "http://" + instance, Standbys: standbys,
		Holdings: func() []engine.Holding {
			if p := h.has.Load(); p != nil {
				return *p
			}
			return nil
		}})
	return h
}

// settle ends changes until one carries a plan as wanted.
func (h *holder) settle(is func(engine.Change) bool) engine.Change {
	h.t.Helper()
	return h.until(func(ch engine.Change) bool { return ch.Plan != nil && is(ch) })
}

// A newcomer follows a shard first, asks for it when it has caught up, and gets it then; everybody knows who has what.
func TestGroupWarmsThenMoves(t *testing.T) {
	b := startEmbedded(t, Embedded{})
	a := hold(t, b, "a", 0, 2)
	a.until(gained(2))
	a.set(engine.HoldingLive, 10, 0, 1)
	n := hold(t, b, "b", 0, 2)
	planned := make(chan *engine.Plan, 10)
	go func() {
		for ch := range a.g.Changes() {
			if ch.Plan != nil {
				planned <- ch.Plan
			}
			ch.Done()
		}
	}()
	ch := n.settle(func(ch engine.Change) bool { return len(ch.Plan.Warming) == 1 })
	if len(ch.Gained) > 0 || !slices.Equal(ch.Plan.Standby, ch.Plan.Warming) {
		t.Errorf("the newcomer was given %v and follows %v", ch.Gained, ch.Plan.Standby)
	}
	s := ch.Plan.Warming[0]
	n.set(engine.HoldingReady, 10, s)
	n.g.Replan()
	ch = n.until(gained(1))
	if ch.Gained[0] != s {
		t.Errorf("it was given %v, it had followed %d", ch.Gained, s)
	}
	for p := range planned {
		if m, ok := p.Owner(s); ok && m.Instance == "b" {
			if m.Address != "http://b" {
				t.Errorf("the owner's address is %q", m.Address)
			}
			return
		}
	}
}

// A dead member's shards go to their standbys.
func TestGroupGivesToStandby(t *testing.T) {
	b := startEmbedded(t, Embedded{})
	a := hold(t, b, "a", 1, 2)
	a.until(gained(2))
	a.set(engine.HoldingLive, 10, 0, 1)
	c := hold(t, b, "c", 1, 2, 0, engine.HoldingStored)
	go func() {
		for ch := range a.g.Changes() {
			ch.Done()
		}
	}()
	ch := c.settle(func(ch engine.Change) bool { return len(ch.Plan.Standby) == 2 })
	if len(ch.Gained) > 0 || !slices.Equal(ch.Plan.Warming, []int32{1}) {
		t.Errorf("it was given %v and warms %v, want shard 1, of which it has a store", ch.Gained, ch.Plan.Warming)
	}
	must(t, a.g.Leave(t.Context()))
	ch = c.until(gained(2))
	if ch.Plan == nil || len(ch.Plan.Standby) > 0 || len(ch.Plan.Members) != 1 {
		t.Errorf("the last one's plan is %+v", ch.Plan)
	}
}
