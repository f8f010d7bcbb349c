package engine

import (
	"context"
	"slices"
	"time"
)

// Starter is a History that tells where partitions begin, for the gauge of what retention leaves. One that is none has no gauge.
type Starter interface {
	// Starts returns the first offset of each partition that is still there.
	Starts(ctx context.Context, parts []TopicPartition) (map[TopicPartition]int64, error)
}

// marginEvery is how often the sources' beginnings are compared with the redo points. Tests lower it.
var marginEvery = 30 * time.Second

// marginLoop keeps the gauge of what retention leaves until ctx ends.
func (e *Engine) marginLoop(ctx context.Context) {
	st, ok := e.cfg.History.(Starter)
	if !ok {
		return
	}
	var near []TopicPartition
	for ctx.Err() == nil {
		sleep(ctx, marginEvery, nil)
		near = e.margins(ctx, st, near)
	}
}

// need is what redo of a live shard would read of a source again: from the redo point to where the shard is.
type need struct {
	TopicPartition
	from, next int64
}

// needsEvery is how often the loop says what redo would need, in ms.
const needsEvery = 1000

// tellNeeds says what redo would need of the sources, for whoever compares it with what there is.
func (e *Engine) tellNeeds(wall int64) {
	lp := &e.loop
	if wall-lp.toldNeeds < needsEvery {
		return
	}
	lp.toldNeeds = wall
	var all []need
	for _, id := range e.liveIDs() {
		s := e.live[id]
		var places []int64
		redo := s.redoPoint(s.done.epoch, false)
		for _, m := range lp.marks[id] {
			if m.epoch > redo {
				break
			}
			places = m.places
		}
		for i := range s.done.parts {
			p := &s.done.parts[i]
			switch {
			case p.source == nil || p.next < 0:
			case redo == s.done.epoch:
				all = append(all, need{p.TopicPartition, p.next, p.next})
			case i < len(places) && places[i] >= 0:
				all = append(all, need{p.TopicPartition, places[i], p.next})
			}
		}
	}
	e.needs.Store(&all)
}

// places are where a shard's inputs are.
func places(dst []int64, parts []part) []int64 {
	dst = dst[:0]
	for i := range parts {
		dst = append(dst, parts[i].next)
	}
	return dst
}

// margins compares what redo would need with what the sources still have. near are partitions that were warned of already; it
// returns those that are near now: retention has begun to delete, and fewer records are before the redo point than
// redo would read.
func (e *Engine) margins(ctx context.Context, st Starter, near []TopicPartition) []TopicPartition {
	p := e.needs.Load()
	if p == nil || len(*p) == 0 {
		return nil
	}
	parts := make([]TopicPartition, len(*p))
	for i, n := range *p {
		parts[i] = n.TopicPartition
	}
	starts, err := st.Starts(ctx, parts)
	if err != nil {
		return near // that the cluster does not answer is said elsewhere
	}
	least := map[string]int64{}
	var now []TopicPartition
	for _, n := range *p {
		start, ok := starts[n.TopicPartition]
		if !ok {
			continue
		}
		margin := n.from - start
		if old, ok := least[n.Topic]; !ok || margin < old {
			least[n.Topic] = margin
		}
		if start == 0 || margin > n.next-n.from {
			continue
		}
		now = append(now, n.TopicPartition)
		if !slices.Contains(near, n.TopicPartition) {
			e.log.Warn("retention is about to delete records that recovery would need: keep the source's records for longer, or shorten checkpoint_interval",
				"topic", n.Topic, "partition", n.Partition, "log_start", start, "redo_from", n.from, "position", n.next)
		}
	}
	for topic, margin := range least {
		e.m.margin.WithLabelValues(topic).Set(float64(margin))
	}
	return now
}
