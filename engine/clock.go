package engine

import (
	"slices"
	"time"

	"leadstream/state/lead"
)

// liveness is what a process knows of a partition's end. It is not replicated: what follows from it,
// the floors, is journaled.
type liveness struct {
	end      int64 // the partition's committed end as of the last fetch
	recordAt int64 // wall clock when the last record came, or when reading began
}

// nearWall is how near a caught-up partition's watermark must be to the wall clock to follow it at once,
// and how far the broker's clock may be from ours before wall-clock floors are switched off.
const nearWall = int64(time.Minute / time.Millisecond)

// caughtUp says whether all that is known to be in the partition was applied.
func (s *shard) caughtUp(p *part) bool {
	l := s.live[p.TopicPartition]
	if l == nil || p.next < l.end {
		return false
	}
	for i := range s.queue {
		if s.queue[i].TopicPartition == p.TopicPartition && len(s.queue[i].Records) > 0 {
			return false
		}
	}
	return true
}

func (s *shard) floor(p *part, wall int64, skewed bool) int64 {
	if p.source == nil || skewed || !s.caughtUp(p) {
		return noTime
	}
	if p.source.History {
		if _, closed := slices.BinarySearch(s.st.closed, p.source.Name); !closed {
			return noTime
		}
	}
	if p.watermark != noTime && wall-p.watermark <= nearWall {
		return wall
	}
	if wall-s.live[p.TopicPartition].recordAt >= s.cfg.IdleAfter.Milliseconds() {
		return wall
	}
	return noTime
}

func (s *shard) readClock(wall, limit int64, skewed bool) clockInput {
	c := clockInput{wall: wall, cap: limit, floors: make([]int64, len(s.st.parts))}
	for i := range s.st.parts {
		c.floors[i] = s.floor(&s.st.parts[i], wall, skewed)
	}
	return c
}

// head is what a shard's last journal record says of its place in time.
type head struct {
	epoch     uint64
	watermark int64
	caughtUp  bool
	seenAt    int64 // our wall clock when the watermark last moved
	forwardAt int64 // our wall clock when it last forwarded events, noTime if never
}

// heads holds the last head of every shard, this process's own ones included.
type heads map[int32]head

func (h heads) update(shard int32, epoch uint64, watermark int64, caughtUp bool, forwarded int, wall int64) {
	old, ok := h[shard]
	if ok && old.epoch >= epoch {
		return
	}
	n := head{epoch: epoch, watermark: watermark, caughtUp: caughtUp, seenAt: wall, forwardAt: noTime}
	if ok {
		n.forwardAt = old.forwardAt
		if old.watermark == watermark {
			n.seenAt = old.seenAt
		}
	}
	if forwarded > 0 {
		n.forwardAt = wall
	}
	h[shard] = n
}

// limit is what other shards impose on the tick of one: while events are being forwarded, a shard that
// is behind holds the others back, for at most wait after its watermark last moved.
func (h heads) limit(shard int32, wall, wait int64) int64 {
	low, forwarding := lead.Never, false
	for id, x := range h {
		if x.forwardAt != noTime && wall-x.forwardAt <= wait {
			forwarding = true
		}
		if id != shard && !x.caughtUp && wall-x.seenAt <= wait {
			low = min(low, x.watermark)
		}
	}
	if !forwarding {
		return lead.Never
	}
	return low
}
