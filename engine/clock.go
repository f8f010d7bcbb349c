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

// lag is how many records of the partition are known to be there and not applied.
func (l *liveness) lag(p *part) int64 { return max(0, l.end-max(0, p.next)) }

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

// behind says that more records are known to lie before the shard than it may take in one epoch.
func (s *shard) behind() bool {
	before := int64(0)
	for i := range s.st.parts {
		p := &s.st.parts[i]
		if l := s.live[p.TopicPartition]; l != nil && p.source != nil {
			before += l.lag(p)
		}
	}
	return before > int64(s.cfg.MaxEpochRecords)
}

// openHistory says whether a source is an import that was not closed yet.
func (s *shard) openHistory(src *SourceConfig) bool {
	_, closed := slices.BinarySearch(s.st.closed, src.Name)
	return src.History && !closed
}

// atEnd says whether the shard reads at the end of all its sources, and none of them is an open import.
func (s *shard) atEnd() bool {
	for i := range s.st.parts {
		if p := &s.st.parts[i]; p.source != nil && (!s.caughtUp(p) || s.openHistory(p.source)) {
			return false
		}
	}
	return true
}

// bounds are what the other shards impose on one: the cap of its tick, and how far those are that are at the end of their
// sources and in the past; see heads.
type bounds struct{ cap, trailing int64 }

// base is the time of a shard without source partitions, which nothing that it reads itself holds back: the
// wall clock, but as long as shards with sources have not come to that by their own events, what they have come to. While an
// import is open only that.
func (s *shard) base(wall int64, b bounds, skewed bool) int64 {
	if skewed {
		return noTime
	}
	for _, src := range s.sources {
		if s.openHistory(src) {
			if low := min(b.cap, b.trailing); low != lead.Never {
				return low
			}
			return noTime
		}
	}
	return min(wall, b.trailing)
}

func (s *shard) floor(p *part, wall int64, skewed bool) int64 {
	if p.source == nil || skewed || !s.caughtUp(p) {
		return noTime
	}
	if s.openHistory(p.source) {
		return noTime
	}
	if p.watermark != noTime && wall-p.watermark <= nearWall {
		return wall
	}
	if wall-s.live[p.TopicPartition].recordAt >= s.cfg.IdleAfter.Milliseconds() {
		return wall
	}
	return noTime
}

func (s *shard) readClock(wall int64, b bounds, skewed bool) clockInput {
	if s.cfg.Drain != nil {
		return s.frozen(wall)
	}
	c := clockInput{wall: wall, cap: b.cap, base: s.base(wall, b, skewed), floors: make([]int64, len(s.st.parts))}
	for i := range s.st.parts {
		c.floors[i] = s.floor(&s.st.parts[i], wall, skewed)
	}
	return c
}
