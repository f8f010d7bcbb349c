package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

// seat tells whether this member was in every generation of the group since one the engine knows.
//
// The client does not: a member that was too late for a rebalance is dropped, or passed over if it is a
// static one, while its shards are given to others; if it then joins again before it has heard of that, it
// claims the shards it had, may well be given the same ones again, and reports no change at all. In
// between another process may have committed for them. A member that joined each generation can't
// have missed that: while it claims a shard the group gives it to nobody else.
type seat struct {
	fence engine.Fence
	// reached is the latest generation up to which every one was joined.
	reached int32
	// broken says that some generation was not.
	broken bool
}

// join notes that this member asks to join the generation after the given one, which it is in.
func (s *seat) join(member string, generation int32) {
	if member != s.fence.Member || generation != s.reached && generation != s.reached+1 {
		s.broken = true
		return
	}
	s.reached = generation
}

// unbroken says that no generation was missed up to the present one.
func (s *seat) unbroken(now engine.Fence) bool {
	return !s.broken && now.Member == s.fence.Member && (now.Generation == s.reached || now.Generation == s.reached+1)
}

// witness is a balancer that tells of each request to join.
type witness struct {
	kgo.GroupBalancer
	joining func(generation int32)
}

// JoinGroupMetadata implements kgo.GroupBalancer.
func (w witness) JoinGroupMetadata(topics []string, current map[string][]int32, generation int32) []byte {
	w.joining(generation)
	return w.GroupBalancer.JoinGroupMetadata(topics, current, generation)
}
