package engine

import "slices"

// SourceGrown tells that a source has so many partitions: those that are new are read from their beginnings, by the shards
// p mod N as ever. It is safe on any goroutine, and does nothing if they are known or the topic is no source.
func (e *Engine) SourceGrown(topic string, partitions int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n, ok := e.partitions[topic]; ok && partitions > n {
		e.log.Info("a source has more partitions, which are read from their beginnings", "topic", topic, "before", n, "now", partitions)
		e.partitions[topic] = partitions
		e.grown.Store(true)
	}
}

// lacks says that a shard does not read all of its partitions.
func (e *Engine) lacks(s *shard) bool {
	return slices.ContainsFunc(e.wantedParts(s.id), func(tp TopicPartition) bool { return s.st.part(tp) < 0 })
}

// grow gives shards the partitions that they lack, between two epochs.
func (e *Engine) grow() error {
	lp := &e.loop
	if !slices.ContainsFunc(e.liveIDs(), func(id int32) bool { return e.lacks(e.live[id]) }) {
		return nil
	}
	if lp.flight != nil {
		if err := e.decide(<-e.decided); err != nil {
			return err
		}
	}
	if lp.cur != nil {
		if err := e.send(e.nextSlice()); err != nil {
			return err
		}
		if err := e.decide(<-e.decided); err != nil {
			return err
		}
	}
	var starts []Start
	for _, id := range e.liveIDs() { // a commit may have failed, and they are others then
		s := e.live[id]
		before := s.st.parts
		s.reconcile(e.wantedParts(id))
		s.done = s.st
		lp.reorder(id, before, s.st.parts)
		for _, x := range e.starts(s) {
			if !slices.ContainsFunc(before, func(p part) bool { return p.TopicPartition == x.TopicPartition }) {
				starts = append(starts, x)
			}
		}
	}
	e.reread(nil, starts)
	return nil
}

// reorder keeps what is known of places at earlier epochs with their partitions. Of new ones nothing is: -1.
func (lp *loop) reorder(id int32, before, now []part) {
	for i := range lp.marks[id] {
		m := &lp.marks[id][i]
		old := m.places
		m.places = make([]int64, len(now))
		for k, p := range now {
			m.places[k] = -1
			if at := slices.IndexFunc(before, func(o part) bool { return o.TopicPartition == p.TopicPartition }); at >= 0 && at < len(old) {
				m.places[k] = old[at]
			}
		}
	}
}
